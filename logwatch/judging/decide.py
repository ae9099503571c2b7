"""From rules that hold to decisions: begun, extended, and never twice on the same evidence.

Rules are evaluated at every event that counts for a key, in event time; only the rows where one holds come to the small
state machine, in order of events, one case per (rule, key):

    none ── rule holds ──▶ open until `time + duration` ── its end passes, or it is released ──▶ none
                             │  ▲
                             └──┘ rule holds, and a tenth of the duration has passed: extended, same reference

A release leaves a floor: for the rules that had a case on that key, only what comes after it counts. As counts are
sums, that is the smaller of the value and of the total since the floor.

The mode of a decision is the rule's, capped by the policy's and the site's, and by the guard: beyond `GUARD` accounts
newly denied within an hour, decisions are observed only, so that one bad rule cannot black out a site.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from logwatch.judging.policy import ENFORCE, OBSERVE, Policy, Rule
from logwatch.memory import Memory
from logwatch.schema import Columns, Decision, Floor, History

GUARD = 10  # accounts newly denied within an hour
_HOUR = 3600.0
_LONGEST = 8 * 86400.0  # more than any window: floors and guard entries older than this mean nothing
_EXTEND_AFTER = 0.1  # of a decision's duration
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U


class Judge:
    """Holds the cases of one policy; `seq` numbers its decisions."""

    def __init__(self, policy: Policy, mode: str = ENFORCE) -> None:
        self.policy = policy
        self.seq = 0
        self.guarded = 0  # decisions that the guard turned into observe
        self._mode = mode
        # rule and key -> reference, until, when last written, mode
        self._cases: Memory[list[Any]] = Memory("cases", 200_000)
        self._floors: Memory[list[Any]] = Memory("floors", 200_000)  # rule and key -> time of release, totals by then
        self._denied: Memory[float] = Memory("denied", 100_000)  # account -> when it was newly denied

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks, `seq` excepted."""
        return (self._cases, self._floors, self._denied)

    def needs(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """The (signal, window) columns that the rules look at, by kind of key."""
        return {kind: tuple(sorted(rate.column for rate in rates)) for kind, rates in self.policy.needs().items()}

    def decide(self, events: Columns, histories: Mapping[str, History]) -> list[Decision]:
        """What changes at these events, in their order; at one event, in the order of the rules."""
        found = [
            (int(history.rows[place]), number, int(place), rule, values)
            for number, rule in enumerate(self.policy.rules)
            for history, values in self._above_floors(rule, histories.get(rule.kind), events["clock"])
            for place in np.flatnonzero(rule.condition.holds(values))
        ]
        decisions: list[Decision] = []
        for row, _, place, rule, values in sorted(found, key=lambda hit: hit[:3]):
            key = histories[rule.kind].keys[place]
            if not self.policy.exempt(key):
                decisions += self._hit(rule, key, events, row, values.iloc[place].to_dict())
        self._expire(float(events["clock"][-1]) if len(events["clock"]) else 0.0)
        return decisions

    def release(self, key: str, totals: list[int] | None, time: float) -> list[Decision]:
        """End every open case on a key at an event time; `totals` are its running totals by then.

        None stands for a key of which no window holds anything: there is no evidence left that could deny it again.
        """
        released = []
        for rule in self.policy.rules:
            name = _name(rule, key)
            case = self._open(name, time)
            if case:
                self._cases.drop(name)
                if totals is not None:
                    self._floors.put(name, [time, totals], time)
                released.append(self._end(rule.name, key, case, time))
        return released

    def turn_back(self, clock: float) -> list[Decision]:
        """The log's clock was wrong and has been set back: end what was decided later than it is now.

        Such a case would stand until an hour that is not known, perhaps years ahead.
        """
        ended = []
        for name, case in list(self._cases.items()):
            if case[2] > clock:
                rule, _, key = name.partition(" ")
                self._cases.drop(name)
                ended.append(self._end(rule, key, case, clock))
        for account, denied in list(self._denied.items()):
            if denied > clock:
                self._denied.put(account, clock, clock)
        for name, _ in list(self._floors.items()):
            self._floors.drop(name)  # the rates have been forgotten as well
        return ended

    def _end(self, rule: str, key: str, case: list[Any], time: float) -> Decision:
        return self._next(time=time, key=key, action="release", mode=case[3], until=time, rule=rule, ref=case[0])

    def _hit(self, rule: Rule, key: str, events: Columns, row: int, rates: Mapping[Any, float]) -> Iterator[Decision]:
        """The rule holds for a key at an event: begin a case, extend it, or leave it."""
        time = float(events["clock"][row])
        name = _name(rule, key)
        case = self._open(name, time)
        if case and time - case[2] < rule.duration * _EXTEND_AFTER:
            return
        ref = case[0] if case else _reference(rule, key, time, self.seq)
        mode = self._mode_for(rule, key, time, case)
        until = time + rule.duration
        self._cases.put(name, [ref, until, time, mode], time)
        queue_id = events["queue_id"][row]
        reasons = rule.condition.evidence(rates)
        yield self._next(
            time=time,
            key=key,
            action=rule.action,
            mode=mode,
            until=until,
            rule=rule.name,
            ref=ref,
            queue_id=queue_id.decode("latin-1") if queue_id else None,
            evidence={reason.label: {"value": reason.value, "threshold": reason.threshold} for reason in reasons},
        )

    def _next(self, **fields: Any) -> Decision:
        self.seq += 1
        return Decision(seq=self.seq, **fields)

    def _open(self, name: str, time: float) -> list[Any] | None:
        case = self._cases.get(name)
        return case if case and time < case[1] else None

    def still(self, decision: Decision) -> Decision | None:
        """What stands of an older decision under the policy as it is now: nothing, or perhaps only observed."""
        rule = next((rule for rule in self.policy.rules if rule.name == decision.rule), None)
        if rule is None or self.policy.exempt(decision.key):
            return None
        return decision if self._may_enforce(rule) else dataclasses.replace(decision, mode=OBSERVE)

    def _may_enforce(self, rule: Rule) -> bool:
        return OBSERVE not in (self.policy.mode_of(rule), self._mode)

    def _mode_for(self, rule: Rule, key: str, time: float, case: list[Any] | None) -> str:
        """The mode of a case begun or extended now; one that was observed so far counts as newly denied."""
        if not self._may_enforce(rule):
            return OBSERVE
        if rule.kind != "account" or (case and case[3] == ENFORCE):
            return ENFORCE
        self._denied.expire(time - _HOUR)
        if key not in self._denied and len(self._denied) >= GUARD:
            self.guarded += 1
            return OBSERVE
        self._denied.put(key, time, time)
        return ENFORCE

    def _above_floors(self, rule: Rule, history: History | None, clocks: Any) -> Iterator[tuple[History, pd.DataFrame]]:
        """The rates that the rule may see: of released keys only what came after the release."""
        if history is None or not len(history.rows):
            return
        named = ((name.partition(" "), floor) for name, floor in self._floors.items())
        floors = {key: Floor(*floor) for (name, _, key), floor in named if name == rule.name}
        places = self._limited(rule, history, floors, clocks) if floors else []
        if not places:
            yield history, history.values
            return
        above = history.above(places, [floors[history.keys[place]] for place in places])
        yield history, _replaced(history.values, places, above)

    @staticmethod
    def _limited(rule: Rule, history: History, floors: Mapping[str, Floor], clocks: Any) -> list[int]:
        """Rows of released keys whose windows reach back beyond the release."""
        longest = max(rate.window_seconds for rate in rule.condition.rates())
        times = clocks[history.rows].tolist()
        return [
            place
            for place, (key, time) in enumerate(zip(history.keys, times, strict=True))
            if key in floors and time - floors[key].time < longest
        ]

    def _expire(self, clock: float) -> None:
        self._cases.expire(clock - max((rule.duration for rule in self.policy.rules), default=0))
        self._floors.expire(clock - _LONGEST)


def _replaced(values: pd.DataFrame, places: list[int], rows: pd.DataFrame) -> pd.DataFrame:
    """The frame with other values in some rows."""
    changed = values.copy()
    for number in range(values.shape[1]):
        column = values.iloc[:, number].to_numpy().copy()
        column[places] = rows.iloc[:, number].to_numpy()
        changed.isetitem(number, column)
    return changed


def _name(rule: Rule, key: str) -> str:
    return f"{rule.name} {key}"


def _reference(rule: Rule, key: str, time: float, seq: int) -> str:
    """Six characters that a user can read out on the phone; the same in a replay."""
    digest = hashlib.blake2b(f"{rule.name} {key} {time:.6f} {seq}".encode(), digest_size=4).digest()
    number = int.from_bytes(digest)
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(6))
