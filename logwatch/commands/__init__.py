"""The command line: `mailbrake COMMAND …`. Each command is a module with a sentence, its arguments, and `run`.

Modules here import what is heavy (pandas, pyarrow) only where they need it, so that `--help`, `table`, `why`,
`status` and `check` answer at once. Exit status: 0 done, 1 it ran but something is wrong (said on standard error), 2
usage.
"""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import io
import logging
import os
import platform
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from enforce.errors import ReportedError
from logwatch.commands.parser import Parser

COLLECTING = (100_000, 50, 1000)
COMMANDS = (
    "demo",
    "events",
    "explain",
    "rates",
    "replay",
    "watch",
    "milter",
    "table",
    "why",
    "review",
    "rollout",
    "cleanup",
    "forget",
    "report",
    "check",
    "status",
    "ship",
    "sync",
    "cluster",
)
_RUNS_ON = ("pandas", "numpy", "lmdb", "pyparsing", "watchdog", "pymilter", "pyarrow", "nats-py")


class UsageError(ReportedError):
    """What was asked for cannot be meant."""

    status = 2


class Failure(ReportedError):  # noqa: N818 - it is not an error of the program
    """It ran, but something is wrong."""


class _Version(argparse.Action):
    """Print what a report of a mistake should begin with."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib import metadata  # here: it takes longer than all else of a command that answers at once

        found = {each.metadata["Name"]: each.version for each in metadata.distributions()}
        others = ", ".join(f"{name} {found[name]}" for name in _RUNS_ON if name in found)
        version = found.get(parser.prog, "not installed")
        print(f"{parser.prog} {version} (Python {platform.python_version()}, {others})")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = Parser(
        prog="mailbrake",
        description="Watches a mail gateway's log, finds accounts that send too much, and brakes them by a milter.",
        epilog="Start with:  mailbrake replay /var/log/mail.log",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version, and of what it runs on, and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = _module(name)
        sentence = str(module.__doc__).splitlines()[0]
        command = commands.add_parser(name, help=sentence, description=sentence)
        module.arguments(command)
        command.set_defaults(run=module.run)
    return top


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"logwatch.commands.{name}")
    except ModuleNotFoundError as missing:
        raise Failure(f"{missing.name} is not installed{_WANTED}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    # full collections would walk all that is remembered of a log again and again, and nothing in it is garbage
    gc.set_threshold(*COLLECTING)
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a stranger chooses letters that the terminal's encoding may not have
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        args = parser().parse_args(argv)
        _check_zone()
        status = int(args.run(args))
        sys.stdout.flush()
    except ReportedError as error:
        return say(error)
    except BrokenPipeError:  # `mailbrake events … | head`
        _write_nowhere()
        return 1
    except OSError as error:
        return say(_of_this_machine(error))
    return status


def say(error: ReportedError, program: str = "mailbrake") -> int:
    """Print what ended a command; its exit status."""
    logging.shutdown()  # what waits in a log's thread comes first, and never at once: CPython 3.11 loses such a line
    print(f"{program}: {error}", file=sys.stderr)
    return error.status


def _open_streams() -> None:
    """Have standard input, output and error be there: who started this may have closed them (`>&-`, a daemon)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))


def _check_zone() -> None:
    """Python tells no time in a zone that is a day or more away, as `TZ=XXX24` is."""
    try:
        datetime.now().astimezone()
    except ValueError:
        raise UsageError(f"TZ={os.environ.get('TZ')}: less than a day from UTC is possible; try TZ=UTC") from None


def _of_this_machine(error: OSError) -> Failure:
    """What is no error of the program: a full disk behind standard output, or a file of somebody else."""
    if isinstance(error, PermissionError) and error.filename is not None:
        return Failure(f"{error.filename}: {error.strerror}; run this as the user of `mailbrake watch`, or as root")
    if error.filename is not None or error.errno not in _FULL:
        raise error
    _write_nowhere()
    return Failure(f"not everything could be written: {error.strerror}")


_WANTED = (
    ": `pip install mailbrake`, or `pip install .` in its folder, brings all that this command needs; where only the "
    "milter was installed, there is mailbrake-milter and no more"
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _write_nowhere() -> None:
    """Have what is still to be written to standard output vanish: at exit Python would try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
