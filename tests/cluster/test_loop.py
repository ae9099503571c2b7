"""The whole loop with real processes: gateways, controllers and a stream server on one machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from logwatch.telling.journal import Journal

from .site import Site, wait_for


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        made.start_all()
        yield made
    finally:
        made.close()


def told(site: Site, controller: str, subject: str) -> list[dict[str, Any]]:
    """What `why` says on a controller; but for its commands, and for when its own clock saw the table change."""
    rows = [json.loads(row) for row in site.mailbrake(controller, "why", subject, "--json").splitlines()]
    return [{name: value for name, value in row.items() if name not in ("published", "next")} for row in rows]


def published(site: Site, controller: str, login: str) -> list[tuple[str, str]]:
    """What became of an account's record in the table that all share, by a controller's journal."""
    journal = Journal.read(site.directory / controller / "journal.sqlite")
    found = journal.published(f"account:{login}")
    journal.close()
    return [(change.change, change.action) for change in found]


def test_what_no_gateway_sees_alone_is_refused_on_all(site: Site) -> None:
    """15 recipients on each are nothing; together they are a flood."""
    site.send("mx1", "bob", recipients=5, messages=3)
    site.send("mx2", "bob", recipients=5, messages=3)
    wait_for(lambda: site.everywhere("bob"), f"bob refused everywhere; {site.said()}")
    assert site.table("mx1") == site.table("mx2")
    (entry,) = site.table("mx1")["account:bob"]
    both = [told(site, name, entry[2]) for name in site.controllers]
    assert both[0] == both[1] != []
    put = [("add", "block")]
    wait_for(lambda: all(published(site, name, "bob") == put for name in site.controllers), "both to note that it is")


def test_a_release_on_one_controller_holds_on_all(site: Site) -> None:
    site.send("mx1", "carol", recipients=25)
    wait_for(lambda: site.everywhere("carol"), "carol refused everywhere")
    site.mailbrake("c2", "table", "release", "carol")
    wait_for(lambda: site.everywhere("carol", denied=False), f"carol released everywhere; {site.said()}")
    site.send("mx2", "carol", recipients=5)
    site.send("mx2", "dave", recipients=25)
    wait_for(lambda: site.everywhere("dave"), "dave refused everywhere")
    assert site.everywhere("carol", denied=False)
    decided = [told(site, name, "account:carol") for name in site.controllers]
    assert decided[0] == decided[1] != []
    put = [("add", "block"), ("remove", "block")]
    wait_for(lambda: all(published(site, name, "carol") == put for name in site.controllers), "both to note that, too")


def test_an_order_by_hand_holds_on_all(site: Site) -> None:
    site.mailbrake("c1", "table", "block", "eve", "--for", "1h")
    wait_for(lambda: site.everywhere("eve"), "eve refused everywhere")


def test_on_a_gateway_nothing_can_be_released(site: Site) -> None:
    assert site.mailbrake("mx1", "table", "release", "bob") == ""
    assert not (site.directory / "mx1" / "journal.sqlite").exists()


def test_status_shows_every_gateway_and_controller(site: Site) -> None:
    """Its lag, its table, and what was lost; the same on either controller."""

    def shown() -> bool:
        status = site.status("c1")
        tables = {row.get("table") for row in status["gateways"].values()}
        return set(status["gateways"]) == set(site.gateways) and len(tables) == 1 and tables != {None}

    wait_for(shown, f"both gateways with one table: {site.status('c1')}")
    status = site.status("c1")
    assert {row["held"] for row in status["controllers"].values()} == {4}
    assert all(row["silent"] < 5 for row in status["controllers"].values())
    assert all(row["lag"] < 5 and row["lost"] == {"spool": 0} for row in status["gateways"].values())
    assert site.status("mx1")["spool"]["lost"] == 0
    assert site.status("mx1")["table"]["generation"] == site.state("mx2").generation


def test_a_controller_that_ends_hands_over(site: Site) -> None:
    site.stop("c1 watch")
    site.send("mx1", "frank", recipients=25)
    wait_for(lambda: site.everywhere("frank"), f"frank refused everywhere; {site.said()}")
    assert [*site.status("c2")["controllers"]] == ["c2"]  # it said that it goes, and is not missed
    site.start("c1 watch")
    site.send("mx1", "grace", recipients=25)
    wait_for(lambda: site.everywhere("grace"), f"grace refused everywhere; {site.said()}")


def test_a_server_that_lost_its_disk_is_filled_again(site: Site) -> None:
    """By the controllers, from what they remember; and the gateways' tables are as they were."""
    before = site.table("mx1")
    wait_for(lambda: site.decided("c1") == site.decided("c2"), "both controllers have read all")
    site.kill("server")
    shutil.rmtree(site.store())
    site.start("server")
    for name in site.controllers:
        wait_for(partial(site.ended, f"{name} watch"), f"{name} sees that the stream is gone")
        site.start(f"{name} watch")
    site.send("mx1", "grete", recipients=25)
    for _ in range(100):
        assert before.keys() <= site.table("mx1").keys()
        if site.everywhere("grete"):
            break
        threading.Event().wait(0.1)
    wait_for(lambda: site.everywhere("grete"), f"grete refused everywhere; {site.said()}")
    assert {key: site.table("mx2")[key] for key in before} == before
    assert site.decided("c1") == site.decided("c2")


def test_a_controller_that_had_read_less_of_a_lost_stream_is_refused(site: Site) -> None:
    """It has forgotten what the other knows."""
    wait_for(lambda: site.decided("c1") == site.decided("c2"), "both controllers have read all")
    site.stop("c1 watch")
    site.send("mx1", "hugo", recipients=25)
    wait_for(lambda: site.everywhere("hugo"), "hugo refused everywhere")
    site.kill("server")
    shutil.rmtree(site.store())
    site.start("server")
    wait_for(lambda: site.ended("c2 watch"), "c2 sees that the stream is gone")
    site.start("c2 watch")
    site.send("mx1", "ida", recipients=25)
    wait_for(lambda: site.everywhere("ida"), f"ida refused everywhere; {site.said()}")
    assert "does not remember what the others of the cluster do" in _refusal(site)
    shutil.rmtree(site.directory / "c1")
    site.stop("c2 watch")
    shutil.copytree(site.directory / "c2", site.directory / "c1")
    site.start("c1 watch", "c2 watch")


def _refusal(site: Site) -> str:
    """What c1 says when it is started."""
    command = [sys.executable, "-m", "logwatch", "watch", "--config", str(site.directory / "c1.toml")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 1
    return run.stderr


def test_a_stranger_with_a_memory_of_its_own_is_refused(site: Site, tmp_path: Path) -> None:
    """It would decide otherwise than the others; a copy of another's state directory would not."""
    site.stop("c1 watch")
    state = site.directory / "c1"
    state.rename(tmp_path / "c1")
    journal = Journal.open(state / "journal.sqlite")
    journal.note("facts", {})
    journal.close()
    assert "does not remember what the others of the cluster do" in _refusal(site)
    shutil.rmtree(state)
    site.stop("c2 watch")
    shutil.copytree(site.directory / "c2", state)
    site.start("c1 watch", "c2 watch")
    site.send("mx1", "heidi", recipients=25)
    wait_for(lambda: site.everywhere("heidi"), f"heidi refused everywhere; {site.said()}")
    assert site.everywhere("bob")
