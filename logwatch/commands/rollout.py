"""Show for each rule how far it is from observing to enforcing, and what the next step would have meant."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from enforce.config import Config
from enforce.printable import printable
from logwatch.commands.common import config_argument, config_of, duration_of, json_argument, same_config
from logwatch.commands.journalled import asked, journal_of, logs_argument
from logwatch.commands.output import clock, counted, number, write_json, write_table
from logwatch.commands.replay import judged_by
from logwatch.memory import unplaced
from logwatch.schema import iso, side
from logwatch.settings import policy_of, zone_of

if TYPE_CHECKING:
    from logwatch.judging.policy import Policy, Rule
    from logwatch.telling.journal import Journal
    from logwatch.weighing.promotion import Exempt, JournalledCase, Next, Stand

_BORDERLINE = 3
_NAMED = 5  # senders in a line
_SAID = 2  # numbers of a case


class Rollout(NamedTuple):
    """All that is shown."""

    source: str
    live: bool  # whether a controller was asked, not logs
    asked: str  # behind a command, to ask the same in the same way
    since: float
    rules: list[Row]
    exempt: list[Exempt]


class Row(NamedTuple):
    """A rule, where it stands in words, what it did, and its next step."""

    rule: Rule
    stands: str
    stand: Stand
    next: Next | None


def arguments(parser: argparse.ArgumentParser) -> None:
    """How far to look back, and where."""
    logs_argument(parser)
    config_argument(parser)
    json_argument(parser)
    parser.add_argument("--last", default="14d", metavar="DURATION", help="look back so far, default %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print each rule's stand; nothing is promoted by itself."""
    config = judged_by(args.policy, config_of(args))
    last = duration_of(args.last, "--last")
    policy = policy_of(config)
    with journal_of(args, config) as (journal, end):
        seen = _seen(config, policy, journal, args, (end - last, end))
        if args.json:
            write_json([*(_rule(row, config) for row in seen.rules), *(_exemption(one, config) for one in seen.exempt)])
        else:
            _tell(seen, config)
    return 0


def _seen(
    config: Config, policy: Policy, journal: Journal, args: argparse.Namespace, span: tuple[float, float]
) -> Rollout:
    from logwatch.judging import language
    from logwatch.weighing.promotion import Stand, exemptions, following, mode_of, stands

    since, end = span
    source = ", ".join(args.log) or f"the journal {config.journal}"
    reviews, spared = journal.reviews(), _spared(journal)
    found = stands(journal.since(since), journal.effects(), reviews, journal.held_back())
    text = Path(config.policy.file or language.SHIPPED).read_text(encoding="utf-8-sig")
    rows = []
    for rule in policy.rules:
        stand = found.get(rule.name, Stand())
        rows.append(Row(rule, mode_of(rule, policy, config.policy.mode), stand, following(rule, stand, text)))
    return Rollout(
        source, not args.log, asked(args, config), since, rows, exemptions(policy, reviews, spared, since, end)
    )


def _spared(journal: Journal) -> dict[str, tuple[float, str]]:
    from logwatch.judging.decide import SPARED

    rows = journal.remembered().get(SPARED, [])
    return {key: tuple(json.loads(unplaced(value))) for key, _, value in rows}


def _rule(row: Row, config: Config) -> dict[str, Any]:
    from logwatch.telling.verdicts import CONFIRMED, FALSE_ALARMS

    return {
        "rule": row.rule.name,
        "per": row.rule.kind,
        "answer": str(row.rule.deed),
        "stands": row.stands,
        **_amounts(row.stand),
        "guarded": sum(case.guarded for case in row.stand.cases),
        "observed": sum(case.begun.mode == "observe" for case in row.stand.cases),
        "refused": sum(case.effect.refused for case in row.stand.cases),
        "confirmed": row.stand.count([CONFIRMED]),
        "released": row.stand.count(FALSE_ALARMS),
        "borderline": [_case(case) for case in row.stand.borderline(_BORDERLINE)],
        "next": _next(row.next, config) if row.next else None,
    }


def _amounts(stand: Stand) -> dict[str, int]:
    return {
        "cases": len(stand.cases),
        "senders": len(stand.keys()),
        "messages": sum(case.effect.messages for case in stand.cases),
        "recipients": sum(case.effect.recipients for case in stand.cases),
    }


def _case(case: JournalledCase) -> dict[str, Any]:
    return {"case": case.begun.ref, "key": case.begun.key, "evidence": dict(case.begun.evidence)}


def _next(step: Next, config: Config) -> dict[str, Any]:
    from logwatch.telling.verdicts import FALSE_ALARMS

    return {
        "percent": step.percent,
        "file": config.policy.file or None,
        "line": step.change.line,
        "old": step.change.old,
        "new": step.change.new,
        "steps": [
            {
                "percent": percent,
                **_amounts(stand),
                "keys": stand.keys(),
                "false_alarms": [key for key, verdict in stand.verdicts.items() if verdict in FALSE_ALARMS],
            }
            for percent, stand in step.steps.items()
        ],
    }


