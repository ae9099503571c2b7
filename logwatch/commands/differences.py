"""What would change if one policy took the place of another, told to people."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from enforce.config import Config
from logwatch.commands.cuts import Cuts
from logwatch.commands.output import clock, counted, number, write_table
from logwatch.commands.summary import policy_name
from logwatch.schema import Decision
from logwatch.settings import zone_of
from logwatch.weighing.comparing import CHANGES, Difference

_SHOWN = 40  # differences in the table; --json has all


def tell(found: Sequence[Difference], config: Config, against: Config) -> None:
    """Print how many there are of each kind, and which."""
    name, other = policy_name(config), _within(against)
    if not found:
        print(f"\n{name} would have treated everybody as {other} does.")
        return
    senders = len({difference.key for difference in found})
    print(f"\n{name}, in the place of {other}, would have treated {counted(senders, 'sender')} otherwise:\n")
    rows: list[dict[str, object]] = [_sum(change, found) for change in CHANGES]
    write_table(rows, list(rows[0]))
    print()
    rows = [_row(difference, config) for difference in itertools.islice(found, _SHOWN)]
    write_table(rows, list(rows[0]))
    if len(found) > _SHOWN:
        print(f"… and {number(len(found) - _SHOWN)} more; --json has them all.")
    print("\nMessages and recipients are what a sender got accepted meanwhile. Nothing was changed: this was a replay.")


def tell_cuts(after: Cuts, before: Cuts, config: Config, against: Config) -> None:
    """Print what the caps for everybody would have cut, where that is not the same."""
    if not after.same(before):
        print("\nTheir caps for everybody would not have cut the same:")
        after.tell(_within(config))
        before.tell(_within(against))


def _within(config: Config) -> str:
    """A policy's name within a sentence."""
    name = policy_name(config)
    return name[0].lower() + name[1:]


def _sum(change: str, found: Sequence[Difference]) -> dict[str, object]:
    of = [difference for difference in found if difference.change == change]
    return {
        "change": change,
        "times": number(len(of)),
        "senders": number(len({difference.key for difference in of})),
        "messages": number(sum(difference.messages for difference in of)),
        "recipients": number(sum(difference.recipients for difference in of)),
    }


def _row(difference: Difference, config: Config) -> dict[str, object]:
    return {
        "from": clock(difference.begin, zone_of(config)),
        "until": clock(difference.until, zone_of(config)),
        "who": difference.key,
        "change": difference.change,
        "was": _treated(difference.before),
        "would be": _treated(difference.after),
        "messages": number(difference.messages),
        "recipients": number(difference.recipients),
    }


def _treated(decision: Decision | None) -> str:
    """`would-throttle 0.25 (rule flood)`: an observed one does nothing."""
    if decision is None:
        return ""
    action = decision.action if decision.mode == "enforce" else f"would-{decision.action}"
    amount = decision.share if decision.share is not None else decision.max_recipients
    return f"{action}{'' if amount is None else f' {amount:g}'} (rule {decision.rule})"
