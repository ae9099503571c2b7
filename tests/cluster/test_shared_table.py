"""The table that all share, on a real server: whatever becomes of its names, no gateway lets go of a brake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enforce import config
from logwatch.cluster import bucket
from logwatch.cluster.bucket import Entry
from logwatch.cluster.layout import BEAT, TABLE
from logwatch.cluster.link import Link
from logwatch.cluster.names import raw

from .site import Site, wait_for

LOGINS = [f"user{number}" for number in range(8)]  # fewer than the guard lets in


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), ("mx1",), ("c1",))
    try:
        made.start_all()
        for login in LOGINS:
            made.send("mx1", login, recipients=25)
        wait_for(lambda: all(made.everywhere(login) for login in LOGINS), f"all refused; {made.said()}")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def link(site: Site) -> Iterator[Link]:
    """A controller's rights."""
    made = Link(config.load(site.directory / "c1.toml"))
    made.start()
    made.wait(10)
    yield made
    made.close()


def in_the_bucket(link: Link) -> dict[str, Entry]:
    entries = link.call(lambda client: bucket.snapshot(client, TABLE))
    return {entry.key: entry for entry in entries if entry.value is not None and entry.key != BEAT}


def put(link: Link, name: str, value: bytes | None, revision: int) -> None:
    assert link.call(lambda client: bucket.put(client, TABLE, name, value, revision))


def configured(site: Site, line: str, instead: str = "[cluster]") -> None:
    """The controller starts again with another line in place of one, or one more."""
    site.stop("c1 watch")
    path = site.directory / "c1.toml"
    path.write_text(path.read_text().replace(instead, line if instead != "[cluster]" else f"[cluster]\n{line}"))
    site.start("c1 watch")


def refused(site: Site) -> int:
    return sum(site.denied("mx1", login) for login in LOGINS)


def settled(site: Site, login: str) -> None:
    """A change has come through after all that was to be done before."""
    site.send("mx1", login, recipients=25)
    lowest = len(LOGINS)

    def there() -> bool:
        nonlocal lowest
        lowest = min(lowest, refused(site))
        return site.everywhere(login)

    wait_for(there, f"{login} refused; {site.said()}")
    assert lowest == len(LOGINS)


def test_another_number_of_partitions_takes_no_brakes_off(site: Site, link: Link) -> None:
    """While gateways are connected: a key's name hung on that number, and went after the new one had come."""
    configured(site, "partitions = 12")
    settled(site, "frank")
    assert set(in_the_bucket(link)) == {raw(f"account:{login}") for login in (*LOGINS, "frank")}
    configured(site, "partitions = 5", instead="partitions = 12")
    settled(site, "frieda")
    assert site.status("c1")["controllers"]["c1"]["held"] == 5  # of those that there are


def test_names_of_before_give_way_to_the_ones_of_now(site: Site, link: Link) -> None:
    """Those of an earlier checkout, and what fewer partitions had left behind, which nobody took away."""
    site.stop("c1 watch")
    for name, entry in in_the_bucket(link).items():
        put(link, f"11.{name.partition('.')[2]}", entry.value, 0)
        put(link, name, None, entry.revision)
    put(link, "odd", b"not ours", 0)
    site.start("c1 watch")
    settled(site, "grace")
    names = {"odd", *(raw(f"account:{login}") for login in (*LOGINS, "frank", "frieda", "grace"))}
    wait_for(lambda: set(in_the_bucket(link)) == names, "the names of before to be gone")
    assert refused(site) == len(LOGINS)


def test_what_is_taken_off_by_hand_is_put_back(site: Site, link: Link) -> None:
    """By whoever holds the key; it stayed away until another held it, or the controller started again."""
    name = raw("account:user0")
    entry = in_the_bucket(link)[name]
    put(link, name, None, entry.revision)
    wait_for(lambda: in_the_bucket(link).get(name, entry).revision > entry.revision, "it to be there again")
    wait_for(lambda: refused(site) == len(LOGINS), f"all refused; {site.said()}")
    site.mailbrake("c1", "table", "release", "user0")
    wait_for(lambda: not site.denied("mx1", "user0"), f"user0 released; {site.said()}")
