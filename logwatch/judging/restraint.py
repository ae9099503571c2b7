"""Whether a decision is enforced or only observed: the mildest of what rule, policy, site and guard allow.

The part of the keys for which a rule is enforced (`mode enforce 10%`) is the same for every rule, run and machine: it
is made of the key alone. Of accounts no more are newly denied within an hour than the guard allows (`admission`).
"""

from __future__ import annotations

import hashlib

from logwatch.judging.admission import Admission
from logwatch.judging.policy import ENFORCE, OBSERVE, Policy, Rule


class Restraint:
    """Says in which mode (`enforce` or `observe`) a decision is published."""

    def __init__(self, policy: Policy, mode: str) -> None:
        self.guarded = 0  # decisions that the guard turned into observe
        self.admission = Admission(policy.guard)
        self._policy = policy
        self._mode = mode

    def allows(self, rule: Rule, key: str) -> bool:
        """Whether a rule may do something to a key, rather than say what it would have done."""
        return OBSERVE not in (self._policy.mode_of(rule), self._mode) and within(rule.percent, key)

    def mode(self, rule: Rule, key: str, time: float, *, denied: bool) -> str:
        """The mode of a case begun or extended now; `denied`: something is enforced on its key already."""
        if not self.allows(rule, key):
            return OBSERVE
        if rule.kind != "account" or denied or self.admission.admits(key, time):
            return ENFORCE
        self.guarded += 1
        return OBSERVE


def within(percent: int, key: str) -> bool:
    """Whether a key belongs to a share: a stable part of all keys, each larger one holding the smaller ones."""
    return percent >= 100 or int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) % 100 < percent
