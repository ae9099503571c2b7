"""Explain a case, by the reference in an SMTP reply or by key: rule, numbers, log lines, and what to do next."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from enforce import key as keys
from enforce.config import Config
from logwatch.commands import Failure
from logwatch.commands.common import config_argument, config_of, json_argument
from logwatch.commands.current import as_json, current_of, tell
from logwatch.commands.output import clock, now, number, safe
from logwatch.schema import Decision, iso

if TYPE_CHECKING:
    from logwatch.telling.journal import Journal


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to explain."""
    parser.add_argument(
        "subject", metavar="REF|KEY", help="a case such as 7K2M9Q, or account:LOGIN, client:ADDRESS, net:PREFIX"
    )
    config_argument(parser)
    json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the case; 1 where there is none."""
    from logwatch.telling.journal import Journal, JournalError, Review

    config = config_of(args)
    try:
        journal = Journal.read(config.journal)
        decisions = _found(journal, args.subject.upper()) or _found(journal, _key(args.subject, config))
    except JournalError as error:
        raise Failure(str(error)) from None
    if not decisions:
        return _without_case(args, journal, config)
    reviews: list[Review] = [review for key in sorted({d.key for d in decisions}) for review in journal.reviews(key)]
    lines = {decision.seq: journal.lines(decision.seq) for decision in decisions}
    if args.json:
        for decision in decisions:
            print(json.dumps({**decision.as_json(), "lines": lines[decision.seq]}, ensure_ascii=False))
        return 0
    for case in _by_case(decisions):
        _tell(case, lines, [review for review in reviews if review.key == case[0].key])
    for key in sorted({decision.key for decision in decisions}):
        if found := current_of(journal, key):
            print(safe(key))
            tell(found, config)
    return 0


def _without_case(args: argparse.Namespace, journal: Journal, config: Config) -> int:
    """Nothing was decided: what the key sends all the same, as that may be the question."""
    found = current_of(journal, _key(args.subject, config))
    if args.json and found:
        print(json.dumps({"key": _key(args.subject, config), "current": as_json(found)}, ensure_ascii=False))
    elif found:
        print(safe(_key(args.subject, config)))
        tell(found, config)
    raise Failure(f"no case {safe(args.subject)}: neither a reference nor a key on which anything was decided")


def _found(journal: Journal, subject: str) -> list[Decision]:
    """What was decided by rules and ordered by hand, newest first."""
    from logwatch.telling import orders

    decisions = [*journal.case(subject), *orders.case(journal.reviews(), subject)]
    return sorted(decisions, key=lambda decision: decision.time, reverse=True)


def _key(subject: str, config: Config) -> str:
    try:
        return keys.parse(subject, config.log.default_realm, keep_case=config.log.keep_case)
    except ValueError:
        return subject


def _by_case(decisions: Iterable[Decision]) -> list[list[Decision]]:
    """Decisions of one case together, oldest first; the newest case first."""
    cases: dict[tuple[str, str, str], list[Decision]] = {}
    for decision in decisions:
        cases.setdefault((decision.ref, decision.key, decision.rule), []).insert(0, decision)
    return list(cases.values())


_WHAT = {
    "tempfail": "its mail was answered 450 (try again later)",
    "block": "its mail was refused with 550",
}
_WOULD = {
    "tempfail": "its mail would have been answered 450 (try again later); nothing was refused",
    "block": "its mail would have been refused with 550; nothing was refused",
}


def _tell(case: list[Decision], lines: dict[int, list[str]], reviews: list[Any]) -> None:
    begun, last = case[0], case[-1]
    words = _WHAT if begun.mode == "enforce" else _WOULD
    print(f"Case {begun.ref}: {safe(begun.key)}")
    print(f"  what      {words.get(begun.action, begun.action)}")
    print(f"  rule      {begun.rule} ({begun.mode})")
    for label, compared in begun.evidence.items():
        print(f"  because   {label}: {number(compared['value'])}, limit {number(compared['threshold'])}")
    print(f"  from      {clock(begun.time)} to {clock(last.until)}{_state(last)}")
    for decision in case[1:]:
        print(f"            {clock(decision.time)} {_change(decision)}")
    for review in reviews:
        note = f": {safe(review.note)}" if review.note else ""
        print(f"  review    {clock(review.time)} {review.verdict} by {review.by}{note}")
    shown = lines[begun.seq]
    print("  log lines " + (f"(the last {len(shown)} that count for it)" if shown else "none were at hand"))
    for line in shown:
        print(f"    {safe(line)}")
    if last.action != "release" and last.until > now():
        print(f"  next      let it send again:  mailbrake table release {safe(begun.key)}")
    print()


def _state(last: Decision) -> str:
    if last.action == "release":
        return ", released"
    return ", still standing" if last.until > now() else ", over"


def _change(decision: Decision) -> str:
    if decision.action == "release":
        return "released"
    found = ", ".join(f"{label}: {number(compared['value'])}" for label, compared in decision.evidence.items())
    return f"extended to {iso(decision.until)[11:16]} ({found})"
