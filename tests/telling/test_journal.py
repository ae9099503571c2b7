"""The journal: what is written in one transaction is there after any end, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from logwatch.memory import Memory
from logwatch.reading.log_file import Position
from logwatch.schema import Decision, Listing
from logwatch.telling import orders
from logwatch.telling.journal import Effect, Forgotten, Journal, Review
from logwatch.telling.journal_file import _VERSIONS, JournalError
from logwatch.telling.published import Change
from tests.telling.decisions import NOW, decision


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal.open(path)
    yield opened
    opened.close()


def record(journal: Journal, *decisions: Decision, lines: dict[int, list[str]] | None = None) -> None:
    with journal.transaction():
        journal.record(decisions, lines or {})


def test_files_are_for_the_owner_only(journal: Journal, path: Path) -> None:
    """The journal holds who wrote to whom: 0600, its directory 0750."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o027 == 0
    journal.close()


def test_several_may_make_it_at_once(tmp_path: Path) -> None:
    """As a controller and an order do after an upgrade, or at the very first start."""
    for number in range(10):
        path = tmp_path / str(number) / "journal.sqlite"
        together = threading.Barrier(3)

        def make(path: Path = path, together: threading.Barrier = together) -> None:
            together.wait(60)
            Journal.open(path).close()

        with ThreadPoolExecutor(3) as pool:
            for made in [pool.submit(make) for _ in range(3)]:
                made.result(60)


def test_a_decision_comes_back_as_it_was(journal: Journal) -> None:
    """By reference and by key, newest first, with its log lines in order."""
    first, second = decision(1), decision(2, time=NOW + 400, until=NOW + 4000)
    record(journal, first, second, lines={1: ["one", "two"]})
    assert journal.case("7K2M9Q") == journal.case("account:bob@example.com") == [second, first]
    assert journal.lines(1) == ["one", "two"]
    assert journal.lines(2) == []
    assert journal.case("nobody") == []


def test_the_json_of_a_decision_reads_back() -> None:
    """`as_json` and `from_json` are inverse, to the microsecond stamps have."""
    one = decision(3, time=NOW + 0.25, share=0.5, max_recipients=25)
    assert Decision.from_json(json.loads(json.dumps(one.as_json()))) == one


def test_standing_is_the_last_word_on_each_rule_and_key(journal: Journal) -> None:
    """Not what has ended, was released, or was written anew since."""
    record(
        journal,
        decision(1),
        decision(2, time=NOW + 400, until=NOW + 4000),
        decision(3, key="account:carol@example.com", until=NOW + 10),
        decision(4, key="client:192.0.2.1"),
        decision(5, key="client:192.0.2.1", action="release", until=NOW + 60),
        decision(6, rule="harvest", ref="8K2M9Q", until=NOW + 5000),
    )
    for now, seqs in ((NOW + 60, [2, 6]), (NOW + 3999, [2, 6]), (NOW + 4000, [6]), (NOW + 5000, [])):
        assert [one.seq for one in journal.standing(now)] == seqs


def test_a_review_takes_back_what_was_decided_before_it(journal: Journal) -> None:
    """Unseen, it counts from when it was said; seen, from the event time that the controller gave it."""
    record(journal, decision(1), decision(2, rule="late", time=NOW + 100))
    journal.review(Review(NOW + 50, "account:bob@example.com", "released", "root", "password changed"))
    assert [one.seq for one in journal.standing(NOW + 110)] == [2]
    (review,) = journal.unseen()
    with journal.transaction():
        journal.seen(review, NOW + 100, 2)
    assert journal.standing(NOW + 110) == []
    assert journal.unseen() == []
    assert journal.reviews("account:bob@example.com")[0].note == "password changed"


def test_a_review_that_a_clock_ahead_dated_takes_back_nothing_later(journal: Journal) -> None:
    """The order in which things happened counts; one of an older journal, which does not have it, goes by time."""
    record(journal, decision(1, time=NOW + 9e4, until=NOW + 1e5))
    journal.review(Review(NOW + 9e4, "account:bob@example.com", "released", "root"))
    (review,) = journal.unseen()
    with journal.transaction():
        journal.seen(review, NOW + 9e4, 1)
    record(journal, decision(2, time=NOW + 60, until=NOW + 3660))
    assert [one.seq for one in journal.standing(NOW + 70)] == [2]


