"""The events of a chunk that count for some signal: how much each adds, and which values it shows, whoever sent it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enforce import key as keys
from logwatch.measuring.distinct import marks_of
from logwatch.measuring.factorize import coded
from logwatch.measuring.signals import NEEDS, EventChunk, amounts, shown
from logwatch.measuring.timeline import MICRO, Ints, ranges, told_apart
from logwatch.schema import ADDITIVE, KEY_COLUMNS, Columns

LOOKED_AT = (*NEEDS, *KEY_COLUMNS, "counts", "opens", "clock")  # of the columns of events


class Codes(dict[str, tuple[Ints, NDArray[Any]]]):
    """Of columns that are asked for, a code for each event (-1 for none), and the values."""

    def __init__(self, events: Columns) -> None:
        super().__init__()
        self._events = events

    def __missing__(self, name: str) -> tuple[Ints, NDArray[Any]]:
        found = self[name] = coded(self._events[name])
        return found


class Batch(NamedTuple):
    """The events of a chunk that count for some signal, in order of time.

    rows      their positions in the chunk
    times     microseconds
    keys      of columns of values: a code for each event (-1 for none), and the values
    buckets   a number for each, the same where no window can tell two of them apart
    amounts   what each adds: shape (events, signals), in the order of ADDITIVE
    marks     by distinct signal: the marks of values, and which events show one
    """

    rows: Ints
    events: Columns
    keys: Mapping[str, tuple[Ints, NDArray[Any]]]
    times: Ints
    buckets: Ints
    amounts: Ints
    marks: Mapping[str, tuple[Ints, NDArray[np.bool_]]]

    @classmethod
    def of(cls, events: Columns, rows: Ints, steps: Sequence[int], distincts: Iterable[str]) -> Batch:
        """Of events as habits have seen them; `steps` are the buckets of all windows, none if nobody asks for any."""
        seen = EventChunk(events)
        amount, found = amounts(seen), shown(distincts, seen)
        counting = np.flatnonzero(amount.any(axis=1))
        looked_at = ("clock", *KEY_COLUMNS, *(name for name, _ in found.values()))
        counted = {name: events[name][counting] for name in looked_at}
        codes, times = Codes(counted), np.round(counted["clock"] * MICRO).astype(np.int64)
        marks = {name: marks_of(*codes[name]) for name, _ in found.values()}
        return cls(
            rows[counting],
            counted,
            codes,
            times,
            told_apart(times, steps).cumsum(),
            amount[counting],
            {signal: (marks[name], has[counting]) for signal, (name, has) in found.items()},
        )

    def of_rows(self, rows: Ints) -> Batch:
        """Some of the events; of their columns only those that are still looked at."""
        return Batch(
            self.rows[rows],
            {name: self.events[name][rows] for name in ("client", "clock")},
            {},
            self.times[rows],
            self.buckets[rows],
            self.amounts[rows],
            {signal: (marks[rows], has[rows]) for signal, (marks, has) in self.marks.items()},
        )

    def proves(self, codes: Ints, keys: int) -> NDArray[np.bool_]:
        """By code: whether a message of its key was accepted. Anybody may connect, or fail to log in by any name."""
        sent = self.amounts[:, ADDITIVE.index("messages")] > 0
        return np.bincount(codes[sent], minlength=keys) > 0

    def keyed(self, kind: str) -> tuple[Ints, Ints, NDArray[Any]]:
        """Positions of the events that count for a kind of key, for which each counts, and those keys.

        An event that counts for two keys has two places.
        """
        if kind == "site":
            return np.arange(len(self.rows)), np.zeros(len(self.rows), np.int64), np.array([keys.SITE], object)
        if kind == "net":
            return self._by_network()
        codes, known = self.keys[kind]
        rows = np.flatnonzero(codes >= 0)
        return rows, codes[rows], known

    def _by_network(self) -> tuple[Ints, Ints, NDArray[Any]]:
        rows, clients, known = self.keyed("client")
        found = [keys.networks(client.removeprefix("client:")) for client in known]
        numbers = np.array([len(networks) for networks in found], dtype=np.int64)
        names = np.empty(int(numbers.sum()), dtype=object)
        names[:] = [*chain.from_iterable(found)]
        codes, nets = coded(names)
        each = numbers[clients]
        return np.repeat(rows, each), codes[ranges((np.cumsum(numbers) - numbers)[clients], each)], nets
