"""Follow the log, decide, and publish: the live controller. It stays in the foreground until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enforce import exposition
from enforce.config import Config, Notify
from enforce.errors import ReportedError
from enforce.notify import Notifier
from logwatch.commands import Failure, UsageError
from logwatch.commands.common import asks_in_cluster, config_argument, config_of, said_twice
from logwatch.commands.daemon import allow_many_files, log_to, needs_cluster, until_signal
from logwatch.commands.garbage import Garbage
from logwatch.commands.output import now

if TYPE_CHECKING:
    from logwatch.cluster.controller import Brain
    from logwatch.reading.follow import Wake
    from logwatch.telling.notify import Notifications
    from logwatch.watch import Controller


def arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration, and what to learn from at the first start."""
    config_argument(parser)
    parser.add_argument(
        "--learn",
        nargs="+",
        default=[],
        metavar="LOG",
        help="at the first start: read these older logs first, to know what everybody is used to (mail.log.*)",
    )


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    config = config_of(args)
    from logwatch.reading.follow import Wake
    from logwatch.reading.names import expanded
    from logwatch.telling.journal_file import reason
    from logwatch.watch import MACHINE, Controller

    log_to(config, "watch")
    allow_many_files()
    notifications = _notifications(config)
    brain = _brain(config, learns=bool(args.learn))
    try:
        ports = brain.ports() if brain else MACHINE
        controller = Controller(config, now, notifications.tell, ports, expanded(args.learn))
    except sqlite3.Error as error:
        raise Failure(f"{config.journal}: cannot be read: {reason(error)}") from None
    if brain and controller.asker:
        problem = asks_in_cluster(config, controller.core.judge.policy)
        controller.close()
        raise UsageError(problem)
    for sentence in said_twice(controller.source.paths()):
        logging.getLogger("mailbrake").warning("%s", sentence)
    garbage = Garbage(time.monotonic())
    wake = Wake(controller.source.directories)
    controller.source.notify(wake.wake)
    if controller.asker:
        controller.asker.wake = wake.wake
    stopped = until_signal(wake.wake)
    signal.signal(signal.SIGHUP, lambda *_: _again(controller, wake))
    _learn(controller, stopped)
    if brain:
        brain.start()
    notifier = Notifier()
    notifier.ready("following the log")
    end_metrics = _serve_metrics(config, controller, notifications, brain)
    _follow(
        controller,
        wake,
        lambda: _lives(notifier, garbage) and (stopped() or (brain is not None and bool(brain.over()))),
        notifications,
    )
    notifier.stopping()
    if brain:
        brain.close()
    wake.close()
    end_metrics()
    notifications.close()
    if brain and (why := brain.over()):
        raise Failure(f"{why}: to be started again, which systemd does")
    return 0


def _learn(controller: Controller, stopped: Callable[[], bool]) -> None:
    """From what can be read of the past."""
    from logwatch.reading.source import DamageError, SourceError

    try:
        controller.learn(stopped)
    except DamageError as error:
        for problem in error.args:
            logging.getLogger("mailbrake").warning("%s", problem)
    except SourceError:
        controller.close()
        raise


def _follow(controller: Controller, wake: Wake, stopped: Callable[[], bool], notifications: Notifications) -> None:
    """Until stopped, or until somebody else has taken over the state directory; what waits is told then, too."""
    try:
        controller.run(wake, stopped)
    except ReportedError:
        notifications.close()
        raise


def _again(controller: Controller, wake: Wake) -> None:
    controller.reread()
    wake.wake()


def _lives(notifier: Notifier, garbage: Garbage) -> bool:
    """Asked after each piece of log, and once a second: the moment for a sign of life, and to tidy up."""
    notifier.alive()
    garbage.look(time.monotonic())
    return True


def _brain(config: Config, *, learns: bool) -> Brain | None:
    """What the controller stands on in a cluster; None on one machine. `learns`: it will remember more than that."""
    if not config.cluster.servers:
        return None
    needs_cluster(config)
    from logwatch.cluster.controller import Brain

    return Brain.open(config, learns=learns)


def _same(config: Config) -> str:
    """What has a command use this configuration, wherever and by whomever it is typed."""
    given = config.file != Config().file
    return f" --config {shlex.quote(str(Path(config.file).absolute()))}" if given else ""


def _notifications(config: Config) -> Notifications:
    """What tells people; channels that cannot be had are left out, and that is told through the others."""
    from logwatch.telling.notify import Clocks, Grouping, Happening, Notifications, channels_of

    notify = config.notify
    host = socket.getfqdn() if notify != Notify() else ""  # it may have to ask the DNS
    channels, problems = channels_of(notify, host)
    notifications = Notifications(
        channels, Grouping(notify.every, _same(config)), Clocks(time.monotonic, now), notify.about
    )
    for problem in problems:
        logging.getLogger("mailbrake").warning("%s", problem)
        notifications.tell(Happening("trouble", now(), problem))
    return notifications


def _serve_metrics(
    config: Config, controller: Controller, notifications: Notifications, brain: Brain | None
) -> Callable[[], None]:
    """Serve them where they are wanted, or say why not: nothing else depends on them; what ends it is returned."""
    from logwatch.telling.metrics import METRICS

    metrics: tuple[exposition.Metric, ...] = METRICS
    more: Callable[[], exposition.Snapshot] = dict
    if brain:
        from logwatch.cluster import figures

        metrics, more = (*METRICS, *figures.METRICS), partial(figures.figures, brain)

    def snapshot() -> exposition.Snapshot:
        return {**controller.figures(), "mailbrake_notifications_total": notifications.outcomes(), **more()}

    try:
        return exposition.serve(config.metrics.watch, metrics, snapshot) if config.metrics.watch else lambda: None
    except exposition.EndpointError as error:
        logging.getLogger("mailbrake").warning("%s", error)
        return lambda: None
