"""What may be enforced: the mildest of what rule, policy and site allow, for the rule's part of the keys, and no storm.

The guard bounds how many accounts are newly denied within an hour: the larger of `GUARD` and `GUARD_SHARE` of the
accounts that were active on the day before. Beyond it decisions are observed only, so that one bad rule cannot black
out a site. The part of the keys for which a rule is enforced (`mode enforce 10%`) is the same for every rule, run and
machine: it is made of the key alone.
"""

from __future__ import annotations

import hashlib
from typing import Any

from logwatch.judging.policy import ENFORCE, OBSERVE, Policy, Rule
from logwatch.memory import Memory

GUARD = 10  # accounts newly denied within an hour
GUARD_SHARE = 0.02
_HOUR = 3600.0


class Restraint:
    """Says in which mode a decision is published."""

    def __init__(self, policy: Policy, mode: str) -> None:
        self.active = 0  # accounts on the day before
        self.guarded = 0  # decisions that the guard turned into observe
        self._policy = policy
        self._mode = mode
        self._denied: Memory[float] = Memory("denied", 100_000)  # account -> when it was newly denied

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered, counters excepted."""
        return (self._denied,)

    def allows(self, rule: Rule, key: str) -> bool:
        """Whether a rule may do something to a key, rather than say what it would have done."""
        return OBSERVE not in (self._policy.mode_of(rule), self._mode) and within(rule.percent, key)

    def mode(self, rule: Rule, key: str, time: float, before: str) -> str:
        """The mode of a case begun or extended now; one that was not enforced `before` counts as newly denied."""
        if not self.allows(rule, key):
            return OBSERVE
        if rule.kind != "account" or before == ENFORCE:
            return ENFORCE
        self._denied.expire(time - _HOUR)
        if key not in self._denied and len(self._denied) >= max(GUARD, int(GUARD_SHARE * self.active)):
            self.guarded += 1
            return OBSERVE
        self._denied.put(key, time, time)
        return ENFORCE

    def turn_back(self, clock: float) -> None:
        """The log's clock has been set back: what was denied later than it is, was denied now."""
        for account, denied in list(self._denied.items()):
            if denied > clock:
                self._denied.put(account, clock, clock)


def within(percent: int, key: str) -> bool:
    """Whether a key belongs to a share: a stable part of all keys, each larger one holding the smaller ones."""
    return percent >= 100 or int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) % 100 < percent