def test_a_transaction_that_fails_leaves_nothing(journal: Journal) -> None:
    """All or nothing: decisions, memory and position change together."""
    with pytest.raises(RuntimeError), journal.transaction():
        journal.record([decision(1)], {})
        journal.note("positions", {"mail.log": 5})
        raise RuntimeError
    assert journal.decisions() == []
    assert journal.noted("positions") is None


def test_what_the_disk_refuses_is_said_as_it_is(journal: Journal) -> None:
    """SQLite may have rolled back by itself, and another try would hide why; once there is room, it goes on."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), journal.transaction():
            for place in range(30):
                journal.note(f"{place}", "x" * 300_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with journal.transaction():
        journal.note("after", 1)
    assert (journal.noted("after"), journal.noted("0")) == (1, None)


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
def test_a_part_of_it_that_is_removed_is_missed(journal: Journal, path: Path, part: str) -> None:
    """Without its log, or the log's index, nobody else would see what is written from then on."""
    record(journal, decision())
    assert journal.in_place()
    path.with_name(f"{path.name}{part}").unlink()
    assert not journal.in_place()


def test_another_one_in_its_place_is_said(journal: Journal, path: Path) -> None:
    other = path.with_name("other")
    other.touch()
    other.rename(path)
    with pytest.raises(JournalError, match="was replaced while in use"):
        journal.in_place()


def test_one_that_cannot_be_put_back_just_now_is_put_back_later(journal: Journal, path: Path) -> None:
    """Something else stood where its directory was, and an earlier try was killed half-way."""
    record(journal, decision())
    shutil.rmtree(path.parent)
    path.parent.touch()
    with pytest.raises(JournalError, match="cannot be put back"):
        journal.put_back()
    path.parent.unlink()
    path.parent.mkdir()
    path.with_name(f"{path.name}.new").write_bytes(b"half of it")
    again = journal.put_back()
    shutil.rmtree(path.parent)
    again.put_back().close()
    with Journal.read(path) as there:
        assert there.decisions() == [decision()]


def test_memory_is_written_by_what_changed(journal: Journal, path: Path) -> None:
    """Put, changed and dropped entries; after `settle` only later changes are written; another start takes them up."""
    memory: Memory[list[int]] = Memory("room", 10)
    memory.put("a", [1], NOW)
    memory.put("b", [2], NOW + 1)
    changes: list[Callable[[], None]] = [
        lambda: None,
        lambda: memory.drop("a"),
        lambda: memory.put("c", [3], NOW + 2),
    ]
    for change in changes:
        change()
        with journal.transaction():
            journal.remember([memory])
        memory.settle()
    other = Journal.open(path)
    again: Memory[list[int]] = Memory("room", 10)
    again.restore(other.remembered()["room"])
    other.close()
    assert list(again.items()) == list(memory.items()) == [("b", [2]), ("c", [3])]


def test_names_that_are_nearly_an_account_s_are_found(journal: Journal) -> None:
    """The same login in other domains or none; then, if it is not known, one that is a letter off; a few in all."""
    used: Memory[int] = Memory("used", 100)
    others: Memory[int] = Memory("usual account", 100)
    bob, elsewhere = "account:bob@example.com", ["account:bob", *(f"account:bob@{place}.example" for place in "abc")]
    near, far = ["account:bib@example.com", "account:rob@example.com"], ["account:bib", "account:robin@example.com"]
    for key in (*near, *far, *elsewhere):
        used.put(key, 1, NOW)
    others.put("account:bob@d.example", 1, NOW)
    for known, found in ((False, [*elsewhere, near[0]]), (True, elsewhere)):
        if known:
            used.put(bob, 1, NOW)
        with journal.transaction():
            journal.remember([used, others])
        assert journal.alike(bob) == found
        assert journal.is_strange(bob) is not known
    assert journal.alike("account:rib@example.com") == near


