"""Read one log: chunks of whole lines in, attributed events out. What the scanner and attribution do, in one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from logwatch.memory import Memory
from logwatch.reading.attribute import Attribution
from logwatch.reading.scan import Scanner
from logwatch.reading.stamp import Course, Stamps
from logwatch.schema import Columns, ReaderFacts


class Reader:
    """Reads chunk after chunk; what it remembers between them is in `memories` and `facts`."""

    def __init__(
        self,
        columns: Sequence[str],
        *,
        zone: tzinfo | None = None,
        start: float = 0.0,
        default_realm: str = "",
        keep_case: bool = False,
    ) -> None:
        """`columns`: of LINE_COLUMNS, those that are wanted beside what attribution adds.

        `start`: about when the first line was written (see `reading.stamp.first_year`), for stamps without year.
        """
        self.zone = zone
        self.scanner = Scanner(Stamps(zone, start), columns)
        self.attribution = Attribution(default_realm, keep_case=keep_case)

    @property
    def clock(self) -> float:
        """Event time of what was read last (epoch seconds)."""
        return self.attribution.clocks.now

    @property
    def lines(self) -> int:
        """Lines read so far."""
        return self.scanner.lines

    @property
    def off(self) -> dict[str, float]:
        """By how many seconds hosts were off within the last day."""
        return self.attribution.clocks.off()

    def read(self, chunk: bytes) -> Columns:
        """The events of whole lines, as `Attribution.attribute` gives them; `start` is each line's offset."""
        return self.attribution.attribute(self.scanner.scan(chunk))

    def memories(self) -> tuple[Memory[Any], ...]:
        """What is remembered by key."""
        return self.attribution.memories()

    def facts(self) -> ReaderFacts:
        """What is remembered that has no key, as JSON values."""
        clocks = self.attribution.clocks
        return {
            "clock": clocks.now,
            "stamp": self.scanner.stamps.last,
            "course": self.scanner.stamps.course.state(),
            "lines": self.scanner.lines,
            "unreadable": dict(self.scanner.unreadable),
            "other": self.scanner.other,
            "orphans": self.attribution.orphans,
            "clock_steps": clocks.steps,
            "clocks_off": clocks.wrong,
            "clocks": clocks.state(),
            "off": clocks.off(),
        }

    def restore(self, facts: ReaderFacts) -> None:
        """Take up what `facts` once gave."""
        self.scanner.stamps.course = Course(facts["stamp"], *facts.get("course", ()))
        self.scanner.lines = facts["lines"]
        self.scanner.unreadable = Counter(facts["unreadable"])
        self.scanner.other = facts.get("other", 0)
        self.attribution.orphans = facts["orphans"]
        self.attribution.clocks.restore(facts["clock"], facts["clock_steps"], facts.get("clocks", {}))
