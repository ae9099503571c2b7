"""The rates of one key, worked out from its record in the journal (see `packing`). Needs no pandas."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from logwatch.measuring.packing import PLACES, Cells
from logwatch.measuring.timeline import MICRO, bucket_step, window_start
from logwatch.schema import RateColumn

MOST = 1000  # different values that are told apart


def value(cells: Cells, at: int, column: RateColumn) -> int:
    """A (signal, window in seconds) as of a time in microseconds, as rates count it."""
    signal, window = column
    return _between(cells, signal, window_start(at, bucket_step(window)), at)


def different(cells: Cells, at: int, column: RateColumn) -> int:
    """The same of a distinct signal: how many different values the window holds, up to MOST."""
    signal, window = column
    times, marks = cells.shown[signal][:, 0], cells.shown[signal][:, 1]
    inside = (times >= window_start(at, bucket_step(window))) & (times <= at)
    return min(len(np.unique(marks[inside])), MOST)


def course(cells: Cells, at: int, signal: str, width: int, count: int) -> list[int]:
    """How much of a signal came in each of the latest `count` spans of `width` seconds, oldest first.

    Older points are further apart: an amount may stand in the span beside its own.
    """
    ends = [at - place * width * MICRO for place in range(count, -1, -1)]
    return [_between(cells, signal, begin + 1, end) for begin, end in pairwise(ends)]


def _between(cells: Cells, signal: str, begin: int, end: int) -> int:
    group, place = PLACES[signal]
    times, totals = cells.groups[group][:, 0], cells.groups[group][:, 1 + place]
    start, upto = np.searchsorted(times, begin), np.searchsorted(times, end, side="right")
    return int(totals[upto - 1] - (totals[start - 1] if start else 0)) if upto > start else 0
