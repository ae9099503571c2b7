"""Whole lines out of files: plain, .gz, .bz2, .xz or .zst, or standard input.

A line ends with a newline; the last line of an archive may lack it and counts all the same. A line of more than a
megabyte is no log line: an empty one takes its place, so that line numbers stay right, and it is counted. NUL bytes
before a line are dropped: a log truncated beneath a writer that does not append has as many as it was long. Entries of
the systemd journal in JSON (`journalctl -o json`) come out as the lines that syslog would have (`journald_json`).
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import select
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar, cast

from enforce.errors import ReportedError
from logwatch.reading.journald_json import plain
from logwatch.reading.names import PACKED
from logwatch.reading.repeated import spelled_out

CHUNK = 4 << 20
LONGEST_LINE = 1 << 20
STDIN = "-"
T = TypeVar("T")
Progress = Callable[[int], None]  # is told of bytes of files that have been read, packed as they are


class SourceError(ReportedError):
    """A log that cannot be read: which file, why, and what to do."""


class DamageError(SourceError):
    """Packed logs that cannot be read to their end; a sentence for each."""

    def __str__(self) -> str:
        return "\n".join(self.args)


class Lines:
    """Cuts a stream of bytes at its last newline, and keeps what comes after for the next piece.

    What comes out is the same whatever the pieces were. Lines that say that the last one came again (`repeated`) come
    with what that was.
    """

    def __init__(self, last: bytes = b"") -> None:
        """`last` is the line before the first that is taken."""
        self.overlong = 0  # lines dropped for their length
        self.held = 0  # bytes taken in after the last newline
        self._rest = b""
        self._skipping = False
        self._given = b""  # whole lines of the last piece, as they were read
        self._last = last  # the line that the next may repeat

    def take(self, piece: bytes) -> bytes:
        """The whole lines that are complete with this piece."""
        cut = piece.rfind(b"\n") + 1
        if not cut:
            self.held += len(piece)
            self._keep(self._rest + piece)
            return b""
        begin = piece.index(b"\n") if self._skipping else 0
        self._given = self._rest + piece[begin:cut]
        whole, self._last = spelled_out(self._cleaned(self._given), self._last)
        self.held, self._skipping = len(piece) - cut, False
        self._keep(piece[cut:])
        return whole

    def unread(self, lines: bytes) -> bytes | None:
        """The bytes from which the last `lines` given were made, and all after them; None if that is not known."""
        if not self._given.endswith(lines) or len(self._rest) != self.held:
            return None
        return lines + self._rest

    def finish(self) -> bytes:
        """What is left when nothing more will come, as a line."""
        rest, self._rest = self._rest, b""
        self.held, self._skipping = 0, False
        whole, self._last = spelled_out(rest + b"\n" if rest else b"", self._last)
        return whole

    def _keep(self, rest: bytes) -> None:
        self._rest = b"" if self._skipping else rest.lstrip(b"\0")
        if len(self._rest) > LONGEST_LINE:
            self._rest, self._skipping = b"", True
            self.overlong += 1

    def _cleaned(self, whole: bytes) -> bytes:
        if b"\0" in whole:
            whole = _LEADING_NULS.sub(b"", whole)
        return whole if len(whole) <= LONGEST_LINE else b"".join(self._short_enough(whole))

    def _short_enough(self, whole: bytes) -> Iterator[bytes]:
        begin = 0
        while begin < len(whole):
            end = whole.rfind(b"\n", begin, begin + LONGEST_LINE + 1) + 1
            if end:
                yield whole[begin:end]
            else:
                end = whole.index(b"\n", begin) + 1
                self.overlong += 1
                yield b"\n"
            begin = end


_LEADING_NULS = re.compile(rb"^\0+", re.MULTILINE)


class Log:
    """One log, open: the bytes that were logged, whatever they are packed in."""

    def __init__(self, path: str | Path) -> None:
        """SourceError if it cannot be opened."""
        self.path = str(path)
        self.consumed = 0  # bytes of the file itself that have been read
        try:
            self.raw = _raw(self.path)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}; {_remedy(error)}") from None
        self.packed = self.path.endswith(PACKED)
        self._next = _UNPACKING[Path(path).suffix](self.path, self.raw) if self.packed else self.raw.read
        self._damage = ""

    def read(self, size: int) -> bytes:
        """The next bytes, about `size` at most; b"" at the end.

        DamageError if the file is damaged or cut short, after all that stands before the damage has been read.
        """
        pieces = []
        while size > 0 and not self._damage and (piece := self._piece(size)):
            pieces.append(piece)
            size -= len(piece)
            if not self.packed:
                break
        if self._damage and not pieces:
            raise DamageError(self._damage)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        try:
            piece = self._next(size)
        except _damages() as error:
            self._damage = self._damaged(error)
            return b""
        self.consumed = self.raw.tell() if self.packed else self.consumed + len(piece)
        return piece

    def _damaged(self, error: Exception) -> str:
        at, size, test = self.raw.tell(), Path(self.path).stat().st_size, _TESTS[Path(self.path).suffix]
        return (
            f"{self.path}: damaged or cut short, noticed at byte {at:,} of {size:,}: {error}; "
            f"what stands before was read, for the rest put a whole copy in its place (`{test}` tests one)"
        )

    def close(self) -> None:
        """Give the file back."""
        self.raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def chunks(path: str | Path, size: int = CHUNK, seen: Progress = lambda _: None) -> Iterator[bytes]:
    """Whole lines of a log, about `size` bytes at a time; `seen` is told how many of the file's own bytes each took.

    SourceError if the log cannot be read; DamageError if it cannot be to its end, after what could be read.
    """
    lines, told = Lines(), 0
    with Log(path) as log:
        while piece := log.read(size):
            seen(log.consumed - told)
            told = log.consumed
            if whole := lines.take(piece):
                yield plain(whole)
    if rest := lines.finish():
        yield plain(rest)


def despite(damage: list[DamageError], found: Iterable[T]) -> Iterator[T]:
    """What is found though logs are damaged, which is put into `damage`."""
    try:
        yield from found
    except DamageError as error:
        damage.append(error)


def all_of(damage: Iterable[DamageError]) -> DamageError:
    """All damage as one."""
    return DamageError(*(problem for error in damage for problem in error.args))


def stamps(path: str | Path) -> Iterator[bytes]:
    """Time stamps of a log in its order, first and last line's among them, some hundred in all or two a megabyte.

    They serve to find the year of lines that do not name it (stamp.first_year), for which two must not be half a year
    apart. Of a plain file only probes are read; a packed one has to be unpacked as far as stamps are wanted.
    """
    for piece in _packed_pieces(path) if str(path).endswith(PACKED) else _plain_pieces(path):
        found = STAMP.findall(b"\n" + plain(piece))
        yield from found[:: max(1, len(found) - 1)]


STAMP = re.compile(
    rb"\n(?:<[0-9]{1,3}>(?:1 )?)?"
    rb"([A-Z][a-z]{2}[ 0-9:]{10,11}[0-9]"
    rb"|[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-9:.,]{8,18}(?:Z| ?[+-][0-9]{2}:?[0-9]{2})?) "
)
_PROBE = 1 << 15  # bytes: some hundred lines


def _packed_pieces(path: str | Path) -> Iterator[bytes]:
    for chunk in chunks(path):
        yield chunk[:_PROBE]
        for offset in (*range(8 * _PROBE, len(chunk), 8 * _PROBE), max(0, len(chunk) - _PROBE)):
            yield _whole(chunk[offset : offset + _PROBE])


def _plain_pieces(path: str | Path) -> Iterator[bytes]:
    with Log(path) as log:
        size = log.raw.seek(0, 2)
        for offset in (*range(0, size, max(_PROBE, size // 256)), max(0, size - _PROBE)):
            log.raw.seek(offset)
            piece = log.read(_PROBE)
            yield _whole(piece) if offset else piece


def _whole(piece: bytes) -> bytes:
    """Without the line in whose midst it begins."""
    return piece[piece.find(b"\n") + 1 :]


class _Stdin:
    """Standard input, from which is taken what is there: a slow writer's lines need not wait for a full chunk."""

    def __init__(self) -> None:
        self._raw = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)

    def read(self, size: int) -> bytes:
        pieces = []
        while size and (piece := self._raw.read(size)):
            pieces.append(piece)
            size -= len(piece)
            if not select.select([self._raw], [], [], 0)[0]:
                break
        return b"".join(pieces)

    def close(self) -> None:
        self._raw.close()


