"""Run a month through mailbrake's core with its decisions in force: what was refused is never written as accepted.

The core is fed in order of time. Before anything of an attack happens it has seen all lines that are older than the
lag; the decisions that came of them, as old as the lag again at most, then answer for the message: refused by tempfail,
hold and block, by a throttle as often as its share says, cut by a cap. A refusal is logged as the milter logs it, and
counts as an attempt. Honest mail is never refused, so that one false decision cannot hide another.

An attacker gives up after `PATIENCE` refusals in a row.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC

from benchmarks.traffic.campus import Campus
from benchmarks.traffic.hosted import Hosted
from benchmarks.traffic.month import Month
from benchmarks.traffic.postfix import Writer
from benchmarks.traffic.scene import HOUR, START, Attack, Event, Incoming, Mail, seeded
from enforce import key as keys
from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.policy import ENFORCE, Policy
from logwatch.schema import Decision

Made = Month | Campus | Hosted  # a month of any site

PATIENCE = 100
_GRAIN = 0.5  # seconds between two looks at the log while an attack comes through
_SLOW = 30.0  # while it is refused
_CHUNK = 6 * HOUR  # at other times
_REFUSING = ("tempfail", "hold", "block")


@dataclass
class Outcome:
    """What became of an attack; `decided` is when it was first braked, `blocked` when first by a block."""

    attack: Attack
    delivered: list[int] = field(default_factory=list)  # recipients of each message that came through
    attempted: int = 0  # recipients, or what a client did
    after: int = 0  # of these, attempted after it was braked
    through: int = 0  # of these, delivered
    decided: float | None = None
    blocked: float | None = None
    refusals: int = 0  # in a row
    keys: set[str] = field(default_factory=set)  # clients and networks that it came from


@dataclass
class Run:
    """A month's results: decisions in order, outcomes by attack, since when each login was abused."""

    month: Made
    decisions: list[Decision]
    outcomes: dict[int, Outcome]
    abused: dict[str, float]
    hostile: set[str] = field(default_factory=set)  # clients and networks that are up to no good beside the attacks


class ClosedLoop:
    """One month under one policy, all of whose rules are enforced.

    `lag` in seconds from line to table, the share of lines that are lost, and who writes them.
    """

    def __init__(
        self,
        month: Made,
        policy: Policy,
        *,
        lag: float = 2.0,
        lost: float = 0.0,
        writer: type[Writer] = Writer,
    ) -> None:
        enforced = [dataclasses.replace(rule, mode=ENFORCE, percent=100) for rule in policy.rules]
        policy = dataclasses.replace(policy, rules=tuple(enforced), mode=ENFORCE)
        self._core = Core(Judge(policy), zone=UTC, default_realm=f"{month.site.name}.example", start=START)
        self._month, self._lag = month, lag
        self._writer = writer(month.name, filtered=month.site.filtered)
        self._pick = seeded(month.name, "throttle")
        self._lost, self._loss = lost, seeded(month.name, "loss")
        self._fed = START
        self._standing: defaultdict[str, dict[str, list[Decision]]] = defaultdict(dict)
        self._result = Run(month, [], {}, {})

    def run(self) -> Run:
        """The month from its beginning to its end."""
        last = START
        for event in self._month.events():
            last = event.time
            if event.attack > 0:
                self._attacked(event)
            else:
                if event.attack:
                    self._hostile(event)
                self._writer.write(event)
                self._feed(event.time, _CHUNK)
        self._feed(last + HOUR, 0)
        return self._result

    def _hostile(self, event: Event) -> None:
        """Somebody who is up to no good, but whom nobody could stop: a trial, the noise of the net."""
        if isinstance(event, Mail):
            self._result.abused.setdefault(event.account, event.time)
        self._result.hostile.update((f"client:{event.client}", *keys.networks(event.client)))

    def _feed(self, until: float, grain: float) -> None:
        if until - self._fed >= grain:
            self._fed = until
            for decision in self._core.feed(self._kept(self._writer.until(until))).decisions:
                self._result.decisions.append(decision)
                if decision.mode == ENFORCE:
                    self._standing[decision.key].setdefault(decision.rule, []).append(decision)

    def _kept(self, lines: bytes) -> bytes:
        if not self._lost:
            return lines
        return b"".join(line for line in lines.splitlines(keepends=True) if self._loss.random() >= self._lost)

    def _attacked(self, event: Event) -> None:
        outcome = self._outcome(event)
        if outcome.refusals > PATIENCE:
            return
        self._feed(event.time - self._lag, _SLOW if outcome.refusals else _GRAIN)
        size = len(event.recipients) if isinstance(event, Mail | Incoming) else 1
        answers = list(self._answers(event))
        refusing = [answer for answer in answers if self._refuses(answer)]
        outcome.attempted += size
        outcome.keys.update((f"client:{event.client}", *keys.networks(event.client)))
        if answers:
            outcome.decided = outcome.decided or min(answer.time for answer in answers)
            outcome.after += size
        if any(answer.action == "block" for answer in answers):
            outcome.blocked = outcome.blocked or event.time
        if refusing:
            outcome.refusals += 1
            answer = refusing[0]
            self._writer.refuse(event, answer.ref, answer.rule, answer.action, answer.key.partition(":")[0])
            return
        outcome.refusals = 0
        event, size = _cut(event, size, answers)
        outcome.delivered.append(size)
        outcome.through += size if answers else 0
        self._writer.write(event)

    def _outcome(self, event: Event) -> Outcome:
        if event.attack not in self._result.outcomes:
            attack = next(one for one in self._month.attacks if one.number == event.attack)
            self._result.outcomes[event.attack] = Outcome(attack)
            if isinstance(event, Mail):
                self._result.abused.setdefault(event.account, event.time)
        return self._result.outcomes[event.attack]

    def _answers(self, event: Event) -> Iterator[Decision]:
        """Decisions in force for an event, old enough for the table to have them."""
        own = [f"account:{event.account}"] if isinstance(event, Mail) else []
        for key in (*own, f"client:{event.client}", *keys.networks(event.client)):
            for decided in self._standing.get(key, {}).values():
                known = [one for one in decided if one.time <= event.time - self._lag]
                if known and known[-1].until > event.time and known[-1].action != "release":
                    yield known[-1]

    def _refuses(self, answer: Decision) -> bool:
        share = 1.0 if answer.share is None else answer.share
        return answer.action in _REFUSING or (answer.action == "throttle" and self._pick.random() >= share)


def _cut(event: Event, size: int, answers: list[Decision]) -> tuple[Event, int]:
    """The message with as many recipients as caps let through."""
    caps = [answer.max_recipients for answer in answers if answer.action == "cap" and answer.max_recipients]
    if not caps or not isinstance(event, Mail) or size <= min(caps):
        return event, size
    most = min(caps)
    return dataclasses.replace(event, recipients=event.recipients[:most], fates=event.fates[:most]), most
