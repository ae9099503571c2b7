"""A server that has lost a part of what it had: what can be filled again is, and nothing is left out in silence."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from logwatch.cluster.layout import LINES, SHARES, TABLE

from .site import Site, wait_for


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        made.start_all()
        refused(made, "bob")
        yield made
    finally:
        made.close()


def refused(site: Site, login: str) -> None:
    """And both controllers have read all."""
    site.send("mx1", login, recipients=25)
    wait_for(lambda: site.everywhere(login), f"{login} refused everywhere; {site.said()}")
    wait_for(lambda: site.decided("c1") == site.decided("c2"), "both controllers have read all")


def stream(site: Site, name: str) -> Path:
    (found,) = site.store().glob(f"jetstream/*/streams/{name}")
    return found


def restarted(site: Site) -> None:
    """Both end by themselves, and are started again, as by systemd."""
    for name in site.controllers:
        wait_for(partial(site.ended, f"{name} watch"), f"{name} sees that lines are gone; {site.said()}")
    site.start(*(f"{name} watch" for name in site.controllers))


@pytest.mark.parametrize("name", [TABLE, SHARES])
def test_a_bucket_that_is_lost_alone_is_filled_again(site: Site, name: str) -> None:
    """As controllers were never told to make it anew, nothing was published until somebody started them again."""
    site.kill("server")
    shutil.rmtree(stream(site, name))
    site.start("server")
    refused(site, f"after-{name}".lower())
    assert site.everywhere("bob")
    for controller in site.controllers:  # each is one of the others still
        site.stop(f"{controller} watch")
        site.start(f"{controller} watch")
    refused(site, f"again-{name}".lower())


def test_lines_that_are_lost_alone_are_read_anew(site: Site) -> None:
    """Controllers ended at every start, as the bucket still said whose memory was right."""
    site.kill("server")
    shutil.rmtree(stream(site, LINES))
    site.start("server")
    restarted(site)
    refused(site, "carol")
    assert site.everywhere("bob")


def test_an_image_of_its_disk_that_was_put_back_is_noticed(site: Site, tmp_path: Path) -> None:
    """Copied while it ran, as before a power cut; until it had as many messages again, all new lines were left out."""
    subprocess.run(["cp", "-a", site.store(), tmp_path / "image"], check=False)  # what goes meanwhile is not there
    refused(site, "dave")
    site.kill("server")
    shutil.rmtree(site.store())
    (tmp_path / "image").rename(site.store())
    site.start("server")
    restarted(site)
    refused(site, "erin")
    assert site.everywhere("bob")
    assert site.everywhere("dave")
