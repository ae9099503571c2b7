"""When Python's garbage collector runs in a controller: often over a few new objects, seldom over all.

What a controller remembers is much, and hardly anything of it ever is garbage that only a collection finds. To look
through what came in ten seconds of a busy log took 40 ms, in which nothing was decided; among 2,000 new objects it is a
millisecond at most. What outlives such a look and becomes garbage later (an exception's frames, a task of a connection
that is gone) waits for the next look at everything, which takes some 10 ms for 100,000 objects.
"""

from __future__ import annotations

import gc

EVERY = 6 * 3600.0  # seconds between two looks at everything
_NEW = 2_000  # objects
_NEVER = 1_000_000_000


class Garbage:
    """Sets the collector so, from now on; `now` is seconds of a clock that never goes back."""

    def __init__(self, now: float) -> None:
        gc.freeze()  # what has just been taken up stays
        gc.set_threshold(_NEW, _NEVER, _NEVER)
        self._looked = now

    def look(self, now: float) -> None:
        """Look at everything, if that is due."""
        if now - self._looked >= EVERY:
            self._looked = now
            gc.collect()
