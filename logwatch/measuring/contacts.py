"""Who was written to before: an exact memory of (sender, recipient) pairs, for half a year, in bounded room.

A pair is kept as a 64-bit fingerprint and the week in which it was last used: ten bytes, where a dictionary needs a
hundred. Two pairs are taken for one with a chance of 10^-11 for each look-up. Fingerprints lie in pages by
their highest bits, so that a new contact rewrites one small page in the journal, not the memory of an account. A full
page forgets its oldest pair: 33 million pairs, 340 MB, are the most.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import Any

from logwatch.memory import Memory, Packed

Page = tuple[bytearray, "array[int]"]  # fingerprints, 8 bytes each; the week in which each was last used

DAY = 86400
WEEK = 7 * DAY
MEMORY = 26  # weeks
NEVER, TODAY, BEFORE = range(3)  # when a sender wrote to a recipient before
_BITS = 14
_NAMES = [f"{page:04x}" for page in range(1 << _BITS)]
_PAIRS = 2048  # on a page
_LATEST = 500  # new contacts of a sender's day that are told from old ones, and can be forgotten


class Contacts:
    """Remembers pairs as they are asked for; of each sender also who was new on its latest day, to forget them."""

    def __init__(self, pairs: int = _PAIRS) -> None:
        self.memory: Memory[Page] = Memory("contacts", 1 << _BITS, _dump, _load)
        self._latest = Packed("latest contacts", 200_000, bytes, bytes)  # day and fingerprints, each in 8 bytes
        self._pairs = pairs

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered."""
        return (self.memory, self._latest)

    def day_of(self, sender: str, time: float) -> int | None:
        """The latest day (since the epoch) within a week before on which this sender wrote to somebody new."""
        latest = self._latest.get(sender, time - WEEK)
        return None if latest is None else _number(latest)

    def met(self, sender: str, recipient: bytes, time: float, *, forget: bool = False) -> int:
        """Whether this sender wrote to this recipient within half a year before, and if, first today; now it did.

        With `forget`, whoever was new on that latest day is forgotten first.
        """
        if forget:
            self._forget(sender, time)
        pair = sender.encode() + b"\0" + recipient.lower()
        mark = int.from_bytes(hashlib.blake2b(pair, digest_size=8).digest())
        name, week = _page(mark), int(time // WEEK)
        marks, weeks = self.memory.get(name) or (bytearray(), array("H"))
        place = place_of(marks, mark)
        if place < 0:
            self._add(marks, weeks, mark, week)
            self.memory.put(name, (marks, weeks), time)
            self._note(sender, mark, time)
            return NEVER
        known = week - weeks[place] <= MEMORY
        if weeks[place] < week:
            weeks[place] = week
            self.memory.put(name, (marks, weeks), time)
        if not known:
            return NEVER
        return TODAY if self._new_today(sender, mark, time) else BEFORE

    def expire(self, clock: float) -> None:
        """Forget which contacts were new on days long ago; they stay contacts."""
        self._latest.expire(clock - WEEK)

    def _note(self, sender: str, mark: int, time: float) -> None:
        day = int(time // DAY)
        latest = self._latest.get(sender, time - WEEK)
        if latest is None or _number(latest) != day:
            latest = _written(day)
        if len(latest) <= 8 * _LATEST:
            self._latest.put(sender, latest + _written(mark), time)

    def _new_today(self, sender: str, mark: int, time: float) -> bool:
        latest = self._latest.get(sender, time - WEEK)
        return latest is not None and _number(latest) == int(time // DAY) and place_of(latest, mark) > 0

    def _forget(self, sender: str, time: float) -> None:
        latest = self._latest.get(sender, time - WEEK) or b""
        for begin in range(8, len(latest), 8):
            mark = _number(latest[begin : begin + 8])
            marks, weeks = self.memory.get(_page(mark)) or (bytearray(), array("H"))
            place = place_of(marks, mark)
            if place >= 0:
                _remove(marks, weeks, place)
                self.memory.put(_page(mark), (marks, weeks), time)
        self._latest.drop(sender)

    def _add(self, marks: bytearray, weeks: array[int], mark: int, week: int) -> None:
        if len(weeks) >= self._pairs:
            _remove(marks, weeks, weeks.index(min(weeks)))
        marks += _written(mark)
        weeks.append(week)


def _page(mark: int) -> str:
    return _NAMES[mark >> 64 - _BITS]


def _written(mark: int) -> bytes:
    return mark.to_bytes(8, "little")


def _number(written: bytes) -> int:
    return int.from_bytes(written[:8], "little")


def place_of(marks: bytearray | bytes, mark: int) -> int:
    """Which of the fingerprints this is; -1 if none. Bytes are found twenty times faster than numbers in an array."""
    wanted = _written(mark)
    at = marks.find(wanted)
    while at > 0 and at % 8:  # the end of one and the beginning of the next
        at = marks.find(wanted, at + 1)
    return at // 8


def _remove(marks: bytearray, weeks: array[int], place: int) -> None:
    del marks[8 * place : 8 * place + 8], weeks[place]


def _dump(page: Page) -> bytes:
    marks, weeks = page
    return bytes(marks) + weeks.tobytes()


def _load(written: bytes) -> Page:
    middle = len(written) // 10 * 8
    weeks = array("H")
    weeks.frombytes(written[middle:])
    return bytearray(written[:middle]), weeks
