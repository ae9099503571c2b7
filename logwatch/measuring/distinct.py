"""How many different values of something every key showed within each window: exact, as of every event.

A value counts in a window if it occurred there, in the same sixty buckets in which sums are counted (see `rates`). Of
each key only the last occurrence of each value is kept, of the `MOST` values that occurred last: counts are exact up to
`MOST`, and stop there.

Every occurrence counts from its event on until the same value occurs again, or its bucket leaves the window; so all
values of a chunk come from one sort and one running sum, however many different ones there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.current import MOST
from logwatch.measuring.timeline import BUCKETS, Coded, Ints, Order, bucket_step, window_start

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Occurrences:
    """The values of several keys in the order of `order`: the past, then the chunk's events, with or without one."""

    order: Order
    marks: Ints
    at: Ints  # positions that have a value
    again: Ints  # for each of these, where the key next has the same value, or its last position + 1

    @classmethod
    def of(cls, order: Order, old: Ints, marks: Ints, has: Bools) -> Occurrences:
        """Marks of the past, and the chunk's events: marks, whether they have one."""
        every = order.joined(old, marks)
        at = np.flatnonzero(order.joined(True, has))
        following = order.ends[order.codes[at]]
        earlier, later = _repeated(order.codes[at], every[at])
        following[earlier] = at[later]
        return cls(order, every, at, following)

    def within(self, window: int) -> Ints:
        """What each of the chunk's events finds within a window in seconds."""
        step = bucket_step(window)
        times = self.order.times[self.at]
        left = self.order.first_at(self.order.codes[self.at], (times // step + BUCKETS) * step)
        size = len(self.order.codes) + 1
        change = np.bincount(self.at, minlength=size) - np.bincount(np.minimum(self.again, left), minlength=size)
        return np.minimum(np.cumsum(change)[self.order.new], MOST)

    def since(self, place: int, time: int) -> int:
        """What an event of the chunk finds after a time in microseconds."""
        position = int(self.order.new[place])
        start = int(self.order.starts[self.order.codes[position]])
        inside = self.at[(self.at >= start) & (self.at <= position)]
        return min(len(np.unique(self.marks[inside[self.order.times[inside] > time]])), MOST)


def latest(coded: Coded, marks: Ints, has: Bools) -> tuple[Ints, Ints]:
    """Of a chunk's events, which are worth remembering (code after code), and how many of each code.

    An event is not when the next one of its key shows the same value: only the last occurrence of each counts later.
    """
    rows = coded.by_code[has[coded.by_code]]
    codes, shown = coded.codes[rows], marks[rows]
    differs = np.ones(len(rows), dtype=bool)
    differs[:-1] = (codes[1:] != codes[:-1]) | (shown[1:] != shown[:-1])
    rows = rows[differs]
    return rows, np.bincount(codes[differs], minlength=len(coded.counts))


def kept(longest: int, lengths: Ints, rows: Ints) -> Bools:
    """Of microseconds and marks of several keys: the last occurrences of the values that any window may still hold.

    `longest` window in seconds; of each key the MOST values that occurred last.
    """
    codes = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    last = rows[:, 0] >= window_start(rows[ends[codes] - 1, 0], bucket_step(longest))
    last[_repeated(codes, rows[:, 1])[0]] = False
    after = np.cumsum(last)
    rank = after[ends[codes] - 1] - after  # how many come later
    return np.asarray(last & (rank < MOST))


def _repeated(codes: Ints, marks: Ints) -> tuple[Ints, Ints]:
    """Positions of values that the same key has again later, and where it has them next."""
    by_value = np.lexsort((marks, codes))  # stable
    same = np.flatnonzero((codes[by_value][1:] == codes[by_value][:-1]) & (marks[by_value][1:] == marks[by_value][:-1]))
    return by_value[same], by_value[same + 1]


def as_of(lengths: Ints, rows: Ints, at: int, window: int) -> Ints:
    """How many values of each key a window holds that ends at a time in microseconds."""
    codes = np.repeat(np.arange(len(lengths)), lengths)
    inside = (rows[:, 0] >= window_start(at, bucket_step(window))) & (rows[:, 0] <= at)
    codes, marks = codes[inside], rows[inside, 1]
    once = np.ones(len(codes), dtype=bool)
    once[_repeated(codes, marks)[0]] = False
    return np.minimum(np.bincount(codes[once], minlength=len(lengths)), MOST)


def marks_of(codes: Ints, known: Iterable[str | bytes]) -> Ints:
    """A 64-bit mark for each value, given by code; values that are equal have the same one, in every run."""
    return np.fromiter([*map(_mark, known), 0], np.int64)[codes]  # no value (-1) has the last one


@lru_cache(maxsize=16384)
def _mark(value: str | bytes) -> int:
    raw = value.encode() if isinstance(value, str) else value.lower()
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), signed=True)
