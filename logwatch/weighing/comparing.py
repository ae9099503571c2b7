"""Who would be treated differently by two policies over the same events, when, and how much mail that is. No I/O.

A key is treated as the most severe of the decisions that stand on it says: enforced before observed, then by action.
Throttles differ when one lets through a tenth more than the other, caps by their number. A difference lasts as long as
its kind does, whatever becomes of the cases behind it; its mail is what the key has got accepted meanwhile, from the
message after the one at which it began.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from enforce import key as keys
from logwatch.judging.policy import ENFORCE, SEVERITY
from logwatch.judging.throttle import CHANGE
from logwatch.schema import ALWAYS, Columns, Decision, Span, iso
from logwatch.telling.effects import RELEASE, Tips, forward

HIT, SPARED, HARDER, MILDER = CHANGES = ("newly hit", "no longer hit", "more severe", "milder")
_SAID = ("action", "mode", "rule", "ref", "share", "max_recipients")


class Difference(NamedTuple):
    """A key that is treated in one way by the policy `before`, in another by the policy `after`.

    `before` and `after` are the most severe decisions meanwhile, None where there is none; `begin` and `until` are
    epoch seconds in event time.
    """

    key: str
    change: str  # one of CHANGES
    begin: float
    until: float
    before: Decision | None
    after: Decision | None
    messages: int = 0
    recipients: int = 0

    def fields(self) -> dict[str, Any]:
        """What a table or a JSON object has of it, times in epoch seconds; the policy before has `against_` fields."""
        sides = (("", self.after), ("against_", self.before))
        said = {f"{of}{name}": getattr(decision, name, None) for of, decision in sides for name in _SAID}
        told = {name: getattr(self, name) for name in ("key", "change", "messages", "recipients")}
        return {"time": self.begin, "until": self.until, **told, **said}

    def as_json(self) -> dict[str, Any]:
        """The same with stamps in ISO 8601, local offset."""
        return {**self.fields(), "time": iso(self.begin), "until": iso(self.until)}


COLUMNS = tuple(Difference("", "", 0.0, 0.0, None, None).fields())


class Comparison:
    """Takes in events, and what each policy decided at them; remembers keys on which something stands."""

    def __init__(self, span: Span = ALWAYS) -> None:
        """Only what lies within `span` is counted and told."""
        self._span = span
        self._followed: dict[str, _Followed] = {}
        self._found: list[Difference] = []

    def take(
        self,
        events: Columns,
        before: Iterable[Decision],
        after: Iterable[Decision],
        tips: tuple[Tips, Tips],
    ) -> None:
        """One more chunk of the log, and the tips of both; whatever the chunks are, the differences are the same."""
        decided: dict[str, dict[int, list[tuple[int, Decision]]]] = {}
        for side, decisions in enumerate((before, after)):
            for decision in decisions:
                turns = decided.setdefault(decision.key, {})
                turns.setdefault(tips[side][decision.seq], []).append((side, decision))
        concerned = dict.fromkeys((*self._followed, *decided))
        mail = _mail(events, concerned) if concerned else {}
        clocks, begin = events["clock"], -1  # where what is tipped before the first row belongs
        for _, end in forward(clocks):
            for key in concerned:
                followed = self._followed.setdefault(key, _Followed(key, self._span))
                rows, turns = mail.get(key, {}), decided.get(key, {})
                for row in sorted(row for row in {*rows, *turns} if begin <= row < end):
                    if row in rows:
                        self._found += followed.sent(float(clocks[row]), rows[row])
                    if row in turns:
                        self._found += followed.decided(turns[row])
            self._pass(float(clocks[end - 1]) if end else 0.0)
            begin = end

    def differences(self) -> list[Difference]:
        """All of them, by their beginning; those that stand last as long as was decided. The last thing to ask for."""
        self._pass(float("inf"))
        return sorted(self._found, key=lambda found: (found.begin, found.key))

    def _pass(self, time: float) -> None:
        for key, followed in list(self._followed.items()):
            self._found += followed.passed(time)
            if followed.is_over():
                del self._followed[key]


class _Followed:
    """A key on which something stands, by either policy; methods give the differences that have come to an end."""

    def __init__(self, key: str, span: Span) -> None:
        self._key = key
        self._span = span
        self._standing: tuple[dict[str, Decision], dict[str, Decision]] = ({}, {})  # by rule
        self._open: Difference | None = None

    def is_over(self) -> bool:
        return not any(self._standing) and self._open is None

    def passed(self, time: float) -> Iterator[Difference]:
        """The clock has come to a time: what ended before it."""
        ends = {decision.until for standing in self._standing for decision in standing.values()}
        for end in sorted(end for end in ends if end < time):
            for standing in self._standing:
                for rule in [rule for rule, decision in standing.items() if decision.until <= end]:
                    del standing[rule]
            yield from self._turn(end)

    def sent(self, time: float, recipients: int) -> Iterator[Difference]:
        """The key has got a message accepted."""
        yield from self.passed(time)
        if self._open and self._span.holds(time) and _change(*self._treated(time)) == self._open.change:
            messages = self._open.messages + 1
            self._open = self._open._replace(messages=messages, recipients=self._open.recipients + recipients)

    def decided(self, decisions: Iterable[tuple[int, Decision]]) -> Iterator[Difference]:
        """What the policies (0 before, 1 after) said at one event."""
        made = list(decisions)
        time = made[0][1].time
        yield from self.passed(time)
        for side, decision in made:
            if decision.action == RELEASE:
                self._standing[side].pop(decision.rule, None)
            else:
                self._standing[side][decision.rule] = decision
        yield from self._turn(time)

    def _treated(self, time: float) -> tuple[Decision | None, Decision | None]:
        """The most severe decision that stands by each policy; at the time of its end none does any more."""
        standing = ([decision for decision in side.values() if decision.until > time] for side in self._standing)
        before, after = (max(decisions, key=_rank, default=None) for decisions in standing)
        return before, after

    def _turn(self, time: float) -> Iterator[Difference]:
        before, after = self._treated(time)
        change = _change(before, after)
        if self._open and self._open.change == change:
            worst = (_worse(self._open.before, before), _worse(self._open.after, after))
            self._open = self._open._replace(before=worst[0], after=worst[1])
            return
        if self._open:
            yield from _within(self._open._replace(until=time), self._span)
        self._open = Difference(self._key, change, time, time, before, after) if change else None


def _change(before: Decision | None, after: Decision | None) -> str:
    """What becomes of a key that is treated otherwise; empty if it is not."""
    if before is None or after is None:
        return "" if before is after else HIT if before is None else SPARED
    old, new = _rank(before), _rank(after)
    if old[:2] == new[:2] and abs(old[2] - new[2]) <= CHANGE * max(abs(old[2]), abs(new[2])):
        return ""
    return HARDER if new > old else MILDER


def _rank(decision: Decision) -> tuple[bool, int, float]:
    """Mild to severe; the last is how much gets through, as a negative number."""
    through = decision.share if decision.share is not None else float(decision.max_recipients or 0)
    return decision.mode == ENFORCE, SEVERITY[decision.action], -through


def _worse(one: Decision | None, other: Decision | None) -> Decision | None:
    return one if other is None or (one and _rank(one) >= _rank(other)) else other


def _within(found: Difference, span: Span) -> Iterator[Difference]:
    begin, until = max(found.begin, span.begin), min(found.until, span.end)
    if begin < until:
        yield found._replace(begin=begin, until=until)


def _mail(events: Columns, concerned: Mapping[str, Any]) -> dict[str, dict[int, int]]:
    """Messages accepted from keys: the position of each among the events, and its recipients."""
    rows = np.flatnonzero(np.asarray(events["event"] == "queued", bool) & events["counts"]).tolist()
    kinds = {key.partition(":")[0] for key in concerned}
    found: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for row in rows:
        recipients = int(events["nrcpt"][row] or 0)
        for kind in kinds:
            for key in _whose(events, row, kind):
                if key in concerned:
                    found[key][row] = recipients
    return found


def _whose(events: Columns, row: int, kind: str) -> tuple[str, ...]:
    if kind == keys.SITE:
        return (keys.SITE,)
    if kind == "net":
        return keys.networks((events["client"][row] or "").removeprefix("client:"))
    return (events[kind][row],)
