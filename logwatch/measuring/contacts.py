"""Who was written to before: an exact memory of (sender, recipient) pairs, for half a year, in bounded room.

A pair is kept as a 64-bit fingerprint and the week in which it was last used: ten bytes, where a dictionary needs a
hundred. Two pairs are taken for one with a chance of 10^-11 for each look-up. Fingerprints lie in pages by
their highest bits, so that a new contact rewrites one small page in the journal, not the memory of an account. A full
page forgets its oldest pair: 33 million pairs, 340 MB, are the most.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from logwatch.memory import Memory, Packed

Delivery = tuple[str, bytes, float, bool]  # sender, recipient, time, whether there is such a recipient
Forgets = Callable[[str, int, float], bool]  # sender, day, time
Page = tuple[bytearray, "array[int]"]  # fingerprints, 8 bytes each; the week in which each was last used
Touched = dict[str, tuple[Page, float]]  # pages by name; when they were last changed, in that order

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

    def met(self, sender: str, recipient: bytes, time: float, *, forget: bool = False) -> int:
        """Whether this sender wrote to this recipient within half a year before, and if, first today; now it did.

        With `forget`, whoever was new on that sender's latest day is forgotten first.
        """
        return self.met_by([(sender, recipient, time, True)], (lambda *_: True) if forget else None)[0]

    def met_by(self, deliveries: Iterable[Delivery], forgets: Forgets | None = None) -> list[int]:
        """The same of several deliveries, one after the other; who does not exist is not met.

        `forgets`: whether whoever was new on a sender's latest day (of the week before) is to be forgotten.
        """
        touched: Touched = {}
        senders: dict[str, _Latest] = {}
        noted: dict[str, _Latest] = {}  # of these who wrote to somebody new, in order of when they last did
        found: list[int] = []
        for sender, recipient, time, exists in deliveries:
            latest = senders.get(sender)
            if latest is None or latest.time < time - WEEK:
                latest = senders[sender] = _Latest.of(sender, time, *self._latest.last(sender))
            if forgets and latest.marks and forgets(sender, latest.day, time):
                self._forget(latest.marks, touched, time)
                noted.pop(sender, None)
                self._latest.drop(sender)
            mark = blake2b(latest.begin + recipient.lower(), digest_size=8).digest()[::-1]
            name, week = _page(mark), int(time // WEEK)
            marks, weeks = page = self.memory.get(name) or _fresh(name, touched)
            at = place_of(marks, mark)
            if at < 0 and not exists:
                found.append(NEVER)
                continue
            if at < 0:
                self._add(marks, weeks, mark, week)
                if latest.note(mark, time):
                    noted.pop(sender, None)
                    noted[sender] = latest
            if at < 0 or week - weeks[at] > MEMORY:
                found.append(NEVER)
            else:
                found.append(TODAY if latest.has(mark, time) else BEFORE)
            if at < 0 or weeks[at] < week:
                weeks[at] = week
                touched.pop(name, None)
                touched[name] = page, time
        if touched:
            self.memory.put_all((name, page, time) for name, (page, time) in touched.items())
        if noted:
            self._latest.put_all((sender, latest.written(), latest.time) for sender, latest in noted.items())
        return found

    def expire(self, clock: float) -> None:
        """Forget which contacts were new on days long ago; they stay contacts."""
        self._latest.expire(clock - WEEK)

    def _forget(self, latest: bytearray, touched: Touched, time: float) -> None:
        """Have these never been met."""
        for begin in range(0, len(latest), 8):
            mark = bytes(latest[begin : begin + 8])
            name = _page(mark)
            marks, weeks = page = self.memory.get(name) or _fresh(name, touched)
            place = place_of(marks, mark)
            if place >= 0:
                _remove(marks, weeks, place)
                touched.pop(name, None)
                touched[name] = page, time
        latest.clear()

    def _add(self, marks: bytearray, weeks: array[int], mark: bytes, week: int) -> None:
        if len(weeks) >= self._pairs:
            _remove(marks, weeks, weeks.index(min(weeks)))
        marks += mark
        weeks.append(week)


class _Latest:
    """Who was new on a sender's latest day; written: the day, then fingerprints, each in 8 bytes."""

    __slots__ = ("begin", "day", "marks", "time")

    def __init__(self, sender: str, time: float, day: int, marks: bytes) -> None:
        self.begin = sender.encode() + b"\0"  # of what is hashed
        self.time = time
        self.day = day
        self.marks = bytearray(marks)

    @classmethod
    def of(cls, sender: str, time: float, last: float, written: bytes | None) -> _Latest:
        """As it was put last; empty, where that was more than a week before."""
        if written is None or last < time - WEEK:
            return cls(sender, time, -1, b"")
        return cls(sender, last, _number(written), written[8:])

    def written(self) -> bytes:
        """What `of` reads."""
        return self.day.to_bytes(8, "little") + self.marks

    def has(self, mark: bytes, time: float) -> bool:
        """Whether a recipient was new today."""
        return self.day == int(time // DAY) and place_of(self.marks, mark) >= 0

    def note(self, mark: bytes, time: float) -> bool:
        """A recipient is new; whether there was room for it."""
        day = int(time // DAY)
        if day != self.day:
            self.day = day
            self.marks.clear()
        if len(self.marks) >= 8 * _LATEST:
            return False
        self.marks += mark
        self.time = time
        return True


def _fresh(name: str, touched: Touched) -> Page:
    """A page that has not been put yet."""
    return touched[name][0] if name in touched else (bytearray(), array("H"))


def _page(mark: bytes) -> str:
    """By the highest bits, which stand last."""
    return _NAMES[(mark[7] << 8 | mark[6]) >> 16 - _BITS]


def _number(written: bytes) -> int:
    return int.from_bytes(written[:8], "little")


def place_of(marks: bytearray, mark: bytes) -> int:
    """Which of the fingerprints this is; -1 if none. Bytes are found twenty times faster than numbers in an array."""
    at = marks.find(mark)
    while at > 0 and at % 8:  # the end of one and the beginning of the next
        at = marks.find(mark, at + 1)
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
