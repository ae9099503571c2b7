"""Check a configuration and a policy, and print the policy back as it was understood."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from enforce import config as configuration
from enforce import identity
from enforce.config import Config, ConfigError
from logwatch.commands.common import SHIPPED, asks_in_cluster, config_argument, said_twice
from logwatch.commands.output import write_json
from logwatch.reading.names import expanded

if TYPE_CHECKING:
    from logwatch.judging.policy import Policy


class Finding(NamedTuple):
    """Something to look at, and where it stands, as far as that is known; `severity` is "error" or "note"."""

    problem: str
    severity: str = "error"
    file: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.key, self.problem) if part)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to check."""
    config_argument(parser)
    parser.add_argument(
        "--policy", metavar="FILE", help='the policy; default: the configured one; "shipped": the shipped one'
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--as-written", action="store_true", help="print the policy's own text, with its comments: a copy to change"
    )
    form.add_argument("--json", action="store_true", help="only what there is to say, one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Check both; 1 if anything is wrong."""
    from logwatch.judging import language
    from logwatch.judging.policy import render
    from logwatch.settings import policy_of

    try:
        config = configuration.load(args.config)
        path = str(_path(args.policy, config) or language.SHIPPED)
        if args.policy:
            policy = language.load(path, default_realm=config.log.default_realm, keep_case=config.log.keep_case)
        else:
            policy = policy_of(config)
    except ConfigError as error:
        return _told(args, [Finding(error.problem, file=error.file, line=error.line or None, key=error.key or None)])
    except language.PolicyError as error:
        return _told(args, [Finding(error.problem, "error", error.file, error.line or None, error.column or None)])
    if args.config and not args.as_written and not args.json:
        print("\n".join(f"# {row}" for row in configuration.effective(config)), end="\n\n")
    if not args.json:
        print(Path(path).read_text(encoding="utf-8-sig") if args.as_written else render(policy), end="")
    return _told(args, [*_of_configuration(config, policy, path), *_of_policy(policy, path)])


def _told(args: argparse.Namespace, findings: list[Finding]) -> int:
    if args.json:
        write_json(finding._asdict() for finding in findings)
    else:
        for finding in findings:
            print(f"mailbrake: {finding}", file=sys.stderr)
    return int(any(finding.severity == "error" for finding in findings))


def _of_configuration(config: Config, policy: Policy, path: str) -> list[Finding]:
    found = [Finding(sentence) for sentence in _unheard(config)]
    found += [*_of_this_machine(config), *_unasked(config, policy, path)]
    if config.cluster.servers and (asks := asks_in_cluster(config, policy, path)):
        found.append(Finding(asks))
    return found


def _of_this_machine(config: Config) -> list[Finding]:
    """What a configuration names and this machine has not (yet): it may be for another one."""
    if config.file == Config().file:
        return []
    file, log = config.file, config.log
    notes = [
        Finding(f"there is nothing at {pattern} yet", "note", file, key="[log] files")
        for pattern in (() if log.journald else log.files)
        if not any(map(os.path.exists, expanded([pattern])))
    ]
    notes += [
        Finding(sentence, "note", file, key="[log] files")
        for sentence in said_twice(() if log.journald else expanded(log.files))
    ]
    if Path(config.state.directory).exists() and not Path(config.state.directory).is_dir():
        notes.append(Finding(f"{config.state.directory} is no directory", "error", file, key="[state] directory"))
    try:
        identity.of(config)
    except ConfigError as error:
        notes.append(Finding(error.problem, "note", file, key=error.key))
    return notes


def _unasked(config: Config, policy: Policy, path: str) -> list[Finding]:
    """What `watch` by this configuration would not start without: what asks DNS block lists."""
    if config.file == Config().file or policy.asks() is None or importlib.util.find_spec("dns") is not None:
        return []
    needs = "asks DNS block lists, which needs one more package: pip install 'mailbrake[dnsbl]'"
    return [Finding(needs, "note", path, key="dnsbl")]


def _of_policy(policy: Policy, path: str) -> list[Finding]:
    from logwatch.judging import language
    from logwatch.judging.contradictions import contradictions, notes

    text = language.from_disk(Path(path))
    problems = [*((one, "error") for one in contradictions(policy)), *((one, "note") for one in notes(policy))]
    return [Finding(one.sentence, severity, path, *language.place(text, one.at)) for one, severity in problems]


def _unheard(config: Config) -> list[str]:
    """Why some notifications could not be sent."""
    from logwatch.telling.notify import channels_of

    return channels_of(config.notify, "localhost")[1]


def _path(named: str | None, config: Config) -> str:
    if named in SHIPPED:
        return ""
    return named or config.policy.file
