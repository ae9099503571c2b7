"""What each event adds to each signal: one row per signal, in two tables.

`amounts` turns a chunk of attributed events into one column of whole numbers per additive signal, `shown` into the
values that a distinct signal counts, each once. An event that attribution marked as not counting (a retry, an echo)
adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring import habits
from logwatch.schema import ADDITIVE, Columns

# What is looked at beside the columns of attribution and habits.
NEEDS = ("event", "nrcpt", "size", "dsn", "status", "sender", "recipient", "count")

Amounts = NDArray[np.int64]


def _is(column: Any, value: object) -> Any:
    return np.asarray(column == value, dtype=bool)


def _starts(column: Any, prefix: bytes) -> Any:
    return np.fromiter((value is not None and value.startswith(prefix) for value in column), bool, len(column))


def _number(column: Any) -> Amounts:
    return np.fromiter((int(value) if value else 0 for value in column), np.int64, len(column))


def _delivered(events: Columns, status: bytes) -> Any:
    """Recipients with this fate: a line of Sendmail's may stand for several."""
    fate = _is(events["event"], "delivery") & _is(events["status"], status)
    return fate * np.maximum(_number(events["nrcpt"]), 1)


def _bounced(events: Columns) -> Any:
    return _delivered(events, b"bounced")


def _refused_recipient(events: Columns) -> Any:
    return _is(events["event"], "reject")


def _queued(events: Columns) -> Any:
    return _is(events["event"], "queued")


def _refused(events: Columns) -> Any:
    return _is(events["event"], "verdict") | _is(events["event"], "milter_reject")


def _attempted(events: Columns) -> Any:
    """One verdict line may stand for many refusals."""
    return _queued(events) + _refused(events) * np.maximum(_number(events["count"]), 1)


def _failed_login(events: Columns) -> Any:
    return _is(events["event"], "auth_failure")


def _learned(name: str) -> Callable[[Columns], Any]:
    return lambda events: events[name]


_COUNTED: dict[str, Callable[[Columns], Any]] = {
    "messages": _queued,
    "recipients": lambda events: _queued(events) * _number(events["nrcpt"]),
    "bytes": lambda events: _queued(events) * _number(events["size"]),
    "cost": lambda events: _queued(events) * _number(events["nrcpt"]) * events["price"],
    "connections": lambda events: _is(events["event"], "connect"),
    "attempts": _attempted,
    **{name: _learned(name) for name in habits.SIGNALS},
    "unknown_recipients": lambda events: (_bounced(events) + _refused_recipient(events)) * _is(events["dsn"], b"5.1.1"),
    "bounces": _bounced,
    "policy_rejections": lambda events: _bounced(events) * _starts(events["dsn"], b"5.7."),
    "deferrals": lambda events: _delivered(events, b"deferred"),
    "auth_failures": _failed_login,
}

# Of a distinct signal: the column with its values, and the events that show one.
_SHOWN: dict[str, tuple[str, Callable[[Columns], Any]]] = {
    "clients": ("client", _attempted),
    "networks": ("network", _attempted),
    "countries": ("country", _attempted),
    "senders": ("sender", _queued),
    "accounts": ("account", _attempted),
    "guessed": ("account", _failed_login),
}


def amounts(events: Columns) -> Amounts:
    """Shape (events, signals), in the order of ADDITIVE: what each event adds."""
    table: Amounts = np.stack([np.asarray(_COUNTED[signal](events), dtype=np.int64) for signal in ADDITIVE], axis=1)
    return table * events["counts"][:, np.newaxis]


def shown(signal: str, events: Columns) -> tuple[Any, Any]:
    """The values that a distinct signal counts, and which events have one."""
    name, shows = _SHOWN[signal]
    values = events[name]
    return values, (shows(events) > 0) & events["counts"] & np.asarray(values != None, dtype=bool)  # noqa: E711  # for each element
