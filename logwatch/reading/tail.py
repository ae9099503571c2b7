"""One path looks like one perpetual source of lines, whatever rotates beneath it.

    appended        read on from where it was; half a line waits for its newline
    renamed         the old file is read until the new one has something in it, since until then the logger may still
                    write to the old one; then once more to its end
    truncated       (copytruncate) the rest is read from the copy, if there is one; then the file from its start
    replaced        a file that begins like the one before is the same log: read on from the same offset
    not there       waited for; so is one that may not be read (`problem` says which)

A position is an offset and what tells the file from others: its first bytes, its inode, when it was last written to,
and what a symbolic link pointed to. After a restart the file is found again by it, under its own name or a rotated one,
packed or not, and what came after it is read in order: rotated files, then the current one. A position stays at the old
file's end until the first whole line of the next has been given out, so no file is skipped. Lines are never read
twice; where the file is gone, what was written later is read from its start, and a gap is counted.

Known limits: two files whose first lines are the same are told apart by inode alone; what was written between the last
look and a truncation without copy cannot be known; half a line at a file's end counts as a line.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from logwatch.reading.entry import plain
from logwatch.reading.names import parts
from logwatch.reading.source import Lines, Log, SourceError

HEAD = 256  # bytes that tell one log file from another: a stamp, a host, a pid and more
READ = 1 << 20


@dataclass(frozen=True)
class Position:
    """How far a log has been read: the offset after the last whole line, and what tells the file from others."""

    offset: int = 0
    head: str = ""  # fingerprint of its first `head_length` bytes
    head_length: int = 0
    inode: int = 0
    modified: float = 0.0  # epoch seconds
    real: str = ""  # the file that a symbolic link pointed to

    @property
    def known(self) -> bool:
        """Whether there was a file."""
        return bool(self.inode or self.head_length)


class Tail:
    """One path, read on from `position`."""

    def __init__(self, path: str, position: Position | None = None) -> None:
        self.path = path
        self.problem = ""  # why nothing can be read just now
        self.losses: Counter[str] = Counter()  # gaps, damaged files, overlong lines
        self.notice = ""  # the latest of them, in words
        self._position = position or Position()
        self._part: _Part | None = None
        self._ending = False  # a next file has been seen, after which the part is read once more

    def read(self, size: int = READ) -> bytes:
        """Whole lines that have not been read yet, about `size` bytes at most; b"" if there are none now."""
        while self._part or self._start():
            part = self._part
            assert part is not None
            piece = self._piece(part, size)
            if part.overwritten():
                if rest := self._overwritten(part):
                    return rest
            elif piece:
                if whole := self._taken(part, piece):
                    return self._given(part, whole)
            elif not self._ending:
                self._ending = self._successor(part) is not None
                if not self._ending:
                    return b""
            elif rest := self._next(part):
                return rest
            elif self._part is part:
                return b""
        return b""

    def position(self) -> Position:
        """Where to read on after a restart."""
        return self._position

    def behind(self) -> int:
        """Bytes of the current file that have not been read."""
        current = _stat(self.path)
        if current is None:
            return 0
        return max(0, current.size - self._part.offset) if self._part and self._part.is_at(current) else current.size

    def gone(self) -> bool:
        """Whether all was read and the path does not exist any more."""
        return self._part is not None and not self._part.lines.held and not Path(self.path).exists()

    def close(self) -> None:
        """Give the file back."""
        if self._part:
            self._part.log.close()
            self._part = None

    def _given(self, part: _Part, whole: bytes) -> bytes:
        self._position = part.position()
        return plain(whole)

    def _taken(self, part: _Part, piece: bytes) -> bytes:
        whole = part.take(piece)
        if part.lines.overlong:
            self.losses["overlong"] += part.lines.overlong
            part.lines.overlong = 0
        return whole

    def _piece(self, part: _Part, size: int) -> bytes:
        try:
            return part.read(size)
        except SourceError as error:
            if not part.damaged:
                part.damaged = True
                self._lost("damaged", str(error))
            return b""

    def _lost(self, kind: str, words: str) -> None:
        self.losses[kind] += 1
        self.notice = words

    # From one file to the next.

    def _start(self) -> bool:
        """Take up where the position says."""
        if self._position.known and (part := self._find(self._position)):
            self._part, self.problem = part, ""
            return True
        log = self._open(self._first())
        if log is None:
            return False
        if self._position.known:
            self._lost("gaps", f"{self.path}: the file read before is gone; reading {log.path} from its start")
        self._part = _Part(log)
        if not self._position.known:
            self._position = self._part.position()
        return True

    def _first(self) -> str:
        """What to read first where the position is of no use: what was written after it, else the current file."""
        since = self._position.modified
        later = (group[0] for group in parts(self.path)[:-1] if since and _modified(group[0]) > since)
        return next(later, self.path)

    def _open(self, name: str) -> Log | None:
        try:
            log = Log(name)
        except SourceError as error:
            self.problem = str(error)
            return None
        self.problem = ""
        return log

    def _find(self, position: Position) -> _Part | None:
        """The file that was read, under whatever name it has now; looked for twice, as it may just be renamed."""
        for _ in range(2):
            names = [name for group in parts(self.path) for name in group]
            if part := _found([*names, *filter(None, [position.real])], position):
                return part
        return None

    def _successor(self, part: _Part) -> str | None:
        """The file after this one, if there is one and something stands in it."""
        current = _stat(self.path)
        if current and part.is_at(current):
            return None
        later = [name for name in self._later(part) if (found := _stat(name)) and found.size]
        return later[0] if later else self.path if current and current.size else None

    def _later(self, part: _Part) -> list[str]:
        """Rotated files that were written after this one."""
        groups = parts(self.path)[:-1]
        for place, group in reversed(list(enumerate(groups))):
            if any((at := _stat(name)) and part.is_at(at) for name in group):
                return [group[0] for group in groups[place + 1 :]]
        names = [name for group in groups for name in group]
        found = _found(names, part.position(whole=False))
        if found is None:
            return [group[0] for group in groups if _modified(group[0]) > part.modified()]
        found.log.close()
        place = next(place for place, group in enumerate(groups) if found.log.path in group)
        return [group[0] for group in groups[place + 1 :]]

    def _next(self, part: _Part) -> bytes:
        """Go on to the next file; what is left of this one's last line."""
        name = self._successor(part)
        log = self._open(name) if name else None
        if log is None:
            self._ending = name is not None
            return b""
        self._ending = False
        self._part = part.continued(log)
        rest = b""
        if self._part is None:
            self._part = _Part(log)
            if rest := part.lines.finish():
                rest = self._given(part, rest)
        part.log.close()
        return rest

    def _overwritten(self, part: _Part) -> bytes:
        """Go on in the copy that was made before the file was truncated, else at the file's start."""
        self._ending = False
        position = part.position(whole=False)
        groups = parts(self.path)[:-1]
        if copy := _found((name for group in groups for name in group), position):
            part.log.close()
            self._part = copy
            return b""
        self._lost("gaps", f"{self.path}: was truncated when {part.offset} bytes had been read; there is no copy of it")
        if rest := part.lines.finish():
            rest = self._given(part, rest)
        self._part = part.again()
        return rest


