"""What comes of decisions: mail that is accepted while a case stands, and attempts that are refused.

For a case that only observes, the mail accepted is what it would have stopped; for one that is enforced, what got
through all the same. Counted from the event after the one that tipped it until its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from logwatch.schema import Columns, Decision
from logwatch.telling.journal import Effect

RELEASE = "release"


class _Standing(NamedTuple):
    ref: str
    until: float


class Effects:
    """Counts step after step for the cases that stand."""

    def __init__(self, standing: Iterable[Decision] = ()) -> None:
        # key -> rule -> case
        self._standing: defaultdict[str, dict[str, _Standing]] = defaultdict(dict)
        for decision in standing:
            self._note(decision)

    def take(self, events: Columns, decisions: Iterable[Decision]) -> list[Effect]:
        """The effects of a step's events on the cases that stood before it, and on those that it began."""
        begun = {(decision.key, decision.rule): decision for decision in decisions}
        for decision in begun.values():
            self._note(decision)
        found = [effect for key in self._concerned(events) for effect in self._of(key, events, begun)]
        self._expire(float(events["clock"][-1]) if len(events["clock"]) else 0.0)
        return found

    def _note(self, decision: Decision) -> None:
        if decision.action == RELEASE:
            self._standing[decision.key].pop(decision.rule, None)
        else:
            self._standing[decision.key][decision.rule] = _Standing(decision.ref, decision.until)

    def _concerned(self, events: Columns) -> Iterator[str]:
        """Keys with a case that occur in the events."""
        if self._standing:
            present = {*events["account"].tolist(), *events["client"].tolist(), *events["local"].tolist()}
            yield from (key for key in list(self._standing) if key in present)

    def _of(self, key: str, events: Columns, begun: dict[tuple[str, str], Decision]) -> Iterator[Effect]:
        mine = np.flatnonzero(events[key.partition(":")[0]] == key)
        for rule, case in self._standing[key].items():
            rows = mine[(mine > _tipped(events, begun.get((key, rule)))) & (events["clock"][mine] < case.until)]
            effect = _counted(events, rows, Effect(case.ref, key, rule))
            if effect[3:] != (0, 0, 0):
                yield effect

    def _expire(self, clock: float) -> None:
        for key, rules in list(self._standing.items()):
            standing = {rule: case for rule, case in rules.items() if case.until > clock}
            if standing:
                self._standing[key] = standing
            else:
                del self._standing[key]


def _tipped(events: Columns, decision: Decision | None) -> int:
    """The row after which a case counts: that of its first event in these, or -1 where it stood before."""
    if decision is None:
        return -1
    if decision.queue_id:
        rows = np.flatnonzero(events["queue_id"] == decision.queue_id.encode("latin-1"))
        queued = rows[np.asarray(events["event"][rows] == "queued", dtype=bool)]
        if len(queued):
            return int(queued[0])
    return int(np.searchsorted(events["clock"], decision.time, side="right")) - 1


def _counted(events: Columns, rows: Any, case: Effect) -> Effect:
    rows = rows[events["counts"][rows]]
    kinds = events["event"][rows]
    queued = rows[np.asarray(kinds == "queued", dtype=bool)]
    refused = rows[np.isin(kinds, ("verdict", "milter_reject"))]
    recipients = sum(int(number) for number in events["nrcpt"][queued] if number)
    return case._replace(
        messages=len(queued),
        recipients=recipients,
        refused=sum(int(number or 1) for number in events["count"][refused]),  # one line may stand for many
    )
