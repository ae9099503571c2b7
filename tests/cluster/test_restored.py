"""A state directory put back from a backup: what is said there is heard, and what had been said there is learned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from enforce import config
from logwatch.cluster.layout import REVIEWS
from logwatch.cluster.link import Link
from logwatch.telling.journal import Journal, Review

from .site import Site, wait_for


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), ("mx1",))
    try:
        made.start_all()
        yield made
    finally:
        made.close()


def reviewed(site: Site, controller: str) -> set[tuple[str, str]]:
    with Journal.read(site.directory / controller / "journal.sqlite") as journal:
        return {(review.key, review.verdict) for review in journal.reviews() if review.effective is not None}


def released(site: Site, *logins: str) -> None:
    """For all, and in the journals of both."""
    said = {(f"account:{login}", "released") for login in logins}
    wait_for(lambda: said <= reviewed(site, "c1") & reviewed(site, "c2"), f"{logins} in both journals; {site.said()}")
    wait_for(lambda: not any(site.denied("mx1", login) for login in logins), f"{logins} released; {site.said()}")


def refused(site: Site, *logins: str) -> None:
    for login in logins:
        site.send("mx1", login, recipients=25)
    wait_for(lambda: all(site.everywhere(login) for login in logins), f"{logins} refused; {site.said()}")
    keys = {f"account:{login}" for login in logins}
    wait_for(lambda: all(keys <= {d.key for d in site.decided(of)} for of in site.controllers), "both to have decided")


def test_a_release_is_heard_though_its_number_was_given_before(site: Site) -> None:
    """The backup knows nothing of the first release, so that the second gets its number once more."""
    state, backup = site.directory / "c1", site.directory / "backup"
    refused(site, "bob", "carol")
    site.stop("c1 watch")
    shutil.copytree(state, backup)
    site.start("c1 watch")
    site.mailbrake("c1", "table", "release", "bob")
    released(site, "bob")
    site.stop("c1 watch")
    shutil.rmtree(state)
    backup.rename(state)
    site.start("c1 watch")
    refused(site, "dave")
    site.mailbrake("c1", "table", "release", "carol")
    released(site, "carol", "bob")
    site.stop("c1 watch")
    site.stop("c2 watch")
    site.start("c1 watch")
    site.send("mx1", "erin", recipients=25)
    wait_for(lambda: site.everywhere("erin"), f"erin refused; {site.said()}")
    assert [login for login in ("bob", "carol", "dave") if site.denied("mx1", login)] == ["dave"]


def test_what_is_sent_again_counts_once(site: Site) -> None:
    """After a kill, or an answer that did not come, and later than the server itself would notice."""
    link = Link(config.load(site.directory / "c1.toml"))
    link.start()
    link.wait(10)

    def say(key: str) -> None:
        review = vars(Review(1.0, key, "released", "root"))
        said = {name: value for name, value in review.items() if name not in ("effective", "latest")}
        message = json.dumps({**said, "origin": "c1 before", "id": 1}).encode()
        link.call(lambda client: client.jetstream().publish(REVIEWS, message))

    for key in ("account:bob", "account:bob", "account:carol"):
        say(key)
    link.close()
    released(site, "carol")
    with Journal.read(site.directory / "c2" / "journal.sqlite") as journal:
        assert [review.key for review in journal.reviews()] == ["account:carol", "account:bob"]
