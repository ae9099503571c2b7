"""What each event adds to each signal: one row per signal, in two tables.

`amounts` turns a chunk of attributed events into one column of whole numbers per additive signal, `shown` into the
values that a distinct signal counts, each once. An event that attribution marked as not counting (a retry, an echo)
adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.factorize import coded
from logwatch.schema import ADDITIVE, Columns

# What is looked at beside the columns of attribution and habits.
NEEDS = ("event", "nrcpt", "size", "dsn", "status", "sender", "recipient", "count", "queue_id")

_MINUTE = 60.0
_LARGEST = 1 << 40  # so that no number in a log, however long, can overflow a total

Amounts = NDArray[np.int64]


class EventChunk:
    """A chunk of events, of which each thing is looked for once."""

    def __init__(self, events: Columns) -> None:
        self._events = events
        self._known: dict[object, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self._events[name]

    def once(self, what: object, look: Callable[..., Any], *named: Any) -> Any:
        """What `look` finds; asked again for the same, the same."""
        if what not in self._known:
            self._known[what] = look(self, *named)
        return self._known[what]


def _once(look: Callable[[EventChunk], Any]) -> Callable[[EventChunk], Any]:
    """The function, working once for each chunk."""
    return lambda events: events.once(look, look)


def _codes(events: EventChunk, name: str) -> tuple[Amounts, list[Any]]:
    """Of a column of few different values: the place of each among them, and the values, None the last."""
    codes, known = coded(events[name])
    return codes, [*known.tolist(), None]


def _is(events: EventChunk, name: str, value: object) -> Any:
    return events.once((name, value), _equal, name, value)


def _equal(events: EventChunk, name: str, value: object) -> Any:
    codes, known = events.once((name, _codes), _codes, name)
    return codes == known.index(value) if value in known else np.zeros(len(codes), dtype=bool)


def _has(events: EventChunk, name: str) -> Any:
    return events.once((name, _there), _there, name)


def _there(events: EventChunk, name: str) -> Any:
    return np.asarray(events[name] != None, dtype=bool)  # noqa: E711  # for each element


def _starts(events: EventChunk, name: str, prefix: bytes) -> Any:
    codes, known = events.once((name, _codes), _codes, name)
    return np.array([value is not None and value.startswith(prefix) for value in known])[codes]


def _number(events: EventChunk, name: str) -> Any:
    return events.once((name, int), _numbers, name)


def _numbers(events: EventChunk, name: str) -> Amounts:
    rows = _has(events, name).nonzero()[0]
    found = np.zeros(len(events[name]), dtype=np.int64)
    found[rows] = [min(int(value or 0), _LARGEST) for value in events[name][rows].tolist()]
    return found


def _delivered(events: EventChunk, status: bytes) -> Any:
    return _is(events, "event", "delivery") & _is(events, "status", status)


@_once
def _bounced(events: EventChunk) -> Any:
    return _delivered(events, b"bounced")


def _refused_recipient(events: EventChunk) -> Any:
    return _is(events, "event", "reject")


def _told_late(events: EventChunk) -> Any:
    """Recipients refused as unknown before the log said by whom they were tried: Sendmail's, see `attribute`."""
    return _number(events, "count") * ~_is(events, "event", "verdict") * ~_is(events, "event", "delivery")


def _unknown(events: EventChunk) -> Any:
    found = (_bounced(events) * (1 - events["excused"]) + _refused_recipient(events)) * _is(events, "dsn", b"5.1.1")
    return found + _told_late(events)


def _queued(events: EventChunk) -> Any:
    return _is(events, "event", "queued")


@_once
def _recipients(events: EventChunk) -> Any:
    """Those of a message when it is accepted, and those that only its deliveries name: Exim's, see `attribute`."""
    named = _is(events, "event", "delivery") * _number(events, "count")
    return _queued(events) * _number(events, "nrcpt") + named


@_once
def _refused(events: EventChunk) -> Any:
    return _is(events, "event", "verdict") | _is(events, "event", "milter_reject")


