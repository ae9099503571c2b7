"""The cap for everybody, and the larger numbers of accounts: what a controller remembers of them, told to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enforce.config import Config
from enforce.key import EVERYBODY
from enforce.printable import printable
from logwatch.commands.common import same_config
from logwatch.commands.output import clock, json_line, number
from logwatch.schema import Decision
from logwatch.settings import policy_of, zone_of

if TYPE_CHECKING:
    from logwatch.telling.journal import Journal


def found(journal: Journal, subjects: tuple[str, ...], config: Config, now: float) -> list[Decision]:
    """Those that stand with one of these references or keys; none where the policy cannot be read."""
    from logwatch.judging.ceiling import Ceilings
    from logwatch.judging.decide import Judge
    from logwatch.judging.language import PolicyError

    try:
        judge = Judge(policy_of(config), config.policy.mode)
    except PolicyError:
        return []
    (memory,) = judge.ceilings.memories()
    memory.restore(journal.room(Ceilings.NAME))
    standing = judge.ceilings.standing(judge.policy)
    return [one for one in standing if one.until > now and (one.ref in subjects or one.key in subjects)]


def tell(decision: Decision, config: Config) -> None:
    """Print what it is, and what to do about it."""
    limit = decision.max_recipients or 0
    until = clock(decision.until, zone_of(config))
    would = "" if decision.mode == "enforce" else "would "
    if decision.key == EVERYBODY:
        print(f"Case {decision.ref}: the cap for every account ({decision.mode}), until {until} if nothing comes in")
        print(f"  what      {would}answer 452 to recipients beyond number {number(limit)} of a message")
        print("  why       nobody did anything: the policy says so for all who never sent a larger message")
        print("  next      who needs more:   exempt account in …   in the policy, or a larger number there")
        print(f"            by hand:          mailbrake table cap LOGIN --recipients N --for 30d{same_config(config)}")
        return
    from logwatch.judging.ceiling import NO_LIMIT

    what = "any number of" if limit >= NO_LIMIT else f"up to {number(limit)}"
    why = "it is exempt" if limit >= NO_LIMIT else "it has sent large messages before"
    print(
        f"{printable(decision.key)} may write to {what} recipients at once ({decision.mode}), as {why}; until {until}"
    )


def as_json(decision: Decision) -> str:
    """A line of JSON."""
    more: dict[str, Any] = {"lines": []}
    return json_line({**decision.as_json(), **more})
