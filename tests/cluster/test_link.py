"""The connection: certificates may be renewed under it, and a mistake in what it serves ends the process, told of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from nats.aio.client import Client

from enforce import config
from logwatch.cluster import bucket, credentials
from logwatch.cluster.bucket import Entry
from logwatch.cluster.layout import BEAT, SHARES, TABLE
from logwatch.cluster.link import Link

from .site import Site, wait_for


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), ("mx1",), ("c1",))
    try:
        made.start_all()
        yield made
    finally:
        made.close()


def refused(site: Site, login: str) -> None:
    site.send("mx1", login, recipients=25)
    wait_for(lambda: site.everywhere(login), f"{login} refused; {site.said()}")


def connected(site: Site) -> Link:
    """With a controller's rights."""
    link = Link(config.load(site.directory / "c1.toml"))
    link.start()
    link.wait(10)
    return link


def test_certificates_of_another_authority_are_taken_up(site: Site) -> None:
    """Those read at the start were shown for ever, so that every process had to be started again."""
    refused(site, "bob")
    credentials.make(site.directory / "new", site.roster)
    for made in (site.directory / "new").iterdir():
        if made.is_dir():
            at = site.directory / ("server" if made.name == "server" else f"keys/{made.name}")
            shutil.copytree(made, at, dirs_exist_ok=True)
    site.kill("server")
    site.start("server")
    refused(site, "carol")


def test_what_is_no_sign_of_life_harms_nobody(site: Site) -> None:
    """It ended what connects a controller, for good; whoever has a controller's rights may write it by hand."""
    link = connected(site)

    def write(stream: str, key: str, value: bytes) -> None:
        before = link.call(lambda client: bucket.get(client, stream, key)) or Entry(key, None, 0)
        link.call(lambda client: bucket.put(client, stream, key, value, before.revision))

    odd = [(TABLE, BEAT, value) for value in (b"{", b"[]", b'{"generation": 1e400, "partitions": 8, "whole": []}')]
    odd += [(SHARES, "c.c9", b"["), (SHARES, "c.c8", b"{}"), (SHARES, "p.0", b'{"holder": []}')]
    for place in odd:
        write(*place)
    link.close()
    refused(site, "dave")
    wait_for(lambda: site.status("c1")["controllers"]["c1"]["held"] == 8, "all keys to be held")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_connection_that_ended_by_a_mistake_is_known(site: Site) -> None:
    """Its thread was gone, and the process stayed, for systemd as good as any."""

    async def mistaken(_: Client) -> None:
        raise ValueError

    link = connected(site)
    assert not link.broken
    link.close()
    assert not link.broken
    link = Link(config.load(site.directory / "c1.toml"))
    link.serve(mistaken)
    link.start()
    wait_for(lambda: link.broken, "its end")
