"""From decisions to the deny table: the only bridge to the enforcing half.

Of a key's standing decisions the table carries, enforced and observed each, the most severe one, and the smallest cap
beside it: a list that is throttled keeps a cap of its own, which would otherwise be the one for everybody. The policy's
cap for everybody, and an account's own number under it, give way to caps of rules and of operators.
What has ended is not published, nor what concerns a key that no SMTP session has (`local:`, `site`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from enforce.table import ACTIONS, MODES, Record
from logwatch.schema import DEFAULT_CAP, Decision

RELEASE = "release"
_PUBLISHED = ("account", "client", "net")


class TableWriter(Protocol):
    """What a publisher writes to: `enforce.table.Writer`, or what stands for it."""

    def publish(self, changes: Mapping[str, Sequence[Record]], now: float) -> int:
        """Commit changes."""

    def replace(self, table: Mapping[str, Sequence[Record]], now: float) -> int:
        """Commit exactly this table."""

    def beat(self, now: float, lease: float) -> object:
        """Say that the controller lives."""


class Publisher:
    """Keeps a table equal to the standing decisions that it is told of."""

    def __init__(self, writer: TableWriter, lease: float) -> None:
        """`lease`: seconds for which a record holds without a sign of life from here."""
        self._writer = writer
        self._lease = lease
        self._soonest = float("inf")  # when the first of them ends, or earlier
        self._standing: defaultdict[str, dict[str, Decision]] = defaultdict(dict)  # key -> rule -> decision

    def restart(self, standing: Iterable[Decision], now: float) -> None:
        """Make the table hold exactly these decisions."""
        self._standing.clear()
        self._soonest = float("inf")
        for decision in standing:
            self._note(decision)
        self._writer.replace({key: self._records(key, now) for key in list(self._standing)}, now)
        self._drop_empty(list(self._standing))

    def publish(self, decisions: Iterable[Decision], now: float) -> None:
        """Take up decisions in their order; one transaction with only what changed."""
        changed = {decision.key: None for decision in decisions if self._note(decision)}
        if changed:
            self._writer.publish({key: self._records(key, now) for key in changed}, now)
        self._drop_empty(changed)

    def forget(self, key: str, now: float) -> None:
        """A key was released: take off what stands on it."""
        if self._standing.pop(key, None):
            self._writer.publish({key: ()}, now)

    def beat(self, now: float) -> None:
        """Say that the controller lives, renew leases, take off what has ended and put back what that had hidden."""
        if now >= self._soonest:
            self._end(now)
        self._writer.beat(now, self._lease)

    def _end(self, now: float) -> None:
        changed = []
        for key, rules in list(self._standing.items()):
            left = {rule: decision for rule, decision in rules.items() if decision.until > now}
            if len(left) < len(rules):
                changed.append(key)
                self._standing[key] = left
        if changed:
            self._writer.publish({key: self._records(key, now) for key in changed}, now)
        self._drop_empty(changed)
        ends = (decision.until for rules in self._standing.values() for decision in rules.values())
        self._soonest = min(ends, default=float("inf"))

    def _drop_empty(self, keys: Iterable[str]) -> None:
        for key in [key for key in keys if not self._standing.get(key)]:
            self._standing.pop(key, None)

    def _note(self, decision: Decision) -> bool:
        """Whether the decision is one for the table."""
        if decision.key.partition(":")[0] not in _PUBLISHED:
            return False
        if decision.action == RELEASE:
            self._standing[decision.key].pop(decision.rule, None)
        else:
            self._standing[decision.key][decision.rule] = decision
            self._soonest = min(self._soonest, decision.until)
        return True

    def _records(self, key: str, now: float) -> tuple[Record, ...]:
        standing = [decision for decision in self._standing.get(key, {}).values() if decision.until > now]
        chosen = (find(d for d in standing if d.mode == mode) for mode in reversed(MODES) for find in (_severest, _cap))
        return tuple(_record(decision, now + self._lease) for decision in chosen if decision)


def _severest(decisions: Iterable[Decision]) -> Decision | None:
    others = (decision for decision in decisions if decision.action != "cap")
    return max(others, key=lambda d: (ACTIONS.index(d.action), d.until), default=None)


def _cap(decisions: Iterable[Decision]) -> Decision | None:
    caps = [decision for decision in decisions if decision.action == "cap"]
    meant = [decision for decision in caps if decision.rule != DEFAULT_CAP]
    return min(meant or caps, key=lambda d: (d.max_recipients or 0, -d.until), default=None)


def _record(decision: Decision, lease: float) -> Record:
    return Record(
        decision.action,
        decision.mode,
        decision.until,
        lease,
        decision.ref,
        decision.rule,
        decision.share,
        decision.max_recipients,
    )
