"""Works out rates as of each event of a chunk, from the points remembered of its key and the chunk's own events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.batch import Batch
from logwatch.measuring.distinct import Occurrences
from logwatch.measuring.ledger import COLUMNS, Ledger
from logwatch.measuring.packing import PLACES
from logwatch.measuring.pool import Pool
from logwatch.measuring.timeline import MICRO, Coded, Ints, Order, bucket_step, window_start
from logwatch.schema import ADDITIVE, SIGNALS, Floor, RateColumn, RateTable


@dataclass(frozen=True)
class EventRates(ABC):
    """Rates of its key as of each event of a chunk, each column when it is asked for; `times`: microseconds."""

    times: Ints

    @abstractmethod
    def within(self, column: RateColumn) -> NDArray[Any]:
        """A column, a value for each event."""

    @abstractmethod
    def since(self, signal: str, place: int, floor: Floor) -> int:
        """What an event finds of a signal that came after a floor; negative where there is less than by then."""

    def above(self, values: RateTable, places: Sequence[int], floors: Sequence[Floor]) -> RateTable:
        """The values of some events that count only what came after a floor, one for each of them."""
        rows = [*places]
        return Values(values, {}, lambda column: self._lowered(column[0], values[column][rows], places, floors))

    def _lowered(
        self, signal: str, values: NDArray[Any], places: Sequence[int], floors: Sequence[Floor]
    ) -> NDArray[Any]:
        if signal not in SIGNALS:
            return values
        since = np.array([self.since(signal, *pair) for pair in zip(places, floors, strict=True)])
        # a total below the floor: the key was dropped for want of room in between, all of it came after
        return np.where(since >= 0, np.minimum(values, since), values)


@dataclass(frozen=True)
class View(EventRates):
    """Those of many events, worked out together with numpy."""

    tracks: Mapping[int, Track]  # by group
    occurrences: Mapping[str, Occurrences]

    @classmethod
    def of(cls, ledger: Ledger, slots: Ints, coded: Coded, batch: Batch, signals: set[str]) -> View:
        """Before what the events bring is written: slots of keys, and for which of them each event counts."""
        groups = {PLACES[signal][0] for signal in signals if signal in PLACES}
        tracks = {group: Track.of(ledger.groups[group], slots, coded, batch, COLUMNS[group]) for group in groups}
        occurrences = {
            signal: _occurrences(pool, slots, coded, batch, signal)
            for signal, pool in ledger.sets.items()
            if signal in signals
        }
        return cls(batch.times, tracks, occurrences)

    def within(self, column: RateColumn) -> NDArray[Any]:
        """A column, a value for each event."""
        signal, window = column
        if signal in self.occurrences:
            return self.occurrences[signal].within(window)
        group, place = PLACES[signal]
        return self.tracks[group].within(window, place)

    def since(self, signal: str, place: int, floor: Floor) -> int:
        """What an event finds of a signal that came after a floor."""
        if signal in self.occurrences:
            return self.occurrences[signal].since(place, round(floor.time * MICRO))
        group, column = PLACES[signal]
        track = self.tracks[group]
        return int(track.totals[track.order.new[place], column]) - floor.totals[ADDITIVE.index(signal)]


class Values(Mapping[RateColumn, NDArray[Any]]):
    """Rate columns; one that is not known yet is worked out when it is first asked for.

    Most rules are decided by one or two of the many that they compare.
    """

    def __init__(
        self, wanted: Iterable[RateColumn], known: RateTable, within: Callable[[RateColumn], NDArray[Any]]
    ) -> None:
        self._columns = {column: known.get(column) for column in wanted}
        self._within = within

    def __getitem__(self, column: RateColumn) -> NDArray[Any]:
        found = self._columns[column]
        if found is None:
            found = self._columns[column] = self._within(column)
        return found

    def __iter__(self) -> Iterator[RateColumn]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


@dataclass(frozen=True)
class Track:
    """The points of several keys, key after key, each in order of time: the past, then the chunk's events."""

    order: Order
    totals: Ints
    _begins: dict[int, Ints] = field(default_factory=dict)  # by window

    @classmethod
    def of(cls, pool: Pool, slots: Ints, coded: Coded, batch: Batch, columns: Sequence[int]) -> Track:
        """What is remembered in slots, and new events with what each adds."""
        lengths, old = pool.rows(slots)
        order = Order.of(lengths, old[:, 0], coded, batch.times)
        running = np.cumsum(batch.amounts[coded.by_code][:, columns], axis=0)
        begins = np.cumsum(coded.counts) - coded.counts
        before = np.where(begins[:, np.newaxis] > 0, running[begins - 1], 0)
        running += np.repeat(pool.last(slots)[:, 1:] - before, coded.counts, axis=0)
        totals = np.empty((len(order.codes), len(columns)), dtype=np.int64)
        totals[order.old], totals[order.new[coded.by_code]] = old[:, 1:], running
        return cls(order, totals)

    def within(self, window: int, place: int) -> Ints:
        """What each of the chunk's events, in their own order, finds of a signal within a window in seconds."""
        codes, totals = self.order.codes[self.order.new], self.totals[:, place]
        inside = self._inside(window, codes)
        before = np.where(inside > self.order.starts[codes], totals[inside - 1], 0)
        return np.asarray(totals[self.order.new] - before, np.int64)

    def _inside(self, window: int, codes: Ints) -> Ints:
        """The first position in the window of each of the chunk's events."""
        if window not in self._begins:
            times = self.order.times[self.order.new]
            self._begins[window] = self.order.first_at(codes, window_start(times, bucket_step(window)))
        return self._begins[window]


def _occurrences(pool: Pool, slots: Ints, coded: Coded, batch: Batch, signal: str) -> Occurrences:
    lengths, old = pool.rows(slots)
    return Occurrences.of(Order.of(lengths, old[:, 0], coded, batch.times), old[:, 1], *batch.marks[signal])
