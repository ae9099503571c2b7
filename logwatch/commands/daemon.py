"""What commands share that stay in the foreground until they are told to stop."""

from __future__ import annotations

import importlib.util
import logging
import logging.handlers
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from enforce.config import Config, effective
from logwatch.commands import Failure, UsageError


def log_to(config: Config, command: str) -> None:
    """Standard error, and syslog where there is one."""
    root = logging.getLogger("mailbrake")
    root.setLevel(logging.INFO)
    here = logging.StreamHandler(sys.stderr)
    here.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root.addHandler(here)
    if config.milter.syslog and Path(config.milter.syslog).is_socket():
        # not facility mail: what is said about the log must not stand in it
        syslog = logging.handlers.SysLogHandler(config.milter.syslog, logging.handlers.SysLogHandler.LOG_DAEMON)
        syslog.ident = f"mailbrake-{command}: "
        root.addHandler(syslog)
    for row in effective(config):
        root.info("%s", row)


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
