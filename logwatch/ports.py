"""The interfaces that a controller is given: a source of lines, a table to publish to, and reviews by operators.

On one machine these are a log, an LMDB file and the journal itself (`logwatch.watch.MACHINE`); in a cluster all three
are streams (`logwatch.cluster`). The controller does not know which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from enforce.config import Config
from logwatch.schema import Decision
from logwatch.telling.journal import Journal, Review
from logwatch.telling.published import DECIDED, Change

Say = Callable[[str, str], None]  # takes trouble: about what, and the problem
Standing = Callable[[float], Iterable[Decision]]  # the decisions that a table should hold at a time
Written = Callable[[], Iterable[Change]]  # the changes after which it is what it is, by the journal


class Source(Protocol):
    """Lines as they are written, in pieces; `positions` is where to read on after the piece given out last."""

    def lines(self) -> Iterator[bytes]:
        """Whole lines that have not been read yet, a piece at a time; returns when there are none."""

    def positions(self) -> dict[str, dict[str, Any]]:
        """Where to read on after a restart, as JSON values."""

    def problems(self) -> list[str]:
        """Why something cannot be read just now."""

    def losses(self) -> Counter[str]:
        """What could not be read for good, counted by kind."""

    def notices(self) -> list[str]:
        """The latest losses in words."""

    def paths(self) -> list[str]:
        """Files that tell when the first line was written; none where there are no files."""

    def directories(self) -> list[str]:
        """Where changes matter."""

    def notify(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when there is something to read."""

    def close(self) -> None:
        """Give all back."""


class Table(Protocol):
    """Where decisions take effect."""

    def publish(self, decisions: Iterable[Decision], now: float, why: str = DECIDED) -> None:
        """Take up decisions, in their order."""

    def forget(self, key: str, now: float, why: str) -> None:
        """Take a key off."""

    def changes(self) -> list[Change]:
        """What was written from here since this was last asked, in its order."""

    def beat(self, now: float) -> None:
        """Once in a while: say that the controller lives."""

    def health(self, now: float) -> tuple[int, int, float] | None:
        """Commits, keys listed, and seconds since the last sign of life; None while it cannot be written."""

    def to_tell(self, decisions: Sequence[Decision], now: float) -> Sequence[Decision]:
        """Of decisions just taken, those that people are to hear of from here."""

    def speaks_for_all(self) -> bool:
        """Whether what concerns no key is to be told from here."""

    def close(self) -> None:
        """Let go of it; what is listed stands until its leases run out."""


@dataclass(frozen=True)
class Ports:
    """How a controller gets them; `reviews` gives what is to be taken up now, and has not been yet.

    `content` gives what a file of the policy holds.
    """

    source: Callable[[Config, Mapping[str, Mapping[str, Any]]], Source]
    table: Callable[[Config, Standing, Say, Written], Table]
    reviews: Callable[[Journal], list[Review]]
    content: Callable[[Path], str]
