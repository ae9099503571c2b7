"""From decisions to records: who is listed, with which of several decisions, and until when."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from enforce.table import ACTIONS, Record, Writer
from logwatch import schema
from logwatch.telling.publish import Publisher
from tests.telling.decisions import NOW, decision

LEASE = 3600.0
BOB = "account:bob@example.com"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with Writer(tmp_path / "table", lambda: NOW) as opened:
        yield opened


@pytest.fixture
def publisher(writer: Writer) -> Publisher:
    return Publisher(writer, LEASE)


def table(writer: Writer) -> dict[str, list[tuple[str, str, str]]]:
    """What is listed: rule, action and mode of each record."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for key, records in writer.records():
        assert isinstance(records, tuple)
        found[key] = [(record.rule, record.action, record.mode) for record in records]
    return found


def test_what_is_decided_can_be_listed() -> None:
    """The light half owns the format; the rooms know its actions by the schema, in the same order of severity."""
    assert ("observe", *schema.ACTIONS) == ACTIONS


def test_a_decision_becomes_a_record_with_its_end_and_a_lease(publisher: Publisher, writer: Writer) -> None:
    """Everything that the milter needs, and nothing more."""
    publisher.publish([decision()], NOW)
    assert dict(writer.records()) == {BOB: (Record("tempfail", "enforce", NOW + 3600, NOW + LEASE, "7K2M9Q", "flood"),)}


def test_the_most_severe_of_each_mode_is_published(publisher: Publisher, writer: Writer) -> None:
    """One enforced and one observed record side by side; neither hides the other."""
    publisher.publish(
        [
            decision(1),
            decision(2, rule="harvest", action="block"),
            decision(3, rule="a", mode="observe"),
            decision(4, rule="b", mode="observe", action="block"),
        ],
        NOW,
    )
    assert table(writer) == {BOB: [("harvest", "block", "enforce"), ("b", "block", "observe")]}
    publisher.publish([decision(5, rule="harvest", action="release", until=NOW)], NOW)
    assert table(writer) == {BOB: [("flood", "tempfail", "enforce"), ("b", "block", "observe")]}


def test_an_accounts_own_number_gives_way_to_a_cap_that_was_meant_for_it(publisher: Publisher, writer: Writer) -> None:
    """An operator's larger one too; it is back when that has ended."""
    own = decision(0, rule="default-cap", action="cap", max_recipients=80, until=NOW + 9000)
    publisher.publish([own, decision(1, rule="by-hand-cap", action="cap", max_recipients=100, until=NOW + 60)], NOW)
    assert table(writer) == {BOB: [("by-hand-cap", "cap", "enforce")]}
    publisher.publish([own], NOW + 61)
    assert table(writer) == {BOB: [("default-cap", "cap", "enforce")]}


def test_a_cap_stands_beside_what_is_more_severe(publisher: Publisher, writer: Writer) -> None:
    """The smallest of each mode: a throttled list would otherwise have the cap that is meant for everybody."""
    publisher.publish(
        [
            decision(1),
            decision(2, rule="list", action="cap", max_recipients=500),
            decision(3, rule="small", action="cap", max_recipients=100),
            decision(4, rule="seen", action="cap", max_recipients=5, mode="observe"),
        ],
        NOW,
    )
    assert table(writer) == {
        BOB: [("flood", "tempfail", "enforce"), ("small", "cap", "enforce"), ("seen", "cap", "observe")]
    }


def test_what_has_ended_or_has_no_session_is_not_published(publisher: Publisher, writer: Writer) -> None:
    """Decisions of an old log read at the first start; local users and the site."""
    publisher.publish([decision(1, until=NOW), decision(2, key="local:33"), decision(3, key="site")], NOW)
    assert table(writer) == {}


def test_forgetting_a_key_takes_it_off(publisher: Publisher, writer: Writer) -> None:
    """And only that key."""
    publisher.publish([decision(1), decision(2, key="client:192.0.2.1")], NOW)
    publisher.forget(BOB, NOW)
    assert set(table(writer)) == {"client:192.0.2.1"}


def test_a_restart_makes_the_table_equal_to_what_stands(publisher: Publisher, writer: Writer) -> None:
    """Whatever was in it."""
    publisher.publish([decision(1), decision(2, key="client:192.0.2.1")], NOW)
    Publisher(writer, LEASE).restart([decision(3, key="client:192.0.2.9")], NOW)
    assert set(table(writer)) == {"client:192.0.2.9"}


def test_beats_renew_leases_and_drop_what_ended(publisher: Publisher, writer: Writer) -> None:
    """A record outlives its first lease while its publisher lives, and goes at its own end."""
    publisher.publish([decision(1, until=NOW + 2 * LEASE)], NOW)
    for beat in range(0, 7000, 300):
        publisher.beat(NOW + beat)
    (records,) = (records for _, records in writer.records())
    assert isinstance(records, tuple)
    assert records[0].lease > NOW + 7000
    for beat in range(7000, 9000, 300):
        publisher.beat(NOW + beat)
    assert table(writer) == {}


def test_what_something_more_severe_had_hidden_is_back_when_that_has_ended(
    publisher: Publisher, writer: Writer
) -> None:
    """At the next beat, without a new decision; what has ended is off the table then, whoever looks."""
    publisher.publish([decision(1, until=NOW + 7200), decision(2, rule="harvest", action="block")], NOW)
    assert table(writer) == {BOB: [("harvest", "block", "enforce")]}
    publisher.beat(NOW + 3599)
    assert table(writer) == {BOB: [("harvest", "block", "enforce")]}
    publisher.beat(NOW + 3600)
    assert table(writer) == {BOB: [("flood", "tempfail", "enforce")]}
    publisher.beat(NOW + 7200)
    assert table(writer) == {}


class Nothing:
    """A table that keeps nothing."""

    def publish(self, changes: Mapping[str, Sequence[Record]], now: float) -> int:  # noqa: ARG002 - as writers have it
        """Take changes."""
        return len(changes)

    def replace(self, table: Mapping[str, Sequence[Record]], now: float) -> int:  # noqa: ARG002
        """Take a table."""
        return len(table)

    def beat(self, now: float, lease: float) -> None:
        """Take a sign of life."""


def test_who_was_let_go_takes_no_memory() -> None:
    """A case may end early: a botnet has a million addresses, each of which has one once."""
    publisher = Publisher(Nothing(), LEASE)
    tracemalloc.start()
    try:
        for number in range(5000):
            case = decision(number, key=f"client:{number}")
            publisher.publish([case], NOW)
            publisher.publish([replace(case, action="release")], NOW)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 5000 * 20
