"""How long to rest after work, so that following a busy log costs half a core.

What was worked beyond half of the time is made up for by rest, while lines gather; but for `AHEAD` seconds of it, as
lines come in bursts: a message's few, one after the other, are worked at as they come.
"""

from __future__ import annotations

AHEAD = 0.02  # seconds of processor time
GATHER = 0.003  # seconds that lines may gather at most; a flood of them is then read in pieces, not line by line


class Rest:
    """The rests of a thread: `now` is seconds of a clock that nobody sets, `worked` those of its processor time."""

    def __init__(self, now: float, worked: float) -> None:
        self._ahead = 0.0  # of half of the time
        self._now, self._worked = now, worked

    def due(self, now: float, worked: float) -> float:
        """Seconds for which to rest from now on."""
        ahead = self._ahead + (worked - self._worked) - (now - self._now) / 2
        self._ahead = min(max(0.0, ahead), AHEAD + GATHER / 2)  # what took long was catching up
        self._now, self._worked = now, worked
        return max(0.0, 2 * (self._ahead - AHEAD))
