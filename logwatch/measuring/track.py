"""What keys have remembered and what a chunk brings for them, laid out in one row: key after key, in order of time.

Buckets: a window of W seconds is sixty of W / 60, aligned to the epoch; times are microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BUCKETS = 60


def window_start(times: Any, step: int) -> Any:
    """Where the window begins that ends at each time."""
    return (times // step - (BUCKETS - 1)) * step


@dataclass(frozen=True)
class Order:
    """Positions of past points (`lengths` of them for each key code) and of the chunk's events with their `codes`."""

    sorting: Ints  # positions before -> after, as an index
    codes: Ints  # of each position
    new: Ints  # where the chunk's events went, in their own order
    starts: Ints  # of each key
    ends: Ints

    @classmethod
    def of(cls, lengths: list[int], codes: Ints) -> Order:
        """Past points stand in front, key after key; then the chunk's events."""
        count = len(lengths)
        together = np.concatenate((np.repeat(np.arange(count), lengths), codes))
        sorting = np.argsort(together, kind="stable")
        place = np.empty_like(sorting)
        place[sorting] = np.arange(len(sorting))
        in_order = together[sorting]
        starts = np.searchsorted(in_order, np.arange(count))
        ends = np.append(starts[1:], len(in_order))
        return cls(sorting, in_order, place[len(together) - len(codes) :], starts, ends)

    def first_at(self, times: Ints, codes: Ints, wanted: Ints) -> Ints:
        """The first position of each code at or after a wanted time; `times` are those of all positions."""
        origin = times.min()
        span = int(times.max() - origin) + 2
        scale = self.codes * span + (times - origin)
        found = np.searchsorted(scale, codes * span + np.clip(wanted - origin, 0, span - 1))
        return np.asarray(found, np.int64)
