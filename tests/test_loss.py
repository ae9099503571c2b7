"""What is lost between log and controller is warned about, and stands in `status` across restarts."""

import json
import os
from pathlib import Path

import pytest

from logwatch.commands import main
from tests.test_watch import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def status(machine: Machine, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    config = machine.directory / "mailbrake.toml"
    config.write_text(
        f'[log]\nfiles = ["{machine.log}"]\n[policy]\nfile = "{machine.policy}"\n'
        f'[state]\ndirectory = "{machine.directory}/state"\n'
    )
    main(["status", "--json", "--config", str(config)])
    found: dict[str, object] = json.loads(capsys.readouterr().out)["log"]
    return found


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if message.startswith("the log is not complete")]


def test_a_log_truncated_without_a_copy_is_warned_about_and_counted(
    machine: Machine, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.send()
    with machine.controller() as controller:
        assert not said(caplog)
        for _ in range(2):  # a minute has not passed
            os.truncate(machine.log, 0)
            machine.send()
            controller.once()
    (warning,) = said(caplog)
    assert "logs that were gone or truncated before they were read to their end: 1" in warning
    assert f"{machine.log}: was truncated when" in warning
    assert status(machine, capsys)["gaps"] == 2
    caplog.clear()
    with machine.controller():
        machine.now += 3600
    assert not said(caplog)
    assert status(machine, capsys)["gaps"] == 2
    assert status(machine, capsys)[str(machine.log)] == {"offset": machine.log.stat().st_size, "behind": 0}
