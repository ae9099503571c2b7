"""Three servers that keep everything three times: with one of them gone all goes on, with two all waits, and comes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from .namespaces import Network, machines
from .site import SERVER, Site, wait_for
from .test_faults import healed, honest, judged, written

SERVERS, GATEWAYS, CONTROLLERS = ("s1", "s2", "s3"), ("mx1", "mx2"), ("c1", "c2")
PATIENCE = 60.0  # servers that are left agree on who leads in seconds, and on a busy machine in some more


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    yield from machines((*SERVERS, *GATEWAYS, *CONTROLLERS))


@pytest.fixture(scope="module")
def site(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    places = {name: network.place(name) for name in (*SERVERS, *GATEWAYS, *CONTROLLERS)}
    servers = {name: network.addresses[name] for name in SERVERS}
    made = Site(tmp_path_factory.mktemp("site"), GATEWAYS, CONTROLLERS, servers=servers, places=places)
    try:
        made.start_all()
        made.send("mx1", "bob", recipients=25)
        refused(made, "bob")
        yield made
    finally:
        made.close()


def refused(site: Site, login: str) -> None:
    wait_for(lambda: site.everywhere(login), f"{login} refused; {site.said()}", PATIENCE)


def test_one_of_three_servers_may_be_killed(site: Site) -> None:
    site.kill("s1")
    honest(site)
    site.send("mx1", "carol", recipients=12)
    site.send("mx2", "carol", recipients=12)
    refused(site, "carol")
    site.start("s1")


def test_one_of_three_servers_may_be_cut_off(site: Site, network: Network) -> None:
    network.cut("s2")
    honest(site)
    site.send("mx1", "dave", recipients=12)
    site.send("mx2", "dave", recipients=12)
    refused(site, "dave")
    network.heal("s2")


def test_while_two_of_three_servers_are_away_mail_flows(site: Site) -> None:
    """Nothing can be decided until one of them is back, and what stood stands; then comes all that waited."""
    site.kill("s2")
    site.kill("s3")
    honest(site)
    site.send("mx1", "erin", recipients=12)
    site.send("mx2", "erin", recipients=12)
    assert site.everywhere("carol")
    site.start("s3")
    refused(site, "erin")
    site.start("s2")


def test_every_line_was_judged_and_all_are_equal(site: Site) -> None:
    """After all of this."""
    wait_for(lambda: judged(site) == {written(site)}, f"all lines judged: {written(site)}, {judged(site)}", PATIENCE)
    healed(site)
    assert set(site.table("mx1")) == {f"account:{login}" for login in ("bob", "carol", "dave", "erin")}


def test_only_a_servers_key_makes_a_server(site: Site, network: Network) -> None:
    """Whoever breaks into a gateway has a certificate of this cluster, and would be believed everything as a server."""
    keys = (site.directory / "keys" / "mx1").as_posix()
    tls = f'cert_file: "{keys}/mx1.pem", key_file: "{keys}/mx1.key", ca_file: "{keys}/ca.pem"'
    rogue = site.directory / "rogue.conf"
    routes = f'routes: ["tls://{network.addresses["s1"]}:6222"]'
    rogue.write_text(f'cluster {{ name: mailbrake, listen: "0.0.0.0:6222", {routes}, tls {{ {tls} }} }}')
    said = site.directory / "rogue.err"
    with said.open("wb") as errors:
        process = subprocess.Popen([*network.place("mx1"), str(SERVER), "-c", str(rogue)], stderr=errors)
    try:
        wait_for(lambda: "not pinned" in (site.directory / "s1.err").read_text(), f"refused: {said.read_text()}")
    finally:
        process.kill()
        process.wait()
