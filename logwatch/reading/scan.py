"""Find the events in a chunk of whole log lines: bytes in, columns out.

Only the kinds of the grammar come out, one row each, in order of lines. Values stay the bytes that stood in the line
(None where it has no such field), since most are only compared or looked up; `readable` turns them into text and
numbers for people. Lines that begin like a known kind and do not go on like it are counted as unreadable, with an
example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from logwatch.reading.grammar import UNREADABLE, compiled, translators
from logwatch.reading.stamp import Stamps
from logwatch.schema import INTEGERS, LINE_COLUMNS, NUMBERS, Columns

# These come from the line as a whole, not from a group of their own.
_DERIVED = frozenset({"line", "time", "event", "program", "service", "daemon"})
_EXAMPLE = 300  # bytes of an unreadable line that are kept


class Scanner:
    """Reads chunk after chunk of one log; counts what it saw."""

    def __init__(self, stamps: Stamps, columns: Sequence[str] = LINE_COLUMNS) -> None:
        self.stamps = stamps
        self.lines = 0
        self.unreadable: Counter[str] = Counter()  # by the event that a line should have been
        self.example = b""  # the latest unreadable line
        self._columns = tuple(columns)
        self._fields = ("stamp", "prefix", *(name for name in columns if name not in _DERIVED))
        pattern = compiled()
        self._regex = pattern.regex
        self._kinds = pattern.kinds
        self._picks = pattern.picks(self._fields)
        self._translate = {
            tag: done for tag, kind in pattern.kinds.items() if (done := translators().get(kind.split()[-1]))
        }
        self._broken = {tag for tag, kind in pattern.kinds.items() if kind.startswith(UNREADABLE)}

    def scan(self, chunk: bytes) -> Columns:
        """The events of whole lines, `\\n` after each; also `start`, the offset of each event's line in the chunk."""
        tags, starts, rows = [], [], []
        for match in self._regex.finditer(b"\n" + chunk):
            tag = match.lastindex or 0
            if tag in self._broken:
                self._count_unreadable(tag, match[0])
                continue
            tags.append(tag)
            starts.append(match.start())
            row = match.group(*self._picks[tag])
            rows.append(self._translated(tag, row) if tag in self._translate else row)
        columns = self._table(chunk, tags, starts, rows)
        self.lines += chunk.count(b"\n")
        return columns

    def _translated(self, tag: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
        fields = dict(zip(self._fields, row, strict=True))
        self._translate[tag](self._kinds[tag].split()[0], fields)
        return tuple(fields.values())

    def _count_unreadable(self, tag: int, line: bytes) -> None:
        self.unreadable[self._kinds[tag].removeprefix(UNREADABLE).split()[0]] += 1
        self.example = line[1 : _EXAMPLE + 1]

    def _table(self, chunk: bytes, tags: list[int], starts: list[int], rows: list[tuple[Any, ...]]) -> Columns:
        raw = dict(zip(self._fields, map(_objects, zip(*rows, strict=True)), strict=True)) if rows else {}
        kinds = [self._kinds[tag].split() for tag in tags]
        columns = {name: raw.get(name, _objects(())) for name in self._fields if name not in ("stamp", "prefix")}
        columns["event"] = _objects(kind[0] for kind in kinds)
        columns["start"] = np.array(starts, dtype=np.int64)
        columns["time"] = self._times(raw.get("stamp", ()))
        if "line" in self._columns:
            columns["line"] = self._numbers(chunk, starts)
        if "program" in self._columns:
            programs = [_program(prefix, kind[1]) for prefix, kind in zip(raw.get("prefix", ()), kinds, strict=True)]
            for position, name in enumerate(("program", "service", "daemon")):
                columns[name] = _objects(program[position] for program in programs)
        return columns

    def _times(self, stamps: Sequence[bytes]) -> Any:
        read, last_text, last = self.stamps.read, b"", self.stamps.last
        times = []
        for text in stamps:
            if text != last_text:  # a busy second holds many lines
                last_text, last = text, read(text) or last
            times.append(last)
        return np.array(times, dtype=np.float64)

    def _numbers(self, chunk: bytes, starts: list[int]) -> Any:
        numbers, line, before = [], self.lines + 1, 0
        for start in starts:
            line += chunk.count(b"\n", before, start)
            before = start
            numbers.append(line)
        return np.array(numbers, dtype=np.int64)


def _program(prefix: bytes, daemon: str) -> tuple[bytes, bytes | None, bytes]:
    service = prefix.split(b"/")[1:-1]
    return prefix + daemon.encode(), b"/".join(service) or None, daemon.encode()


def _objects(values: Any) -> Any:
    values = list(values)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def text_of(value: bytes) -> str:
    """Text of a log field: UTF-8, other bytes as \\xNN."""
    return value.decode("utf-8", "backslashreplace")


def number_of(name: str, value: Any) -> int | float | None:
    """A numeric field; None where it is no number that fits (an attacker may have written it)."""
    if value is None:
        return None
    try:
        return float(value) if name in NUMBERS else int(value)
    except ValueError:
        return None


def readable(columns: Columns, names: Sequence[str] = LINE_COLUMNS) -> dict[str, list[Any]]:
    """The columns `names` with text as str and numbers as int or float, None where a line has no such field."""
    return {name: _readable(name, columns[name]) for name in names if name in columns}


def _readable(name: str, column: Any) -> list[Any]:
    if name in INTEGERS or name in NUMBERS:
        return [number_of(name, value) for value in column.tolist()]
    return [text_of(value) if isinstance(value, bytes) else value for value in column.tolist()]
