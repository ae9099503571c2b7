"""What commands share that stay in the foreground until they are told to stop."""

from __future__ import annotations

import importlib.util
import logging
import logging.handlers
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from enforce.config import Config, effective
from enforce.syslog import Outlet, Syslog
from logwatch.commands import Failure, UsageError

_PATIENCE = 0.4  # seconds for each log to take the last lines
_JOURNAL = Path("/run/systemd/journal/dev-log")


def log_to(config: Config, command: str, journal: Path = _JOURNAL) -> None:
    """Standard error, and syslog where there is one; that alone where both end in systemd's journal.

    `journal`: its socket for syslog.
    """
    root = logging.getLogger("mailbrake")
    root.setLevel(logging.INFO)
    here = _Outgoing(_say, lambda _: None)
    here.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    path = config.milter.syslog
    is_there = bool(path) and Path(path).is_socket()
    if not (is_there and _errors_go_to_the_journal() and Path(path).resolve() == journal):
        root.addHandler(here)
    if is_there:
        # not facility mail: what is said about the log must not stand in it
        write = Syslog(path, f"mailbrake-{command}: ", logging.handlers.SysLogHandler.LOG_DAEMON)
        root.addHandler(_Outgoing(write, partial(_without_syslog, here, path)))
    for row in effective(config):
        root.info("%s", row)


def _errors_go_to_the_journal() -> bool:
    """Whether standard error is what systemd has made for a unit (JOURNAL_STREAM in systemd.exec(5))."""
    made = os.environ.get("JOURNAL_STREAM")
    if not made:
        return False
    here = os.fstat(2)
    return made == f"{here.st_dev}:{here.st_ino}"


def _say(line: str, _level: int) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _without_syslog(errors: logging.Handler, path: str, why: str) -> None:
    said = f"syslog at {path} does not take lines ({why}); trying again with each line"
    errors.handle(logging.makeLogRecord({"msg": said, "levelno": logging.WARNING, "levelname": "WARNING"}))


class _Outgoing(logging.Handler):
    """Lines behind a thread: whoever takes none, as a logger whose own way out is blocked, holds up nothing."""

    def __init__(self, write: Callable[[str, int], None], trouble: Callable[[str], None]) -> None:
        """`write` takes a line and its level; `trouble` is told why it cannot."""
        super().__init__()
        self._write = write
        self._outlet = Outlet(self._pass_on, trouble)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line over; returns at once."""
        self._outlet.put(f"{record.levelno}\t{self.format(record)}")

    def close(self) -> None:
        """Have what waits written, if it takes no longer than a moment."""
        self._outlet.close(_PATIENCE)
        super().close()

    def _pass_on(self, line: str) -> None:
        level, tab, text = line.partition("\t")
        if tab:
            self._write(text, int(level))
        else:  # the outlet's own, on lines that were lost
            self._write(line, logging.WARNING)


def allow_many_files() -> None:
    """Have as many files open as this process may: each log that is followed is one, and shells allow only 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def until_signal(wake: Callable[[], None]) -> Callable[[], bool]:
    """True after SIGTERM or SIGINT."""
    received: list[int] = []

    def stop(number: int, _: object) -> None:
        received.append(number)
        wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return lambda: bool(received)


def needs_cluster(config: Config) -> None:
    """Say what is missing for a cluster, if anything is."""
    if not config.cluster.servers:
        raise UsageError(f"{config.file}: [cluster] servers: name the servers of the stream; see docs/cluster.md")
    if importlib.util.find_spec("nats") is None:
        raise Failure("[cluster] needs one more package: pip install 'mailbrake[cluster]' (on a gateway: nats-py)")
