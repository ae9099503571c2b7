"""One file of a log: open, how far it has been read, and how it is found again.

A file is known by its first bytes, whatever its name is now and whether it has been packed; where several begin alike,
by its inode, or by when it was last written to.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from logwatch.reading import resume_points
from logwatch.reading.names import parts
from logwatch.reading.repeated import last_line
from logwatch.reading.resume_points import Mark
from logwatch.reading.source import Lines, Log, SourceError

HEAD = 256  # bytes that tell one log file from another: a stamp, a host, a pid and more
READ = 1 << 20
SETTLED = 2.0  # seconds after which a change shows in the time of change, however coarse the file system's clock is
_LINE = 1 << 14  # bytes that are looked at for the line before a position; a longer one is not what is repeated


@dataclass(frozen=True)
class Position:
    """How far a log has been read: the offset after the last whole line, and what tells the file from others."""

    offset: int = 0
    head: str = ""  # fingerprint of its first `head_length` bytes
    head_length: int = 0
    inode: int = 0
    modified: float = 0.0  # epoch seconds
    real: str = ""  # the file that a symbolic link pointed to
    marks: Sequence[Sequence[Any]] = ()  # earlier places, newest first, as `Mark` has them

    @property
    def known(self) -> bool:
        """Whether there was a file."""
        return bool(self.inode or self.head_length)

    def names(self, at: Stat) -> bool:
        """Whether a file there has the inode of the position's."""
        return at.identity[1] == self.inode


class Part:
    """One file of a log, open, and how far it has been read."""

    def __init__(self, log: Log, offset: int = 0, head: bytes = b"", pending: bytes = b"", before: bytes = b"") -> None:
        """`pending` are bytes that have been unpacked and not been read; `before`, those that were."""
        self.log = log
        self.offset = offset  # of the next byte
        self.head = head or self._beginning()
        self.lines = Lines(last_line(before if log.packed else self._before()))
        self.damaged = False
        self.marks: tuple[Mark, ...] = ()
        self._pending = pending
        self._real = os.path.realpath(log.path) if os.path.islink(log.path) else ""  # noqa: PTH114

    def read(self, size: int) -> bytes:
        """The next bytes; `take` has to take them in."""
        piece, self._pending = self._pending, b""
        return piece or self.log.read(size)

    def take(self, piece: bytes) -> bytes:
        """The whole lines that are complete with the bytes just read."""
        if self.offset <= len(self.head) < min(HEAD, self.offset + len(piece)):
            self.head = (self.head[: self.offset] + piece)[:HEAD]
        self.offset += len(piece)
        return self.lines.take(piece)

    def give_back(self, lines: bytes) -> bool:
        """Have the last lines that `take` gave come once more; False if they are not as they stand in the file."""
        again = self.lines.unread(lines)
        if again is None:
            return False
        self.lines, self._pending = Lines(), again + self._pending
        self.offset -= len(again)
        return True

    def mark(self) -> None:
        """Remember the place after the last whole line, if it is some time since the last one."""
        modified, offset = self.modified(), self.offset - self.lines.held
        if not self.log.packed and not (self.marks and abs(modified - self.marks[0].modified) < resume_points.APART):
            self.marks = resume_points.added(self.marks, Mark(offset, self._told_by(offset), modified))

    def overwritten(self) -> bool:
        """Whether the file was truncated since it was read, even if it has grown again beyond that."""
        if self.log.packed:
            return False
        return self._stat().size < self.offset or os.pread(self._fd, len(self.head), 0) != self.head

    def again(self) -> Part:
        """The same open file after a truncation: from its start, or where the lines that were read are still there."""
        whole = len(self.head) == HEAD and self._beginning() == self.head
        offset = self.log.raw.seek(0, os.SEEK_END if whole else os.SEEK_SET)
        return Part(self.log, offset)

    def continued(self, log: Log) -> Part | None:
        """Another file, read on from where this one was, if it begins like this one and holds as much."""
        if log.packed or len(self.head) < HEAD:
            return None
        fd, offset = log.raw.fileno(), self.offset - self.lines.held
        if os.pread(fd, HEAD, 0) != self.head or os.fstat(fd).st_size < self.offset:
            return None
        log.raw.seek(offset)
        return Part(log, offset, self.head)

    def has(self, mark: Mark) -> bool:
        """Whether a place is still as it was when it was marked."""
        return mark.offset <= self._stat().size and self._told_by(mark.offset) == mark.before

    def is_at(self, found: Stat) -> bool:
        """Whether this is the same file, by device and inode."""
        return self._stat().identity == found.identity

    def modified(self) -> float:
        """When the file was last written to, epoch seconds."""
        return self._stat().modified

    def position(self, *, whole: bool = True) -> Position:
        """Offset after the last whole line; the file is told by its whole lines only, or by all that was read."""
        now, offset = self._stat(), self.offset - self.lines.held
        head = self.head[:offset] if whole else self.head
        return Position(offset, _fingerprint(head), len(head), now.identity[1], now.modified, self._real, self.marks)

    def _beginning(self) -> bytes:
        return b"" if self.log.packed else os.pread(self._fd, HEAD, 0)

    def _before(self) -> bytes:
        begin = max(0, self.offset - _LINE)
        return os.pread(self._fd, self.offset - begin, begin)

    def _told_by(self, offset: int) -> str:
        begin = max(0, offset - resume_points.BEFORE)
        return resume_points.fingerprint(os.pread(self._fd, offset - begin, begin))

    @property
    def _fd(self) -> int:
        return self.log.raw.fileno()

    def _stat(self) -> Stat:
        return Stat.of(os.fstat(self._fd))