def test_readers_see_the_journal_while_it_is_written(journal: Journal, path: Path) -> None:
    """`why` and `status` neither wait nor disturb; they cannot write."""
    record(journal, decision(1))
    reader = Journal.read(path)
    with journal.transaction():
        journal.record([decision(2)], {})
        assert [one.seq for one in reader.decisions()] == [1]
    assert [one.seq for one in reader.decisions()] == [1, 2]
    with pytest.raises(sqlite3.OperationalError):
        reader.note("x", 1)
    reader.close()


def test_a_journal_that_is_not_there_or_is_none_is_said(tmp_path: Path) -> None:
    """JournalError names the file and what to do."""
    with pytest.raises(JournalError, match="there is no journal yet"):
        Journal.read(tmp_path / "journal.sqlite")
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"this is no database" * 100)
    for opened in (Journal.open, Journal.read):
        with pytest.raises(JournalError, match=str(broken)):
            opened(broken)


def test_a_journal_of_another_version_is_left_alone(journal: Journal, path: Path) -> None:
    """A newer schema is refused clearly."""
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalError, match="another version"):
        Journal.open(path)


def test_a_position_that_says_more_is_another_version() -> None:
    """Whoever reads it must know all of its fields: a mailbrake that does not has to refuse the journal, and say so."""
    said = [field.name for field in dataclasses.fields(Position)]
    assert (len(_VERSIONS), said) == (8, ["offset", "head", "head_length", "inode", "modified", "real", "marks"])


@pytest.mark.parametrize("version", [1, 5])
@pytest.mark.parametrize("opened", [Journal.open, Journal.read])
def test_a_journal_of_the_first_hours_is_refused_and_left_as_it_is(
    journal: Journal, path: Path, version: int, opened: Callable[[Path], Journal]
) -> None:
    """Its reviews had no end, and its version is that of those that have; the second was half brought up to date."""
    journal.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE reviews DROP COLUMN until")
        if version == 1:
            db.executescript("DROP TABLE answers; DROP TABLE guarded; DROP TABLE published")
        db.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(JournalError, match=r"early checkout.*move the state directory aside"):
        opened(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)


@pytest.mark.parametrize("opened", [Journal.open, Journal.read])
def test_a_journal_that_is_refused_is_not_held_open(tmp_path: Path, opened: Callable[[Path], Journal]) -> None:
    """Not even while somebody looks at the error."""
    path = tmp_path / "newer.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError) as refused:
        opened(path)
    open_files = {str(held.resolve()) for held in Path("/proc/self/fd").iterdir()}
    assert str(path) not in open_files, refused


def test_what_is_old_is_forgotten_with_all_that_belongs_to_it(journal: Journal) -> None:
    """Not a decision that still stands, however old."""
    old, long, young = (
        decision(1),
        decision(2, ref="8K2M9Q", until=NOW + 1e6),
        decision(3, ref="9K2M9Q", time=NOW + 9e4),
    )
    record(journal, old, long, young, lines={1: ["one"], 2: ["two"]})
    with journal.transaction():
        journal.affect([Effect("7K2M9Q", old.key, "flood", 1, 1, 1), Effect("8K2M9Q", old.key, "flood", 1, 1, 1)])
    assert journal.prune(NOW + 86400) == 1
    assert [one.seq for one in journal.decisions()] == [2, 3]
    assert (journal.lines(1), journal.lines(2)) == ([], ["two"])
    assert [effect.ref for effect in journal.effects().values()] == ["8K2M9Q"]


def test_what_took_something_back_is_kept_as_long_as_that_would_stand(journal: Journal) -> None:
    """Else a block of a year that was released would be back after the half a year that a journal is kept."""
    long, end = NOW + 3e7, decision(2, action="release", time=NOW + 60, until=NOW + 60)
    record(journal, decision(1, until=long), end, decision(3, rule="other", ref="8K2M9Q", until=long))
    for verdict, until in (("ordered block", long), ("ordered block", NOW + 90), ("released", None)):
        journal.review(Review(NOW + 60, end.key, verdict, "root", until=until))
    with journal.transaction():
        for review in journal.unseen():
            journal.seen(review, NOW + 61, 3)
    journal.prune(NOW + 86400)
    assert [one.seq for one in journal.decisions()] == [1, 2, 3]
    assert journal.standing(NOW + 86400) == orders.standing(journal.reviews(), NOW + 86400) == []
    journal.prune(long + 1)
    assert not journal.decisions()
    assert not journal.reviews()


