"""Check a configuration and a policy, and print the policy back as it was understood."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from enforce import config as configuration
from enforce.config import Config, ConfigError
from logwatch.commands.common import asks_in_cluster, config_argument

SHIPPED = "shipped"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to check."""
    config_argument(parser)
    parser.add_argument(
        "--policy", metavar="FILE", help=f'the policy; default: the configured one; "{SHIPPED}": the shipped one'
    )
    parser.add_argument(
        "--as-written", action="store_true", help="print the policy's own text, with its comments: a copy to change"
    )


def run(args: argparse.Namespace) -> int:
    """Check both; 1 if anything is wrong."""
    from logwatch.judging import language
    from logwatch.judging.contradictions import contradictions, notes
    from logwatch.judging.policy import render

    try:
        config = configuration.load(args.config)
        path = _path(args.policy, config) or language.SHIPPED
        policy = language.load(path, default_realm=config.log.default_realm, keep_case=config.log.keep_case)
    except (ConfigError, language.PolicyError) as error:
        print(f"mailbrake: {error}", file=sys.stderr)
        return 1
    unheard = _unheard(config)
    if config.cluster.servers and (asks := asks_in_cluster(config, policy, path)):
        unheard.append(asks)
    for sentence in unheard:
        print(f"mailbrake: {sentence}", file=sys.stderr)
    if args.config and not args.as_written:
        print("\n".join(f"# {row}" for row in configuration.effective(config)), end="\n\n")
    print(Path(path).read_text(encoding="utf-8-sig") if args.as_written else render(policy), end="")
    found = contradictions(policy)
    text = language.from_disk(Path(path))
    for problem in (*found, *notes(policy)):
        print(f"mailbrake: {path}:{language.place(text, problem.at)}: {problem.sentence}", file=sys.stderr)
    return 1 if found or unheard else 0


def _unheard(config: Config) -> list[str]:
    """Why some notifications could not be sent."""
    from logwatch.telling.notify import channels_of

    return channels_of(config.notify, "localhost")[1]


def _path(named: str | None, config: Config) -> str:
    if named == SHIPPED:
        return ""
    return named or config.policy.file
