"""Who was written to before: an exact memory of (sender, recipient) pairs, for half a year, in bounded room.

A pair is kept as a 64-bit fingerprint and the week in which it was last used: ten bytes, where a dictionary needs two
hundred. Two pairs are taken for one with a chance of 10^-11 for each look-up. Fingerprints lie in pages by
their highest bits, so that a new contact rewrites one small page in the journal, not the memory of an account. A full
page forgets its oldest pair: 33 million pairs, 340 MB, are the most.
"""

from __future__ import annotations

import hashlib
from array import array

from logwatch.memory import Memory

Page = tuple["array[int]", "array[int]"]  # fingerprints; the week in which each was last used

WEEK = 7 * 86400
MEMORY = 26  # weeks
_BITS = 14
_NAMES = [f"{page:04x}" for page in range(1 << _BITS)]
_PAIRS = 2048  # on a page


class Contacts:
    """Remembers pairs as they are asked for."""

    def __init__(self, pairs: int = _PAIRS) -> None:
        self.memory: Memory[Page] = Memory("contacts", 1 << _BITS, _dump, _load)
        self._pairs = pairs

    def met(self, sender: str, recipient: bytes, time: float) -> bool:
        """Whether this sender wrote to this recipient within half a year before; from now on it did."""
        pair = sender.encode() + b"\0" + recipient.lower()
        mark = int.from_bytes(hashlib.blake2b(pair, digest_size=8).digest())
        name, week = _NAMES[mark >> 64 - _BITS], int(time // WEEK)
        marks, weeks = self.memory.get(name) or (array("Q"), array("H"))
        if mark not in marks:
            self._add(marks, weeks, mark, week)
            self.memory.put(name, (marks, weeks), time)
            return False
        place = marks.index(mark)
        known = week - weeks[place] <= MEMORY
        if weeks[place] < week:
            weeks[place] = week
            self.memory.put(name, (marks, weeks), time)
        return known

    def _add(self, marks: array[int], weeks: array[int], mark: int, week: int) -> None:
        if len(marks) >= self._pairs:
            oldest = weeks.index(min(weeks))
            del marks[oldest], weeks[oldest]
        marks.append(mark)
        weeks.append(week)


def _dump(page: Page) -> bytes:
    marks, weeks = page
    return marks.tobytes() + weeks.tobytes()


def _load(written: bytes) -> Page:
    marks, weeks = array("Q"), array("H")
    middle = len(written) // 10 * 8
    marks.frombytes(written[:middle])
    weeks.frombytes(written[middle:])
    return marks, weeks
