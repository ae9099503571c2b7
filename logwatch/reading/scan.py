"""Find the events in a chunk of whole log lines: bytes in, columns out.

Only the kinds of the grammar come out, one row each, in order of lines. Values stay the bytes that stood in the line
(None where it has no such field), since most are only compared or looked up; `readable` turns them into text and
numbers for people. Lines that begin like a known kind and do not go on like it are counted as unreadable, with an
example; those of a known daemon that begin like no kind, as other. Lines of more than 16 KiB are not looked at: Exim
writes 8 KiB, others less, and whoever writes more wants `re` to take kilobytes of memory for each byte.

`message repeated N times: [ … ]` (rsyslog's RepeatedMsgReduction) stands for N more lines: the event comes N times. A
delivery to several recipients (Sendmail's) comes once for each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from logwatch.reading.grammar import (
    DIALECTS,
    FOREIGN,
    UNREAD,
    UNREADABLE,
    compiled,
    first_look,
    translator,
)
from logwatch.reading.grammar.compile import Pattern
from logwatch.reading.repeated import REPEATED, untold
from logwatch.reading.rows import NEEDED, STAMP, Row, Scanned, names_of
from logwatch.reading.stamp import Stamps
from logwatch.schema import INTEGERS, LINE_COLUMNS, NUMBERS, Columns

# These come from the line as a whole, not from a group of their own.
_DERIVED = frozenset({"line", "time", "event", "program", "service"})
_EXAMPLE = 300  # bytes of an unreadable line that are kept
_LONGEST = 1 << 14  # bytes of a line
_MOST_REPEATED = 10_000  # what one line may stand for; more is no log's, and is counted as unreadable

_NONE: Any = None  # to be compared with element by element
_ASIDE = (UNREAD, FOREIGN)
# A dialect with more lines than these is looked for by the first look; until then each of its lines takes a second one.
_OFTEN = 1000
_FEW = 64  # events, of which columns are quicker made one after the other
_SECOND = 10_000  # kinds of the first dialect's second look are numbered from here; no pattern has so many


class Scanner:
    """Reads chunk after chunk of one log; counts what it saw."""

    def __init__(self, stamps: Stamps, columns: Sequence[str] = LINE_COLUMNS) -> None:
        """`columns`: those that are wanted; the fewer, the faster. Default: all."""
        self.stamps = stamps
        self.lines = 0
        self.unreadable: Counter[str] = Counter()  # by the event that a line should have been
        self.other = 0  # lines of a known daemon that are of no known kind
        self.example = b""  # the latest unreadable line
        self._columns = tuple(columns)
        derived_from = ("prefix", "daemon") if "program" in columns else ()
        self._fields = tuple(dict.fromkeys((*derived_from, *(name for name in columns if name not in _DERIVED))))
        self._seldom: Counter[str] = Counter()  # lines of dialects that the first look does not know
        self._met: set[str] = set()  # dialects of which there were lines at all
        self._kinds: dict[int, _Kind] = {}
        self._alone: dict[str, tuple[Pattern, int]] = {}  # by dialect: what finds its kinds, and how they are numbered
        self._look_for(frozenset({DIALECTS[0].NAME}))

    def scan(self, chunk: bytes) -> Scanned:
        """The events of whole lines, `\\n` after each; also `start`, the offset of each event's line in the chunk."""
        text, repeats = self._unfolded(chunk) if b"message repeated " in chunk else (chunk, ())
        found = self._found(b"\n" + self._without_overlong(text))
        columns = self._table(found)
        columns["start"] = np.array(found.starts, dtype=np.int64)
        if "line" in self._columns:
            columns["line"] = self._numbers(text, found.starts)
        self.lines += chunk.count(b"\n")
        return self._repeated(columns, found.rows, repeats) if repeats else Scanned(columns, found.rows)

    def _unfolded(self, chunk: bytes) -> tuple[bytes, list[tuple[int, int, int]]]:
        if lost := untold(chunk):
            self.unreadable["repeated"] += lost
        return _unfold(chunk)

    def _without_overlong(self, text: bytes) -> bytes:
        """The text with blanks in place of lines that no MTA writes; those of known daemons are counted."""
        pieces, done, begin = [], 0, 0
        while len(text) - begin > _LONGEST:
            end = text.rfind(b"\n", begin, begin + _LONGEST + 1)
            if end < 0:
                end = text.index(b"\n", begin + _LONGEST)
                self._overlong(text[begin : begin + _LONGEST])
                pieces += [text[done:begin], b" " * (end - begin)]
                done = end
            begin = end + 1
        return b"".join([*pieces, text[done:]]) if pieces else text

    def _overlong(self, line: bytes) -> None:
        if self._first.regex.match(b"\n%b\n" % line):
            self.unreadable["overlong"] += 1
            self.example = line[:_EXAMPLE]

    # Finding lines.

    def _look_for(self, dialects: frozenset[str]) -> None:
        """From now on find the lines of these dialects at the first look."""
        self._often = dialects
        self._first = self._pattern(dialects)
        self._kinds.update((tag, _Kind(self._first, tag, self._fields)) for tag in self._first.kinds)
        known = [tag for tag, kind in self._first.kinds.items() if not kind.endswith(_ASIDE)]
        self._groups = {tag: self._kinds[tag].groups for tag in known}

    def _second(self, dialect: str) -> tuple[Pattern, int]:
        if dialect not in self._alone:
            pattern, begin = self._pattern(frozenset({dialect})), _SECOND * (1 + len(self._alone))
            self._kinds.update((begin + tag, _Kind(pattern, tag, self._fields)) for tag in pattern.kinds)
            self._alone[dialect] = pattern, begin
        return self._alone[dialect]

    def _pattern(self, dialects: frozenset[str]) -> Pattern:
        return first_look(NEEDED.union(self._fields, (STAMP,)), dialects)

    def _found(self, text: bytes) -> _Matches:
        """All lines that are events."""
        kinds, starts, rows = found = _Matches([], [], [])
        groups = self._groups
        for match in self._first.regex.finditer(text):
            tag = match.lastindex or 0  # every alternative ends in a tag
            if tag in groups:
                kinds.append(tag)
                starts.append(match.start())
                rows.append(match.group(*groups[tag]))
            else:
                self._look_again(text, match, found)
        present = set(kinds)
        self._met |= {self._kinds[number].dialect for number in present}
        more: dict[int, list[Row]] = {}
        for number in {number for number in present if self._kinds[number].translate}:
            for place in _places(kinds, number).tolist():
                rows[place], *others = self._kinds[number].translated(rows[place])
                if others:
                    more[place] = others
        if often := {dialect for dialect, lines in self._seldom.items() if lines > _OFTEN} - self._often:
            self._look_for((self._often & self._met) | often)
        return found.with_more(more) if more else found

    def _look_again(self, text: bytes, match: re.Match[bytes], found: _Matches) -> None:
        """At a line of a dialect that the first look does not know, or of no kind that it knows."""
        dialect, word = self._first.kinds[match.lastindex or 0].split()
        if word == UNREAD:
            self._unread(dialect, match[0])
            return
        self._seldom[dialect] += 1
        pattern, begin = self._second(dialect)
        again = pattern.regex.match(text, match.start())
        if again is None:
            return
        tag = again.lastindex or 0
        if pattern.kinds[tag].endswith(UNREAD):
            self._unread(dialect, again[0])
            return
        found.kinds.append(begin + tag)
        found.starts.append(match.start())
        found.rows.append(again.group(*self._kinds[begin + tag].groups))

    def _unread(self, dialect: str, line: bytes) -> None:
        """Count a line that is none of its dialect's kinds: what should it have been?"""
        pattern = compiled(frozenset(), frozenset({dialect}))
        match = pattern.regex.match(line + b"\n")
        kind = pattern.kinds[match.lastindex or 0].split() if match else []
        if UNREADABLE in kind:
            self.unreadable[kind[-1]] += 1
            self.example = line[1 : _EXAMPLE + 1]
        else:
            self.other += 1

    # Making columns.

    def _table(self, found: _Matches) -> Columns:
        raw = self._one_by_one(found) if len(found.rows) <= _FEW else self._by_kind(found)
        columns = {name: raw[name] for name in ("event", *self._columns) if name in raw}
        columns["time"] = self._times(found.rows)
        if "host" in columns:
            columns["host"][columns["host"] == _NONE] = b""  # lines without a header
        if "program" in self._columns:
            programs = [_program(prefix, daemon) for prefix, daemon in zip(raw["prefix"], raw["daemon"], strict=True)]
            for position, name in enumerate(("program", "service")):
                columns[name] = _objects([program[position] for program in programs])
        return columns

    def _by_kind(self, found: _Matches) -> Columns:
        """The fields of all rows, as columns."""
        raw = {name: np.full(len(found.rows), None, dtype=object) for name in ("event", *self._fields)}
        numbers = np.array(found.kinds, dtype=np.int64)
        for number in set(found.kinds):
            kind, places = self._kinds[number], _places(numbers, number)
            raw["event"][places] = kind.event
            rows = [found.rows[place] for place in places.tolist()]
            for name, position in kind.columns:
                raw[name][places] = np.fromiter(map(itemgetter(position), rows), object, len(rows))
        return raw

    def _one_by_one(self, found: _Matches) -> Columns:
        """The same of a few rows."""
        raw: dict[str, list[Any]] = {name: [None] * len(found.rows) for name in ("event", *self._fields)}
        for place, (number, row) in enumerate(zip(found.kinds, found.rows, strict=True)):
            kind = self._kinds[number]
            raw["event"][place] = kind.event
            for name, position in kind.columns:
                raw[name][place] = row[position]
        return {name: _objects(values) for name, values in raw.items()}

    def _times(self, rows: Sequence[Row]) -> Any:
        read, last_text, last = self.stamps.read, b"", self.stamps.last
        times = []
        for row in rows:
            text = row[-1]
            if text != last_text and text is not None:  # a busy second holds many lines
                last_text, last = text, read(text) or last
            times.append(last)
        return np.array(times, dtype=np.float64)

    def _numbers(self, text: bytes, starts: Sequence[int]) -> Any:
        numbers, line, before = [], self.lines + 1, 0
        for start in starts:
            line += text.count(b"\n", before, start)
            before = start
            numbers.append(line)
        return np.array(numbers, dtype=np.int64)

    def _repeated(self, columns: Columns, rows: Sequence[Row], repeats: Sequence[tuple[int, int, int]]) -> Scanned:
        """The rows of unfolded lines as often as they stand for, and all offsets as they were before."""
        starts, times = columns["start"], np.ones(len(rows), np.int64)
        shift = np.zeros(len(rows), np.int64)
        for at, number, shorter in repeats:
            times[starts == at] = min(number, _MOST_REPEATED)
            if number > _MOST_REPEATED:
                self.unreadable["repeated"] += 1
            shift[starts > at] += shorter
        columns["start"] = starts + shift
        order = np.repeat(np.arange(len(rows)), times)
        return Scanned({name: column[order] for name, column in columns.items()}, [rows[row] for row in order.tolist()])


