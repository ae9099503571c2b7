"""Explain a case, by the reference in an SMTP reply or by key: rule, numbers, log lines, and what to do next."""

from __future__ import annotations

import argparse
from datetime import tzinfo
from typing import TYPE_CHECKING

from enforce.config import Config
from enforce.printable import printable
from logwatch.commands import Failure, caps, subjects
from logwatch.commands.casefile import CaseFile, files, heading
from logwatch.commands.common import config_argument, config_of, json_argument
from logwatch.commands.current import as_json, current_of, tell
from logwatch.commands.journalled import asked, journal_of, logs_argument, named
from logwatch.commands.output import clock, counted, json_line, now, number, when
from logwatch.commands.replay import judged_by
from logwatch.schema import ACTIONS, Decision, side
from logwatch.settings import zone_of

if TYPE_CHECKING:
    from logwatch.telling.journal import Journal
    from logwatch.telling.published import Change

_OTHERS = 10  # cases in a line each
_CHANGES = 3  # of a case, in a line each
_PUBLISHED = 5  # of a case's changes in the table, in a line each


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to explain."""
    parser.add_argument(
        "subject", metavar="REF|KEY", help="a case such as 7K2M9Q, or account:LOGIN, client:ADDRESS, net:PREFIX"
    )
    logs_argument(parser)
    config_argument(parser)
    json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the case; 1 where there is none."""
    config = judged_by(args.policy, config_of(args))
    with journal_of(args, config) as (journal, end):
        return _explain(args, config, journal, end)


def _explain(args: argparse.Namespace, config: Config, journal: Journal, end: float) -> int:
    decisions = _found(journal, subjects.reference(args.subject)) or _found(journal, _key(args.subject, config))
    if not decisions:
        return 0 if _cap(args, journal, config) else _without_case(args, journal, config)
    cases = files(journal, decisions, config, end, named(args))
    if args.json:
        _write(cases, decisions, journal, config)
    else:
        _tell_all(cases, journal, config, asked(args, config))
    return 0


def _write(cases: list[CaseFile], decisions: list[Decision], journal: Journal, config: Config) -> None:
    """Every decision, newest first, with what belongs to its case and its key."""
    of = {decision.seq: case for case in cases for decision in case.decisions}
    current = {key: as_json(current_of(journal, key), config) for key in {decision.key for decision in decisions}}
    for decision in decisions:
        lines = journal.lines(decision.seq)
        more = {**of[decision.seq].as_json(), "current": current[decision.key]}
        print(json_line({**decision.as_json(), "lines": lines, **more}))


def _tell_all(cases: list[CaseFile], journal: Journal, config: Config, logs: str) -> None:
    """The case in force, or else the newest, in full; what its key sends now, and other cases in a line each."""
    for key in dict.fromkeys(case.begun.key for case in cases):
        mine = [case for case in cases if case.begun.key == key]
        first = max(mine, key=_weight)  # of equal ones the newest
        _tell(first, config)
        _tell_current(journal, key, config)
        others = [case for case in mine if case is not first]
        if others:
            print(f"\nOther cases, newest first (mailbrake why REF{logs}):")
        for case in others[:_OTHERS]:
            print(f"  {heading(case, config)}: {case.begun.rule}, {case.begun.action} ({case.begun.mode})")
        if len(others) > _OTHERS:
            print(f"  and {number(len(others) - _OTHERS)} before them")
        print()


def _weight(case: CaseFile) -> tuple[bool, bool, int, bool]:
    """What is in force comes before what only observes, the more severe before the milder, what is over last."""
    standing = case.state == "standing"
    severity = ACTIONS.index(case.begun.action) if standing else 0
    return standing, standing and case.last.mode == "enforce", severity, not case.behind


def _cap(args: argparse.Namespace, journal: Journal, config: Config) -> bool:
    """Whether it was the cap for everybody, or an account's own number."""
    found = caps.found(journal, (subjects.reference(args.subject), _key(args.subject, config)), config, now())
    for decision in found:
        if args.json:
            print(caps.as_json(decision))
        else:
            caps.tell(decision, config)
    return bool(found)


def _without_case(args: argparse.Namespace, journal: Journal, config: Config) -> int:
    """Nothing was decided: what the key sends all the same, as that may be the question."""
    key = _key(args.subject, config)
    if args.json and (found := current_of(journal, key)):
        print(json_line({"key": key, "current": as_json(found, config)}))
    elif not args.json:
        _tell_current(journal, key, config)
    raise Failure(
        f"no case {printable(args.subject)}: neither a reference nor a key on which anything was decided"
        f"{subjects.meant(journal, args.subject, key)}"
    )


def _tell_current(journal: Journal, key: str, config: Config) -> None:
    found = current_of(journal, key)
    if found:
        print(f"\n{printable(key)} now")
        tell(found, config)


