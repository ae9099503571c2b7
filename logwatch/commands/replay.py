"""Tell what a policy would have done over mail logs; nothing is changed by it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from enforce.config import Config
from logwatch.commands import Failure, UsageError
from logwatch.commands.common import (
    SHIPPED,
    config_of,
    log_arguments,
    logs_of,
    nothing_known,
    pseudonyms_argument,
    pseudonyms_of,
    read_whole,
    say_unreadable,
    time_of,
)
from logwatch.commands.output import now, parquet_is_there, progress, write_json, write_rows
from logwatch.reading.source import DamageError, despite
from logwatch.schema import ALWAYS, Decision, Span

if TYPE_CHECKING:
    from logwatch.core import Core, Step
    from logwatch.judging.policy import Policy
    from logwatch.telling.journal import Journal
    from logwatch.telling.pseudonym import Pseudonyms

_DECISION = tuple(field.name for field in dataclasses.fields(Decision))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which logs, which policy, and what of it is told."""
    log_arguments(parser)
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help='the policy; default: the configured one, else the shipped one; "shipped": the shipped one',
    )
    parser.add_argument(
        "--against",
        metavar="OTHER",
        help="tell what changes if --policy takes the place of this policy (a file, or shipped): "
        "who would be treated differently, when, and how much mail that is",
    )
    parser.add_argument(
        "--from",
        metavar="TIME",
        dest="begin",
        help="tell only of decisions since this time (ISO 8601), in the log's clock; "
        "the lines before are read all the same, to learn what is usual",
    )
    parser.add_argument(
        "--to", metavar="TIME", dest="end", help="read up to this time; a date alone means the whole day"
    )
    parser.add_argument(
        "--state", metavar="DIR", help="start from what this state directory remembers; it stays as it is"
    )
    parser.add_argument(
        "--answers",
        metavar="DIR",
        help="what DNS block lists answered the controller of this state directory; without, they list nobody",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="one JSON object for each decision, or difference, a line each"
    )
    form.add_argument("--parquet", metavar="FILE", help="write the same as a parquet file (needs pyarrow)")
    pseudonyms_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Replay, and print what was decided, or what would change."""
    names = pseudonyms_of(args)
    if names and not (args.json or args.parquet):
        raise UsageError("--pseudonyms needs --json or --parquet: the summary names persons")
    if args.parquet:
        parquet_is_there()
    logs = logs_of(args)
    config = judged_by(args.policy, config_of(args))
    span = span_of(args, config)
    tell = _compared if args.against else _decided
    tell(args, logs, config, span, names)
    return 0


def _decided(args: argparse.Namespace, logs: list[str], config: Config, span: Span, names: Pseudonyms | None) -> None:
    from logwatch.commands.summary import Summary

    core = core_for(logs, config, args)
    summary = Summary(core, span)
    damage: list[DamageError] = []
    steps = (_cut(step, span) for step in steps_of(core, logs, damage, span))
    rows = (decision.as_json() for step in steps for decision in step.decisions)
    if args.json:
        write_json(map(names.fields, rows) if names else rows)
    elif args.parquet:
        write_rows(map(names.fields, rows) if names else rows, _DECISION, args.parquet)
    else:
        for step in steps:
            summary.add(step)
        summary.tell(config, logs)
    _was_read(core, damage, logs)


def _was_read(core: Core, damage: list[DamageError], logs: list[str]) -> None:
    """Say what could not be read; Failure where logs are damaged, or none."""
    say_unreadable(core.reader.scanner.unreadable)
    read_whole(damage)
    if not core.events:
        raise nothing_known(logs)


def _compared(args: argparse.Namespace, logs: list[str], config: Config, span: Span, names: Pseudonyms | None) -> None:
    from logwatch.commands import differences
    from logwatch.commands.cuts import Cuts
    from logwatch.commands.summary import Reading
    from logwatch.rerun import side_by_side
    from logwatch.weighing.comparing import COLUMNS, Comparison

    against = judged_by(args.against, config)
    core, other = core_for(logs, config, args), _core(against, args, 0.0)
    comparison, reading = Comparison(span), Reading(core, span)
    cuts = Cuts(core, span), Cuts(other, span)
    damage: list[DamageError] = []
    with progress(logs) as seen:
        for after, before in despite(damage, side_by_side(core, other, logs, now(), seen)):
            comparison.take(after.events, before.decisions, after.decisions, (before.tips, after.tips))
            reading.add(after)
            for cut, step in zip(cuts, (after, before), strict=True):
                cut.add(step)
            if core.reader.clock >= span.end:
                break
    found = comparison.differences()
    rows = (difference.as_json() for difference in found)
    if args.json:
        write_json(map(names.fields, rows) if names else rows)
    elif args.parquet:
        write_rows(map(names.fields, rows) if names else rows, COLUMNS, args.parquet)
    elif reading.tell(config, logs):
        differences.tell(found, config, against)
        differences.tell_cuts(*cuts, config, against)
    _was_read(core, damage, logs)


def span_of(args: argparse.Namespace, config: Config) -> Span:
    """The event times that are to be told of; UsageError if there are none."""
    begin = time_of(args.begin, "--from", config) if args.begin else ALWAYS.begin
    end = time_of(args.end, "--to", config, end=True) if args.end else ALWAYS.end
    if begin >= end:
        raise UsageError(f"--from {args.begin} is not before --to {args.end}")
    return Span(begin, end)


def _cut(step: Step, span: Span) -> Step:
    """A step with the decisions of a span only."""
    return dataclasses.replace(step, decisions=[one for one in step.decisions if span.holds(one.time)])


def judged_by(policy: str | None, config: Config) -> Config:
    """The configuration with the policy named on the command line, if there is one."""
    if not policy:
        return config
    file = "" if policy in SHIPPED else policy
    return dataclasses.replace(config, policy=dataclasses.replace(config.policy, file=file), lines={})


def core_for(logs: list[str], config: Config, args: argparse.Namespace) -> Core:
    """A core for these logs and this policy; PolicyError if that cannot be used, SourceError if a log cannot."""
    from logwatch.rerun import start_of
    from logwatch.settings import policy_of, zone_of

    policy = policy_of(config)
    return _core(config, args, start_of(logs, zone_of(config), now()), policy)


def _core(config: Config, args: argparse.Namespace, start: float, policy: Policy | None = None) -> Core:
    from logwatch.judging.policy import ENFORCE
    from logwatch.settings import core_of, policy_of

    # without a configuration nothing caps the rules' own modes
    core = core_of(config, policy or policy_of(config), start, config.policy.mode if args.config else ENFORCE)
    if getattr(args, "state", None):
        _remember(core, Path(args.state))
    if getattr(args, "answers", None):
        with _journal(Path(args.answers)) as journal:
            core.answers = journal.answers(core.reader.clock)
    return core


def steps_of(core: Core, logs: list[str], damage: list[DamageError], span: Span = ALWAYS) -> Iterator[Step]:
    """The core's steps over the logs up to the end of a span, with a progress bar; SourceError if one cannot be read.

    What is damaged is put into `damage`.
    """
    from logwatch.rerun import rerun

    with progress(logs) as seen:
        for step in despite(damage, rerun(core, logs, now(), seen)):
            yield step
            if core.reader.clock >= span.end:
                break


def _journal(directory: Path) -> Journal:
    from logwatch.telling.journal import Journal

    return Journal.read(directory / "journal.sqlite")


def _remember(core: Core, directory: Path) -> None:
    with _journal(directory) as journal:
        facts = journal.facts()
        restored = not facts or core.restore(facts, journal.remembered())
    if not restored:
        raise Failure(
            f"{directory}: its rates were kept for other windows than this policy's, or by another version, "
            "and cannot be taken up"
        )
