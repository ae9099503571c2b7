"""Find the events in a chunk of whole log lines: bytes in, columns out.

Only the kinds of the grammar come out, one row each, in order of lines. Values stay the bytes that stood in the line
(None where it has no such field), since most are only compared or looked up; `readable` turns them into text and
numbers for people. Lines that begin like a known kind and do not go on like it are counted as unreadable, with an
example; those of a known daemon that begin like no kind, as other.

`message repeated N times: [ … ]` (rsyslog's RepeatedMsgReduction) stands for N more lines: the event comes N times.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from logwatch.reading.grammar import UNREAD, UNREADABLE, compiled, first_look, translators
from logwatch.reading.grammar.compile import Pattern
from logwatch.reading.stamp import Stamps
from logwatch.schema import INTEGERS, LINE_COLUMNS, NUMBERS, Columns

# These come from the line as a whole, not from a group of their own.
_DERIVED = frozenset({"line", "time", "event", "program", "service"})
_EXAMPLE = 300  # bytes of an unreadable line that are kept
_MOST_REPEATED = 10_000  # what one line may stand for; more is no log's, and is counted as unreadable

_REPEATED = re.compile(
    rb"^([^\n\[\]]*\[[0-9]{1,10}\]: (?:\[ID [^\n\]]*\] )?)"
    rb"message repeated ([0-9]{1,18}) times: \[ ?([^\n]*?)\](?=\r?\n)",
    re.MULTILINE,
)

_NONE: Any = None  # to be compared with element by element
Row = Any  # what match.group gives: a tuple, or the value itself where a kind has only one


class Scanner:
    """Reads chunk after chunk of one log; counts what it saw."""

    def __init__(
        self, stamps: Stamps, columns: Sequence[str] = LINE_COLUMNS, events: Collection[str] | None = None
    ) -> None:
        """`columns` and `events`: those that are wanted; the fewer, the faster. Default: all."""
        self.stamps = stamps
        self.lines = 0
        self.unreadable: Counter[str] = Counter()  # by the event that a line should have been
        self.other = 0  # lines of a known daemon that are of no known kind
        self.example = b""  # the latest unreadable line
        self._columns = tuple(columns)
        inputs = ("stamp", *(("prefix", "daemon") if "program" in columns else ()))
        self._fields = tuple(dict.fromkeys((*inputs, *(name for name in columns if name not in _DERIVED))))
        pattern = first_look(frozenset(self._fields), None if events is None else frozenset(events))
        self._find = pattern.regex.finditer
        self._unread_tags = {tag for tag, kind in pattern.kinds.items() if kind.endswith(UNREAD)}
        self._kinds = [_Kind(pattern, tag, self._fields) for tag in range(pattern.regex.groups + 1)]

    def scan(self, chunk: bytes) -> Columns:
        """The events of whole lines, `\\n` after each; also `start`, the offset of each event's line in the chunk."""
        text, repeats = _unfold(chunk) if b"]: message repeated " in chunk else (chunk, ())
        columns = self._table(*self._rows(b"\n" + text))
        if "line" in self._columns:
            columns["line"] = self._numbers(text, columns["start"].tolist())
        if repeats:
            columns = self._repeated(columns, repeats)
        self.lines += chunk.count(b"\n")
        return columns

    def _rows(self, text: bytes) -> tuple[list[int], list[int], list[list[Row]]]:
        """Tag and offset of every event, and by tag, their fields."""
        groups, unread = [kind.groups for kind in self._kinds], self._unread_tags
        rows: list[list[Row]] = [[] for _ in groups]
        tags: list[int] = []
        starts: list[int] = []
        for match in self._find(text):
            tag = match.lastindex or 0  # every alternative ends in a tag
            if tag in unread:
                self._unread(match[0])
                continue
            tags.append(tag)
            starts.append(match.start())
            rows[tag].append(match.group(*groups[tag]))
        return tags, starts, rows

    def _unread(self, line: bytes) -> None:
        """Count a line that is none of the kinds: what should it have been?"""
        pattern = compiled()
        match = pattern.regex.match(line + b"\n")
        kind = pattern.kinds[match.lastindex or 0].split() if match else []
        if UNREADABLE in kind:
            self.unreadable[kind[-1]] += 1
            self.example = line[1 : _EXAMPLE + 1]
        else:
            self.other += 1

    def _table(self, tags: list[int], starts: list[int], rows: list[list[Row]]) -> Columns:
        places = np.array(tags, dtype=np.int64)
        raw = {name: np.full(len(tags), None, dtype=object) for name in ("event", *self._fields)}
        for tag, found in enumerate(rows):
            if found:
                kind, place = self._kinds[tag], np.flatnonzero(places == tag)
                raw["event"][place] = kind.event
                for name, values in kind.columns(found):
                    raw[name][place] = np.fromiter(values, object, len(found))
        columns = {name: raw[name] for name in ("event", *self._columns) if name in raw}
        columns["start"] = np.array(starts, dtype=np.int64)
        columns["time"] = self._times(raw["stamp"].tolist())
        if "host" in columns:
            columns["host"][columns["host"] == _NONE] = b""  # lines without a header
        if "program" in self._columns:
            programs = [_program(prefix, daemon) for prefix, daemon in zip(raw["prefix"], raw["daemon"], strict=True)]
            for position, name in enumerate(("program", "service")):
                columns[name] = _objects([program[position] for program in programs])
        return columns

    def _times(self, stamps: Sequence[bytes]) -> Any:
        read, last_text, last = self.stamps.read, b"", self.stamps.last
        times = []
        for text in stamps:
            if text != last_text and text is not None:  # a busy second holds many lines
                last_text, last = text, read(text) or last
            times.append(last)
        return np.array(times, dtype=np.float64)

    def _numbers(self, text: bytes, starts: list[int]) -> Any:
        numbers, line, before = [], self.lines + 1, 0
        for start in starts:
            line += text.count(b"\n", before, start)
            before = start
            numbers.append(line)
        return np.array(numbers, dtype=np.int64)

    def _repeated(self, columns: Columns, repeats: Sequence[tuple[int, int, int]]) -> Columns:
        """The rows of unfolded lines as often as they stand for, and all offsets as they were before."""
        starts, times = columns["start"], np.ones(len(columns["start"]), np.int64)
        shift = np.zeros(len(starts), np.int64)
        for at, number, shorter in repeats:
            times[starts == at] = min(number, _MOST_REPEATED)
            if number > _MOST_REPEATED:
                self.unreadable["repeated"] += 1
            shift[starts > at] += shorter
        columns["start"] = starts + shift
        return {name: np.repeat(column, times) for name, column in columns.items()}


