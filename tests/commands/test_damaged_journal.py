"""A journal that the disk has damaged: every command says so, and what to do; none prints a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.running import config, mailbrake
from tests.test_watch import Machine

_PAGE = 4096


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that has decided something; every page of its journal but the first two is overwritten."""
    machine = Machine(tmp_path)
    machine.send(login="bob")
    with machine.controller() as controller:
        controller.once()
    (tmp_path / "mailbrake.toml").write_text(
        f'[log]\nfiles = ["{machine.log}"]\n[state]\ndirectory = "{tmp_path}/state"\n'
    )
    journal = tmp_path / "state" / "journal.sqlite"
    whole = journal.read_bytes()
    journal.write_bytes(whole[: 2 * _PAGE] + b"\xff" * (len(whole) - 2 * _PAGE))
    return machine


@pytest.mark.parametrize(
    "words",
    [
        "watch",
        "why ABCDEF",
        "why bob",
        "review",
        "review confirm bob",
        "rollout",
        "report --journal",
        "status",
        "table block bob --for 1h",
        "table release bob",
        "forget bob",
    ],
)
def test_it_is_said_that_it_is_damaged_and_what_to_do(machine: Machine, words: str) -> None:
    done = mailbrake(*words.split(), *config(machine))
    assert done.returncode == 1
    (said,) = (line for line in done.stderr.splitlines() if "journal.sqlite" in line)
    assert said.startswith(f"mailbrake: {machine.directory}/state/journal.sqlite: cannot be ")
    assert "malformed: it is damaged; stop `mailbrake watch`, move it and its -wal and -shm away" in said
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--state", "--answers"])
def test_a_replay_that_is_to_take_up_a_damaged_journal_says_so_as_well(machine: Machine, option: str) -> None:
    done = mailbrake("replay", machine.log, option, machine.directory / "state")
    assert done.returncode == 1
    assert "journal.sqlite: cannot be read: database disk image is malformed: it is damaged" in done.stderr
    assert "Traceback" not in done.stderr
