"""Arguments that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enforce import checks
from enforce import config as configuration
from enforce.config import ENVIRONMENT, Config
from logwatch.commands import Failure, UsageError, subjects
from logwatch.reading.duplicate_logs import twice
from logwatch.reading.names import expanded, parts
from logwatch.settings import zone_of

if TYPE_CHECKING:
    from logwatch.judging.policy import Policy
    from logwatch.reading.source import DamageError
    from logwatch.telling.pseudonym import Pseudonyms

SHIPPED = ("shipped", "default")
"""Either stands for the policy that comes with mailbrake, where a policy's file is wanted."""


def config_argument(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """`--config FILE`; `again`: on a sub-command of one that takes it already."""
    configuration.argument(parser, argparse.SUPPRESS if again else os.environ.get(ENVIRONMENT))


def same_config(config: Config) -> str:
    """What has another command use the same configuration, to be put behind it; "" where it would anyway."""
    return (
        "" if config.file in (Config().file, os.environ.get(ENVIRONMENT)) else f" --config {shlex.quote(config.file)}"
    )


def asks_in_cluster(config: Config, policy: Policy, path: str | Path = "") -> str:
    """Why a policy cannot be used in a cluster, as it asks lists in the DNS; "" if it can. `path`: where it is."""
    from logwatch.judging import language

    asked = policy.asks()
    if asked is None:
        return ""
    file = path or config.policy.file or language.SHIPPED
    line, column = language.place(language.from_disk(Path(file)), asked.at)
    return (
        f"{file}:{line}:{column}: {asked} cannot be asked in a cluster, whose controllers would each have other "
        "answers and decide otherwise: leave it out of the policy, and have the MTA ask (Postfix: "
        f"postscreen_dnsbl_sites), or take [cluster] out of {config.file}"
    )


def json_argument(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def log_arguments(parser: argparse.ArgumentParser, nargs: str = "+", default: str = "") -> None:
    """LOG… and how to read it; `nargs`: whether there has to be one, as argparse writes it; `default`: else which."""
    parser.add_argument(
        "log",
        nargs=nargs,
        default=[],
        metavar="LOG",
        help="log files, plain or .gz, .bz2, .xz, .zst, or directories; - for standard input"
        + (f"; default: {default}" if default else ""),
    )
    config_argument(parser)
    parser.add_argument("--zone", help='time zone of stamps that carry none, such as "Europe/Berlin"')
    parser.add_argument("--default-realm", metavar="DOMAIN", help="domain of logins that have none")


def pseudonyms_argument(parser: argparse.ArgumentParser) -> None:
    """`--pseudonyms KEYFILE`."""
    parser.add_argument(
        "--pseudonyms",
        metavar="KEYFILE",
        help="name nobody: hashes for logins and addresses under the key in this file, networks for clients",
    )


def pseudonyms_of(args: argparse.Namespace) -> Pseudonyms | None:
    """What gives other names, if that was asked for. Failure if the key cannot be used."""
    if args.pseudonyms is None:
        return None
    from logwatch.telling.pseudonym import Pseudonyms

    remedy = f"make one:  (umask 077; head -c 32 /dev/urandom > {shlex.quote(args.pseudonyms)})"
    try:
        return Pseudonyms(Path(args.pseudonyms).read_bytes())
    except OSError as error:
        raise Failure(f"{args.pseudonyms}: {error.strerror}; {remedy}") from None
    except ValueError as error:
        raise Failure(f"{args.pseudonyms}: {error}; {remedy}") from None


def config_of(args: argparse.Namespace) -> Config:
    """The configuration named on the command line, with `--zone` and `--default-realm` on top."""
    config = configuration.load(args.config)
    given = {"zone": getattr(args, "zone", None), "default_realm": getattr(args, "default_realm", None)}
    changed = {name: _checked(name, value) for name, value in given.items() if value is not None}
    return dataclasses.replace(config, log=dataclasses.replace(config.log, **changed)) if changed else config


def _checked(name: str, value: str) -> Any:
    try:
        return _CHECKS[name](value)
    except ValueError as error:
        raise UsageError(f"--{name.replace('_', '-')}: {error}") from None


def key_of(written: str, config: Config) -> str:
    """The key that is meant on the command line: account:LOGIN, or only LOGIN, client:ADDRESS, net:PREFIX."""
    try:
        return subjects.key(written, config)
    except ValueError as error:
        raise UsageError(str(error)) from None


def duration_of(written: str, option: str) -> int:
    """Seconds of a duration on the command line, such as 30d."""
    try:
        return checks.as_duration(written)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def time_of(written: str, option: str, config: Config, *, end: bool = False) -> float:
    """Epoch seconds of a time on the command line, in the log's zone where it names none.

    A date alone is its midnight, or with `end` the midnight after it.
    """
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise UsageError(f"{option}: expected a time such as 2026-11-25T14:00, found {written!r}") from None
    if end and _DATE.fullmatch(written):
        moment += timedelta(days=1)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone_of(config))).timestamp()


_DATE = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}")
_CHECKS = {"zone": checks.as_zone, "default_realm": checks.as_realm}


def logs_of(args: argparse.Namespace) -> list[str]:
    """The logs named on the command line: patterns in quotes and directories expanded. Failure if one is missing.

    Those that hold the same lines are told of on standard error.
    """
    found = _there(args.log)
    for sentence in said_twice(found):
        print(f"mailbrake: {sentence}", file=sys.stderr)
    return found


def said_twice(paths: Iterable[str]) -> list[str]:
    """A sentence for each two logs that hold the same lines."""
    return [
        f"{one} and {other} hold the same lines, which count twice: name only one of them"
        for one, other in twice(paths)
    ]


def followed(config: Config) -> list[str]:
    """The logs that the configuration follows, with their older parts. Failure if one is missing."""
    if config.log.journald:
        raise Failure(f"{config.file}: it follows journald: name a LOG, or - behind `journalctl -o json |`")
    current = _there(config.log.files)
    return list(dict.fromkeys(group[0] for path in current for group in parts(path)))


def read_whole(damage: Iterable[DamageError]) -> None:
    """Failure if logs were damaged; to be called when all has been told of what could be read."""
    if problems := [problem for error in damage for problem in error.args]:
        raise Failure("\nmailbrake: ".join(problems))


def say_unreadable(found: Mapping[str, int], example: str = "`mailbrake events LOG` shows the latest") -> None:
    """Say on standard error how many lines of which known kinds could not be read, if any; rates may be too low."""
    if found:
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(found).most_common())
        said = "; ".join(filter(None, (kinds, example)))
        print(f"mailbrake: unreadable lines of a known kind: {said}", file=sys.stderr)


def nothing_known(logs: Sequence[str]) -> Failure:
    """What to say of logs that have no known line."""
    return Failure(f"{logs[0]}: none of its lines is one that mailbrake knows: is this the mail log?")


def _there(names: Sequence[str]) -> list[str]:
    found = expanded(names)
    for name in found:
        try:
            _ = name == "-" or Path(name).stat()
        except FileNotFoundError:
            raise Failure(f"{name}: no such file") from None
        except OSError as error:
            raise Failure(f"{name}: {error.strerror}") from None
    if not found:
        raise Failure(f"{', '.join(names)}: no files in it")
    return found