def _exemption(one: Exempt, config: Config) -> dict[str, Any]:
    zone = zone_of(config)
    stamps = {"since": one.since, "until": one.until, "needed": one.needed}
    return {"exemption": one.what, **{name: at and iso(at, zone) for name, at in stamps.items()}, "rule": one.rule}


# For people.


def _tell(seen: Rollout, config: Config) -> None:
    print(f"Since {clock(seen.since, zone_of(config))}, by {seen.source}:\n")
    write_table([_summary(row, config) for row in seen.rules], ["rule", "stands", "cases", "senders", "not looked at"])
    for row in seen.rules:
        if row.stand.cases:
            _tell_rule(row, config, seen)
    quiet = [row for row in seen.rules if not row.stand.cases and row.next]
    if quiet:
        print("\nWithout a case, so that the next step would have changed nothing:")
        for row in quiet:
            print(f"  {row.rule.name}: {_change(row.next)}")
    _tell_exemptions(seen.exempt, config)
    _tell_how(config)


def _tell_how(config: Config) -> None:
    print("\nNothing was changed, and nothing is promoted by itself. To take a step:")
    if config.policy.file:
        print(f"  change its line in {config.policy.file}")
    else:
        print("  mailbrake check --policy shipped --as-written > /etc/mailbrake/policy, and change the line there")
        print('  say file = "/etc/mailbrake/policy" under [policy] in the configuration')
    if config.policy.mode == "observe":
        print('  say mode = "enforce" under [policy] in the configuration: as it is now, the site only observes')
    print(f"  mailbrake check{same_config(config)}, and restart `mailbrake watch`")


def _summary(row: Row, config: Config) -> dict[str, object]:
    shown = _rule(row, config)
    unseen = shown["senders"] - shown["confirmed"] - shown["released"]
    return {"not looked at": unseen, **{name: shown[name] for name in ("rule", "stands", "cases", "senders")}}


def _tell_rule(row: Row, config: Config, seen: Rollout) -> None:
    shown = _rule(row, config)
    reviewed = f"{number(shown['confirmed'])} confirmed, {number(shown['released'])} released or exempt"
    print(f"\n{row.rule.name} per {row.rule.kind}: {row.rule.deed}; {row.stands}")
    part = 0 < shown["observed"] < shown["cases"]
    observed = f", {number(shown['observed'])} of the cases only observed" if part else ""
    observed += f" ({number(shown['guarded'])} by the guard)" if shown["guarded"] else ""
    print(f"  {counted(shown['cases'], 'case')} on {counted(shown['senders'], 'sender')}{observed}; {reviewed}")
    if shown["messages"] or shown["refused"]:
        print(f"  accepted while they stood: {_mail(shown)}; refused: {counted(shown['refused'], 'attempt')}")
    cases = row.stand.borderline(_BORDERLINE)
    if cases:
        say = f", and say what they were (mailbrake review{same_config(config)})" if seen.live else ""
        print(f"  look at these first, which passed the limit least{say}:")
        for case in cases:
            print(f"    mailbrake why {case.begun.ref}{seen.asked}   {printable(case.begun.key)}: {_numbers(case)}")
    if row.next:
        print(f"  next step: {_change(row.next)}")
        for step in _next(row.next, config)["steps"]:
            print(f"    at {step['percent']:>3} % it would have hit {_hit(step, shown['senders'])}")


def _change(step: Next | None) -> str:
    """The policy line to change."""
    if step is None:
        return ""
    old = f"`{step.change.old}` becomes" if step.change.old else "at the end of the rule add"
    return f"line {step.change.line}: {old} `{step.change.new}`"


def _hit(step: dict[str, Any], all_of_them: int) -> str:
    """Whom a step would have hit."""
    if not step["senders"]:
        return "none of them"
    who = "all of them" if step["senders"] == all_of_them else f"{number(step['senders'])}: {_listed(step['keys'])}"
    false = step["false_alarms"]
    mail = f", {_mail(step)}" if step["messages"] else ""
    return f"{who}{mail}" + (f"; false alarms among them: {_listed(false)}" if false else "")


def _tell_exemptions(exempt: list[Exempt], config: Config) -> None:
    if exempt:
        print("\nExemptions:")
    for one in exempt:
        ends = f" (until {clock(one.until, zone_of(config))})" if one.until else ""
        since = clock(one.since, zone_of(config))
        if one.needed:
            needed = f"needed, last at {clock(one.needed, zone_of(config))} by the rule {one.rule}"
        else:
            needed = f"never needed since {since}: " + ("let it end" if one.until else "is it still wanted?")
        print(f"  {printable(one.what)}{ends}: {needed}")


def _numbers(case: JournalledCase) -> str:
    evidence = list(case.begun.evidence.items())
    shown = [f"{what} {number(e['value'])}, {side(e)} {number(e['threshold'])}" for what, e in evidence[:_SAID]]
    return "; ".join(shown) + (f"; and {len(evidence) - _SAID} more" if len(evidence) > _SAID else "")


def _mail(shown: dict[str, Any]) -> str:
    return f"{counted(shown['messages'], 'message')} to {counted(shown['recipients'], 'recipient')}"


def _listed(keys: Iterable[str]) -> str:
    named = [printable(key) for key in keys]
    return ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED} more" if len(named) > _NAMED else "")
