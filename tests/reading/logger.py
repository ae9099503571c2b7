"""A logger, and what happens to its files: the ways a log can live, for the tests of what follows it."""

import bz2
import gzip
import lzma
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

NOBODY = 65534

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


class Logger:
    """Writes to one path, appending, as syslog daemons and postlogd do: the file stays open until it is reopened.

    Each write is a second after the one before, by the files' times.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._time = 1_790_000_000
        self._fd: int | None = None

    def write(self, data: bytes, flags: int = os.O_APPEND) -> None:
        """Write at once what was given, making the file if it has to be."""
        if self._fd is None:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
        os.write(self._fd, data)
        self._date(self._fd)

    def reopen(self) -> None:
        """Let go of the file, as at SIGHUP; the next write makes a new one if it was renamed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def rotate(self, packed: str = "", *, reopen: bool = True) -> Path:
        """What logrotate does: rename, older ones first, pack the one that is now .2 (delaycompress), reopen."""
        self._make_room(packed)
        newest = self.numbered(1)
        self.path.rename(newest)
        if reopen:
            self.reopen()
        return newest

    def copytruncate(self, packed: str = "") -> Path:
        """What logrotate does to loggers that cannot reopen: copy, then truncate what was copied."""
        self._make_room(packed)
        shutil.copyfile(self.path, self.numbered(1))
        self._date(self.numbered(1))
        os.truncate(self.path, 0)
        self._date(self.path)
        return self.numbered(1)

    def numbered(self, number: int) -> Path:
        """The name of a rotated file."""
        return self.path.with_name(f"{self.path.name}.{number}")

    def _date(self, file: int | Path) -> None:
        self._time += 1
        os.utime(file, (self._time, self._time))

    def _make_room(self, packed: str) -> None:
        for old in sorted(self.path.parent.glob(f"{self.path.name}.[0-9]*"), key=_number, reverse=True):
            number = _number(old) + 1
            moved = old.rename(
                self.path.with_name(f"{self.path.name}.{number}{old.suffix if old.suffix in PACK else ''}")
            )
            if packed and moved.suffix not in PACK:
                pack(moved, packed)


def _number(path: Path) -> int:
    return int(next(part for part in reversed(path.name.split(".")) if part.isdigit()))


def pack(path: Path, ending: str) -> Path:
    """Pack a file as logrotate does: the packed one has the old one's times, and then the old one goes."""
    packed = path.with_name(path.name + ending)
    packed.write_bytes(PACK[ending](path.read_bytes()))
    shutil.copystat(path, packed)
    path.unlink()
    return packed


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user whom permissions bind: root goes by as nobody."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
