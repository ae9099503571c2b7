"""What the server has acknowledged is there after `kill -9`, and be it killed in that moment.

For a power cut it must be on the disk as well, which is `sync_interval: always`; that cannot be tried here.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nats.aio.client import Client

from enforce import config as configuration
from logwatch.cluster import layout
from logwatch.cluster.layout import LINES
from logwatch.cluster.link import Link
from logwatch.cluster.names import lines_of

from .site import Site


def connected(site: Site, name: str) -> Link:
    link = Link(configuration.load(site.directory / f"{name}.toml"))
    link.start()
    link.wait(20)
    return link


async def write(number: int, client: Client) -> int:
    done = await client.jetstream().publish(lines_of("mx1"), b"%d" % number * 100)
    return done.seq


async def last(client: Client) -> int:
    return (await client.jetstream().stream_info(LINES)).state.last_seq


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    site = Site(tmp_path, ("mx1",), ("c1",))
    try:
        acknowledged = 0
        for life in range(3):
            site.start("server")
            controller, gateway = connected(site, "c1"), connected(site, "mx1")
            controller.call(lambda client: layout.prepare(client, configuration.load(tmp_path / "c1.toml").cluster))
            assert controller.call(last) == acknowledged
            for number in range(20 + life):
                acknowledged = gateway.call(partial(write, number))
            site.kill("server")
            gateway.close()
            controller.close()
        assert acknowledged == 63
    finally:
        site.close()
