"""The journal that a command looks into: the controller's, or one made of logs on the spot, as a controller would have.

Logs are read by a controller of their own in a directory that is gone afterwards, so that whatever can be asked of a
running site can be asked of an archive.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from enforce.config import Config, Metrics, Notify
from logwatch.commands import Failure, UsageError
from logwatch.commands.common import logs_of, nothing_known, read_whole, same_config, say_unreadable
from logwatch.commands.output import now, progress

if TYPE_CHECKING:
    from logwatch.reading.source import DamageError
    from logwatch.telling.journal import Journal
    from logwatch.watch import Controller

_NAMED = 3  # logs
_ROOM = 16_000_000  # bytes: a small journal, and a table, whose file ends who writes to it on a full disk
_REMEDY = "make room, or name a directory that has some: TMPDIR=DIRECTORY before the command"


def logs_argument(parser: argparse.ArgumentParser) -> None:
    """`[LOG…]`, and how to read them."""
    parser.add_argument(
        "log",
        nargs="*",
        default=[],  # without it argparse says that one is required
        metavar="LOG",
        help="ask what these logs would have shown, instead of the running controller",
    )
    parser.add_argument("--policy", metavar="FILE", help="with LOG: the policy; default: the configured or shipped one")
    parser.add_argument("--zone", help='with LOG: time zone of stamps that carry none, such as "Europe/Berlin"')
    parser.add_argument("--default-realm", metavar="DOMAIN", help="domain of logins that have none")


def named(args: argparse.Namespace) -> str:
    """The logs that were asked and how to read them, as words of a shell; LOG for many, "" for none."""
    logs = map(shlex.quote, args.log) if len(args.log) <= _NAMED else ("LOG",)
    given = (("--zone", args.zone), ("--default-realm", args.default_realm)) if args.log else ()
    return " ".join((*logs, *(f"{option} {shlex.quote(value)}" for option, value in given if value)))


def asked(args: argparse.Namespace, config: Config) -> str:
    """What asks the same logs, or else the same controller, in the same way, to be put behind a command."""
    policy = f" --policy {shlex.quote(args.policy)}" if args.policy else ""
    return (f" {named(args)}{policy}" if args.log else "") + same_config(config)


@contextmanager
def journal_of(args: argparse.Namespace, config: Config) -> Iterator[tuple[Journal, float]]:
    """The journal, and what is now for it: of logs, their end. JournalError if there is none, SourceError of a log."""
    from logwatch.telling.journal import Journal

    if not args.log:
        if args.policy:
            raise UsageError("--policy needs LOG: a running controller has decided by its own")
        with Journal.read(config.journal) as journal:
            yield journal, now()
        return
    damage: list[DamageError] = []
    with _scratch() as directory:
        end = _read(config, directory, logs_of(args), damage)
        with Journal.read(_within(config, directory).journal) as journal:
            if (facts := journal.facts()) is None or facts["clock"] != end:
                raise Failure(f"{directory}: what the logs tell did not fit there: {_REMEDY}")
            yield journal, end
    read_whole(damage)


@contextmanager
def _scratch() -> Iterator[str]:
    """A directory that is gone afterwards; Failure where there is no room for one, as on a machine in trouble."""
    try:
        made = tempfile.TemporaryDirectory(prefix="mailbrake-")
    except OSError as error:
        raise Failure(f"{error.strerror}: {_REMEDY}") from None
    with made as directory:
        if (free := shutil.disk_usage(directory).free) < _ROOM:
            raise Failure(f"{directory}: {free / 1e6:.0f} MB are free there, which is not enough: {_REMEDY}")
        yield directory


def _read(config: Config, directory: str, logs: list[str], damage: list[DamageError]) -> float:
    """Have a controller read logs; the clock at their end."""
    from logwatch.watch import MACHINE, Controller

    logging.getLogger("mailbrake").setLevel(logging.CRITICAL)  # what it would say while following
    with closing(Controller(_within(config, directory), now, past=logs, ports=MACHINE)) as controller:
        with progress(logs):
            _learn(controller, damage)
        end, known = controller.core.reader.clock, bool(controller.core.events)
        unreadable = controller.core.reader.scanner.unreadable
    say_unreadable(unreadable)
    if not known:
        read_whole(damage)
        raise nothing_known(logs)
    return end


def _learn(controller: Controller, damage: list[DamageError]) -> None:
    from logwatch.reading.source import DamageError

    try:
        controller.learn()
    except DamageError as error:
        damage.append(error)


def _within(config: Config, directory: str) -> Config:
    """The configuration of a controller that follows nothing, tells nobody, and writes only there."""
    return dataclasses.replace(
        config,
        log=dataclasses.replace(config.log, files=(), journald=False),
        state=dataclasses.replace(config.state, directory=directory),
        milter=dataclasses.replace(config.milter, table=""),
        export=dataclasses.replace(config.export, files={}),
        notify=Notify(),
        metrics=Metrics(),
    )