@_once
def _attempted(events: EventChunk) -> Any:
    """One verdict line may stand for many refusals."""
    return _queued(events) + _refused(events) * np.maximum(_number(events, "count"), 1)


@_once
def _sent_or_refused(events: EventChunk) -> Any:
    """Recipients of a message; a refused attempt is one, as nobody knows how many it was for."""
    return _queued(events) * _number(events, "nrcpt") + ~_queued(events) * _attempted(events)


def _failed_login(events: EventChunk) -> Any:
    return _is(events, "event", "auth_failure")


_COUNTED: dict[str, Callable[[EventChunk], Any]] = {
    "messages": _queued,
    "recipients": _recipients,
    "bytes": lambda events: _queued(events) * _number(events, "size"),
    "cost": lambda events: _recipients(events) * events["price"],
    "connections": lambda events: _is(events, "event", "connect") | events["opens"],
    "attempts": _attempted,
    "new_recipients": lambda events: events["new_recipients"],
    "fresh_recipients": lambda events: events["fresh_recipients"],
    "far_strangers": lambda events: events["far_strangers"],
    "odd_senders": lambda events: events["odd_senders"],
    "new_networks": lambda events: events["new_networks"] * _attempted(events),
    "odd_countries": lambda events: events["odd_countries"] * _attempted(events),
    "far_recipients": lambda events: events["far"] * _sent_or_refused(events),
    "away_recipients": lambda events: events["away"] * _sent_or_refused(events),
    "unknown_recipients": _unknown,
    "bounces": _bounced,
    "policy_rejections": lambda events: _bounced(events) * _starts(events, "dsn", b"5.7."),
    "deferrals": lambda events: _delivered(events, b"deferred"),
    "auth_failures": _failed_login,
}

# Of a distinct signal: the column with its values, and the events that show one.
_SHOWN: dict[str, tuple[str, Callable[[EventChunk], Any]]] = {
    "clients": ("client", _attempted),
    "networks": ("network", _attempted),
    "neighbourhoods": ("near", _attempted),
    "countries": ("country", _attempted),
    "senders": ("sender", _queued),
    "accounts": ("account", _attempted),
    "guessed": ("account", _failed_login),
    "guessers": ("near", _failed_login),
    "guesser_countries": ("country", _failed_login),
    "misaddressed": ("message", _unknown),
}


# The events of which some signal takes notice.
_NOTICED = frozenset({"queued", "delivery", "connect", "reject", "verdict", "milter_reject", "auth_failure"})


def noticed(events: Columns) -> NDArray[np.int64]:
    """Positions of the events that may add or show something, or teach habits something."""
    codes, kinds = coded(events["event"])
    looked_at = np.array([kind in _NOTICED for kind in kinds], dtype=bool)
    told = (events["count"] != None) | events["opens"]  # noqa: E711  # for each
    return np.flatnonzero((looked_at[codes] | told) & events["counts"])


def messages(events: Columns) -> NDArray[Any]:
    """Of which message each event is: its queue id, or the minute, where a recipient was refused before it had one."""
    found = events["queue_id"].copy()
    early = np.flatnonzero((events["event"] == "reject") & (found == None))  # noqa: E711  # for each
    found[early] = [b"%d" % (clock // _MINUTE) for clock in events["clock"][early].tolist()]
    return found


def amounts(events: EventChunk) -> Amounts:
    """Shape (events, signals), in the order of ADDITIVE: what each event adds."""
    table: Amounts = np.empty((len(events["counts"]), len(ADDITIVE)), dtype=np.int64)
    for column, signal in enumerate(ADDITIVE):
        table[:, column] = _COUNTED[signal](events)
    table *= events["counts"][:, np.newaxis]
    return table


def shown(signals: Iterable[str], events: EventChunk) -> dict[str, tuple[str, NDArray[np.bool_]]]:
    """What distinct signals count: for each, the column with the values, and which events show theirs."""
    found = {}
    for signal in signals:
        name, shows = _SHOWN[signal]
        found[signal] = name, (shows(events) > 0) & events["counts"] & _has(events, name)
    return found
