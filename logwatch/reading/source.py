"""Whole lines out of files: plain, .gz, .xz or .zst, or standard input.

A line ends with a newline; the last line of an archive may lack it and counts all the same. A line of more than a
megabyte is no log line: it is dropped and counted.
"""

from __future__ import annotations

import gzip
import lzma
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

CHUNK = 4 << 20
LONGEST_LINE = 1 << 20
STDIN = "-"


class SourceError(Exception):
    """A log that cannot be read: which file, why, and what to do."""


class Lines:
    """Cuts a stream of bytes at its last newline, and keeps what comes after for the next piece."""

    def __init__(self) -> None:
        self.overlong = 0  # lines dropped for their length
        self._rest = b""
        self._skipping = False

    @property
    def held(self) -> int:
        """Bytes taken in that do not make a whole line yet."""
        return len(self._rest)

    def take(self, piece: bytes) -> bytes:
        """The whole lines that are complete with this piece."""
        if self._skipping:
            _, newline, piece = piece.partition(b"\n")
            self._skipping = not newline
        head, newline, tail = piece.rpartition(b"\n")
        whole = self._rest + head + newline if newline else b""
        self._rest = tail if newline else self._rest + piece
        if len(self._rest) > LONGEST_LINE:
            self._rest, self._skipping, self.overlong = b"", True, self.overlong + 1
        return whole

    def finish(self) -> bytes:
        """What is left when nothing more will come, as a line."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest else b""


def open_log(path: str | Path) -> BinaryIO:
    """A log opened for reading bytes, decompressed by its name's ending; SourceError if it cannot be opened."""
    if str(path) == STDIN:
        return sys.stdin.buffer
    try:
        return _OPENERS.get(Path(path).suffix, _plain)(Path(path))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}; {_remedy(error)}") from None


def chunks(path: str | Path, size: int = CHUNK) -> Iterator[bytes]:
    """Whole lines of a log, about `size` bytes at a time."""
    lines = Lines()
    with open_log(path) as file:
        try:
            while piece := file.read(size):
                if whole := lines.take(piece):
                    yield whole
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise SourceError(
                f"{path}: damaged or cut short: {error}; unpack it by hand to see how far it goes"
            ) from None
    if rest := lines.finish():
        yield rest


def ordered(paths: Iterable[str | Path]) -> list[str]:
    """Oldest first: `mail.log-20261101`, `mail.log.2.gz`, `mail.log.1`, `mail.log`; different logs by name."""
    return sorted(map(str, paths), key=age)


_ROTATED = re.compile(
    r"(?P<stem>.*?)(?:[.-](?P<date>[0-9]{8}(?:[.-]?[0-9]{2,6})?)|\.(?P<number>[0-9]{1,4}))?(?:\.(?:gz|xz|zst))?"
)


def age(path: str) -> tuple[str, bool, str, int, str]:
    """A sort key: the log, whether this is its current file, its date or number, the name."""
    found = _ROTATED.fullmatch(path)
    assert found is not None  # every part is optional
    date, number = found["date"] or "", found["number"]
    current = not date and number is None and Path(path).suffix not in _OPENERS
    return found["stem"], current, date or "9", -int(number or 0), path


def is_rotated(path: str) -> bool:
    """Whether the name says that this is an older part of a log."""
    return not age(path)[1]


def same_log(one: str, other: str) -> bool:
    """Whether two names are parts of one log."""
    return age(one)[0] == age(other)[0]


def stamps(path: str | Path) -> Iterator[bytes]:
    """A stamp of each stretch of a log, first and last line among them, to find the year of the first (read.stamp)."""
    for chunk in chunks(path):
        found = _STAMP.findall(b"\n" + chunk)
        yield from found[:: max(1, len(found) - 1)]


_STAMP = re.compile(
    rb"\n(?:<[0-9]{1,3}>)?([A-Z][a-z]{2} [ 0-3][0-9] [0-9:]{8}|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-9:.+Z-]{9,30}) "
)


def _plain(path: Path) -> BinaryIO:
    if path.is_dir():
        raise IsADirectoryError(21, "is a directory")
    return path.open("rb")


def _zstd(path: Path) -> BinaryIO:
    try:
        import zstandard
    except ImportError:
        raise SourceError(f"{path}: reading .zst needs one more package: pip install zstandard") from None
    return cast(BinaryIO, zstandard.open(path, "rb"))


_OPENERS: dict[str, Callable[[Path], BinaryIO]] = {
    ".gz": lambda path: cast(BinaryIO, gzip.GzipFile(path, "rb")),
    ".xz": lambda path: cast(BinaryIO, lzma.LZMAFile(path, "rb")),
    ".zst": _zstd,
}
_REMEDIES = {
    "FileNotFoundError": "check the path",
    "PermissionError": "run as a user that may read it (on Debian: a member of group adm)",
    "IsADirectoryError": "name the files in it",
}


def _remedy(error: OSError) -> str:
    return _REMEDIES.get(type(error).__name__, "check the file system")