class _Part:
    """One file of a log, open, and how far it has been read."""

    def __init__(self, log: Log, offset: int = 0, head: bytes = b"", pending: bytes = b"") -> None:
        """`pending` are bytes that have been unpacked and not been read."""
        self.log = log
        self.offset = offset  # of the next byte
        self.head = head or self._beginning()
        self.lines = Lines()
        self.damaged = False
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

    def overwritten(self) -> bool:
        """Whether the file was truncated since it was read, even if it has grown again beyond that."""
        if self.log.packed:
            return False
        return self._stat().size < self.offset or os.pread(self._fd, len(self.head), 0) != self.head

    def again(self) -> _Part:
        """The same open file from its start."""
        self.log.raw.seek(0)
        return _Part(self.log)

    def continued(self, log: Log) -> _Part | None:
        """Another file, read on from where this one was, if it begins like this one and holds as much."""
        if log.packed or len(self.head) < HEAD:
            return None
        fd, offset = log.raw.fileno(), self.offset - self.lines.held
        if os.pread(fd, HEAD, 0) != self.head or os.fstat(fd).st_size < self.offset:
            return None
        log.raw.seek(offset)
        return _Part(log, offset, self.head)

    def is_at(self, found: _Stat) -> bool:
        """Whether this is the same file, by device and inode."""
        return self._stat().identity == found.identity

    def modified(self) -> float:
        """When the file was last written to, epoch seconds."""
        return self._stat().modified

    def position(self, *, whole: bool = True) -> Position:
        """Offset after the last whole line; the file is told by its whole lines only, or by all that was read."""
        now, offset = self._stat(), self.offset - self.lines.held
        head = self.head[:offset] if whole else self.head
        return Position(offset, _fingerprint(head), len(head), now.identity[1], now.modified, self._real)

    def _beginning(self) -> bytes:
        return b"" if self.log.packed else os.pread(self._fd, HEAD, 0)

    @property
    def _fd(self) -> int:
        return self.log.raw.fileno()

    def _stat(self) -> _Stat:
        return _Stat.of(os.fstat(self._fd))


class _Stat(NamedTuple):
    """What is asked about files."""

    identity: tuple[int, int]
    size: int
    modified: float

    @classmethod
    def of(cls, found: os.stat_result) -> _Stat:
        """From what the system says."""
        return cls((found.st_dev, found.st_ino), found.st_size, found.st_mtime)


def _stat(name: str) -> _Stat | None:
    try:
        return _Stat.of(Path(name).stat())
    except OSError:
        return None


def _modified(name: str) -> float:
    found = _stat(name)
    return found.modified if found else 0.0


def _found(names: Iterable[str], position: Position) -> _Part | None:
    """The file that a position is about, read on from there: the same inode first, then what was written then."""
    known = sorted((_unlikeliness(found, position), name) for name in names if (found := _stat(name)))
    for (stranger, _), name in known:
        if position.head_length or not stranger:
            part = _resumed(name, position)
            if part:
                return part
    return None


def _unlikeliness(found: _Stat, position: Position) -> tuple[bool, float]:
    return found.identity[1] != position.inode, abs(found.modified - position.modified)


def _resumed(name: str, position: Position) -> _Part | None:
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


def _sought(log: Log, position: Position) -> _Part | None:
    head = os.pread(log.raw.fileno(), position.head_length, 0)
    if _fingerprint(head) != position.head or os.fstat(log.raw.fileno()).st_size < position.offset:
        return None
    log.raw.seek(position.offset)
    return _Part(log, position.offset, head)


def _unpacked(log: Log, position: Position) -> _Part | None:
    head, pending, offset = b"", b"", 0
    while offset < max(position.offset, position.head_length):
        piece = log.read(READ)
        head += piece[: position.head_length - len(head)]
        if not piece or (len(head) == position.head_length and _fingerprint(head) != position.head):
            return None
        pending += piece[max(0, position.offset - offset) :]
        offset += len(piece)
    return _Part(log, position.offset, head, pending)


def _fingerprint(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=16).hexdigest()
