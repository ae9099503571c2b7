"""Follow the log, decide, and publish: the live controller. It stays in the foreground until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from enforce.config import Config, effective
from logwatch.commands import Failure, UsageError
from logwatch.commands.common import config_argument, config_of
from logwatch.commands.output import now


def arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration."""
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    config = config_of(args)
    from logwatch.judging.language import PolicyError
    from logwatch.reading.follow import Wake
    from logwatch.telling.journal import JournalError
    from logwatch.watch import BusyError, Controller

    _log_to(config)
    try:
        controller = Controller(config, now)
    except PolicyError as error:
        raise UsageError(str(error)) from None
    except (JournalError, BusyError) as error:
        raise Failure(str(error)) from None
    wake = Wake(controller.follower.directories)
    controller.follower.notify(wake.wake)
    stopped = _until_signal(wake.wake)
    controller.run(wake, stopped)
    wake.close()
    return 0


def _log_to(config: Config) -> None:
    """Standard error, and syslog where there is one."""
    root = logging.getLogger("mailbrake")
    root.setLevel(logging.INFO)
    here = logging.StreamHandler(sys.stderr)
    here.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root.addHandler(here)
    if config.milter.syslog and Path(config.milter.syslog).is_socket():
        # not facility mail: what is said about the log must not stand in it
        syslog = logging.handlers.SysLogHandler(config.milter.syslog, logging.handlers.SysLogHandler.LOG_DAEMON)
        syslog.ident = "mailbrake-watch: "
        root.addHandler(syslog)
    for row in effective(config):
        root.info("%s", row)


def _until_signal(wake: Callable[[], None]) -> Callable[[], bool]:
    """True after SIGTERM or SIGINT."""
    received: list[int] = []

    def stop(number: int, _: object) -> None:
        received.append(number)
        wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return lambda: bool(received)
