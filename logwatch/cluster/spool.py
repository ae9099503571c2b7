"""What waits on a gateway's disk until the stream has it: segments that are only appended to, read in order.

    SERIAL.spool    records: length, CRC-32 and number of lines (4 bytes each), and what they are about
    state.json      where reading goes on, lines lost so far, and what the owner notes with it; replaced as a whole

A process killed while it writes leaves a torn record at a segment's end, which is cut off; the log has its lines still.
When all segments together reach the bound, the oldest goes, and its lines are counted as lost: what is newest matters
most. One that has been read goes once what its records were noted for is written down.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_HEAD = 12
_SEGMENTS = 16  # that the bound is divided into
_LARGEST = 8 << 20


class Waiting(NamedTuple):
    """A record that waits, and where the one after it begins."""

    record: bytes
    segment: int
    end: int


class Spool:
    """The spool in a directory, made (0700) if there is none, of `bound` bytes at most; for one process."""

    def __init__(self, directory: Path, bound: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._largest = max(1 << 12, min(_LARGEST, bound // _SEGMENTS))
        self._bound = bound
        state = self._load()
        self.lost: int = state.get("lost", 0)  # lines
        self.noted: dict[str, Any] = state.get("noted", {})
        self._sizes = {serial: self._mend(serial) for serial in sorted(self._serials())}
        first = min(self._sizes, default=state.get("segment", 0))
        self._segment = max(first, state.get("segment", 0))
        offset: int = state.get("offset", 0) if self._segment == state.get("segment", 0) else 0
        self._offset = min(offset, self._sizes.get(self._segment, offset))  # a power cut may have taken some
        self._writing: BinaryIO | None = None
        self._reading: tuple[int, BinaryIO] | None = None
        self._drop_read()

    def append(self, record: bytes, count: int) -> None:
        """Add a record that stands for so many lines. OSError if it cannot be written."""
        last = max(self._sizes, default=self._segment)
        if self._writing is None or self._sizes[last] >= self._largest:
            last = last + 1 if self._sizes or self._offset else last
            self._open(last)
        assert self._writing is not None
        head = b"".join(n.to_bytes(4) for n in (len(record), zlib.crc32(record), count))
        whole = head + record
        if (written := self._writing.write(whole)) < len(whole):  # a disk that is full takes a part, and says nothing
            os.truncate(self._path(last), self._sizes[last])
            raise OSError(errno.ENOSPC, f"only {written} of {len(whole)} bytes could be written")
        self._sizes[last] += _HEAD + len(record)
        while sum(self._sizes.values()) > self._bound and len(self._sizes) > 1:
            self._overflow()

    def first(self) -> Waiting | None:
        """The oldest record that waits."""
        while self._segment in self._sizes or self._sizes:
            if self._segment in self._sizes and self._offset < self._sizes[self._segment]:
                file = self._file(self._segment)
                file.seek(self._offset)
                length = int.from_bytes(file.read(_HEAD)[:4])
                return Waiting(file.read(length), self._segment, self._offset + _HEAD + length)
            later = [serial for serial in self._sizes if serial > self._segment]
            if not later:
                return None
            self._segment, self._offset = min(later), 0
        return None

    def done(self, waiting: Waiting) -> None:
        """The oldest record is where it should be."""
        if waiting.segment == self._segment:
            self._offset = waiting.end

    def records(self) -> Iterator[bytes]:
        """All that wait, oldest first."""
        for serial, size in self._sizes.items():
            if serial >= self._segment:
                begin = self._offset if serial == self._segment else 0
                yield from (record for _, record in self._walk(serial, begin, size))

    def waiting(self) -> int:
        """Bytes on disk that wait."""
        return sum(size for serial, size in self._sizes.items() if serial >= self._segment) - (
            self._offset if self._segment in self._sizes else 0
        )

    def save(self, noted: Mapping[str, Any]) -> None:
        """Write down where reading goes on, and what belongs to it. OSError if that cannot be done."""
        self.noted = dict(noted)
        state = {"segment": self._segment, "offset": self._offset, "lost": self.lost, "noted": self.noted}
        new = self._directory / "state.new"
        with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._directory / "state.json")
        self._drop_read()

    def close(self) -> None:
        """Give the files back."""
        if self._writing:
            self._writing.close()
        if self._reading:
            self._reading[1].close()

    def _load(self) -> dict[str, Any]:
        try:
            found = json.loads((self._directory / "state.json").read_bytes())
        except (FileNotFoundError, ValueError):  # a first start, or a disk that lost it: the log is read anew
            return {}
        return found if isinstance(found, dict) else {}

    def _serials(self) -> Iterator[int]:
        return (int(path.stem) for path in self._directory.glob("*.spool") if path.stem.isdigit())

    def _path(self, serial: int) -> Path:
        return self._directory / f"{serial:012}.spool"

    def _mend(self, serial: int) -> int:
        """Cut off what is torn at a segment's end; its size."""
        size = self._path(serial).stat().st_size
        whole = max((end for end, _ in self._walk(serial, 0, size)), default=0)
        if whole < size:
            os.truncate(self._path(serial), whole)
        return whole

    def _walk(self, serial: int, begin: int, size: int) -> Iterator[tuple[int, bytes]]:
        with self._path(serial).open("rb") as file:
            file.seek(begin)
            while begin < size:
                head = file.read(_HEAD)
                length, check = int.from_bytes(head[:4]), int.from_bytes(head[4:8])
                record = file.read(length)
                if len(head) < _HEAD or len(record) < length or zlib.crc32(record) != check:
                    return
                begin += _HEAD + length
                yield begin, record

    def _open(self, serial: int) -> None:
        if self._writing:
            self._writing.close()
        descriptor = os.open(self._path(serial), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._writing = os.fdopen(descriptor, "ab", buffering=0)
        self._sizes[serial] = self._path(serial).stat().st_size

    def _file(self, serial: int) -> BinaryIO:
        if self._reading is None or self._reading[0] != serial:
            if self._reading:
                self._reading[1].close()
            self._reading = serial, self._path(serial).open("rb")
        return self._reading[1]

    def _drop_read(self) -> None:
        """Remove segments that have been read, but for the last, which is written to."""
        for serial in [serial for serial in self._sizes if serial < self._segment]:
            self._path(serial).unlink(missing_ok=True)
            del self._sizes[serial]

    def _overflow(self) -> None:
        oldest = min(self._sizes)
        if oldest >= self._segment:
            self.lost += self._lines(oldest, self._offset if oldest == self._segment else 0)
            self._segment, self._offset = oldest + 1, 0
        self._drop_read()

    def _lines(self, serial: int, begin: int) -> int:
        total = 0
        with self._path(serial).open("rb") as file:
            while begin < self._sizes[serial]:
                file.seek(begin)
                head = file.read(_HEAD)
                total += int.from_bytes(head[8:])
                begin += _HEAD + int.from_bytes(head[:4])
        return total