class _Zstd:
    """Reads frame after frame of a .zst, and notices where the last one is cut short."""

    def __init__(self, path: str, raw: BinaryIO) -> None:
        try:
            import zstandard
        except ImportError:
            raise SourceError(f"{path}: reading .zst needs one more package: pip install zstandard") from None
        self._raw = raw
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._left = b""

    def read1(self, _: int) -> bytes:
        """What the next packed bytes hold, however much that is; b"" at the end."""
        while packed := self._left or self._raw.read(_PACKED_PIECE):
            self._frame = self._frame or self._new()
            piece: bytes = self._frame.decompress(packed)
            self._left = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
            if piece:
                return piece
        if self._frame:
            raise EOFError("the last frame has no end")
        return b""


_PACKED_PIECE = 1 << 16


def _raw(path: str) -> BinaryIO:
    if path == STDIN:
        return cast(BinaryIO, _Stdin())
    if Path(path).is_dir():
        raise IsADirectoryError(21, "is a directory")
    return cast(BinaryIO, Path(path).open("rb", buffering=0))


_UNPACKING: dict[str, Callable[[str, BinaryIO], Callable[[int], bytes]]] = {
    ".gz": lambda _, raw: gzip.GzipFile(fileobj=raw, mode="rb").read1,
    ".bz2": lambda _, raw: bz2.BZ2File(raw).read1,
    ".xz": lambda _, raw: lzma.LZMAFile(raw).read1,
    ".zst": lambda path, raw: _Zstd(path, raw).read1,
}
_TESTS = {".gz": "gzip -t", ".bz2": "bzip2 -t", ".xz": "xz -t", ".zst": "zstd -t"}
assert set(_UNPACKING) == set(_TESTS) == set(PACKED)


def _damages() -> tuple[type[Exception], ...]:
    """What readers of packed files raise at bytes that are not theirs."""
    zstd = sys.modules.get("zstandard")
    return (OSError, EOFError, zlib.error, lzma.LZMAError, *([zstd.ZstdError] if zstd else ()))


_REMEDIES = {
    "FileNotFoundError": "check the path",
    "PermissionError": "run as a user that may read it (on Debian: a member of group adm)",
    "IsADirectoryError": "name the files in it",
}


def _remedy(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        return "this process may have no more of them open: raise its limit (ulimit -n; systemd: LimitNOFILE)"
    return _REMEDIES.get(type(error).__name__, "check the file system")
