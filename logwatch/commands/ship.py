"""Send a gateway's log lines to the cluster, and wait for it on disk while it is away. Until SIGTERM."""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from enforce.config import Config
from enforce.notify import Notifier
from logwatch.commands import Failure
from logwatch.commands.common import config_argument, config_of
from logwatch.commands.daemon import allow_many_files, log_to, needs_cluster, until_signal
from logwatch.settings import STREAM

if TYPE_CHECKING:
    from logwatch.cluster.link import Link
    from logwatch.cluster.ship import Shipper
    from logwatch.reading.follow import Follower, Wake
    from logwatch.reading.journald import Journald


def arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration."""
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    config = config_of(args)
    needs_cluster(config)
    from logwatch.cluster.link import BROKEN, Link
    from logwatch.cluster.ship import Shipper
    from logwatch.reading.follow import Wake

    log_to(config, "ship")
    allow_many_files()
    followers: list[Follower | Journald] = []

    def follow(positions: dict[str, Any]) -> Follower | Journald:
        from logwatch.settings import follower_of

        followers.append(follower_of(config, positions))
        return followers[0]

    try:
        shipper = Shipper(config, follow, begun(config), time.time)
        wake = Wake(followers[0].directories)
        link = Link(config, wake.wake)
    except OSError as error:
        raise Failure(str(error)) from None
    followers[0].notify(wake.wake)
    link.start()
    notifier = Notifier()
    notifier.ready("shipping the log")
    stopped = until_signal(wake.wake)
    try:
        while not stopped() and not link.broken:
            notifier.alive()
            _once(shipper, link, wake)
    except OSError as error:
        raise Failure(f"{config.state.directory}/spool: cannot be written: {error.strerror}") from None
    notifier.stopping()
    shipper.close()
    wake.close()
    link.close()
    if link.broken:
        raise Failure(f"{BROKEN}: to be started again, which systemd does")
    return 0


def _once(shipper: Shipper, link: Link, wake: Wake) -> None:
    """What there is into the spool, and out of it; then wait."""
    from logwatch.cluster.link import LinkError
    from logwatch.cluster.names import lines_of
    from logwatch.cluster.ship import EVERY

    def send(message: bytes, identity: str) -> None:
        headers = {"Nats-Msg-Id": identity} if identity else None
        link.call(lambda client: client.jetstream().publish(lines_of(link.name), message, headers=headers))

    started, lines = time.monotonic(), False
    try:
        lines = shipper.read(send if link.connected else None)
        if link.connected:
            shipper.send(send)
    except LinkError as error:
        shipper.say("stream", f"{error}; {shipper.waiting()} bytes wait")
        lines = True  # whatever wakes meanwhile
    if lines:
        time.sleep(max(0.0, started + EVERY - time.monotonic()))
    else:
        wake.wait(EVERY)


def begun(config: Config) -> dict[str, Any]:
    """Where a controller of this machine stopped to read the same log, before there was a cluster."""
    if not config.journal.exists():
        return {}
    try:
        with closing(sqlite3.connect(f"{config.journal.absolute().as_uri()}?mode=ro", uri=True)) as journal:
            row = journal.execute("SELECT value FROM checkpoint WHERE name = 'positions'").fetchone()
    except sqlite3.Error:
        return {}
    positions: dict[str, Any] = json.loads(row[0]) if row else {}
    return {name: position for name, position in positions.items() if name != STREAM}