def test_what_the_table_holds_is_known_as_long_as_it_would_hold_what_was_replaced(journal: Journal) -> None:
    """An order of a month whose place another of an hour took."""
    add = Change(
        NOW, "account:bob", "add", "block", "enforce", NOW + 3e6, None, None, "by-hand", "7K2M9Q", "ordered by root"
    )
    change = add._replace(time=NOW + 1, change="change", until=NOW + 3600)
    with journal.transaction():
        journal.put_down([add, change, change._replace(time=NOW + 2, change="remove")])
    for before, kept in ((NOW + 86400, ["add", "remove"]), (NOW + 4e6, [])):
        journal.prune(before)
        assert [change.change for change in journal.published()] == kept
        assert journal.listed() == []


def test_what_block_lists_said_is_kept_until_it_is_old(journal: Journal) -> None:
    """A replay counts it from the event time on that it was heard of."""
    old, long, young = (
        Listing(NOW + heard, NOW + until, "client:192.0.2.1", "bl.example", ("127.0.0.2", "127.0.0.4"))
        for heard, until in ((0, 3600), (1, 90_000), (80_000, 95_000))
    )
    with journal.transaction():
        journal.answered([young, long, old])
    assert journal.answers() == [old, long, young]
    assert journal.answers(young.time) == [young]
    for before, kept in ((3600, [old, long, young]), (86_400, [long, young]), (90_001, [young])):
        journal.prune(NOW + before)
        assert journal.answers() == kept


def test_what_came_of_an_order_is_kept_as_long_as_the_order(journal: Journal) -> None:
    """Which is a review: nothing of it is among the decisions."""
    journal.review(Review(NOW, "account:bob", "ordered block", "eve", until=NOW + 3600))
    (order,) = journal.reviews()
    with journal.transaction():
        journal.affect([Effect("8K2M9Q", "account:bob", "by-hand", 1, 1, 1)])
        journal.affect([Effect("9K2M9Q", "account:bob", "flood", 1, 1, 1)])
        journal.seen(order, NOW, 0)
    journal.prune(NOW + 60)
    assert [effect.ref for effect in journal.effects().values()] == ["8K2M9Q"]
    journal.prune(NOW + 86400)
    assert not journal.effects()


def test_effects_add_up(journal: Journal) -> None:
    """Step by step, by case."""
    for one in (Effect("7K2M9Q", "account:bob", "flood", 1, 25, 0), Effect("7K2M9Q", "account:bob", "flood", 2, 3, 4)):
        with journal.transaction():
            journal.affect([one])
    assert journal.effects() == {("7K2M9Q", "account:bob", "flood"): Effect("7K2M9Q", "account:bob", "flood", 3, 28, 4)}


def test_pandas_reads_it_in_one_line(journal: Journal, path: Path) -> None:
    """The tables are plain: an analyst needs no library of ours."""
    record(journal, decision(1), decision(2))
    with journal.transaction():
        journal.put_down([change("add"), change("remove", time=NOW + 60, why="released by root")])
    db = sqlite3.connect(path)
    frame = pd.read_sql("SELECT * FROM decisions", db)
    changes = pd.read_sql("SELECT * FROM published", db)
    db.close()
    assert list(frame["key"]) == ["account:bob@example.com"] * 2
    assert list(changes["why"]) == ["decided", "released by root"]


def change(what: str, **fields: Any) -> Change:
    """Of bob's tempfail, unless said otherwise."""
    plain = Change(
        NOW,
        "account:bob@example.com",
        what,
        "tempfail",
        "enforce",
        NOW + 3600,
        None,
        None,
        "flood",
        "7K2M9Q",
        "decided",
    )
    return plain._replace(**fields)


