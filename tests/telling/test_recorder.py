"""What waits for the journal: all of it goes there at once, or nothing; meanwhile it waits, up to a bound."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from logwatch.memory import Memory
from logwatch.schema import Listing
from logwatch.telling.journal import Journal, Review
from logwatch.telling.published import Change
from logwatch.telling.recorder import Recorder
from tests.telling.decisions import NOW


class Desk:
    """A recorder in a directory, the lines that it says, and a clock that stands still."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal.sqlite"
        self.said: list[str] = []
        self.recorder = Recorder(self.path, 86400.0, lambda: NOW, self.said.append)

    @contextmanager
    def unwritable(self) -> Iterator[None]:
        """The journal lacks a table meanwhile."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("ALTER TABLE published RENAME TO away")
            yield
            other.execute("ALTER TABLE away RENAME TO published")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.recorder.close()


def change(number: int) -> Change:
    return Change(
        NOW, f"account:{number}", "add", "block", "enforce", NOW + 60, None, None, "flood", "7K2M9Q", "decided"
    )


def test_of_what_cannot_be_written_the_latest_ten_thousand_wait(desk: Desk) -> None:
    """Of each kind; that it waits is said."""
    listings = [Listing(NOW + number, NOW + 1e6, "client:192.0.2.1", "bl.example", ()) for number in range(10_010)]
    desk.recorder.published(map(change, range(10_005)))
    desk.recorder.answered(listings)
    with desk.unwritable():
        assert not desk.recorder.save([], {})
        assert desk.recorder.due()
    (said,) = desk.said
    assert said.startswith(f"{desk.path}: cannot be written: ")
    desk.recorder.published([change(10_005)])
    assert desk.recorder.save([], {})
    assert desk.recorder.journal.published() == [change(number) for number in range(5, 10_006)]
    assert desk.recorder.journal.answers() == listings[10:]
    assert not desk.recorder.due()


def test_what_could_not_be_written_is_written_once(desk: Desk) -> None:
    """What is remembered, the position, and what was said, with what waits; the clock says when."""
    review = Review(NOW, "account:eve", "released", "root")
    desk.recorder.journal.review(review)
    memory: Memory[int] = Memory("room", 10)
    memory.put("bob", 1, NOW)
    desk.recorder.published([change(1)])
    (unseen,) = desk.recorder.journal.unseen()
    desk.recorder.reviewed(unseen, NOW + 1, 7)
    with desk.unwritable():
        assert not desk.recorder.save([memory], {"positions": 5})
    assert desk.recorder.journal.noted("positions") is None
    for _ in range(2):
        assert desk.recorder.save([memory], {"positions": 6})
    assert memory.changes() == []
    with Journal.read(desk.path) as journal:
        assert (journal.noted("positions"), journal.noted("saved")) == (6, NOW)
        assert [key for key, *_ in journal.room("room")] == ["bob"]
        assert journal.published() == [change(1)]
        assert [one.effective for one in journal.reviews()] == [NOW + 1]


def test_a_review_is_taken_up_once_though_the_journal_does_not_know_it_yet(desk: Desk) -> None:
    """One from elsewhere has no number: who hands it over sees to that."""
    for key in ("account:eve", "account:bob"):
        desk.recorder.journal.review(Review(NOW, key, "released", "root"))
    eve, bob = desk.recorder.journal.unseen()
    elsewhere = Review(NOW, "account:carol", "released", "root")
    for review in (eve, elsewhere):
        desk.recorder.reviewed(review, NOW, 0)
    assert desk.recorder.new([*desk.recorder.journal.unseen(), elsewhere]) == [bob, elsewhere]


def test_why_the_log_cannot_be_read_is_noted_if_that_can_be(desk: Desk) -> None:
    assert desk.recorder.hindered(["no such file"])
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("ALTER TABLE checkpoint RENAME TO away")
        assert not desk.recorder.hindered([])
        other.execute("ALTER TABLE away RENAME TO checkpoint")
    assert desk.recorder.journal.noted("problems") == ["no such file"]
