"""The demo tells its story to the end, in under a minute, and leaves nothing behind."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from logwatch.cluster.names import partition
from logwatch.commands.demo_cluster import PEOPLE
from tests.commands.running import mailbrake
from tests.commands.test_why import told_within


@pytest.fixture
def place() -> Iterator[Path]:
    """Where temporary files go, others' aside; its path is short, as sockets' must be."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def test_the_demo_shows_the_closed_loop(place: Path) -> None:
    """Accept, flood, decision, 450 with a case, why, release, accept; the neighbour is accepted throughout."""
    done = mailbrake("demo", TMPDIR=str(place))
    assert done.returncode == 0, done.stderr
    told = done.stdout
    case = re.search(r"bob +MAIL FROM  →  450 4\.7\.1 .* \(case ([0-9A-Z]{6})\)", told)
    assert case, told
    story = [
        "alice  MAIL FROM  →  accepted",
        "bob    MAIL FROM  →  accepted",
        "a message to 25 recipients",
        "recipients in 10m is 201, the limit is 200",
        "alice  MAIL FROM  →  accepted",
        "bob    MAIL FROM  →  450",
        f"mailbrake why {case[1]}",
        "sasl_username=bob",
        "mailbrake table release bob",
        "bob    MAIL FROM  →  accepted",
        "mailbrake replay /var/log/mail.log",
    ]
    _assert_told(story, told)
    assert "alice  MAIL FROM  →  4" not in told
    assert not any(place.iterdir())


def test_a_demo_that_has_no_place_says_so() -> None:
    """Where nothing can be written, as on a machine that is brought up read-only."""
    done = told_within("ulimit -f 0", "demo")
    assert done.returncode == 1
    assert done.stderr.startswith("mailbrake: No usable temporary directory found in ['/tmp', ")
    assert "TMPDIR=DIRECTORY" in done.stderr


def test_the_demo_of_a_cluster_kills_one_of_each(place: Path) -> None:
    """A flood in three slices; a dead controller, a dead gateway, a dead server; each time all tables have it after."""
    assert {partition(f"account:{login}", 8) for login in PEOPLE} == set(range(8))
    done = mailbrake("demo", "--cluster", TMPDIR=str(place))
    assert done.returncode == 0, done.stderr
    everywhere = "mx1 mx2 mx3  {} → 450   "
    story = [
        "1  A hijacked account",
        "mx3  bob  a message to 10 recipients, four times",
        everywhere.format("bob"),
        "✗ c1: mailbrake watch is dead",
        everywhere.format(", ".join(PEOPLE)),
        "✗ mx3: mailbrake sync is dead",
        "mx3  bob → 450",
        everywhere.format("dave"),
        "✗ server is dead",
        "mx1 mx2 mx3  dave → 450",
        everywhere.format("erin"),
        "gateways     mx1",
        "controllers  c2",
        "held 8",
    ]
    _assert_told(story, done.stdout)
    assert not any(place.iterdir())


def _assert_told(story: list[str], told: str) -> None:
    """All of it, in this order."""
    place = 0
    for part in story:
        place = told.find(part, place) + 1
        assert place, f"{part!r} is missing, or out of order, in\n{told}"
