"""What operators said of keys, kept until the log's clock has passed it: only what comes after is judged by it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from logwatch.schema import Decision, PendingReviewFacts


@dataclass(frozen=True)
class Release:
    """An operator's release of a key: it holds for what comes after `time` (epoch seconds, event time).

    With `until`, the key is exempt as well, up to that event time.
    """

    key: str
    time: float
    until: float = 0.0


@dataclass(frozen=True)
class Confirmation:
    """An operator's word that a key is abused indeed; it counts for what comes after `time` (epoch seconds)."""

    key: str
    time: float


Word = Release | Confirmation


class PendingReviews:
    """Words that are not in effect yet, in order of time."""

    def __init__(self) -> None:
        self._words: list[Word] = []

    def hear(self, word: Word, clock: float) -> float:
        """Take up a word; when it takes effect: not before `clock`, as what came until then has been judged."""
        effective = max(word.time, clock)
        self._words = sorted((*self._words, replace(word, time=effective)), key=_order)
        return effective

    def turn_back(self, clock: float) -> None:
        """The log's clock has been set back: what waits for a later time, perhaps years ahead, waits no longer."""
        soonest = math.nextafter(clock, -math.inf)
        self._words = sorted((replace(word, time=min(word.time, soonest)) for word in self._words), key=_order)

    def passed(self, clock: float) -> Iterator[Word]:
        """Those that take effect by then, which are waited for no longer."""
        while self._words and self._words[0].time < clock:
            yield self._words.pop(0)

    def times(self) -> list[float]:
        """When each takes effect."""
        return [word.time for word in self._words]

    def releases(self, decision: Decision) -> bool:
        """Whether a release that waits takes this decision back."""
        releases = (word for word in self._words if isinstance(word, Release))
        return any(release.key == decision.key and decision.time <= release.time for release in releases)

    def facts(self) -> PendingReviewFacts:
        """All of it, as JSON values."""
        return {
            "releases": [[word.key, word.time, word.until] for word in self._words if isinstance(word, Release)],
            "confirmations": [[word.key, word.time] for word in self._words if isinstance(word, Confirmation)],
        }

    def restore(self, facts: PendingReviewFacts) -> None:
        """Take up what `facts` gave."""
        releases = [Release(*release) for release in facts["releases"]]
        confirmations = [Confirmation(*confirmation) for confirmation in facts.get("confirmations", ())]
        self._words = sorted((*releases, *confirmations), key=_order)


def _order(word: Word) -> tuple[float, bool]:
    """By time; of what was said at one time, what lets a key send again comes last."""
    return word.time, isinstance(word, Release)