def test_what_was_published_is_kept_until_it_is_old_and_over(journal: Journal) -> None:
    """In its order; the last word on each record is what is listed, which needs no more than is kept."""
    beside = change("add", mode="observe")
    later = change("change", time=NOW + 400, until=NOW + 9000)
    gone = change("remove", key="client:192.0.2.1", why="ended")
    with journal.transaction():
        journal.put_down([change("add"), beside, later])
        journal.put_down([change("add", key="client:192.0.2.1"), gone])
    assert journal.published("client:192.0.2.1") == [change("add", key="client:192.0.2.1"), gone]
    assert len(journal.published()) == 5
    assert journal.listed() == [beside, later]
    journal.prune(NOW + 5000)
    assert journal.published() == journal.listed() == [later]


@pytest.mark.parametrize(("who", "place"), [("account:bob@example.com", 0), ("client:192.0.2.1", 1)])
def test_who_is_forgotten_takes_nothing_of_others_along(journal: Journal, who: str, place: int) -> None:
    """Of lines, of what is remembered, and of what the log's clock has not reached yet."""
    both = ["account:bob@example.com", "client:192.0.2.1"]
    mine, its = who, both[1 - place]
    facts: dict[str, Any] = {
        "releases": [[key, NOW, 1] for key in both],
        "confirmations": [[key, NOW] for key in both],
        "answers": [[NOW, NOW + 60, key, "bl.example", ["127.0.0.2"]] for key in both],
    }
    room: Memory[int] = Memory("room", 10)
    for key in (*both, *(f"mx1 {key}" for key in both), f"{mine}.net"):
        room.put(key, 1, NOW)
    record(
        journal,
        decision(1, key=mine),
        decision(2, key=its),
        lines={1: ["mine"], 2: [f"of {its}", f"of {mine}", f"of {its}"]},
    )
    with journal.transaction():
        journal.remember([room])
        journal.note("facts", facts)
        journal.hold_back([1, 2])
        journal.answered([Listing(NOW, NOW + 60, key, "bl.example", ("127.0.0.2",)) for key in both])
    gone = journal.forget(mine, lambda lines: [number for number, line in enumerate(lines) if mine in line])
    assert gone == Forgotten(decisions=1, effects=0, reviews=0, lines=1, memories=2)
    assert (journal.case(mine), journal.lines(1)) == ([], [])
    assert (journal.lines(2), journal.held_back()) == ([f"of {its}", f"of {its}"], {2})
    assert [answer.client for answer in journal.answers()] == [its]
    assert journal.noted("facts") == {name: [said[1 - place]] for name, said in facts.items()}
    assert sorted(key for key, *_ in journal.room("room")) == sorted([its, f"mx1 {its}", f"{mine}.net"])


# What the first released version made, word for word: a journal in the field may be as old as that.
FIRST = """
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL, mode TEXT NOT NULL,
    until REAL NOT NULL, share REAL, max_recipients INTEGER, rule TEXT NOT NULL, ref TEXT NOT NULL, queue_id TEXT,
    evidence TEXT NOT NULL);
CREATE INDEX decisions_key ON decisions (key);
CREATE INDEX decisions_ref ON decisions (ref);
CREATE INDEX decisions_until ON decisions (until);
CREATE TABLE lines (seq INTEGER NOT NULL, place INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (seq, place));
CREATE TABLE effects (
    ref TEXT NOT NULL, key TEXT NOT NULL, rule TEXT NOT NULL, messages INTEGER NOT NULL, recipients INTEGER NOT NULL,
    refused INTEGER NOT NULL, PRIMARY KEY (ref, key, rule)) WITHOUT ROWID;
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, verdict TEXT NOT NULL, by TEXT NOT NULL,
    note TEXT NOT NULL, until REAL, effective REAL);
CREATE TABLE memory (room TEXT NOT NULL, key TEXT NOT NULL, time REAL NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (room, key)) WITHOUT ROWID;
CREATE TABLE checkpoint (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO decisions VALUES (1, 1764000000.0, 'account:bob@example.com', 'tempfail', 'enforce', 1764003600.0, NULL,
    NULL, 'flood', '7K2M9Q', '4jZ1x362FKzJ9Hg', '{"recipients in 10m": {"value": 201, "threshold": 200}}');
INSERT INTO lines VALUES (1, 0, 'a line');
INSERT INTO effects VALUES ('7K2M9Q', 'account:bob@example.com', 'flood', 1, 2, 3);
INSERT INTO reviews VALUES (1, 1764000060.0, 'account:bob@example.com', 'confirmed', 'root', 'phished', NULL, NULL);
INSERT INTO memory VALUES ('room', 'bob', 1764000000.0, x'00000000000000015b315d');
INSERT INTO memory VALUES ('floors', 'flood account:eve', 1764000000.0, x'00000000000000015b325d');
INSERT INTO memory VALUES ('floors', 'burst account:bob smith', 1764000001.0, x'00000000000000025b335d');
INSERT INTO memory VALUES ('floors', 'flood account:bob smith', 1764000001.0, x'00000000000000035b335d');
INSERT INTO checkpoint VALUES ('positions', '{"mail.log": 5}');
PRAGMA user_version = 1;
"""


