"""From rules that hold to decisions: begun, extended, and never twice on the same evidence.

Rules are evaluated at every event that counts for a key, in event time; only the rows where one holds, or where a case
may stand that has to be looked after, come to the small state machine, in order of events, one case per (rule, key):

    none ── rule holds ──▶ open until `time + duration` ── its end passes, or it is released ──▶ none
                             │  ▲
                             └──┘ rule holds (or what it `stays` on), and a tenth of the duration has passed: extended,
                                  same reference; a throttle's share has changed and ten seconds have passed: written

A release leaves a floor, whether or not it ends a case: for every rule about that key only what comes after it counts.
Whoever is let go after a change of password, or after a block by hand that came before any rule, would else be held by
another rule at the first message, for what was sent before.

A client in a network on which as much stands already begins no case of its own: else whoever has a million addresses
would have a million cases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from enforce.key import EVERYBODY, networks
from logwatch.judging import throttle
from logwatch.judging.cases import Case, Cases
from logwatch.judging.ceiling import Ceilings
from logwatch.judging.floors import Floors
from logwatch.judging.policy import ENFORCE, MODES, OBSERVE, SEVERITY, Ceiling, Policy, Rule
from logwatch.judging.restraint import Restraint
from logwatch.memory import Memory
from logwatch.schema import Columns, Decision, History, RateTable

SPARED = "spared"  # the memory of what exemptions were needed for: [epoch seconds, rule] by key
_EXTEND_AFTER = 0.1  # of a decision's duration
_DAY = 86400.0
_SPARED = 182 * 86400.0  # how long it is remembered that an exemption was needed


class Ruling(NamedTuple):
    """A decision; `tip`: the row of the event that tipped it; `held`: the guard turned it into observe."""

    decision: Decision
    tip: int
    held: bool


class Judge:
    """Decides by one policy at each event that rates are given for; `seq` is the number of the last decision."""

    def __init__(self, policy: Policy, mode: str = ENFORCE) -> None:
        self.policy = policy
        self.seq = 0
        self.restraint = Restraint(policy, mode)
        self.ceilings = Ceilings(min(mode, policy.mode, _mode_of(policy.ceiling), key=MODES.index))
        self._cases = Cases()
        self._floors = Floors()
        self._excuses: Memory[float] = Memory("excuses", 50_000)  # key -> until when an operator exempted it
        self._spared: Memory[list[Any]] = Memory(SPARED, 50_000)  # exempt key -> when a rule last held for it, which

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks, `seq` and counters excepted."""
        others = (*self.restraint.admission.memories(), *self.ceilings.memories())
        return (*self._cases.memories(), self._floors.memory, self._excuses, self._spared, *others)

    @property
    def guarded(self) -> int:
        """Decisions that the guard turned into observe."""
        return self.restraint.guarded

    def needs(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """The (signal, window) columns that the rules look at, by kind of key."""
        return {kind: tuple(sorted(rate.column for rate in rates)) for kind, rates in self.policy.needs().items()}

    def reputation(self, client: str, answers: Mapping[str, Collection[str]]) -> int:
        """The score of a client's key by the policy's lists as they are now, and by what DNS block lists answered."""
        return self.policy.reputation(client, answers)

    def decide(self, events: Columns, histories: Mapping[str, History]) -> list[Ruling]:
        """What changes at these events, in their order; at one event, in the order of the rules."""
        rulings: list[Ruling] = []
        seen = 0  # rows at which it was looked whether the guard opens
        for hit in sorted(self._hits(histories, events["clock"]), key=lambda hit: hit[:3]):
            rulings += self._let_in(events["clock"][: hit.row + 1], seen)
            seen = hit.row + 1
            key, time = histories[hit.rule.kind].keys[hit.place], float(events["clock"][hit.row])
            if not self.policy.scoped(hit.rule, key):
                continue
            if not (self.policy.exempt(key) or self._excused(key, time)):
                rulings += self._judged(hit, key, events)
            elif hit.holds:
                self._spared.put(key, [time, hit.rule.name], time)
        rulings += self._let_in(events["clock"], seen)
        self._expire(float(events["clock"][-1]) if len(events["clock"]) else 0.0)
        return rulings

    def _hits(self, histories: Mapping[str, History], clocks: Any) -> Iterator[_Hit]:
        """Rows at which a rule may have something to say, rule after rule."""
        shown = {kind: self._floors.over(history, clocks) for kind, history in histories.items() if len(history.rows)}
        for number, rule in enumerate(self.policy.rules):
            if rule.kind not in shown:
                continue
            history, (values, floats) = histories[rule.kind], shown[rule.kind].to(rule)
            holds = rule.condition.holds(floats)
            places = self._places(rule, history, holds)
            for place in places:
                yield _Hit(int(history.rows[place]), number, place, rule, bool(holds[place]), values)

    def release(self, key: str, totals: list[int] | None, time: float) -> list[Decision]:
        """End every open case on a key at an event time; `totals` are its running totals by then.

        None stands for a key of which no window holds anything: there is no evidence left that could deny it again.
        """
        if key == EVERYBODY:  # the cap of everybody would be back at the next event
            self.ceilings.release(key)
            self.excuse(key, time + _DAY, time)
        self.restraint.admission.release(key)
        cases = [(rule, case) for rule in self.policy.rules if (case := self._cases.open(rule, key, time))]
        if totals is not None:
            self._floors.lay(key, totals, time)
        return [self._end(rule.name, key, case, time) for rule, case in cases]

    def confirm(self, key: str, time: float) -> None:
        """An operator has said, at an event time, that a key is abused indeed: the guard need not hold it back."""
        self.restraint.admission.confirm(key, time)

    def excuse(self, key: str, until: float, time: float) -> None:
        """No rule counts for a key until an event time."""
        for excused in [excused for excused, end in self._excuses.items() if end <= time]:
            self._excuses.drop(excused)
        self._excuses.put(key, until, time)

    def excused(self, key: str) -> float | None:
        """Until when an operator exempted a key, if one ever did."""
        return self._excuses.get(key)

    def _excused(self, key: str, time: float) -> bool:
        until = self._excuses.get(key)
        return until is not None and time < until

    def turn_back(self, clock: float) -> list[Decision]:
        """The log's clock was wrong and has been set back: end what was decided later than it is now.

        Such a case would stand until an hour that is not known, perhaps years ahead.
        """
        ended = []
        for rule, key, case in self._cases.written_after(clock):
            ended.append(self._end(rule, key, case, clock))
        self.restraint.admission.turn_back(clock)
        self._floors.memory.clear()  # the rates have been forgotten as well
        return ended

    def still(self, decision: Decision) -> Decision | None:
        """What stands of an older decision under the policy as it is now: nothing, or perhaps only observed."""
        rule = next((rule for rule in self.policy.rules if rule.name == decision.rule), None)
        if rule is None or not self.policy.concerns(rule, decision.key) or self._excused(decision.key, decision.time):
            return None
        enforced = self.restraint.allows(rule, decision.key)
        return decision if enforced else dataclasses.replace(decision, mode=OBSERVE)

    def _judged(self, hit: _Hit, key: str, events: Columns) -> Iterator[Ruling]:
        """What a rule has to say about a key at an event: begin a case, extend it, change its share, or nothing."""
        rule, time = hit.rule, float(events["clock"][hit.row])
        case = self._cases.open(rule, key, time)
        if case is None and (not hit.holds or self._is_covered(rule, key, time)):
            return
        rates = hit.rates()
        share = throttle.share(rule, rates)
        due = case is None or time - case.written >= case.span * _EXTEND_AFTER
        if due and (hit.holds or (rule.stays and rule.stays.evidence(rates))):
            begun = case or self._cases.begin(rule, key, time, self.seq)
            mode = self.restraint.mode(rule, key, time, denied=begun.mode == ENFORCE or self._denied(key, time))
            now = dataclasses.replace(begun, until=time + begun.span, written=time, mode=mode, share=share)
            self._wait(rule, key, now, _evidence(hit, rates))
        elif case and time - case.written >= throttle.EVERY and throttle.changed(case.share, share):
            now = dataclasses.replace(case, written=time, share=share)
        else:
            return
        decision = self._written(rule, key, now, events["queue_id"][hit.row], _evidence(hit, rates))
        yield Ruling(decision, hit.row, held=self.restraint.admission.waits(rule.name, key))

    def _is_covered(self, rule: Rule, key: str, time: float) -> bool:
        """Whether a client's network has a case that does as much as this one would."""
        if rule.kind != "client":
            return False
        enforced = self.restraint.allows(rule, key)
        severe = [
            one for one in self.policy.rules if one.kind == "net" and SEVERITY[one.action] >= SEVERITY[rule.action]
        ]
        around = networks(key.removeprefix("client:"))
        cases = (self._cases.open(one, net, time) for one in severe for net in around)
        return any(case.mode == ENFORCE or not enforced for case in cases if case)

    def _denied(self, key: str, time: float) -> bool:
        """Whether anything is enforced on a key."""
        cases = (self._cases.open(rule, key, time) for rule in self.policy.rules)
        return any(case.mode == ENFORCE for case in cases if case)

    def _wait(self, rule: Rule, key: str, case: Case, evidence: _Numbers) -> None:
        """Note whether the guard holds a case back."""
        if case.mode == OBSERVE and self.restraint.allows(rule, key):
            self.restraint.admission.wait(rule.name, key, case.written, evidence)
        else:
            self.restraint.admission.leave(rule.name, key)

    def _let_in(self, clocks: Any, begin: int) -> Iterator[Ruling]:
        """Enforce what the guard held back, at the first event from a row on at which it opens, and so on."""
        admission = self.restraint.admission
        while (opens := admission.opens()) is not None:
            begin = max(begin, int(clocks.searchsorted(opens, side="right")))
            if begin >= len(clocks):
                return
            time = float(clocks[begin])
            for rule, key, case, evidence in self._queue(time):
                if admission.admits(key, time):
                    admission.leave(rule.name, key)
                    now = dataclasses.replace(case, written=time, mode=ENFORCE)
                    yield Ruling(self._written(rule, key, now, None, evidence), begin, held=False)

    def _queue(self, time: float) -> list[tuple[Rule, str, Case, _Numbers]]:
        """The cases that the guard holds back, in the order in which they are let in; what has ended is left out."""
        rules = {rule.name: rule for rule in self.policy.rules}
        found = []
        for one in self.restraint.admission.waiting():
            rule = rules.get(one.rule)
            case = self._cases.open(rule, one.key, time) if rule else None
            if rule is None or case is None or not self._counts(rule, one.key, time):
                self.restraint.admission.leave(one.rule, one.key)
            else:
                reasons = len(one.evidence) - bool(rule.deed.target)
                found.append((-SEVERITY[rule.action], -reasons, one.since, one.key, rule, case, one.evidence))
        found.sort(key=lambda entry: entry[:4])
        return [(rule, key, case, evidence) for *_, key, rule, case, evidence in found]

    def _counts(self, rule: Rule, key: str, time: float) -> bool:
        """Whether a rule may do something to a key, exemptions heeded."""
        return self.policy.concerns(rule, key) and not self._excused(key, time) and self.restraint.allows(rule, key)

    def _written(self, rule: Rule, key: str, case: Case, queue_id: bytes | None, evidence: _Numbers) -> Decision:
        self._cases.keep(rule, key, case)
        return self._next(
            time=case.written,
            key=key,
            action=rule.action,
            mode=case.mode,
            until=case.until,
            rule=rule.name,
            ref=case.ref,
            queue_id=queue_id.decode("latin-1") if queue_id else None,
            share=case.share,
            max_recipients=rule.deed.recipients,
            evidence=evidence,
        )

    def _end(self, rule: str, key: str, case: Case, time: float) -> Decision:
        """A case has been ended before its time."""
        self._cases.end(rule, key, time)
        self.restraint.admission.leave(rule, key)
        return self._next(time=time, key=key, action="release", mode=case.mode, until=time, rule=rule, ref=case.ref)

    def _next(self, **fields: Any) -> Decision:
        self.seq += 1
        return Decision(seq=self.seq, **fields)

    def _places(self, rule: Rule, history: History, holds: Any) -> list[int]:
        """Rows at which something may have to be decided: the rule holds, or a case wants to be looked after."""
        places: list[int] = holds.nonzero()[0].tolist()
        if not rule.stays and not rule.deed.target:
            return places
        keys = history.keys.tolist()
        cared = {keys[place] for place in places}.union(key for key in set(keys) if self._cases.known(rule, key))
        return [place for place, key in enumerate(keys) if key in cared] if cared else []

    def _expire(self, clock: float) -> None:
        longest = max((rule.longest or rule.duration for rule in self.policy.rules), default=0)
        self._cases.expire(clock, longest)
        self.restraint.admission.expire(clock, longest)
        self._floors.expire(clock)
        self._spared.expire(clock - _SPARED)


def _mode_of(ceiling: Ceiling | None) -> str:
    return ceiling.mode if ceiling else OBSERVE


_Numbers = Mapping[str, Mapping[str, float]]


class _Hit(NamedTuple):
    """A row at which a rule may have something to say: its event, the rule, its place in the history of its kind."""

    row: int
    number: int
    place: int
    rule: Rule
    holds: bool
    values: RateTable

    def rates(self) -> dict[Any, float]:
        """What the rule sees there."""
        return {column: values[self.place].item() for column, values in self.values.items()}


def _evidence(hit: _Hit, rates: Mapping[Any, float]) -> _Numbers:
    """What was compared, each with the tightest of its limits, and what a throttle is steered by."""
    condition = hit.rule.condition if hit.holds else hit.rule.stays
    reasons = condition.evidence(rates) if condition else []
    loosest_first = sorted(reasons, key=lambda reason: abs(reason.value - reason.threshold), reverse=True)
    tightest = {reason.label: reason.threshold for reason in loosest_first}
    found = {reason.label: {"value": reason.value, "threshold": tightest[reason.label]} for reason in reasons}
    target = hit.rule.deed.target
    if target:
        attempted = round(throttle.pace(target, rates), 1)
        found[f"pace of attempts, {target.unit} {str(target).partition(f'{target.unit} ')[2]}"] = {
            "value": attempted,
            "threshold": target.amount,
        }
    return found
