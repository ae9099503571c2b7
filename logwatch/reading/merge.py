"""Several logs read as one, in order of their stamps: those of two gateways, or of a gateway and its content filter.

The lines of each log stay in their order; one without a stamp, or older than the line before, stays behind that. Where
stamps are equal the log named first comes first.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from logwatch.reading.source import CHUNK, STAMP
from logwatch.reading.stamp import Stamps


def merged(logs: Sequence[tuple[Iterable[bytes], Stamps]], size: int = CHUNK) -> Iterator[bytes]:
    """Whole lines of all logs, about `size` bytes at a time; a log is chunks of whole lines, and what reads its stamps.

    At most one chunk of each log is held.
    """
    streams = [_Stream(iter(chunks), stamps) for chunks, stamps in logs]
    waiting = [(stream.time, place) for place, stream in enumerate(streams) if stream.load()]
    heapq.heapify(waiting)
    pieces: list[bytes] = []
    held = 0
    while waiting:
        _, place = heapq.heappop(waiting)
        stream = streams[place]
        pieces.append(stream.take(waiting[0] if waiting else _NEVER, place))
        held += len(pieces[-1])
        if held >= size:
            yield b"".join(pieces)
            pieces, held = [], 0
        if stream.load():
            heapq.heappush(waiting, (stream.time, place))
    if pieces:
        yield b"".join(pieces)


class Piece(NamedTuple):
    """Whole lines of a log that is still read; `ends` if there are no more of it just now."""

    lines: bytes
    stamps: Stamps
    ends: bool


class Left(NamedTuple):
    """Lines of a piece whose turn has not come; `time` is that of the first."""

    lines: bytes
    time: float


def in_turn(pieces: Sequence[Piece]) -> tuple[bytes, list[Left]]:
    """What `merged` gives of several logs up to the first line that has not been read yet, and what is left of each."""
    streams = [_Stream(iter((piece.lines,)), piece.stamps) for piece in pieces]
    waiting = [(stream.time, place) for place, stream in enumerate(streams) if stream.load()]
    heapq.heapify(waiting)
    found: list[bytes] = []
    while waiting:
        _, place = heapq.heappop(waiting)
        found.append(streams[place].take(waiting[0] if waiting else _NEVER, place))
        if streams[place].load():
            heapq.heappush(waiting, (streams[place].time, place))
        elif not pieces[place].ends:
            break
    return b"".join(found), [stream.left() for stream in streams]


# Plain tuples, taken apart by name: with a NamedTuple for each, merging takes a quarter longer.
_Turn = tuple[float, int]  # when a log's next line was written, and which of the logs it is; the least comes first
_Move = tuple[float, int]  # of a log's clock: to which time, with the line that begins where in the chunk
_NEVER: _Turn = (float("inf"), 0)


class _Stream:
    """One log: the chunk at hand, and where in it the clock moves on; `time` is that of the next line."""

    def __init__(self, chunks: Iterator[bytes], stamps: Stamps) -> None:
        self._chunks = chunks
        self._stamps = stamps
        self._chunk = b""
        self._at = 0
        self._moves: deque[_Move] = deque()
        self.time = stamps.last

    def load(self) -> bool:
        """Whether there are lines left; takes in the next chunk where it has to."""
        if self._at == len(self._chunk):
            self._chunk, self._at = next(self._chunks, b""), 0
            self._moves.extend(self._found())
            self._pass()
        return bool(self._chunk)

    def take(self, until: _Turn, place: int) -> bytes:
        """The lines before another log's next one, whose turn `until` is; `place` is our own."""
        begin, self._at = self._at, len(self._chunk)
        while self._moves:
            time, line = self._moves[0]
            if (time, place) >= until:
                self._at = line
                break
            self._moves.popleft()
        self._pass()
        return self._chunk[begin : self._at]

    def left(self) -> Left:
        """What has not been taken of the chunk at hand."""
        return Left(self._chunk[self._at :], self.time)

    def _pass(self) -> None:
        """The clock of the next line, if that is where it moves on."""
        if self._moves:
            time, line = self._moves[0]
            if line == self._at:
                self.time = time

    def _found(self) -> Iterator[_Move]:
        text, newest = b"", self.time
        for found in STAMP.finditer(b"\n" + self._chunk):
            if found[1] == text:
                continue
            text = found[1]
            time = self._stamps.read(text)
            if time is not None and time > newest:
                newest = time
                yield time, found.start()