def _found(journal: Journal, subject: str) -> list[Decision]:
    """What was decided by rules and ordered by hand, newest first."""
    return sorted(subjects.decided(journal, subject), key=lambda decision: (decision.time, decision.seq), reverse=True)


def _key(subject: str, config: Config) -> str:
    try:
        return subjects.key(subject, config)
    except ValueError:
        return subject


_IN_TABLE = ("account:", "client:", "net:")
_WHAT = {
    "cap": "answered 452 beyond {limit} recipients a message",
    "throttle": "answered 450 (try again later), all but a share of it",
    "hold": "accepted and put on hold",
    "tempfail": "answered 450 (try again later)",
    "block": "refused with 550",
}


def _what(begun: Decision, behind: str) -> str:
    """What a decision means for mail; `behind`: the case that was put before it."""
    done = _WHAT.get(begun.action, begun.action).format(limit=begun.max_recipients)
    whose = "its mail" if begun.key.startswith("account:") else "mail from there"
    if behind:
        return f"{whose} would have been {done}; case {behind} is more severe and was put before it"
    if begun.mode == "enforce":
        return f"{whose} was {done}"
    return f"{whose} would have been {done}; nothing was refused"


def _tell(case: CaseFile, config: Config) -> None:
    zone = zone_of(config)
    begun = case.begun
    print(heading(case, config))
    print(f"  what      {_what(begun, case.behind)}")
    held = ": the guard held it back, as too many accounts were hit at once" if case.guarded else ""
    print(f"  rule      {begun.rule} ({begun.mode}){held}")
    for place, (label, compared) in enumerate(begun.evidence.items()):
        start = " " * 8 if place else "because "
        print(f"  {start}  {label}: {number(compared['value'])}, {side(compared)} {number(compared['threshold'])}")
    _tell_changes(case.decisions[1:], zone)
    if case.live and begun.key.startswith(_IN_TABLE):
        _tell_published(case, zone)
    effect = case.effect
    accepted = f"{counted(effect.messages, 'message')} to {counted(effect.recipients, 'recipient')} accepted"
    print(f"  came of   {accepted} while it stood, {counted(effect.refused, 'attempt')} refused")
    if case.addresses:
        said = (f"{one.client} ({one.country or 'no country'})" for one in case.addresses)
        print(f"  from      {', '.join(said)}")
    for review in case.reviews:
        note = f": {printable(review.note)}" if review.note else ""
        ends = f" until {clock(review.until, zone)}" if review.until else ""
        print(f"  review    {clock(review.time, zone)} {review.verdict}{ends} by {printable(review.by)}{note}")
    print("  log lines " + (f"(the last {len(case.lines)} that count for it)" if case.lines else "none were at hand"))
    for line in case.lines:
        print(f"    {printable(line)}")
    for place, (sentence, command) in enumerate(case.next()):
        print(f"  {' ' * 4 if place else 'next'}      {sentence}" + (f":\n            {command}" if command else ""))


def _tell_changes(changes: list[Decision], zone: tzinfo | None) -> None:
    """What became of it: each change, or if they are many their number and the last one."""
    shown = changes if len(changes) <= _CHANGES else changes[-1:]
    if len(shown) < len(changes):
        print(f"  then      changed or extended {number(len(changes))} times, the last:")
    for place, decision in enumerate(shown):
        start = " " * 8 if place or len(shown) < len(changes) else "then    "
        print(f"  {start}  {clock(decision.time, zone)} {_change(decision, zone)}")


def _tell_published(case: CaseFile, zone: tzinfo | None) -> None:
    """When milters were told, and when no longer: all of it, or if it is much the first and the last changes."""
    if not case.published:
        print(
            "  in table  " + (f"never itself: case {case.behind} was" if case.behind else "never, as far as is known")
        )
    shown = [_put(change, zone) for change in case.published]
    if len(shown) > _PUBLISHED:
        left = len(shown) - _PUBLISHED + 1
        shown[1:-3] = [f"… {number(left)} changes more"]
    for place, said in enumerate(shown):
        print(f"  {' ' * 8 if place else 'in table'}  {said}")


def _put(change: Change, zone: tzinfo | None) -> str:
    what = "taken off"
    if change.change != "remove":
        share = f" {change.share:.0%} let in" if change.share is not None else ""
        what = f"{change.action} ({change.mode}){share} until {clock(change.until, zone)}"
    return f"{when(change.time, zone)} {what}: {printable(change.why)}"


def _change(decision: Decision, zone: tzinfo | None) -> str:
    if decision.action == "release":
        return "released"
    found = ", ".join(f"{label}: {number(compared['value'])}" for label, compared in decision.evidence.items())
    return f"until {clock(decision.until, zone)} ({found})"
