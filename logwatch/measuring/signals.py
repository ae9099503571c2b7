"""What each event adds to each signal: one row per signal.

`amounts` turns a chunk of attributed events into one column of whole numbers per signal. An event that attribution
marked as not counting (a retry, an echo) adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.schema import SIGNALS, Columns

# What `amounts` looks at, beside the columns of attribution.
NEEDS = ("event", "nrcpt", "size", "dsn", "status")

Amounts = NDArray[np.int64]


def _is(column: Any, value: object) -> Any:
    return np.asarray(column == value, dtype=bool)


def _starts(column: Any, prefix: bytes) -> Any:
    return np.fromiter((value is not None and value.startswith(prefix) for value in column), bool, len(column))


def _number(column: Any) -> Amounts:
    return np.fromiter((int(value) if value else 0 for value in column), np.int64, len(column))


def _bounced(events: Columns) -> Any:
    return _is(events["event"], "delivery") & _is(events["status"], b"bounced")


def _refused_recipient(events: Columns) -> Any:
    return _is(events["event"], "reject")


def _queued(events: Columns) -> Any:
    return _is(events["event"], "queued")


def _refused(events: Columns) -> Any:
    return _is(events["event"], "verdict") | _is(events["event"], "milter_reject")


_COUNTED: dict[str, Callable[[Columns], Any]] = {
    "messages": _queued,
    "recipients": lambda events: _queued(events) * _number(events["nrcpt"]),
    "bytes": lambda events: _queued(events) * _number(events["size"]),
    "connections": lambda events: _is(events["event"], "connect"),
    "attempts": lambda events: _queued(events) | _refused(events),
    "unknown_recipients": lambda events: (_bounced(events) | _refused_recipient(events)) & _is(events["dsn"], b"5.1.1"),
    "bounces": _bounced,
    "policy_rejections": lambda events: _bounced(events) & _starts(events["dsn"], b"5.7."),
    "deferrals": lambda events: _is(events["event"], "delivery") & _is(events["status"], b"deferred"),
    "auth_failures": lambda events: _is(events["event"], "auth_failure"),
}


def amounts(events: Columns) -> Amounts:
    """Shape (events, signals), in the order of SIGNALS: what each event adds."""
    columns = [np.asarray(_COUNTED[signal](events), dtype=np.int64) for signal in SIGNALS]
    table: Amounts = np.stack(columns, axis=1) if columns else np.empty((0, 0), dtype=np.int64)
    return table * events["counts"][:, np.newaxis]
