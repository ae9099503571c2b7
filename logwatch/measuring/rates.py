"""How much of each signal every key sent within each window, as of every event.

A window W is counted in sixty buckets of W / 60: the value as of time t holds what came in the current bucket and the
59 before it. It never counts anything older than W, and may leave out what is older than W - W / 60: a rate "in 1h" is
the exact count of some span between 59 and 60 minutes that ends with the event.

State is one array per key, its rows running totals at points in time, oldest first. Points that no window can tell
apart any more are merged, so that a key holds at most about sixty points per window, whatever it sends. Totals make
every value a subtraction: the total now less the total before the window began. What counts each value once lies
beside it (`distinct`), and so does what keys are used to (`habits`, `usual`).

A chunk is worked through at once for all its keys with sorts and binary searches; its cost grows with the events in it
and the points of the keys that occur in it, not with the keys that are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from enforce import key as keys
from logwatch.measuring import distinct
from logwatch.measuring.current import Cells, cells_of, different, value
from logwatch.measuring.distinct import Occurrences
from logwatch.measuring.habits import Habits
from logwatch.measuring.listings import Listings
from logwatch.measuring.moments import age, on_the_clock, reputation
from logwatch.measuring.origin import ANYWHERE, Site
from logwatch.measuring.pace import Pace
from logwatch.measuring.packing import pack, unpack
from logwatch.measuring.signals import amounts, shown
from logwatch.measuring.track import BUCKETS, Order, window_start
from logwatch.measuring.usual import Usual
from logwatch.memory import Memory
from logwatch.schema import (
    ADDITIVE,
    DISTINCT,
    KINDS,
    PACE,
    SIGNALS,
    USUAL,
    Columns,
    Decision,
    Floor,
    History,
    RateColumn,
)

Ints = NDArray[np.int64]

_MICRO = 1_000_000
_PLACE = {name: position for position, name in enumerate(ADDITIVE)}
_BOUNDS = {"account": 1_000_000, "client": 500_000, "net": 500_000, "local": 10_000, "site": 1}


class Rates:
    """Counts chunk after chunk of attributed events."""

    def __init__(
        self,
        windows: Iterable[int],
        kinds: Sequence[str] = KINDS,
        distincts: Mapping[str, Iterable[str]] | None = None,
        site: Site = ANYWHERE,
    ) -> None:
        """`distincts`: the distinct signals to count, by kind; default: all of them for every kind."""
        self.windows = tuple(sorted(set(windows)))
        self.habits = Habits(site)
        self.listings = Listings()
        self._steps = [window * _MICRO // BUCKETS for window in self.windows]
        self._kinds = tuple(kinds)
        self._memory: dict[str, Memory[bytes]] = {
            kind: Memory(f"rates {kind}", _BOUNDS[kind], bytes, bytes) for kind in self._kinds
        }
        wanted = dict.fromkeys(kinds, DISTINCT) if distincts is None else distincts
        self._sets: dict[tuple[str, str], Memory[bytes]] = {
            (kind, signal): Memory(f"rates {kind} {signal}", _BOUNDS[kind], bytes, bytes)
            for kind in self._kinds
            for signal in sorted(wanted.get(kind, ()))
        }
        self._usual = {kind: Usual(kind, _BOUNDS[kind]) for kind in self._kinds}
        self._pace = {kind: Pace(kind, _BOUNDS[kind]) for kind in self._kinds}
        self._site = site

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks."""
        others = (other.memory for other in self._others())
        return (*self._memory.values(), *self._sets.values(), *others, *self.habits.memories(), self.listings.memory)

    def _others(self) -> tuple[Usual | Pace, ...]:
        return (*self._usual.values(), *self._pace.values())

    @property
    def layout(self) -> str:
        """What stored cells look like: what was stored under another layout cannot be taken up."""
        sets = ",".join(f"{kind} {signal}" for kind, signal in self._sets)
        return f"3 {','.join(ADDITIVE)} {','.join(map(str, self.windows))} {sets}"

    def add(self, events: Columns, needs: Mapping[str, Iterable[RateColumn]]) -> dict[str, History]:
        """Count a chunk whose clock never steps back; for each kind, the wanted values as of each event that counts.

        A chunk in which something is compared with what is usual must lie within one day (UTC).
        """
        events = self.habits.observe(events)
        amount = amounts(events)
        counting = np.flatnonzero(amount.any(axis=1))
        times = np.round(events["clock"] * _MICRO).astype(np.int64)
        values = shown({signal for _, signal in self._sets}, events)
        marks = {signal: (distinct.marks_of(column), column != None) for signal, column in values.items()}  # noqa: E711
        return {
            kind: self._count(
                kind, _New(events, *_expand(kind, events, counting), times, amount, marks), tuple(needs.get(kind, ()))
            )
            for kind in self._kinds
        }

    def _count(self, kind: str, new: _New, wanted: tuple[RateColumn, ...]) -> History:
        if not len(new.rows):
            nothing = np.empty(0, dtype=np.int64)
            return History(new.rows, new.keys, _frame(dict.fromkeys(wanted, nothing)), lambda *_: _frame({}))
        codes, known = pd.factorize(new.keys)
        view = _View(
            new.times[new.rows], self._sums(kind, new, codes, known), self._occurrences(kind, new, codes, known)
        )
        values = {column: view.within(column) for column in wanted if column[0] in SIGNALS}
        values.update(self._compared(kind, known, codes, view, wanted))
        values.update(self._timed(kind, new, wanted))
        history = _frame({column: values[column] for column in wanted})
        return History(new.rows, new.keys, history, partial(view.above, history))

    def _sums(self, kind: str, new: _New, codes: Any, known: Any) -> _Track:
        lengths, past = unpack([*map(self._memory[kind].get, known)], len(ADDITIVE))
        track = _Track.joined(lengths, past, codes, new.times[new.rows], new.amounts[new.rows])
        kept = track.kept(self._steps)
        cells = np.column_stack((track.times[kept], track.totals[kept]))
        _remember(self._memory[kind], known, track.order, track.order.codes[kept], cells)
        return track

    def _occurrences(self, kind: str, new: _New, codes: Any, known: Any) -> dict[str, Occurrences]:
        found = {}
        for signal in (signal for of, signal in self._sets if of == kind):
            memory = self._sets[kind, signal]
            lengths, past = unpack([*map(memory.get, known)], 1)
            order = Order.of(lengths, codes)
            marks, has = new.marks[signal]
            seen = Occurrences.of(order, past, new.times[new.rows], marks[new.rows], has[new.rows])
            _remember(memory, known, order, *seen.kept(self.windows[-1]))
            found[signal] = seen
        return found

    def _compared(
        self, kind: str, known: Any, codes: Any, view: _View, wanted: Sequence[RateColumn]
    ) -> dict[RateColumn, NDArray[Any]]:
        """What is usual, for the wanted columns that ask for it."""
        bases = [(signal.removeprefix(USUAL), window) for signal, window in wanted if signal.startswith(USUAL)]
        if not bases:
            return {}
        usual = self._usual[kind].learn(known, codes, view.times, {base: view.within(base) for base in bases})
        return {(USUAL + signal, window): values for (signal, window), values in usual.items()}

    def _timed(self, kind: str, new: _New, wanted: Sequence[RateColumn]) -> dict[RateColumn, NDArray[Any]]:
        """What is no count within a window."""
        times = new.events["clock"][new.rows]
        moments: dict[str, Callable[[], Any]] = {
            "hour": lambda: on_the_clock("hour", times, self._site.zone),
            "weekday": lambda: on_the_clock("weekday", times, self._site.zone),
            "age": lambda: age(times, new.keys, self.habits),
            "reputation": lambda: reputation(new.events["client"][new.rows], times, self.listings, self._site),
        }
        found = {(name, 0): moments[name]() for name, _ in wanted if name in moments}
        if (PACE, 0) in wanted:
            attempts = new.amounts[new.rows, _PLACE["attempts"]]
            found[PACE, 0] = self._pace[kind].learn(new.keys, times, attempts)
        return found

    def condemn(self, decisions: Iterable[Decision]) -> None:
        """What was decided: on such a day a key teaches nothing of what is usual, unless it was released."""
        for decision in decisions:
            kind = decision.key.partition(":")[0]
            if kind in self._usual:
                self._usual[kind].condemn(decision.key, decision.action != "release")

    def expire(self, clock: float) -> None:
        """Drop keys that are idle for twice the longest window: they count nothing any more.

        Twice, so that their totals outlive every window that a release cuts short (see `totals`).
        """
        for memory in (*self._memory.values(), *self._sets.values()):
            memory.expire(clock - 2 * self.windows[-1])
        self.habits.expire(clock)
        self.listings.expire(clock)
        for other in self._others():
            other.expire(clock)

    def turn_back(self) -> None:
        """The log's clock was wrong and has been set back: forget everything that was counted.

        It cannot be put right, as nobody knows since when the clock was wrong; and points that have been merged could
        no longer be told apart, so that what is left would depend on the chunks in which it came.
        """
        for memory in (*self._memory.values(), *self._sets.values()):
            memory.clear()
        for pace in self._pace.values():
            pace.turn_back()
        self.listings.turn_back()

    def totals(self, key: str, at: float) -> list[int] | None:
        """Running totals of a key, in the order of ADDITIVE; None if all it did has left every window by `at`."""
        cells = self._memory[key.partition(":")[0]].get(key, at - self.windows[-1])
        return None if cells is None else cells_of(cells)[-1, 1:].tolist()

    def frame(self, at: float, columns: Iterable[RateColumn] | None = None) -> pd.DataFrame:
        """One row per key, one column per (signal, window), as of epoch time `at`; without keys that count nothing.

        Distinct signals that are not counted for a kind are 0.
        """
        wanted = tuple(columns or ((signal, window) for signal in SIGNALS for window in self.windows))
        names, values = [], []
        for kind, memory in self._memory.items():
            for name, packed in memory.items():
                cells = cells_of(packed)
                names.append(name)
                values.append([self._as_of(kind, name, cells, round(at * _MICRO), column) for column in wanted])
        index = pd.Index(names, name="key", dtype=object)
        frame = pd.DataFrame(np.array(values, np.int64).reshape(len(names), len(wanted)), index=index)
        frame.columns = pd.MultiIndex.from_tuples(wanted, names=("signal", "window"))
        return frame[frame.any(axis=1)].sort_index()

    def _as_of(self, kind: str, name: str, cells: Cells, at: int, column: RateColumn) -> int:
        signal, window = column
        if signal in _PLACE:
            return value(cells, at, column)
        seen = self._sets[kind, signal].get(name) if (kind, signal) in self._sets else None
        return 0 if seen is None else different(seen, at, window)


