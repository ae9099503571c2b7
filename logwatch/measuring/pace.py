"""How fast a key tries: its attempts of late, older ones fading with a time constant of ten minutes.

One attempt adds one; between attempts the count fades by exp(-t / FADE), so that count / FADE is a rate per second. It
follows a change within minutes and needs no window to fill; refused attempts count as much as accepted ones, which is
what makes a share steered by it settle (a count of what was admitted swings).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.memory import Memory
from logwatch.schema import FADE

_GONE = 24 * 3600.0  # what is older has faded to nothing


class Pace:
    """Remembers a count and its time for each key of one kind."""

    def __init__(self, kind: str, bound: int) -> None:
        self.memory: Memory[list[float]] = Memory(f"pace {kind}", bound)

    def learn(self, keys: Iterable[str], times: NDArray[np.float64], attempts: Any) -> NDArray[np.float64]:
        """The count as of each event; `attempts` says how many each one is."""
        found = np.empty(len(times))
        for row, (key, time, attempted) in enumerate(zip(keys, times.tolist(), attempts.tolist(), strict=True)):
            count, since = self.memory.get(key) or (0.0, time)
            count = count * math.exp((since - time) / FADE) + attempted
            found[row] = count
            if attempted:
                self.memory.put(key, [count, time], time)
        return found

    def expire(self, clock: float) -> None:
        """Forget what has faded."""
        self.memory.expire(clock - _GONE)

    def turn_back(self) -> None:
        """The clock was set back: what is remembered has no time any more."""
        self.memory.clear()
