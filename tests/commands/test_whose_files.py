"""Whoever may not read or write what a command needs is told so with the remedy, and sees no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.test_reviewing import config
from tests.test_watch import Machine

UNPRIVILEGED = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"] * (os.geteuid() == 0)
ASKING = ("status", "why bob", "review", "rollout", "report --journal --out /nowhere/x", "table list")
TELLING = ("forget bob", "table block bob --for 1h", "review confirm bob --note x", "watch")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A state directory with a case."""
    machine = Machine(tmp_path)
    machine.send()
    with machine.controller():
        pass
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    yield machine
    (tmp_path / "state").chmod(0o700)


def refused(*arguments: str) -> str:
    """What a command says that fails, to somebody who may do nothing but what files' modes allow."""
    command = [*UNPRIVILEGED, sys.executable, "-m", "logwatch", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("command", [*ASKING, *TELLING])
def test_of_a_state_directory_of_somebody_else(machine: Machine, command: str) -> None:
    """As the help desk's own user, say."""
    (machine.directory / "state").chmod(0)
    said = refused(*command.split(), *config(machine))
    assert "ermission denied" in said
    assert "as root" in said or "in the group of the state directory" in said


@pytest.mark.parametrize("command", TELLING)
def test_of_one_that_is_only_to_be_read(machine: Machine, command: str) -> None:
    """As on a file system that was mounted read-only after an error."""
    state = machine.directory / "state"
    for path in (*state.glob("journal*"), state / "controller.lock"):
        path.chmod(0o400)
    state.chmod(0o500)
    said = refused(*command.split(), *config(machine))
    assert "check owner, permissions" in said or "as root" in said


def test_of_a_log(machine: Machine) -> None:
    """Also where its directory cannot be looked into."""
    machine.log.chmod(0)
    assert "run as a user that may read it" in refused("replay", str(machine.log))
    directory = machine.directory / "closed"
    directory.mkdir(mode=0)
    assert f"{directory}/mail.log: Permission denied" in refused("replay", f"{directory}/mail.log")
