"""Sample lines with their meaning beside them: `samples/logs/DIALECT/*.jsonl`, and the two engines that read them.

One JSON object a line: `line`, a log line as it was written; `expect`, every field of the event that stands in it,
as `mailbrake events` prints it in UTC (where `recipient` is a list: of the events, one for each; null: no event;
"unreadable": a line of a known kind that is cut or broken; "other": a known daemon's line of no known kind); `from`,
where the line comes from. A dialect's samples stand in the
folder of its NAME; a test fails if one of its kinds has none.
"""

import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

import pyparsing as pp

from logwatch.reading.grammar import DIALECTS, OTHER, UNREADABLE, compiled, line
from logwatch.reading.scan import Scanner, readable
from logwatch.reading.stamp import Stamps
from logwatch.schema import iso

FOLDER = Path(__file__).parents[2] / "samples" / "logs"
START = 1795600000.0  # 2026-11-25, about when the samples without a year were written

_GRAMMAR = line()
_PATTERN = compiled()


class Sample(NamedTuple):
    """One line, and what stands in it."""

    where: str
    dialect: str
    line: str
    expect: Any

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that stand in it."""
        if not isinstance(self.expect, dict):
            return []
        several = self.expect.get("recipient")
        each = several if isinstance(several, list) else [several]
        return [{**self.expect, **({"recipient": one} if one is not None else {})} for one in each]

    @property
    def raw(self) -> bytes:
        """The line as it stood in a file, its newline included."""
        return self.line.encode("utf-8", "surrogateescape") + b"\n"


def samples() -> Iterator[Sample]:
    """Every sample of every dialect."""
    for path in sorted(FOLDER.glob("*/*.jsonl")):
        for number, text in enumerate(path.read_text().splitlines(), 1):
            entry = json.loads(text)
            yield Sample(f"{path.parent.name}/{path.name}:{number}", path.parent.name, entry["line"], entry["expect"])


def scanner() -> Scanner:
    """A scanner as `mailbrake events --zone UTC` has it."""
    return Scanner(Stamps(UTC, START))


def scanned(lines: bytes) -> list[dict[str, Any]]:
    """The events of lines, as `mailbrake events` prints them, `line` left out."""
    table = readable(scanner().scan(lines))
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    return [
        {name: value for name, value in {**row, "time": iso(row["time"], UTC)}.items() if value is not None}
        for row in ({name: value for name, value in row.items() if name != "line"} for row in rows)
    ]


Found = tuple[str, dict[str, bytes]] | None


def by_regex(raw: bytes) -> Found:
    """Kind and fields of one line, newline included, by the compiled expression."""
    pattern = _PATTERN
    match = pattern.regex.match(b"\n" + raw)
    if match is None:
        return None
    tag = match.lastindex or 0
    fields = {name: match[group] for name, group in pattern.groups[tag].items()}
    return pattern.kinds[tag], {name: value for name, value in fields.items() if value is not None}


def by_pyparsing(raw: bytes) -> Found:
    """The same by pyparsing."""
    try:
        found = _GRAMMAR.parse_string(raw.decode("latin-1")).as_dict()
    except pp.ParseException:
        return None
    kind = found.pop("event")
    return kind, {name: value.encode("latin-1") for name, value in found.items()}


def kinds() -> Iterator[tuple[str, str, str]]:
    """Dialect, daemon and event of every kind of line that some dialect knows."""
    for dialect in DIALECTS:
        for daemon, rows in dialect.KINDS.items():
            for event, *_ in rows:
                yield dialect.NAME, daemon, event


def is_unreadable(found: Found) -> bool:
    """Whether a line was taken for a known kind that does not go on like it."""
    return found is not None and found[0].split()[1] == UNREADABLE


def is_other(found: Found) -> bool:
    """Whether a line is a known daemon's, but of no known kind."""
    return found is not None and found[0].split()[1] == OTHER
