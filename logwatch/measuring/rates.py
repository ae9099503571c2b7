"""How much of each signal every key sent within each window, as of every event.

A window W is counted in sixty buckets of W / 60: the value as of time t holds what came in the current bucket and the
59 before it. It never counts anything older than W, and may leave out what is older than W - W / 60: a rate "in 1h" is
the exact count of some span between 59 and 60 minutes that ends with the event.

State is one array per key, its rows running totals at points in time, oldest first (`_Cells`). Points that no window
can tell apart any more are merged, so that a key holds at most about sixty points per window, whatever it sends.
Totals make every value a subtraction: the total now less the total before the window began.

A chunk is worked through at once for all its keys with sorts and binary searches; its cost grows with the events in it
and the points of the keys that occur in it, not with the keys that are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from enforce import key as keys
from logwatch.measuring.signals import amounts
from logwatch.memory import Memory
from logwatch.schema import KINDS, SIGNALS, Columns, History, RateColumn

Cells = NDArray[np.int64]  # rows: microseconds, then the running total of each signal in the order of SIGNALS

BUCKETS = 60
_MICRO = 1_000_000
_SIGNAL = {name: position for position, name in enumerate(SIGNALS)}
_BOUNDS = {"account": 1_000_000, "client": 500_000, "net": 500_000, "local": 10_000, "site": 1}


class Rates:
    """Counts chunk after chunk of attributed events."""

    def __init__(self, windows: Iterable[int], kinds: Sequence[str] = KINDS) -> None:
        self.windows = tuple(sorted(set(windows)))
        self._steps = [window * _MICRO // BUCKETS for window in self.windows]
        self._kinds = tuple(kinds)
        self._memory: dict[str, Memory[Cells]] = {
            kind: Memory(f"rates {kind}", _BOUNDS[kind], _dump, _load) for kind in self._kinds
        }

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks."""
        return tuple(self._memory.values())

    @property
    def layout(self) -> str:
        """What stored cells look like: what was stored under another layout cannot be taken up."""
        return f"1 {','.join(SIGNALS)} {','.join(map(str, self.windows))}"

    def add(self, events: Columns, needs: Mapping[str, Iterable[RateColumn]]) -> dict[str, History]:
        """Count a chunk whose clock never steps back; for each kind, the wanted values as of each event that counts."""
        amount = amounts(events)
        counting = np.flatnonzero(amount.any(axis=1))
        times = np.round(events["clock"] * _MICRO).astype(np.int64)
        return {
            kind: self._count(kind, _New(*_expand(kind, events, counting), times, amount), tuple(needs.get(kind, ())))
            for kind in self._kinds
        }

    def _count(self, kind: str, new: _New, wanted: tuple[RateColumn, ...]) -> History:
        if not len(new.rows):
            nothing = new.amounts[:0]
            return History(new.rows, new.keys, _frame(dict.fromkeys(wanted, nothing[:, 0])), nothing)
        codes, known = pd.factorize(new.keys)
        past = [_EMPTY if cells is None else cells for cells in map(self._memory[kind].get, known)]
        track = _Track.joined(past, codes, new.times[new.rows], new.amounts[new.rows])
        values = {(signal, window): track.within(window, _SIGNAL[signal]) for signal, window in wanted}
        self._keep(kind, known, track)
        return History(new.rows, new.keys, _frame(values), track.totals[track.new_of])

    def _keep(self, kind: str, known: Any, track: _Track) -> None:
        memory = self._memory[kind]
        kept = track.kept(self._steps)
        table = np.column_stack((track.times[kept], track.totals[kept]))
        ends = np.cumsum(np.bincount(track.codes[kept]))
        # in the order in which keys were last heard of, whatever the chunks are
        for code in np.argsort(track.latest, kind="stable").tolist():
            cells = table[ends[code - 1] if code else 0 : ends[code]].copy()
            memory.put(known[code], cells, float(cells[-1, 0]) / _MICRO)

    def expire(self, clock: float) -> None:
        """Drop keys that are idle for twice the longest window: they count nothing any more.

        Twice, so that their totals outlive every window that a release cuts short (see `totals`).
        """
        for memory in self._memory.values():
            memory.expire(clock - 2 * self.windows[-1])

    def turn_back(self) -> None:
        """The log's clock was wrong and has been set back: forget everything.

        What was counted cannot be put right, as nobody knows since when the clock was wrong; and points that have been
        merged could no longer be told apart, so that what is left would depend on the chunks in which it came.
        """
        for memory in self._memory.values():
            for name in [name for name, _ in memory.items()]:
                memory.drop(name)

    def totals(self, key: str, at: float) -> list[int] | None:
        """Running totals of a key, in the order of SIGNALS; None if all it did has left every window by `at`."""
        cells = self._memory[key.partition(":")[0]].get(key, at - self.windows[-1])
        return None if cells is None else cells[-1, 1:].tolist()

    def frame(self, at: float, columns: Iterable[RateColumn] | None = None) -> pd.DataFrame:
        """One row per key, one column per (signal, window), as of epoch time `at`; without keys that count nothing."""
        wanted = tuple(columns or ((signal, window) for signal in SIGNALS for window in self.windows))
        names, values = [], []
        for memory in self._memory.values():
            for name, cells in memory.items():
                names.append(name)
                values.append(_as_of(cells, int(at * _MICRO), wanted))
        index = pd.Index(names, name="key", dtype=object)
        frame = pd.DataFrame(np.array(values, np.int64).reshape(len(names), len(wanted)), index=index)
        frame.columns = pd.MultiIndex.from_tuples(wanted, names=("signal", "window"))
        return frame[frame.any(axis=1)].sort_index()


