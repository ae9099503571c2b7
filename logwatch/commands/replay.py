"""Tell what a policy would have done over mail logs; nothing is changed by it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from enforce.config import Config
from logwatch.commands import Failure, UsageError
from logwatch.commands.common import config_of, log_arguments, logs_of, pseudonyms_argument, pseudonyms_of
from logwatch.commands.output import now, progress, write_json
from logwatch.reading.source import SourceError

if TYPE_CHECKING:
    from logwatch.core import Core, Step


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which logs, and which policy."""
    log_arguments(parser)
    parser.add_argument(
        "--policy", metavar="FILE", help="the policy; default: the configured one, else the shipped one"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each decision, a line each")
    parser.add_argument(
        "--state", metavar="DIR", help="start from what this state directory remembers; it stays as it is"
    )
    pseudonyms_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Replay, and print what was decided."""
    from logwatch.commands.summary import Summary

    names = pseudonyms_of(args)
    if names and not args.json:
        raise UsageError("--pseudonyms needs --json: the summary names persons")
    logs = logs_of(args)
    config = judged_by(args.policy, config_of(args))
    core = core_for(logs, config, args)
    summary = Summary(core)
    for step in steps_of(core, logs):
        if args.json:
            rows = (decision.as_json() for decision in step.decisions)
            write_json(map(names.fields, rows) if names else rows)
        else:
            summary.add(step)
    if not args.json:
        summary.tell(config, logs)
    return 0


def judged_by(policy: str | None, config: Config) -> Config:
    """The configuration with the policy named on the command line, if there is one."""
    return dataclasses.replace(config, policy=dataclasses.replace(config.policy, file=policy)) if policy else config


def core_for(logs: list[str], config: Config, args: argparse.Namespace) -> Core:
    """A core for these logs and this policy; UsageError if the policy cannot be used, Failure if a log cannot."""
    from logwatch.judging.language import PolicyError
    from logwatch.judging.policy import ENFORCE
    from logwatch.rerun import start_of
    from logwatch.settings import core_of, policy_of, zone_of

    try:
        policy = policy_of(config)
        start = start_of(logs, zone_of(config), now())
    except PolicyError as error:
        raise UsageError(str(error)) from None
    except SourceError as error:
        raise Failure(str(error)) from None
    # without a configuration nothing caps the rules' own modes
    core = core_of(config, policy, start, config.policy.mode if args.config else ENFORCE)
    if getattr(args, "state", None):
        _remember(core, Path(args.state))
    return core


def steps_of(core: Core, logs: list[str]) -> Iterator[Step]:
    """The core's steps over the logs, with a progress bar; Failure if one cannot be read."""
    from logwatch.rerun import rerun

    try:
        with progress(logs) as seen:
            yield from rerun(core, logs, now(), seen)
    except SourceError as error:
        raise Failure(str(error)) from None


def _remember(core: Core, directory: Path) -> None:
    from logwatch.telling.journal import Journal, JournalError

    try:
        journal = Journal.read(directory / "journal.sqlite")
    except JournalError as error:
        raise Failure(str(error)) from None
    facts = journal.noted("facts")
    if facts and not core.restore(facts, journal.remembered()):
        raise Failure(f"{directory}: its rates were kept for other windows than this policy's, and cannot be taken up")
    journal.close()