class _Matches(NamedTuple):
    """Lines that are events, in order: number of their kind, offset, and row."""

    kinds: list[int]
    starts: list[int]
    rows: list[Row]

    def with_more(self, more: Mapping[int, Sequence[Row]]) -> _Matches:
        """The same with further rows of some lines, by place."""
        kinds, starts, rows = found = _Matches([], [], [])
        for place, (kind, start, row) in enumerate(zip(*self, strict=True)):
            each = (row, *more.get(place, ()))
            kinds += [kind] * len(each)
            starts += [start] * len(each)
            rows += each
        return found


def _places(kinds: Any, number: int) -> Any:
    return np.flatnonzero(np.asarray(kinds, np.int64) == number)


class _Kind:
    """One kind of line: its event, the groups of its row's fields, and where in a row the wanted columns are."""

    def __init__(self, pattern: Pattern, tag: int, wanted: Sequence[str]) -> None:
        self.dialect, self.event = pattern.kinds[tag].split()
        self.translate = translator(self.dialect, self.event)
        found = pattern.groups[tag]
        names = (*names_of(self.event, wanted if self.translate else [name for name in wanted if name in found]), STAMP)
        self._raw, self._names = tuple(found), names
        nothing = next(other for other in pattern.kinds if other != tag)  # a group that is not in such lines
        self.groups = tuple(found.values() if self.translate else (found.get(name, nothing) for name in names))
        self.columns = [(name, names.index(name)) for name in wanted if name in names]

    def translated(self, row: Row) -> list[Row]:
        """The row in our words, of one that has all that stood in the line; and one for each further recipient."""
        assert self.translate is not None
        fields: dict[str, bytes | None] = dict(zip(self._raw, row, strict=True))
        found = [fields]
        if others := self.translate(self.event, fields):
            found += [{**fields, "recipient": recipient} for recipient in others]
        return [tuple(map(one.get, self._names)) for one in found]


def _unfold(chunk: bytes) -> tuple[bytes, list[tuple[int, int, int]]]:
    """The chunk with what was repeated in place of `message repeated`; and where, how often, and how much shorter."""
    pieces, repeats, done, length = [], [], 0, 0
    for match in REPEATED.finditer(chunk):
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