class _Kind:
    """One kind of line: its event (None: unread), the groups of its wanted fields, and how they become columns."""

    def __init__(self, pattern: Pattern, tag: int, fields: Sequence[str]) -> None:
        dialect, event = pattern.kinds[tag].split() if tag in pattern.kinds else ("", UNREAD)
        groups = pattern.groups.get(tag, {})
        self.event = None if event == UNREAD else event
        self._translate = translators().get(dialect)
        self._wanted = tuple(fields)
        self._names = tuple(name for name in (groups if self._translate else fields) if name in groups)
        self.groups = tuple(groups[name] for name in self._names)

    def columns(self, rows: Sequence[Row]) -> Iterator[tuple[str, Sequence[Any]]]:
        """Names and values of the wanted columns that such lines have."""
        named = (rows,) if len(self._names) == 1 else zip(*rows, strict=True)
        found = dict(zip(self._names, named, strict=True))
        if self._translate:
            found = self._translated(found)
        return ((name, found[name]) for name in self._wanted if name in found)

    def _translated(self, found: dict[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
        assert self._translate is not None
        assert self.event is not None
        lines: list[dict[str, bytes | None]] = [
            dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)
        ]
        for fields in lines:
            self._translate(self.event, fields)
        names = dict.fromkeys(name for fields in lines for name in fields)
        return {name: [fields.get(name) for fields in lines] for name in names}


def _unfold(chunk: bytes) -> tuple[bytes, list[tuple[int, int, int]]]:
    """The chunk with what was repeated in place of `message repeated`; and where, how often, and how much shorter."""
    pieces, repeats, done, length = [], [], 0, 0
    for match in _REPEATED.finditer(chunk):
        pieces += [chunk[done : match.start()], match[1], match[3]]
        length += match.start() - done
        repeats.append((length, int(match[2]), len(match[0]) - len(match[1]) - len(match[3])))
        length += len(match[1]) + len(match[3])
        done = match.end()
    return b"".join([*pieces, chunk[done:]]), repeats


def unfolded(line: bytes) -> tuple[bytes, int]:
    """One line with what was repeated in place of `message repeated`, and how many lines it stands for."""
    text, repeats = _unfold(line)
    return text, repeats[0][1] if repeats else 1


def _program(prefix: bytes, daemon: bytes) -> tuple[bytes, bytes | None]:
    service = prefix.split(b"/")[1:-1]
    return prefix + daemon, b"/".join(service) or None


def _objects(values: Sequence[Any]) -> Any:
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
