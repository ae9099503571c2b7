"""Follow log files as they grow: one path looks like one perpetual source of lines, whatever rotates beneath it.

    appended        read on from where it was; half a line waits for its newline
    renamed         the old file is read to its end; the new one is taken up when something stands in it, since until
                    then the logger may still write to the old one
    truncated       (copytruncate) read from the start
    not there       waited for; so is one that may not be read (`problem` says which)

A position is (offset, a fingerprint of the file's first bytes). After a restart the file is found again by it, under
its own name or a rotated one, compressed or not, and everything rotated after it is read first. Lines are never read
twice; where the file is gone, the current one is read from its start and `problem` says so.

watchdog is used here and nowhere else, only to be woken: what is true is read from the files themselves, and a poll
once a second serves file systems that wake nobody.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from logwatch.reading.source import Lines, SourceError, age, is_rotated, open_log, ordered, same_log

_HEAD = 256  # bytes that tell one log file from another: a stamp, a host, a pid and more
READ = 1 << 20


@dataclasses.dataclass(frozen=True)
class Position:
    """How far a log has been read: the offset after the last whole line, and what the file began with."""

    offset: int = 0
    head: str = ""
    head_length: int = 0


class Tail:
    """One path, read on from `position`."""

    def __init__(self, path: str, position: Position | None = None) -> None:
        self.path = path
        self.problem = ""  # why nothing can be read, or what was lost
        self.overlong = 0  # lines dropped for their length
        self._file: BinaryIO | None = None
        self._reading = path  # a rotated file's name until that is finished
        self._offset = 0  # after the last whole line given out
        self._head = b""
        self._lines = Lines()
        self._later: list[str] = []  # rotated files to be read before the current one
        if position and position.head_length and not self._resume(position):
            self.problem = (
                f"{path}: the file read before is gone; lines may be lost; reading the current one from its start"
            )

    def read(self, size: int = READ) -> bytes:
        """Whole lines that have not been read yet, about `size` bytes at most; b"" if there are none now."""
        while self._file or self._open_next():
            assert self._file is not None
            piece = self._file.read(size)
            if piece:
                if whole := self._take(piece):
                    return whole
            elif not self._done():
                return b""
            elif rest := self._leave():
                return rest
        return b""

    def position(self) -> Position:
        """Where to read on after a restart."""
        return Position(self._offset, _fingerprint(self._head), len(self._head))

    def behind(self) -> int:
        """Bytes of the current file that have not been read."""
        try:
            size = Path(self.path).stat().st_size
        except OSError:
            return 0
        return max(0, size - self._offset) if self._reading == self.path else size

    def close(self) -> None:
        """Give the file back."""
        if self._file:
            self._file.close()
            self._file = None

    def _take(self, piece: bytes) -> bytes:
        whole = self._lines.take(piece)
        if self._lines.overlong:
            self.overlong += self._lines.overlong
            self._lines.overlong = 0
        self._head += whole[: _HEAD - len(self._head)]
        self._offset += len(whole)
        return whole

    def _open_next(self) -> bool:
        self._reading = self._later.pop(0) if self._later else self.path
        try:
            self._file = open_log(self._reading)
        except SourceError as error:
            self.problem = str(error)
            return False
        self._offset, self._head, self._lines = 0, b"", Lines()
        return True

    def _done(self) -> bool:
        """Whether the open file, read to its end, will not grow any more."""
        if self._reading != self.path:
            return True
        assert self._file is not None
        mine = os.fstat(self._file.fileno())
        if mine.st_size < self._offset:
            return True  # truncated
        try:
            current = Path(self.path).stat()
        except OSError:
            return False
        return current.st_size > 0 and (current.st_dev, current.st_ino) != (mine.st_dev, mine.st_ino)

    def _leave(self) -> bytes:
        self.close()
        return self._lines.finish()

    def _resume(self, position: Position) -> bool:
        """Find the file that was read, under whatever name it has now, and what was rotated after it."""
        names = [name for name in ordered(glob.glob(glob.escape(self.path) + "*")) if same_log(name, self.path)]
        for place in reversed(range(len(names))):
            if self._continue(names[place], position):
                later = {
                    age(name)[1:4]: name
                    for name in reversed(names[place + 1 :])
                    if age(name)[1:4] != age(names[place])[1:4]
                }
                self._later = [name for name in reversed(later.values()) if name != self.path]
                return True
        return False

    def _continue(self, name: str, position: Position) -> bool:
        try:
            file = open_log(name)
        except SourceError:
            return False
        head = file.read(position.head_length)
        if _fingerprint(head) != position.head or file.seek(0, os.SEEK_END) < position.offset:
            file.close()
            return False
        file.seek(position.offset)
        self._file, self._reading, self._offset, self._head = file, name, position.offset, head
        return True


def _fingerprint(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=16).hexdigest()


class Wake(FileSystemEventHandler):
    """Wakes whoever waits when something changes in the directories of the logs, or when `wake` is called."""

    def __init__(self, directories: Iterable[str]) -> None:
        self._event = threading.Event()
        self._observer = Observer()
        for directory in sorted(set(directories)):
            if Path(directory).is_dir():
                self._observer.schedule(self, directory, recursive=False)
        self._observer.start()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Changes wake; that somebody opened or read a file (we do) does not."""
        if event.event_type in ("modified", "created", "moved", "deleted"):
            self._event.set()

    def wake(self) -> None:
        """End the current or next `wait` at once; may be called from a signal handler."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Until something changes, `seconds` at most."""
        self._event.wait(seconds)
        self._event.clear()

    def close(self) -> None:
        """Stop watching."""
        self._observer.stop()
        self._observer.join()


class Follower:
    """All files that `patterns` name, now or later."""

    def __init__(self, patterns: Iterable[str], positions: Mapping[str, Position]) -> None:
        self._patterns = tuple(patterns)
        self._positions = dict(positions)
        self.tails: dict[str, Tail] = {}
        self.look()

    def look(self) -> None:
        """Take up files that have appeared."""
        for path in self._paths():
            if path not in self.tails:
                self.tails[path] = Tail(path, self._positions.get(path))

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Whole lines that have not been read yet, a piece of each file in turn; returns when there are none."""
        self.look()
        waiting = dict(self.tails)
        while waiting:
            for path, tail in list(waiting.items()):
                if piece := tail.read():
                    yield path, piece
                else:
                    del waiting[path]

    def positions(self) -> dict[str, dict[str, Any]]:
        """Where to read on after a restart, by path, as JSON values."""
        return {path: dataclasses.asdict(tail.position()) for path, tail in self.tails.items()}

    def problems(self) -> list[str]:
        """Why some files cannot be read just now."""
        return [tail.problem for tail in self.tails.values() if tail.problem]

    def directories(self) -> list[str]:
        """Where changes matter."""
        return [os.path.dirname(os.path.abspath(path)) for path in (*self._patterns, *self.tails)]  # noqa: PTH120, PTH100

    def close(self) -> None:
        """Give all files back."""
        for tail in self.tails.values():
            tail.close()

    def _paths(self) -> Iterator[str]:
        for pattern in self._patterns:
            if glob.has_magic(pattern):
                yield from (path for path in sorted(glob.glob(pattern)) if not is_rotated(path))
            else:
                yield pattern
