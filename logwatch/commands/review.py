"""List the cases that nobody has looked at, most urgent first, and say of a key: confirmed, released, exempt."""

from __future__ import annotations

import argparse
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from enforce.config import Config
from enforce.printable import printable
from logwatch.commands import UsageError
from logwatch.commands.common import config_argument, config_of, duration_of, json_argument, time_of
from logwatch.commands.operator import around, listed, say, say_around, subject_of
from logwatch.commands.output import clock, now, number, write_json, write_table
from logwatch.schema import Decision, iso
from logwatch.settings import zone_of

if TYPE_CHECKING:
    from logwatch.telling.journal import Journal, Review

VERDICTS = {
    "confirm": ("confirmed", "the account is hijacked indeed; what was decided stands"),
    "release": ("released", "let it send again; what it sent so far does not count any more"),
    "exempt": ("exempted", "release, and let no rule count for it until a date"),
}
_URGENCY = ("block", "hold", "tempfail", "throttle", "cap")


def arguments(parser: argparse.ArgumentParser) -> None:
    """list (the default), or a verdict on a key or case."""
    config_argument(parser)
    json_argument(parser)
    parser.add_argument("--all", action="store_true", help="in the list: cases that are over or reviewed, too")
    actions = parser.add_subparsers(dest="verdict", metavar="confirm|release|exempt")
    for name, (_, sentence) in VERDICTS.items():
        action = actions.add_parser(name, help=sentence, description=sentence)
        action.add_argument(
            "subject", metavar="REF|KEY", help="a case such as 7K2M9Q, or account:LOGIN, client:ADDRESS"
        )
        action.add_argument("--note", default="", metavar="TEXT", help="why, for the journal")
        config_argument(action, again=True)
        if name == "exempt":
            action.add_argument("--for", dest="span", metavar="DURATION", help="for how long: 30d")
            action.add_argument("--until", metavar="DATE", help="or until when: 2026-12-24")


def run(args: argparse.Namespace) -> int:
    """List, or write down."""
    config = config_of(args)
    return _say(args, config) if args.verdict else _list(args, config)


def _say(args: argparse.Namespace, config: Config) -> int:
    _there_is_a_journal(config)
    key = subject_of(args.subject, config)
    verdict = VERDICTS[args.verdict][0]
    until = _until(args, config) if args.verdict == "exempt" else None
    gone = say(config, key, verdict, args.note, until)
    wider = around(key, config) if args.verdict != "confirm" else []
    if args.json:
        ends_at = iso(until, zone_of(config)) if until else None
        write_json([{"key": key, "verdict": verdict, "until": ends_at, "listed": bool(gone), "around": listed(wider)}])
        return 0
    ends = f" until {clock(until, zone_of(config))}" if until else ""
    again = any(one.mode == "enforce" and one.action != "cap" for one in gone) and not wider
    print(f"{printable(key)}: {verdict}{ends}." + (" It may send again at once." if again else ""))
    say_around(wider)
    return 0


def _there_is_a_journal(config: Config) -> None:
    from logwatch.telling.journal import Journal

    Journal.read(config.journal).close()


def _until(args: argparse.Namespace, config: Config) -> float:
    """Every exemption ends."""
    if args.until:
        until = time_of(args.until, "--until", config)
        if until <= now():
            raise UsageError(f"--until: {args.until} is over: an exemption lasts from now on")
        return until
    if not args.span:
        raise UsageError("say for how long: --for 30d, or --until 2026-12-24")
    return now() + duration_of(args.span, "--for")


def _list(args: argparse.Namespace, config: Config) -> int:
    from logwatch.telling.journal import Journal

    with Journal.read(config.journal) as journal:
        decisions = journal.decisions() if args.all else _cases(journal)
        reviews = journal.reviews()
        effects, held = journal.effects(), journal.held_back()
    said = {review.key: review for review in reversed(reviews)}
    rows = [_row(case, effects, reviews, config) for case in _urgent(decisions, said, held, everything=args.all)]
    if args.json:
        write_json(rows)
    elif rows:
        write_table([_shown(row) for row in rows], [name for name in rows[0] if name != "guarded"])
    else:
        print("No cases." if args.all else "No open cases; --all lists those that are over or looked at, too.")
    return 0


class OpenCase(NamedTuple):
    """The decision that began a case; in which mode it stands, and whether the guard holds it back."""

    begun: Decision
    mode: str
    guarded: bool


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people."""
    mode = f"{row['mode']} (guard)" if row["guarded"] else row["mode"]
    return {**row, "mode": mode, "since": row["since"][:16].replace("T", " ")}


def _cases(journal: Journal) -> list[Decision]:
    """All decisions of the cases that stand, in order."""
    standing = {(d.ref, d.key, d.rule): d for d in journal.standing(now())}
    return [d for ref, key, rule in standing for d in reversed(journal.case(ref)) if (d.key, d.rule) == (key, rule)]


def _urgent(
    decisions: Iterable[Decision], said: dict[str, Any], held: Container[int], *, everything: bool
) -> list[OpenCase]:
    """Enforced and held back ones first, severe ones first, then the latest; reviewed ones on request."""
    cases: dict[tuple[str, str, str], OpenCase] = {}
    for one in decisions:
        name = (one.ref, one.key, one.rule)
        cases[name] = OpenCase(cases[name].begun if name in cases else one, one.mode, one.seq in held)
    wanted = [case for case in cases.values() if everything or _is_open(case.begun, said)]
    return sorted(wanted, key=_urgency)


def _is_open(begun: Decision, said: dict[str, Any]) -> bool:
    from logwatch.telling.verdicts import is_about

    return begun.key not in said or not is_about(said[begun.key], begun)


def _urgency(case: OpenCase) -> tuple[bool, int, float]:
    action = case.begun.action
    severity = _URGENCY.index(action) if action in _URGENCY else len(_URGENCY)
    return case.mode != "enforce" and not case.guarded, severity, -case.begun.time


def _row(found: OpenCase, effects: dict[Any, Any], reviews: list[Review], config: Config) -> dict[str, Any]:
    from logwatch.telling.verdicts import found_out

    case = found.begun
    effect = effects.get((case.ref, case.key, case.rule))
    word = found_out((review for review in reviews if review.key == case.key), case)
    return {
        "case": case.ref,
        "who": case.key,
        "rule": case.rule,
        "action": case.action,
        "mode": found.mode,
        "guarded": found.guarded,
        "since": iso(case.time, zone_of(config)),
        "because": "; ".join(f"{what}: {number(e['value'])}" for what, e in case.evidence.items()),
        "recipients since": effect.recipients if effect else 0,
        "refused": effect.refused if effect else 0,
        "review": word or None,
    }
