"""`why` for somebody at the help desk: the case, and what the key sends now, with or without a case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logwatch.commands.current import bars
from tests.commands.test_commands import mailbrake
from tests.commands.test_reviewing import config
from tests.test_watch import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Alice has sent two messages in two hours, Bob one to many."""
    machine = Machine(tmp_path)
    machine.send(login="alice", recipients=3)
    machine.now += 3600
    machine.send(login="alice", recipients=4)
    machine.send(login="bob")
    with machine.controller():
        pass
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    return machine


def test_an_account_that_was_not_hit_has_its_current_values(machine: Machine) -> None:
    """ "What is its current value?" is answered; that there is no case is said, exit status 1."""
    done = mailbrake("why", "alice", *config(machine))
    assert done.returncode == 1
    assert "no case alice" in done.stderr
    (recipients,) = (row for row in done.stdout.splitlines() if "recipients " in row and " in 24h" in row)
    assert recipients.split()[1:] == ["4", "in", "10m", "4", "in", "1h", "7", "in", "24h"]
    assert "recipients by hour, at most 4" in done.stdout


def test_the_same_as_json(machine: Machine) -> None:
    """One object, with the values by signal and window."""
    done = mailbrake("why", "alice", "--json", *config(machine))
    current = json.loads(done.stdout)["current"]
    assert current["values"]["messages"] == {"10m": 1, "1h": 1, "24h": 2}
    assert current["hours"][-2:] == [3, 4]


def test_a_case_is_followed_by_what_the_key_sends_now(machine: Machine) -> None:
    """Rule, numbers and lines first."""
    done = mailbrake("why", "bob", *config(machine))
    assert done.returncode == 0
    assert done.stdout.index("rule      flood") < done.stdout.index("as of")


def test_an_unknown_key_has_nothing(machine: Machine) -> None:
    """No values, no case."""
    done = mailbrake("why", "nobody", *config(machine))
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(("values", "shown"), [([0, 1, 8], " ▁█"), ([0, 0], "  "), ([], "")])
def test_bars(values: list[int], shown: str) -> None:
    """Nothing is blank, anything is seen."""
    assert bars(values) == shown
