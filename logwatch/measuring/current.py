"""What a key sends, read off the cells that are remembered of it (see `rates`). Needs no pandas.

cells   rows of microseconds and running totals, in the order of ADDITIVE; oldest first
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.packing import unpack
from logwatch.measuring.track import BUCKETS, window_start
from logwatch.schema import ADDITIVE, RateColumn

Cells = NDArray[np.int64]

MOST = 1000  # different values that are told apart
_MICRO = 1_000_000
_PLACE = {name: position for position, name in enumerate(ADDITIVE)}


def cells_of(packed: bytes) -> Cells:
    """The cells of a key as `packing` keeps them."""
    return unpack([packed], len(ADDITIVE))[1]


def value(cells: Cells, at: int, column: RateColumn) -> int:
    """A (signal, window in seconds) as of a time in microseconds, as rates count it."""
    signal, window = column
    return _between(cells, signal, window_start(at, window * _MICRO // BUCKETS), at)


def different(packed: bytes, at: int, window: int) -> int:
    """How many different values a window in seconds holds that ends at a time in microseconds; up to MOST.

    `packed` are a key's cells of a distinct signal: rows of microseconds and mark.
    """
    times = unpack([packed], 1)[1][:, 0]
    inside = (times >= window_start(at, window * _MICRO // BUCKETS)) & (times <= at)
    return min(int(inside.sum()), MOST)


def course(cells: Cells, at: int, signal: str, width: int, count: int) -> list[int]:
    """How much of a signal came in each of the latest `count` spans of `width` seconds, oldest first.

    Older points are further apart: an amount may stand in the span beside its own.
    """
    ends = [at - place * width * _MICRO for place in range(count, -1, -1)]
    return [_between(cells, signal, begin + 1, end) for begin, end in pairwise(ends)]


def _between(cells: Cells, signal: str, begin: int, end: int) -> int:
    start, upto = np.searchsorted(cells[:, 0], begin), np.searchsorted(cells[:, 0], end, side="right")
    totals = cells[:, 1 + _PLACE[signal]]
    return int(totals[upto - 1] - (totals[start - 1] if start else 0)) if upto > start else 0
