"""Where the table lies goes wrong under a whole site: mail flows, what was listed stands, and somebody says so."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loop.site import PATIENCE, Site
from tests.loop.test_loop import FLOOD
from tests.mta.waiting import wait_for

SIZE = 1 << 21  # bytes; journal and table take about a quarter of it


@pytest.fixture
def site() -> Iterator[Site]:
    """One whose state lies on a small file system of its own."""
    with Site(FLOOD.format(duration="1h", mode="enforce")) as site, contextlib.ExitStack() as stack:
        state = site.table.parent
        for name in ("milter", "watch"):
            site.stop(name)
        mount("-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(state))
        stack.callback(subprocess.run, ["umount", "--lazy", str(state)], check=True)
        for name in ("watch", "milter"):
            site.start(name)
        yield site


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def said(site: Site, name: str, text: str) -> None:
    wait_for(lambda: text in site.errors(name).read_text(), PATIENCE, text, site.errors(name))


def fill(directory: Path) -> Path:
    """Take up the last byte."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk_stops_no_mail_and_costs_no_decision(site: Site) -> None:
    """Who is listed stays so; a flood is decided upon, and published when there is room again."""
    site.run("table", "block", "bob", "--for", "2h")
    filler = fill(site.table.parent)
    site.flood("alice")  # may be refused before its end: the table may have free pages within its file
    said(site, "watch", "disk is full")
    assert site.refused("bob") is not None
    assert site.refused("carol") is None
    order = site.run("table", "block", "carol", "--for", "2h")  # there may be room within the files
    assert site.refused("carol") if order.returncode == 0 else "full" in order.stderr
    filler.unlink()
    site.wait_until_refused("alice")
    assert site.refused("bob") is not None


def test_a_read_only_file_system_stops_no_mail(site: Site) -> None:
    """The milter cannot note which snapshot it reads, so it does not read; the controller says that it cannot write."""
    site.run("table", "block", "bob", "--for", "2h")
    for name in ("milter", "watch"):
        site.stop(name)
    mount("-o", "remount,ro", str(site.table.parent))
    site.start("milter")
    assert site.refused("bob") is None
    said(site, "milter", "read-only")
    status = site.run("status")
    assert (status.returncode, "read-only" in status.stderr) == (1, True), status.stderr
    mount("-o", "remount,rw", str(site.table.parent))
    site.start("watch")
    wait_for(lambda: site.refused("bob"), PATIENCE, "bob to be refused again", site.errors("milter"))
