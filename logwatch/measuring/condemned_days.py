"""Which days of an account teach nothing of its habits: those on which something was decided against it.

What was sent under suspicion must not become a habit: the network that an attack came from would be a known one on the
next day, and whom it wrote to old contacts. A day is asked for only when it is over, so that whoever asks gets the same
answer whatever the chunks were. Days are those of UTC, counted from the epoch.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from logwatch.memory import Memory

DAY = 86400.0
_DAYS = 60  # for which it is remembered that one was condemned


class Condemned:
    """Remembers days by account."""

    def __init__(self) -> None:
        self.memory: Memory[list[int]] = Memory("condemned", 200_000)

    def add(self, account: str, begin: float, until: float) -> None:
        """From one time to another something stands against an account."""
        first, last = int(begin // DAY), min(int(until // DAY), int(begin // DAY) + _DAYS)
        known = self.memory.get(short(account)) or []
        days = sorted({day for day in known if day > first - 2 * _DAYS} | set(range(first, last + 1)))
        if days != known:
            self.memory.put(short(account), days, begin)

    def drop(self, account: str) -> None:
        """It was a mistake."""
        self.memory.drop(short(account))

    def on(self, name: str, day: int, time: float) -> bool:
        """Whether a day, over by `time`, teaches nothing of an account, given by its short name."""
        if not len(self.memory) or not time // DAY - _DAYS < day < time // DAY:
            return False
        return day in (self.memory.get(name) or ())

    def expire(self, clock: float) -> None:
        """Forget what nobody asks for any more."""
        self.memory.expire(clock - 2 * _DAYS * DAY)


@lru_cache(maxsize=65536)
def short(account: str) -> str:
    """An account's name where many are kept."""
    return hashlib.blake2b(account.encode(), digest_size=6).hexdigest()
