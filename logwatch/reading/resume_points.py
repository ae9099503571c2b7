"""Places up to which a file had been read some time ago: to read on from where the machine has lost the file's end.

A machine that loses its power loses what was not on the disk yet: of a log, as loggers write it, the last half a minute
(Linux: `dirty_expire_centisecs`), of a position that was written down with care a few seconds. So the file ends before
its position, and is not another file for that. What follows a mark that is still there was counted before: of as long
as was lost half on the average, and twice that at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

APART = 5.0  # seconds between two marks at least
BEFORE = 64  # bytes before a place that tell it from others
_KEPT = 7  # of the last minute and a half at least
_GROWS = 3  # times as old as the mark before it is one at most, where there was something to be read


class Mark(NamedTuple):
    """An offset, the fingerprint of the bytes before it, and when the file was last written to then (epoch)."""

    offset: int
    before: str
    modified: float


def added(marks: Sequence[Mark], mark: Mark) -> tuple[Mark, ...]:
    """Marks, newest first, with one more: the older they are the farther apart, `_KEPT` at most."""
    kept = [mark, *marks[:1]]
    for one, older in pairwise(marks[1:]):
        if mark.modified - older.modified > _GROWS * (mark.modified - kept[-1].modified):
            kept.append(one)
    kept += marks[1:][-1:]
    return tuple(kept[:_KEPT])


def fingerprint(before: bytes) -> str:
    """What tells a place by the bytes before it."""
    return hashlib.blake2b(before, digest_size=8).hexdigest()
