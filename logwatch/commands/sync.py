"""Keep a gateway's deny table equal to the cluster's. Until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import queue
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from enforce.config import Config
from enforce.notify import Notifier
from logwatch.commands import Failure
from logwatch.commands.common import config_argument, config_of
from logwatch.commands.daemon import log_to, needs_cluster, until_signal

if TYPE_CHECKING:
    from nats.aio.client import Client

    from logwatch.cluster.bucket import Entry
    from logwatch.cluster.sync import Listed, Mirror

Update = tuple[bool, "list[Entry]"]  # whether it is all that there is, and what
log = logging.getLogger("mailbrake.sync")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration."""
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    config = config_of(args)
    needs_cluster(config)
    from logwatch.cluster import bucket
    from logwatch.cluster.layout import TABLE
    from logwatch.cluster.link import BROKEN, Link
    from logwatch.cluster.sync import Mirror

    log_to(config, "sync")
    changes: queue.SimpleQueue[Update | None] = queue.SimpleQueue()  # None: look around; signals' handlers put it, too

    async def follow(client: Client) -> None:
        first = True
        async for entries in bucket.follow(client, TABLE):
            changes.put((first, entries))
            first = False

    link = Link(config, lambda: changes.put(None))
    mirror = Mirror(config.table, config.state.lease, _exported(config))
    link.serve(follow)
    link.start()
    notifier = Notifier()
    notifier.ready("following the table")
    stopped = until_signal(lambda: changes.put(None))
    problem = ""
    while not stopped() and not link.broken:
        notifier.alive()
        _apply(changes, mirror)
        if link.problem != problem:
            problem = link.problem
            log.warning("%s", problem or "connected")
    notifier.stopping()
    mirror.close()
    link.close()
    if link.broken:
        raise Failure(f"{BROKEN}: to be started again, which systemd does")
    return 0


def _apply(changes: queue.SimpleQueue[Update | None], mirror: Mirror) -> None:
    """The next changes, if some come within a second."""
    try:
        found = changes.get(timeout=1.0)
    except queue.Empty:
        return
    if found is None:
        return
    whole, entries = found
    if whole:
        mirror.begin(entries)
    else:
        mirror.apply(entries, time.time())


def _exported(config: Config) -> Callable[[Callable[[], Listed], int, float], None] | None:
    """What keeps the files of `[export]` equal to the table, if there are any."""
    if not config.export.files:
        return None
    from logwatch.telling.export import Exporter

    return Exporter(config, lambda _, problem: log.warning("%s", problem)).update