class _New(NamedTuple):
    """What a chunk brings for a kind of key: positions of events, and whom each counts for; times, amounts of all."""

    rows: NDArray[np.int64]
    keys: NDArray[Any]
    times: NDArray[np.int64]
    amounts: NDArray[np.int64]


@dataclass(frozen=True)
class _Track:
    """The points of several keys, key after key, each in order of time: the past, then the chunk's events."""

    codes: NDArray[np.int64]
    times: NDArray[np.int64]
    totals: NDArray[np.int64]
    new_of: NDArray[np.int64]  # where the chunk's events went, in their own order
    latest: NDArray[np.int64]  # for each key, its last event among those of the chunk

    @classmethod
    def joined(cls, past: list[Cells], codes: Any, times: Any, amount: Any) -> _Track:
        """Past cells by key code, and new events with their codes."""
        lengths = [len(cells) for cells in past]
        old = np.concatenate(past)
        all_codes = np.concatenate((np.repeat(np.arange(len(past)), lengths), codes))
        order = np.argsort(all_codes, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        sorted_codes = all_codes[order]
        # totals of the past are kept; what is new adds to the last of them
        steps = np.concatenate((np.diff(old[:, 1:], axis=0, prepend=0), amount))
        firsts = np.flatnonzero(np.diff(np.repeat(np.arange(len(past)), lengths), prepend=-1))
        steps[firsts] = old[firsts, 1:]
        running = np.cumsum(steps[order], axis=0)
        starts = np.searchsorted(sorted_codes, np.arange(len(past)))
        before = np.where(starts[:, np.newaxis] > 0, running[starts - 1], 0)
        latest = np.zeros(len(past), np.int64)
        latest[codes] = np.arange(len(codes))
        old_and_new = np.concatenate((old[:, 0], times))
        return cls(sorted_codes, old_and_new[order], running - before[sorted_codes], place[len(old) :], latest)

    def within(self, window: int, signal: int) -> NDArray[np.int64]:
        """What each of the chunk's events, in their own order, finds of a signal within a window in seconds."""
        codes, times = self.codes[self.new_of], self.times[self.new_of]
        totals = self.totals[:, signal]
        inside = self._first_at(codes, _window_start(times, window * _MICRO // BUCKETS))
        starts = np.searchsorted(self.codes, codes)
        before = np.where(inside > starts, totals[inside - 1], 0)
        return np.asarray(totals[self.new_of] - before, np.int64)

    def kept(self, steps: Sequence[int]) -> NDArray[np.int64]:
        """Positions of the points that some window can still tell from the point after them, and each key's last."""
        last_of_key = np.flatnonzero(np.diff(self.codes, append=-1))
        newest = self.times[last_of_key][self.codes]
        same = self.codes[:-1] == self.codes[1:]
        for step in steps:
            passed = self.times[1:] < _window_start(newest[1:], step)
            same &= passed | (self.times[:-1] // step == self.times[1:] // step)
        return np.flatnonzero(np.append(~same, True))

    def _first_at(self, codes: Any, times: Any) -> Any:
        """The first point of each code at or after a time."""
        origin = self.times.min()
        span = int(self.times.max() - origin) + 2
        scale = self.codes * span + (self.times - origin)
        return np.searchsorted(scale, codes * span + np.clip(times - origin, 0, span - 1))


def _frame(values: dict[RateColumn, NDArray[np.int64]]) -> pd.DataFrame:
    # a flat index of tuples is looked up more than twice as fast as a MultiIndex
    frame = pd.DataFrame(dict(enumerate(values.values())), copy=False)
    frame.columns = pd.Index(list(values), tupleize_cols=False)
    return frame


def _window_start(times: Any, step: int) -> Any:
    return (times // step - (BUCKETS - 1)) * step


def _as_of(cells: Cells, at: int, wanted: Sequence[RateColumn]) -> list[int]:
    row = []
    upto = int(np.searchsorted(cells[:, 0], at, side="right"))
    for signal, window in wanted:
        start = int(np.searchsorted(cells[:, 0], _window_start(at, window * _MICRO // BUCKETS)))
        column = cells[:, 1 + _SIGNAL[signal]]
        row.append(int((column[upto - 1] if upto else 0) - (column[start - 1] if start else 0)) if upto > start else 0)
    return row


_EMPTY: Cells = np.empty((0, 1 + len(SIGNALS)), dtype=np.int64)


def _expand(kind: str, events: Columns, counting: Any) -> tuple[Any, Any]:
    """Positions of the events that count for a kind of key, and those keys; a position for each key of an event."""
    if kind == "site":
        return counting, np.full(len(counting), keys.SITE, dtype=object)
    if kind == "net":
        return _networks(counting, events["client"][counting])
    names = events[kind][counting]
    has = np.fromiter((name is not None for name in names), bool, len(names))
    return counting[has], names[has]


def _networks(counting: Any, clients: Any) -> tuple[Any, Any]:
    found = [keys.networks(client.removeprefix("client:")) if client else () for client in clients]
    rows = np.repeat(counting, [len(networks) for networks in found])
    names = np.empty(len(rows), dtype=object)
    names[:] = list(chain.from_iterable(found))
    return rows, names


def _dump(cells: Cells) -> bytes:
    return cells.tobytes()


def _load(written: bytes) -> Cells:
    return np.frombuffer(written, dtype=np.int64).reshape(-1, 1 + len(SIGNALS)).copy()
