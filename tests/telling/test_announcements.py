"""A controller tells of what is new, once: cases, troubles, losses, and a guard that trips."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logwatch.ports import Ports
from logwatch.telling.announcements import Herald
from logwatch.telling.notify import Happening
from logwatch.watch import MACHINE, Controller
from tests.telling.decisions import NOW, decision
from tests.test_watch import BOB, Machine


def test_the_guard_is_told_when_it_trips_not_that_it_once_did() -> None:
    """With the rule that it was for."""
    told: list[Happening] = []
    herald = Herald(told.append, [], guarded=3)
    herald.decided([], (), 3, NOW)
    assert told == []
    herald.decided([decision(1, mode="observe"), decision(2, mode="observe", rule="seen")], [1], 5, NOW)
    herald.decided([], [], 5, NOW)
    (only,) = told
    assert (only.about, only.text[:18]) == ("guard", "the rule flood hit")
    assert only.text.endswith("only observed for now: account:bob@example.com (case 7K2M9Q)")
    assert "seen" not in only.text


class Telling(Machine):
    """A machine whose controllers tell."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.told: list[Happening] = []

    @contextmanager
    def controller(self, ports: Ports = MACHINE) -> Iterator[Controller]:
        """One that has read what there is."""
        controller = Controller(self.config, lambda: self.now, self.told.append, ports)
        try:
            controller.once()
            yield controller
        finally:
            controller.close()


class TestController:
    """Driven step by step, as in tests/test_watch.py."""

    @pytest.fixture
    def machine(self, tmp_path: Path) -> Telling:
        return Telling(tmp_path)

    @pytest.fixture
    def told(self, machine: Telling) -> list[Happening]:
        return machine.told

    def test_what_stood_before_the_clock_was_ahead_is_counted_and_nothing_new(
        self, machine: Telling, told: list[Happening]
    ) -> None:
        """A case had ended by that clock; once it is set back the case stands again, and goes on."""
        begun = machine.now
        machine.send()
        with machine.controller() as controller:
            for passed in (9e4, 1200):
                machine.now = begun + passed
                controller.once()
                assert controller.figures()["mailbrake_standing"]["enforce",] == (passed < 3600)
            machine.send()
            controller.once()
        assert [happening.about for happening in told] == ["decision"]

    def test_tells_of_a_new_case_once(self, machine: Telling, told: list[Happening]) -> None:
        """Not of its extension, and not again after a restart."""
        with machine.controller() as controller:
            machine.send()
            controller.once()
            machine.now += 1200
            machine.send()
            controller.once()
        assert [happening.about for happening in told] == ["decision"]
        assert told[0].decision is not None
        assert told[0].decision.key == BOB
        machine.now += 1200
        machine.send()
        with machine.controller():
            assert len(told) == 1

    def test_tells_nothing_of_what_is_only_observed(self, machine: Telling, told: list[Happening]) -> None:
        """Nobody was braked."""
        machine.mode = "observe"
        machine.send()
        with machine.controller():
            assert told == []

    def test_tells_nothing_of_history(self, machine: Telling, told: list[Happening]) -> None:
        """The first start reads a whole log: what has ended since then needs nobody's care."""
        machine.send(at=machine.now - 7200)
        with machine.controller():
            assert told == []

    def test_tells_of_a_journal_that_cannot_be_written(self, machine: Telling, told: list[Happening]) -> None:
        """And of the decision that it takes all the same."""
        with machine.controller() as controller:
            other = sqlite3.connect(machine.config.journal, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            machine.send()
            controller.once()
            other.close()
        assert {happening.about for happening in told} == {"decision", "trouble"}
        assert any("deciding goes on, unrecorded" in happening.text for happening in told)

    def test_tells_of_lines_that_were_lost(self, machine: Telling, told: list[Happening]) -> None:
        """In the words of the warning."""
        with machine.controller() as controller:
            machine.log.write_text("x" * 2_000_000 + "\n")
            controller.once()
        assert [happening.about for happening in told] == ["loss"]
        assert "rates may be too low" in told[0].text

    def test_tells_of_a_tripped_guard(self, machine: Telling, told: list[Happening]) -> None:
        """The eleventh account within an hour is observed."""
        for number in range(12):
            machine.send(login=f"user{number}")
        with machine.controller():
            pass
        assert [happening.about for happening in told].count("decision") == 10
        assert told[-1].about == "guard"
