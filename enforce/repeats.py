"""A storm of equal verdicts is one log line a second, and each of them stays counted.

The first verdict of its kind is told at once. Those that equal it, in everything that is logged, are only counted until
the next flush, which tells them as one line with `count=N`. A verdict that did not come up between two flushes is
forgotten, so that the next one is a first one again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from enforce.verdict import Said, line

_MOST = 4096  # verdicts remembered between two flushes


class Repeats:
    """Tells verdicts through `tell`; `flush` is to be called once a second."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._untold: dict[Said, int] = {}  # told → equal ones since then

    def __len__(self) -> int:
        return len(self._untold)

    def add(self, said: Said) -> None:
        """Take up one verdict."""
        with self._lock:
            known = said in self._untold
            self._untold[said] = self._untold.get(said, -1) + 1
            full = len(self._untold) > _MOST
        if not known:
            self._tell(line(said))
        if full:
            self.flush()

    def flush(self) -> None:
        """Tell what was only counted."""
        with self._lock:
            counted = {said: count for said, count in self._untold.items() if count}
            self._untold = dict.fromkeys(counted, 0)
        for said, count in counted.items():
            self._tell(line(said, count))
