"""How much a throttle lets through: share = min(1, target / attempt rate).

Attempts are those accepted and those refused, their rate a decayed one (see `measuring.attempt_rate`). Steered by
attempts the share settles, whatever the delay between log and table; steered by what was admitted it would swing. A
target in recipients becomes one in messages by the account's mean recipients per message within a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logwatch.judging.policy import MEAN, Rule, Target
from logwatch.schema import FADE, PACE

CHANGE = 0.1  # of a share, below which it is not written anew
EVERY = 10.0  # seconds between two changes


def share(rule: Rule, rates: Mapping[Any, float]) -> float | None:
    """The part of its attempts that a key may make at an event; None if the rule does not throttle."""
    target = rule.deed.target
    if target is None:
        return None
    attempts = pace(target, rates)
    return 1.0 if attempts <= target.amount else round(target.amount / attempts, 4)


def pace(target: Target, rates: Mapping[Any, float]) -> float:
    """What a key attempts, in the unit of the target and per its length of time."""
    attempts = rates[PACE, 0] / FADE * target.seconds
    if target.unit == "messages":
        return attempts
    messages = rates["messages", MEAN]
    return attempts * (rates["recipients", MEAN] / messages if messages else 1.0)


def changed(old: float | None, new: float | None) -> bool:
    """Whether a share is worth being written."""
    return old is not None and new is not None and abs(new - old) > CHANGE * old
