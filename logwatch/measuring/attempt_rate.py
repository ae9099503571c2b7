"""How fast a key tries: its attempts of late, older ones fading with a time constant of ten minutes.

One attempt adds one; between attempts the count fades by exp(-t / FADE), so that count / FADE is a rate per second. It
follows a change within minutes and needs no window to fill; refused attempts count as much as accepted ones, which is
what makes a share steered by it settle (a count of what was admitted swings).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.pool import Pool
from logwatch.measuring.timeline import Coded, Ints
from logwatch.schema import FADE


def pool() -> Pool:
    """For each slot one row, of two floating point numbers: the time of the last attempt, and the count then."""
    return Pool(2, lambda _, rows: np.zeros(len(rows), dtype=bool))  # each replaces the one before


def learn(
    pool: Pool, slots: Ints, coded: Coded, times: NDArray[np.float64], attempts: NDArray[Any]
) -> NDArray[np.float64]:
    """The count as of each event; `attempts` says how many each one is."""
    known = pool.last(slots).view(np.float64).tolist()
    found = []
    for code, time, attempted in zip(coded.codes.tolist(), times.tolist(), attempts.tolist(), strict=True):
        since, before = known[code]
        count = before * math.exp((since - time) / FADE) + attempted
        found.append(count)
        if attempted:
            known[code] = time, count
    tried = np.flatnonzero(np.bincount(coded.codes, weights=attempts))
    if len(tried):
        rows = np.array([known[code] for code in tried.tolist()], dtype=np.float64).view(np.int64)
        pool.append(slots[tried], np.ones(len(tried), dtype=np.int64), rows)
    return np.array(found)
