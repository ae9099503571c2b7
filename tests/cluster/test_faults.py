"""A gateway, a controller, the stream's server: killed, or cut off, each on a machine of its own.

Ten minutes are made short by a lease of some seconds. Throughout, honest accounts send a little, and are never refused;
what was refused stays so until its leases run out; in the end all tables are equal, both controllers have decided the
same, and every line that was logged has been judged.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from logwatch.telling.journal import Journal

from .namespaces import Network, machines
from .site import Site, wait_for

GATEWAYS, CONTROLLERS = ("mx1", "mx2"), ("c1", "c2")
LEASE = 8


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    yield from machines(("server", *GATEWAYS, *CONTROLLERS))


@pytest.fixture(scope="module")
def site(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    places = {name: network.place(name) for name in ("server", *GATEWAYS, *CONTROLLERS)}
    servers = {"server": network.addresses["server"]}
    made = Site(
        tmp_path_factory.mktemp("site"), GATEWAYS, CONTROLLERS, servers=servers, lease=f"{LEASE}s", places=places
    )
    try:
        made.start_all()
        made.send("mx1", "bob", recipients=25)
        wait_for(lambda: made.everywhere("bob"), f"bob refused everywhere; {made.said()}")
        yield made
    finally:
        made.close()


def honest(site: Site) -> None:
    for gateway in site.gateways:
        site.send(gateway, "alice", recipients=1)


def refused(site: Site, login: str, *gateways: str) -> None:
    """Soon, on these gateways."""
    names = gateways or site.gateways
    wait_for(lambda: all(site.denied(name, login) for name in names), f"{login} refused on {names}; {site.said()}")


def healed(site: Site) -> None:
    """All tables are equal, and both controllers have decided the same."""
    wait_for(lambda: site.table("mx1") == site.table("mx2") and site.decided("c1") == site.decided("c2"), "all equal")
    assert "account:alice" not in site.table("mx1")


def written(site: Site) -> int:
    """Lines in the gateways' logs."""
    return sum((site.directory / f"{name}.log").read_bytes().count(b"\n") for name in site.gateways)


def judged(site: Site) -> set[int]:
    """How many of them each controller has judged."""
    journals = [Journal.read(site.directory / name / "journal.sqlite") for name in site.controllers]
    facts = [journal.facts() for journal in journals]
    for journal in journals:
        journal.close()
    return {found["lines"] if found else 0 for found in facts}


def test_a_gateway_cut_off_keeps_its_table_until_leases_end_and_catches_up(site: Site, network: Network) -> None:
    """The others go on; its table stands until its leases run out; what it logs meanwhile comes when it is back."""
    network.cut("mx1")
    honest(site)
    site.send("mx2", "carol", recipients=25)
    refused(site, "carol", "mx2")
    assert site.denied("mx1", "bob")
    site.send("mx1", "dave", recipients=15)
    wait_for(lambda: not site.denied("mx1", "bob"), "the last table's leases have run out")
    assert site.state("mx1").age >= LEASE / 2  # which a look at it tells
    assert site.denied("mx2", "bob")
    network.heal("mx1")
    site.send("mx2", "dave", recipients=15)
    refused(site, "dave")
    refused(site, "bob")
    healed(site)


def test_the_lines_of_a_gateway_that_was_killed_are_read_when_it_is_back(site: Site) -> None:
    """Its lines are read when it is back, and its table is made equal."""
    site.kill("mx1 ship")
    site.kill("mx1 sync")
    honest(site)
    site.send("mx1", "erin", recipients=25)
    site.start("mx1 ship", "mx1 sync")
    refused(site, "erin")
    healed(site)


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_another_controller_takes_the_keys_of_one_that_was_killed(site: Site, controller: str) -> None:
    """The other has its keys within seconds, and it goes on from its journal."""
    site.kill(f"{controller} watch")
    honest(site)
    site.send("mx1", f"f-{controller}", recipients=12)
    site.send("mx2", f"f-{controller}", recipients=12)
    refused(site, f"f-{controller}")
    assert site.everywhere("bob")
    site.start(f"{controller} watch")
    healed(site)


def test_another_controller_takes_the_keys_of_one_that_is_cut_off(site: Site, network: Network) -> None:
    network.cut("c1")
    honest(site)
    site.send("mx1", "grace", recipients=25)
    refused(site, "grace")
    network.heal("c1")
    site.send("mx2", "heidi", recipients=25)
    refused(site, "heidi")
    healed(site)


@pytest.mark.parametrize("part", ["mx1 ship", "c1 watch"])
def test_what_hangs_holds_up_nobody(site: Site, part: str) -> None:
    """It keeps its connection, and is waited for no longer than if it were dead."""
    login = f"h-{part[:2]}"
    site.hang(part)
    honest(site)
    site.send("mx2", login, recipients=25)
    refused(site, login)
    site.wake(part)
    healed(site)


def test_a_server_that_hangs_holds_up_nobody_for_ever(site: Site) -> None:
    """Nobody waits for its answer for ever."""
    site.hang("server")
    honest(site)
    site.send("mx1", "kim", recipients=25)
    wait_for(lambda: site.state("mx1").age > 6, "everybody has noticed")
    site.wake("server")
    refused(site, "kim")
    healed(site)


def test_the_server_is_killed_and_nothing_acknowledged_is_lost(site: Site) -> None:
    """What it had acknowledged is there; what was written meanwhile comes; the last table stands."""
    site.send("mx1", "ivan", recipients=15)
    wait_for(lambda: judged(site) == {written(site)}, "the lines were acknowledged")
    site.kill("server")
    honest(site)
    site.send("mx2", "ivan", recipients=15)
    assert site.everywhere("bob")
    site.start("server")
    refused(site, "ivan")
    healed(site)


def test_what_was_sent_while_the_server_was_cut_off_is_judged_when_it_is_back(site: Site, network: Network) -> None:
    network.cut("server")
    honest(site)
    site.send("mx1", "judy", recipients=12)
    site.send("mx2", "judy", recipients=12)
    wait_for(lambda: site.state("mx1").age > LEASE / 2, "no sign of life")
    network.heal("server")
    refused(site, "judy")
    refused(site, "bob")
    healed(site)


def test_every_line_was_judged_and_nobody_refused_who_should_not_be(site: Site) -> None:
    """After all of this."""
    wait_for(lambda: judged(site) == {written(site)}, f"all lines judged: {written(site)}, {judged(site)}")
    lost = [row["lost"] for row in site.status("c1")["gateways"].values()]
    assert all(set(kinds) <= {"spool", "late", "duplicates"} and not kinds["spool"] for kinds in lost)
    floods = {"bob", "carol", "dave", "erin", "f-c1", "f-c2", "grace", "h-mx", "h-c1", "heidi", "ivan", "judy", "kim"}
    assert set(site.table("mx1")) == {f"account:{login}" for login in floods}