class Stat(NamedTuple):
    """What tells whether a file is the same, and whether it has grown."""

    identity: tuple[int, int]  # device and inode
    size: int
    modified: float

    @classmethod
    def of(cls, found: os.stat_result) -> Stat:
        """From what the system says."""
        return cls((found.st_dev, found.st_ino), found.st_size, found.st_mtime)


def stat(name: str) -> Stat | None:
    """What is asked about a file; None where there is none that can be seen."""
    try:
        return Stat.of(os.stat(name))  # noqa: PTH116 - at each wake, and to make a Path of it takes longer
    except OSError:
        return None


class File(NamedTuple):
    """A name, and which file had it when that was asked; meanwhile it may be another's."""

    name: str
    at: Stat


def rotated(path: str) -> list[list[File]]:
    """The older parts of a log (names.parts), at a moment at which none of them is being renamed."""
    now = _listed(path)
    for _ in range(_MOMENTS):
        before, now = now, _listed(path)
        if _identities(before) == _identities(now):
            break
    return now


_MOMENTS = 100  # looks at most; a rotation renames for less than a few of them, unless the machine is very busy


def _listed(path: str) -> list[list[File]]:
    groups = [[File(name, at) for name in group if (at := stat(name))] for group in parts(path)[:-1]]
    return [group for group in groups if group]


def _identities(groups: list[list[File]]) -> list[tuple[str, tuple[int, int]]]:
    return [(file.name, file.at.identity) for group in groups for file in group]


def found(files: Iterable[File], position: Position) -> Part | None:
    """The file that a position is about, read on from there: the same inode first, then what was written then."""
    for file in sorted(files, key=lambda file: _unlikeliness(file.at, position)):
        if position.head_length or position.names(file.at):
            part = _resumed(file.name, position)
            if part and part.is_at(file.at):
                return part
            if part:  # renamed at this very moment
                part.log.close()
    return None


def shortened(files: Iterable[File], position: Position) -> Part | None:
    """The position's file if it has lost its end: read on from the latest mark that is still there."""
    for file in files:
        kept = [Mark(*mark) for mark in position.marks if position.names(file.at)]
        for place, mark in enumerate(kept):
            part = _resumed(file.name, replace(position, offset=mark.offset, marks=kept[place:]))
            if part and part.is_at(file.at) and part.has(mark):
                return part
            if part:
                part.log.close()
    return None


def _unlikeliness(at: Stat, position: Position) -> tuple[bool, float]:
    return not position.names(at), abs(at.modified - position.modified)


def _resumed(name: str, position: Position) -> Part | None:
    """A file read on from a position, if it begins as that says and holds as much."""
    try:
        log = Log(name)
    except SourceError:
        return None
    try:
        part = _unpacked(log, position) if log.packed else _sought(log, position)
    except SourceError:  # damaged before the position
        part = None
    if part is None:
        log.close()
    return part


def _sought(log: Log, position: Position) -> Part | None:
    head = os.pread(log.raw.fileno(), position.head_length, 0)
    if _fingerprint(head) != position.head or os.fstat(log.raw.fileno()).st_size < position.offset:
        return None
    log.raw.seek(position.offset)
    part = Part(log, position.offset, head)
    part.marks = tuple(Mark(*mark) for mark in position.marks)
    return part


def _unpacked(log: Log, position: Position) -> Part | None:
    head, pending, before, offset = b"", b"", b"", 0
    while offset < max(position.offset, position.head_length):
        piece = log.read(READ)
        head += piece[: position.head_length - len(head)]
        if not piece or (len(head) == position.head_length and _fingerprint(head) != position.head):
            return None
        read = max(0, position.offset - offset)
        pending, before = piece[read:], (before + piece[:read])[-_LINE:]
        offset += len(piece)
    return Part(log, position.offset, head, pending, before)


def _fingerprint(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=16).hexdigest()
