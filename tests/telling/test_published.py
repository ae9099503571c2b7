"""What is written down of the table adds up to the table, whatever happens in between; and says when and why."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enforce import config as configuration
from enforce.table import Record, Unusable, Writer
from logwatch.schema import Decision
from logwatch.telling.keeper import BEAT, Keeper
from logwatch.telling.published import ENDED, FOUND, SILENT, Change, changes, together, unsaid
from tests.telling.decisions import NOW, decision

LEASE = 3600.0
BOB = "account:bob@example.com"
KEYS = (BOB, "account:carol", "client:192.0.2.1")


def record(**fields: object) -> Record:
    """An enforced tempfail for an hour, unless said otherwise."""
    return replace(Record("tempfail", "enforce", NOW + 3600, NOW + LEASE, "7K2M9Q", "flood"), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([], [record()], [("add", NOW, "why")]),
        ([record()], [record(lease=NOW + 9000)], []),
        ([record()], [record(until=NOW + 9000)], [("change", NOW, "why")]),
        ([record()], [record(action="block", rule="harvest", ref="8K2M9Q")], [("change", NOW, "why")]),
        ([record()], [], [("remove", NOW, "why")]),
        ([record(until=NOW - 5)], [], [("remove", NOW - 5, ENDED)]),
        ([record(lease=NOW - 5)], [], [("remove", NOW - 5, SILENT)]),
        ([record(until=NOW - 5, lease=NOW - 5)], [], [("remove", NOW - 5, ENDED)]),
        ([record(lease=NOW - 5)], [record()], [("remove", NOW - 5, SILENT), ("add", NOW, "why")]),
        ([record()], [record(), record(mode="observe")], [("add", NOW, "why")]),
        ([record()], [record(), record(action="cap", max_recipients=9)], [("add", NOW, "why")]),
        ([record(mode="observe")], [record()], [("add", NOW, "why"), ("remove", NOW, "why")]),
    ],
)
def test_each_place_of_a_key_tells_what_came_changed_or_went(
    before: list[Record], after: list[Record], found: list[tuple[str, float, str]]
) -> None:
    """Of each place of a key: what came, what became another, what went; what no longer counted had gone by itself."""
    assert [(one.change, one.time, one.why) for one in changes(BOB, before, after, NOW, "why")] == found


@pytest.mark.parametrize(
    ("said", "listed", "found"),
    [
        ([record()], [record(lease=NOW - 5)], []),
        ([], [record()], [("add", NOW, FOUND)]),
        ([record()], [], [("remove", NOW, FOUND)]),
        ([record(until=NOW - 5)], [], [("remove", NOW - 5, ENDED)]),
        ([record(until=NOW)], [], [("remove", NOW, ENDED)]),
        ([record(until=NOW - 5)], [record(until=NOW - 9)], [("change", NOW, FOUND)]),
    ],
)
def test_a_change_that_nobody_wrote_down_is_dated_when_it_was_seen(
    said: list[Record], listed: list[Record], found: list[tuple[str, float, str]]
) -> None:
    """It is dated at the moment at which it was seen, but for a record that ended by itself; leases say nothing."""
    assert [(one.change, one.time, one.why) for one in unsaid(BOB, said, listed, NOW)] == found


class World:
    """A table, its keeper, a journal of its changes, and what stands; the clock is `now`."""

    def __init__(self, directory: Path) -> None:
        self.now = NOW
        self.journal: list[Change] = []
        self.standing: list[Decision] = []
        self.config = configuration.parse({"state": {"directory": str(directory)}}, "test")
        self.keeper = self._keeper()

    def _keeper(self) -> Keeper:
        return Keeper(self.config, lambda _: self.standing, _never, self._written)

    def _written(self) -> list[Change]:
        self.journal += self.keeper.changes()
        return self.journal

    def decide(self, decisions: list[Decision]) -> None:
        moved = [replace(one, time=self.now, until=self.now + one.until - NOW) for one in decisions]
        names = {(one.key, one.rule) for one in moved}
        self.standing = [one for one in self.standing if (one.key, one.rule) not in names] + moved
        self.keeper.publish(moved, self.now)

    def release(self, key: str) -> None:
        self.standing = [one for one in self.standing if one.key != key]
        self.keeper.forget(key, self.now, "released by root")

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.standing = [one for one in self.standing if one.until > self.now]
        self.keeper.beat(self.now)

    def killed(self, seconds: float) -> None:
        """What was published last had not been written down, and is not known to stand."""
        lost = {change.key for change in self.keeper.changes()}
        self.standing = [one for one in self.standing if one.key not in lost]
        self.keeper.close()
        self.keeper = self._keeper()
        self.wait(seconds)

    def ordered(self, key: str) -> None:
        """By a command that was killed before it wrote that down."""
        self.keeper.close()
        with Writer(self.config.table) as writer:
            writer.publish({key: [record(until=self.now + 7200, lease=self.now + LEASE)]}, self.now)
        self.keeper = self._keeper()
        self.wait(BEAT)

    def removed(self, seconds: float) -> None:
        shutil.rmtree(self.config.table)
        self.wait(seconds + BEAT)

    def table(self) -> dict[str, set[Record]]:
        """What counts, without leases."""
        self._written()
        self.keeper.close()
        with Writer(self.config.table) as writer:
            listed = dict(writer.records())
        self.keeper = self._keeper()
        self.keeper.beat(self.now)
        return counting(listed, self.now)


def _never(_about: str, problem: str) -> None:
    raise AssertionError(problem)


def counting(listed: Mapping[str, tuple[Record, ...] | Unusable], now: float) -> dict[str, set[Record]]:
    """What has not ended, without leases."""
    found = {}
    for key, records in listed.items():
        assert not isinstance(records, Unusable)
        if left := {replace(one, lease=float("inf")) for one in records if one.until > now}:
            found[key] = left
    return found


def decisions() -> st.SearchStrategy[list[Decision]]:
    one = st.builds(
        lambda key, rule, action, mode, until: decision(
            key=key, rule=rule, action=action, mode=mode, until=NOW + until, max_recipients=5, ref=f"{rule.upper()}1"
        ),
        st.sampled_from(KEYS),
        st.sampled_from(["flood", "harvest"]),
        st.sampled_from(["tempfail", "block", "cap"]),
        st.sampled_from(["enforce", "observe"]),
        st.sampled_from([60, 3600, 20000]),
    )
    return st.lists(one, max_size=3)


spans = st.sampled_from([BEAT, 60.0, 1800.0, 2 * LEASE])
acts: st.SearchStrategy[Callable[[World], None]] = st.one_of(
    decisions().map(lambda decided: lambda world: world.decide(decided)),
    st.sampled_from(KEYS).map(lambda key: lambda world: world.release(key)),
    spans.map(lambda span: lambda world: world.wait(span)),
    spans.map(lambda span: lambda world: world.killed(span)),
    st.sampled_from(KEYS[:2]).map(lambda key: lambda world: world.ordered(key)),
    spans.map(lambda span: lambda world: world.removed(span)),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(acts, max_size=12))
def test_changes_add_up_to_the_table(done: Sequence[Callable[[World], None]]) -> None:
    """Across ends, kills before anything was written down, orders by others, and a table that is removed."""
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        world.wait(0)
        for act in done:
            act(world)
        table = world.table()
        assert counting(together(world.journal), world.now) == table
        world.keeper.close()
    assert _alternates(world.journal)


def _alternates(journal: Iterable[Change]) -> bool:
    """A record is added where there is none, and changed or removed where there is one."""
    there: set[object] = set()
    for change in journal:
        if (change.change == "add") == (change.place in there):
            return False
        (there.discard if change.change == "remove" else there.add)(change.place)
    return True


def test_what_a_killed_controller_had_published_is_found_and_taken_off(tmp_path: Path) -> None:
    """It decides the same again when it reads on; so the account was listed, for a moment not, and is again."""
    world = World(tmp_path)
    world.wait(0)
    world.decide([decision()])
    world.killed(BEAT)
    world.decide([decision()])
    world.keeper.close()
    assert [(one.change, one.why) for one in world._written()] == [
        ("add", FOUND),
        ("remove", "opened"),
        ("add", "decided"),
    ]
