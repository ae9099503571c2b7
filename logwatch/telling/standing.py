"""Which decisions stand: a new one is told from an extension, and they can be counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from logwatch.schema import Decision

RELEASE = "release"
ENFORCE = "enforce"
MODES = ("enforce", "observe")


class Standing:
    """Follows decisions in their order; as many are remembered as the judge has cases."""

    def __init__(self, decisions: Iterable[Decision]) -> None:
        """`decisions` stood before, and are nothing new."""
        self._counted: dict[str, int] = {}
        self.recall(decisions)

    def recall(self, decisions: Iterable[Decision]) -> None:
        """These stand, and are nothing new; no others do."""
        self._last = {(decision.key, decision.rule): decision for decision in decisions}
        self._count_until = float("-inf")  # so long as nothing changes, the last count holds

    def take(self, decisions: Iterable[Decision], now: float) -> list[Decision]:
        """Those that are enforced from now on and were not before: new cases, observed ones enforced now."""
        return [decision for decision in decisions if self._took(decision, now)]

    def forget(self, key: str) -> None:
        """A key was released."""
        for name in [name for name in self._last if name[0] == key]:
            del self._last[name]
        self._count_until = float("-inf")

    def counts(self, now: float) -> dict[str, int]:
        """How many stand in each mode."""
        if now >= self._count_until:
            self._last = {name: decision for name, decision in self._last.items() if decision.until > now}
            found = Counter(decision.mode for decision in self._last.values())
            self._counted = {mode: found[mode] for mode in MODES}
            self._count_until = min((decision.until for decision in self._last.values()), default=float("inf"))
        return self._counted

    def _took(self, decision: Decision, now: float) -> bool:
        name = (decision.key, decision.rule)
        before = self._last.pop(name, None)
        self._count_until = float("-inf")
        if decision.action == RELEASE or decision.until <= now:
            return False
        self._last[name] = decision
        known = before is not None and before.until > now and (before.ref, before.mode) == (decision.ref, ENFORCE)
        return decision.mode == ENFORCE and not known
