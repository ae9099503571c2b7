"""Groups what happened into messages: the first of its kind is told at once, what follows together, later. No clock.

The rules, for a window of `every` seconds:
* What is of a kind that was not told of within the window is due at once, and everything that waits goes with it.
* Everything else waits until the window of some kind among it has passed.
So there are at most as many messages in a window as there are kinds, however much happens. Of each kind a message holds
the first `MOST`, the others are counted.
"""

from __future__ import annotations

from collections import Counter

from logwatch.telling.notify.message import Happening, Message

MOST = 20  # of each kind told in full


class Grouping:
    """Takes happenings, gives messages; times are seconds on one clock that never steps back."""

    def __init__(self, every: float, same: str = "") -> None:
        """`same`: as in a message."""
        self._same = same
        self._every = every
        self._told: dict[str, float] = {}  # kind → when it was last told of
        self._waiting: list[Happening] = []
        self._counts: Counter[str] = Counter()
        self._lost = 0

    def add(self, happening: Happening) -> None:
        """Something happened."""
        if self._counts[happening.about] < MOST:
            self._waiting.append(happening)
        self._counts[happening.about] += 1

    def lose(self, number: int) -> None:
        """So many could not be told; the next message says so."""
        self._lost += number

    def due_in(self, now: float) -> float | None:
        """Seconds until there will be a message, 0 if there is one; None if nothing waits."""
        left = [self._told[about] + self._every - now if about in self._told else 0.0 for about in self._counts]
        return max(0.0, min(left)) if left else None

    def take(self, now: float, wall: float, *, all_of_it: bool = False) -> Message | None:
        """The message that is due, or with `all_of_it` whatever waits; `wall` is the time that stands in it."""
        if not self._counts or (self.due_in(now) and not all_of_it):
            return None
        message = Message(wall, tuple(self._waiting), dict(self._counts), self._lost, self._same)
        self._told.update(dict.fromkeys(self._counts, now))
        self._waiting, self._counts, self._lost = [], Counter(), 0
        return message