class _New(NamedTuple):
    """What a chunk brings for a kind of key: positions of events, and whom each counts for.

    `times`, `amounts` and `marks` are those of all events; `marks`: by distinct signal, and whether there is one.
    """

    events: Columns
    rows: Ints
    keys: NDArray[Any]
    times: Ints
    amounts: Ints
    marks: Mapping[str, tuple[Ints, Any]]


@dataclass(frozen=True)
class _Track:
    """The points of several keys, key after key, each in order of time: the past, then the chunk's events."""

    order: Order
    times: Ints
    totals: Ints

    @classmethod
    def joined(cls, lengths: list[int], old: Cells, codes: Any, times: Any, amount: Any) -> _Track:
        """Past cells, so many for each key code, and new events with their codes."""
        order = Order.of(lengths, codes)
        # totals of the past are kept; what is new adds to the last of them
        steps = np.concatenate((np.diff(old[:, 1:], axis=0, prepend=0), amount))
        firsts = np.flatnonzero(np.diff(np.repeat(np.arange(len(lengths)), lengths), prepend=-1))
        steps[firsts] = old[firsts, 1:]
        running = np.cumsum(steps[order.sorting], axis=0)
        before = np.where(order.starts[:, np.newaxis] > 0, running[order.starts - 1], 0)
        return cls(order, np.concatenate((old[:, 0], times))[order.sorting], running - before[order.codes])

    def within(self, window: int, signal: int) -> Ints:
        """What each of the chunk's events, in their own order, finds of a signal within a window in seconds."""
        new = self.order.new
        codes, totals = self.order.codes[new], self.totals[:, signal]
        inside = self.order.first_at(self.times, codes, window_start(self.times[new], window * _MICRO // BUCKETS))
        before = np.where(inside > self.order.starts[codes], totals[inside - 1], 0)
        return np.asarray(totals[new] - before, np.int64)

    def kept(self, steps: Sequence[int]) -> Ints:
        """Positions of the points that some window can still tell from the point after them, and each key's last."""
        codes = self.order.codes
        newest = self.times[self.order.ends - 1][codes]
        same = codes[:-1] == codes[1:]
        for step in steps:
            passed = self.times[1:] < window_start(newest[1:], step)
            same &= passed | (self.times[:-1] // step == self.times[1:] // step)
        return np.flatnonzero(np.append(~same, True))


@dataclass(frozen=True)
class _View:
    """All that a chunk's events find of their keys; `times` are theirs."""

    times: Ints
    track: _Track
    occurrences: Mapping[str, Occurrences]

    def within(self, column: RateColumn) -> NDArray[Any]:
        """A column, a value for each event."""
        signal, window = column
        if signal in self.occurrences:
            return self.occurrences[signal].within(window)
        return self.track.within(window, _PLACE[signal])

    def above(self, values: pd.DataFrame, places: Sequence[int], floors: Sequence[Floor]) -> pd.DataFrame:
        """The values of some events that count only what came after a floor, one for each of them."""
        lowered = values.iloc[list(places)].copy()
        for number, column in enumerate(values.columns):
            signal: str = column[0]
            if signal in SIGNALS:
                since = np.array([self._since(signal, *pair) for pair in zip(places, floors, strict=True)])
                lowered.isetitem(number, np.minimum(lowered.iloc[:, number].to_numpy(), since))
        return lowered

    def _since(self, signal: str, place: int, floor: Floor) -> int:
        if signal in self.occurrences:
            return self.occurrences[signal].since(place, round(floor.time * _MICRO))
        total = int(self.track.totals[self.track.order.new[place], _PLACE[signal]])
        since = total - floor.totals[_PLACE[signal]]
        # a total below the floor: the key was dropped for want of room in between, all of it came after
        return since if since >= 0 else total


def _remember(memory: Memory[bytes], known: Any, order: Order, codes: Ints, table: Ints) -> None:
    """Keep each key's cells, in the order in which keys were last heard of, whatever the chunks are.

    `table` has the cells of all, key after key, `codes` says whose each row is.
    """
    counts = np.bincount(codes, minlength=len(known))
    ends = np.cumsum(counts)
    packed = pack(table, ends)
    latest = np.zeros(len(known), np.int64)
    latest[order.codes[order.new]] = np.arange(len(order.new))
    for code in np.argsort(latest, kind="stable").tolist():
        if counts[code]:
            memory.put(known[code], packed[code], float(table[ends[code] - 1, 0]) / _MICRO)
        else:
            memory.drop(known[code])


def _frame(values: Mapping[RateColumn, NDArray[Any]]) -> pd.DataFrame:
    # a flat index of tuples is looked up more than twice as fast as a MultiIndex
    frame = pd.DataFrame(dict(enumerate(values.values())), copy=False)
    frame.columns = pd.Index(list(values), tupleize_cols=False)
    return frame


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
