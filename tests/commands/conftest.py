"""What commands are run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_watch import Machine


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose state is below tmp_path."""
    path = tmp_path / "mailbrake.toml"
    path.write_text(f'[state]\ndirectory = "{tmp_path}/state"\n[milter]\nsocket = "unix:{tmp_path}/milter.sock"\n')
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Bob and Carol have flooded; a configuration file stands beside the log."""
    machine = Machine(tmp_path)
    for login in ("bob", "carol"):
        machine.send(login=login)
    with machine.controller() as controller:
        machine.now += 1
        machine.send(login="carol", recipients=7)
        controller.once()
    state = f'[state]\ndirectory = "{tmp_path}/state"\n'
    policy = f'[policy]\nfile = "{machine.policy}"\nmode = "enforce"\n'
    (tmp_path / "mailbrake.toml").write_text(state + policy)
    return machine