def schema(path: Path) -> tuple[int, list[str]]:
    """The version; tables and indices, as they were made."""
    with closing(sqlite3.connect(path)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        return version, [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name")]


def test_a_journal_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """All that it holds is there, and it is made as a new one is."""
    old = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(old)) as db:
        db.executescript(FIRST)
    with pytest.raises(JournalError, match="`mailbrake watch` brings it up to date when it starts"):
        Journal.read(old)
    for _ in range(2):
        opened = Journal.open(old)
        assert opened.decisions() == [decision(1)]
        assert opened.lines(1) == ["a line"]
        assert list(opened.effects().values()) == [Effect("7K2M9Q", "account:bob@example.com", "flood", 1, 2, 3)]
        assert [review.note for review in opened.unseen()] == ["phished"]
        assert opened.noted("positions") == {"mail.log": 5}
        memory: Memory[list[int]] = Memory("room", 10)
        memory.restore(opened.remembered()["room"])
        assert memory.get("bob") == [1]
        floors: Memory[list[int]] = Memory("floors", 10)  # were of a rule and a key, and are of a key
        floors.restore(opened.remembered()["floors"])
        assert dict(floors.items()) == {"account:eve": [2], "account:bob smith": [3]}
        opened.close()
    Journal.open(tmp_path / "new.sqlite").close()
    assert schema(old) == schema(tmp_path / "new.sqlite")
    assert schema(old)[0] > 1


@pytest.mark.parametrize("lose", [lambda j: j.prune(NOW + 10), lambda j: j.forget("account:eve", lambda _: ())])
def test_the_number_of_a_review_is_not_given_twice(tmp_path: Path, lose: Callable[[Journal], object]) -> None:
    """In a cluster the second one would be held for the first, and be lost; an older journal gave them again."""
    old = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(old)) as db:
        db.executescript(FIRST)
    with Journal.open(old) as journal:
        journal.review(Review(NOW, "account:eve", "released", "root"))
        (*_, latest) = journal.unseen()
        journal.seen(latest, NOW, 0)
        lose(journal)
        assert [review.id for review in journal.reviews()] == [1]
        journal.review(Review(NOW, "account:bob@example.com", "released", "root"))
        assert [review.id for review in journal.reviews()] == [3, 1]


def test_a_review_that_a_backup_does_not_know_is_added(journal: Journal) -> None:
    """It was given a number here before; another one may have it now, and stays unseen."""
    journal.review(Review(NOW + 9, "account:bob", "released", "root"))
    journal.seen(Review(NOW, "account:eve", "released", "root", id=1), NOW, 0)
    assert [(review.key, review.effective) for review in journal.reviews()] == [
        ("account:eve", NOW),
        ("account:bob", None),
    ]


def test_what_the_guard_held_back_is_kept_as_long_as_its_decision(journal: Journal) -> None:
    """And no longer."""
    record(journal, decision(1), decision(2, time=NOW + 1e6, until=NOW + 2e6))
    with journal.transaction():
        journal.hold_back([1, 2])
        journal.hold_back([2])
    assert journal.held_back() == {1, 2}
    assert [journal.held_back_since(time) for time in (NOW, NOW + 1, NOW + 2e6)] == [2, 1, 0]
    journal.prune(NOW + 5000)
    assert journal.held_back() == {2}
