"""Lays out what is remembered of several keys and a chunk's events in one array: key after key, in order of time.

Buckets: a window of W seconds is sixty of W / 60, aligned to the epoch; times are microseconds. A key is a small
number here, its code; a chunk's events stand in order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BUCKETS = 60
MICRO = 1_000_000


def window_start(times: Any, step: int) -> Any:
    """Where the window begins that ends at each time."""
    return (times // step - (BUCKETS - 1)) * step


def bucket_step(window: int) -> int:
    """The length of the buckets of a window in seconds."""
    return window * MICRO // BUCKETS


def ranges(starts: NDArray[Any], lengths: NDArray[Any]) -> Ints:
    """All positions of several ranges, one range after the other."""
    ends: Ints = np.cumsum(lengths, dtype=np.int64)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


def told_apart(times: Ints, steps: Sequence[int]) -> NDArray[np.bool_]:
    """Of times in order: whether each lies in another bucket than the one before it, of any step. False for the first.

    Windows begin where buckets do: what lies between two such places is always counted together, or not at all.
    """
    apart = np.zeros(len(times), dtype=bool)
    for step in steps:
        apart[1:] |= np.diff(times // step) > 0
    return apart


def telling(codes: Ints, times: Ints, newest: Ints, steps: Sequence[int]) -> NDArray[np.bool_]:
    """Which points of running totals some window can still tell from the point after them; a key's last always.

    `newest` is the time of each point's key's last one: windows that begin later than a point take no notice of it.
    """
    same = codes[:-1] == codes[1:]
    for step in steps:
        passed = times[1:] < window_start(newest[1:], step)
        same &= passed | (times[:-1] // step == times[1:] // step)
    return np.append(~same, True)


@dataclass(frozen=True)
class Coded:
    """For which key each of a chunk's events counts: `codes`, one for each event, are numbers below `keys`."""

    codes: Ints
    keys: int

    @cached_property
    def by_code(self) -> Ints:
        """Positions of events, code after code, in order of time."""
        if self.keys == 1:
            return np.arange(len(self.codes))
        small = self.codes.astype(np.int16) if self.keys < 1 << 15 else self.codes  # by radix, in a tenth of the time
        return np.argsort(small, kind="stable")

    @cached_property
    def counts(self) -> Ints:
        """How many there are of each code."""
        return np.bincount(self.codes, minlength=self.keys)


@dataclass(frozen=True)
class Order:
    """The array in which past points and a chunk's events are laid out: key and time (microseconds) at each place."""

    codes: Ints
    times: Ints
    old: Ints  # where past points went, and the chunk's events, in their own order
    new: Ints
    starts: Ints  # of each key
    ends: Ints

    @classmethod
    def of(cls, lengths: Ints, past: Ints, coded: Coded, times: Ints) -> Order:
        """Times of past points, key after key, and of the events."""
        sizes = lengths + coded.counts
        ends = np.cumsum(sizes)
        starts = ends - sizes
        new = np.empty(len(times), dtype=np.int64)
        new[coded.by_code] = ranges(starts + lengths, coded.counts)
        order = cls(
            np.repeat(np.arange(len(sizes)), sizes), np.empty(len(past) + len(times), np.int64),
            ranges(starts, lengths), new, starts, ends,
        )  # fmt: skip
        order.times[order.old], order.times[order.new] = past, times
        return order

    def joined(self, past: Any, events: Any) -> Any:
        """Values of past points and of the chunk's events, by position."""
        both = np.empty(len(self.codes), dtype=events.dtype)
        both[self.old], both[self.new] = past, events
        return both

    def first_at(self, codes: Ints, wanted: Ints) -> Ints:
        """The first position of each code at or after a wanted time."""
        origin, span, scale = self._scale
        found = np.searchsorted(scale, codes * span + np.clip(wanted - origin, 0, span - 1))
        return np.asarray(found, np.int64)

    @cached_property
    def _scale(self) -> tuple[int, int, Ints]:
        """All positions on one ascending scale: where it begins, how long it is for each key, and the positions."""
        origin = int(self.times.min())
        span = int(self.times.max()) - origin + 2
        return origin, span, self.codes * span + (self.times - origin)
