"""How many different values of something every key showed within each window: exact, as of every event.

A value counts in a window if it occurred there, in the same sixty buckets in which sums are counted (see `rates`). Of
each key only the last occurrence of each value is kept, of the `MOST` values that occurred last: counts are exact up to
`MOST`, and stop there.

Every occurrence counts from its event on until the same value occurs again, or its bucket leaves the window; so all
values of a chunk come from one sort and one running sum, however many different ones there are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from logwatch.measuring.current import MOST
from logwatch.measuring.track import BUCKETS, Order, window_start

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Occurrences:
    """The values of several keys in the order of `order`: the past, then the chunk's events, with or without one."""

    order: Order
    times: Ints
    marks: Ints
    at: Ints  # positions that have a value
    again: Ints  # for each of these, where the key next has the same value, or its last position + 1

    @classmethod
    def of(cls, order: Order, old: Ints, times: Ints, marks: Ints, has: Any) -> Occurrences:
        """Past cells (rows of microseconds and mark), and the chunk's events: times, marks, whether they have one."""
        every = np.concatenate((old[:, 1], marks))[order.sorting]
        stamps = np.concatenate((old[:, 0], times))[order.sorting]
        at = np.flatnonzero(np.concatenate((np.ones(len(old), dtype=bool), has))[order.sorting])
        by_value = np.lexsort((at, every[at], order.codes[at]))
        sorted_at = at[by_value]
        same = (order.codes[sorted_at][1:] == order.codes[sorted_at][:-1]) & (
            every[sorted_at][1:] == every[sorted_at][:-1]
        )
        following = order.ends[order.codes[sorted_at]]
        following[:-1][same] = sorted_at[1:][same]
        again = np.empty_like(following)
        again[by_value] = following
        return cls(order, stamps, every, at, again)

    def within(self, window: int) -> Ints:
        """What each of the chunk's events finds within a window in seconds."""
        step = window * 1_000_000 // BUCKETS
        codes = self.order.codes[self.at]
        left = self.order.first_at(self.times, codes, (self.times[self.at] // step + BUCKETS) * step)
        change = np.zeros(len(self.times) + 1, dtype=np.int64)
        np.add.at(change, self.at, 1)
        np.add.at(change, np.minimum(self.again, left), -1)
        return np.minimum(np.cumsum(change)[self.order.new], MOST)

    def since(self, place: int, time: int) -> int:
        """What an event of the chunk finds after a time in microseconds."""
        position = int(self.order.new[place])
        start = int(self.order.starts[self.order.codes[position]])
        inside = self.at[(self.at >= start) & (self.at <= position)]
        return min(len(np.unique(self.marks[inside[self.times[inside] > time]])), MOST)

    def kept(self, longest: int) -> tuple[Ints, Ints]:
        """Codes and cells of what is to be remembered, key after key; `longest` window in seconds."""
        last = self.at[self.again == self.order.ends[self.order.codes[self.at]]]
        codes = self.order.codes[last]
        newest = self.times[self.order.ends - 1][codes]
        rank = np.searchsorted(codes, codes, side="right") - np.arange(len(codes))  # 1 is the key's last
        within = self.times[last] >= window_start(newest, longest * 1_000_000 // BUCKETS)
        last = last[within & (rank <= MOST)]
        return self.order.codes[last], np.column_stack((self.times[last], self.marks[last]))


def marks_of(values: Any) -> Ints:
    """A 64-bit mark for each value; values that are equal have the same one, in every run."""
    codes, known = pd.factorize(values)
    return np.fromiter([*map(_mark, known), 0], np.int64)[codes]  # no value (-1) has the last one


@lru_cache(maxsize=65536)
def _mark(value: str | bytes) -> int:
    raw = value.encode() if isinstance(value, str) else value.lower()
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), signed=True)
