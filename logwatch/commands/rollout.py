"""Show for each rule how far it is from observing to enforcing, and what the next step would have meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from enforce.config import Config, as_duration
from logwatch.commands import Failure, UsageError
from logwatch.commands.common import config_argument, config_of, json_argument
from logwatch.commands.output import clock, now, number, safe, write_json
from logwatch.settings import policy_of, zone_of

if TYPE_CHECKING:
    from logwatch.judging.policy import Policy, Rule
    from logwatch.schema import Decision
    from logwatch.telling.journal import Effect, Review

_BORDERLINE = 5
_STEPS = (1, 10, 100)  # percent of the keys


class Found(NamedTuple):
    """What the journal knows of one rule over the days looked at."""

    cases: list[Decision]
    effects: list[Effect]
    verdicts: dict[str, str]  # key -> what was said last


def arguments(parser: argparse.ArgumentParser) -> None:
    """How far to look back."""
    config_argument(parser)
    json_argument(parser)
    parser.add_argument("--last", default="14d", metavar="DURATION", help="look back so far, default %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print each rule's stand; nothing is promoted by itself."""
    from logwatch.judging.language import PolicyError

    config = config_of(args)
    try:
        policy = policy_of(config)
        since = now() - as_duration(args.last)
    except (PolicyError, ValueError) as error:
        raise UsageError(str(error)) from None
    found = _journalled(config, since)
    rows = [_stand(rule, found.get(rule.name, Found([], [], {})), policy, config) for rule in policy.rules]
    if args.json:
        write_json(rows)
    else:
        print(f"Since {clock(since, zone_of(config))}, by the journal {config.journal}:")
        for row in rows:
            _tell(row)
        _tell_false_alarms(found)
    return 0


def _journalled(config: Config, since: float) -> dict[str, Found]:
    from logwatch.telling.journal import Journal, JournalError

    try:
        journal = Journal.read(config.journal)
    except JournalError as error:
        raise Failure(str(error)) from None
    decisions, effects, reviews = journal.since(since), journal.effects(), journal.reviews()
    journal.close()
    return _by_rule(decisions, effects, reviews)


def _by_rule(decisions: Iterable[Decision], effects: dict[Any, Effect], reviews: list[Review]) -> dict[str, Found]:
    cases: dict[tuple[str, str, str], Decision] = {}
    for decision in decisions:
        cases.setdefault((decision.ref, decision.key, decision.rule), decision)
    verdicts = {review.key: review.verdict for review in reversed(reviews)}
    found: dict[str, Found] = {}
    for name, case in cases.items():
        mine = found.setdefault(case.rule, Found([], [], {}))
        mine.cases.append(case)
        mine.effects.extend(filter(None, [effects.get(name)]))
        if case.key in verdicts:
            mine.verdicts[case.key] = verdicts[case.key]
    return found


def _stand(rule: Rule, found: Found, policy: Policy, config: Config) -> dict[str, Any]:
    verdicts = list(found.verdicts.values())
    return {
        "rule": rule.name,
        "per": rule.kind,
        "answer": str(rule.deed),
        "stands": _mode(rule, policy, config),
        "cases": len(found.cases),
        "senders": len({case.key for case in found.cases}),
        "messages": sum(effect.messages for effect in found.effects),
        "recipients": sum(effect.recipients for effect in found.effects),
        "refused": sum(effect.refused for effect in found.effects),
        "confirmed": verdicts.count("confirmed"),
        "released": verdicts.count("released") + verdicts.count("exempted"),
        "borderline": [_borderline(case) for case in sorted(found.cases, key=_excess)[:_BORDERLINE]],
        "next": _next(rule, config),
    }


def _mode(rule: Rule, policy: Policy, config: Config) -> str:
    mode = policy.mode_of(rule)
    part = f" {rule.percent}%" if mode == "enforce" and rule.percent < 100 else ""
    capped = ", but the site only observes ([policy] mode)" if mode == "enforce" != config.policy.mode else ""
    return f"{mode}{part}{capped}"


def _next(rule: Rule, config: Config) -> str:
    """The policy line to write for the next step; "" where there is none."""
    if rule.kind in ("local", "site"):
        return ""
    now_at = rule.percent if rule.mode == "enforce" else 0
    step = next((step for step in _STEPS if step > now_at), None)
    if step is None:
        return ""
    line = "mode enforce" + (f" {step}%" if step < 100 else "")
    return f"{config.policy.file or 'your copy of the shipped policy'}, rule {rule.name} (line {rule.line}): {line}"


def _excess(case: Decision) -> float:
    """By how much the number furthest above its threshold exceeds it; small: look at this one first."""
    return max((e["value"] / e["threshold"] for e in case.evidence.values() if e["threshold"]), default=1.0)


def _borderline(case: Decision) -> dict[str, Any]:
    return {"case": case.ref, "key": case.key, "evidence": dict(case.evidence)}


def _tell(row: dict[str, Any]) -> None:
    print(f"\n{row['rule']} per {row['per']}: {row['answer']}; {row['stands']}")
    if not row["cases"]:
        print("  no case")
    else:
        what = "went through while its cases stood" if "enforce" in row["stands"] else "would have been stopped"
        print(f"  {number(row['cases'])} cases on {number(row['senders'])} senders")
        print(f"  {number(row['messages'])} messages to {number(row['recipients'])} recipients {what}")
        reviewed = f"{row['confirmed']} confirmed, {row['released']} released or exempt"
        print(f"  {number(row['refused'])} attempts refused; {reviewed}")
        print("  borderline, to look at first:")
        for case in row["borderline"]:
            numbers = "; ".join(
                f"{what}: {number(e['value'])}, limit {number(e['threshold'])}" for what, e in case["evidence"].items()
            )
            print(f"    {case['case']}  {safe(case['key'])}  {numbers}")
    if row["next"]:
        print(f"  next: {row['next']}")


def _tell_false_alarms(found: dict[str, Found]) -> None:
    said = {key: verdict for one in found.values() for key, verdict in one.verdicts.items()}
    released = sorted(key for key, verdict in said.items() if verdict != "confirmed")
    if released:
        print("\nReleased or exempt, so false alarms: " + ", ".join(map(safe, released)))
