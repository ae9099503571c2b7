"""`watch` on a journal: entries are counted once, whenever it is killed, and `status` shows the cursor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logwatch.reading.journald import NAME
from logwatch.telling.journal import Journal as Checkpoint
from logwatch.telling.journal_file import JournalError
from tests.commands.running import mailbrake
from tests.mta.waiting import wait_for
from tests.reading.test_journald import FAKE, Journal, entry

TIMEOUT = 60.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mailbrake.toml"
    path.write_text(f'[log]\njournald = true\n[state]\ndirectory = "{tmp_path}/state"\n')
    return path


@contextmanager
def watching(config: Path, journal: Journal) -> Iterator[subprocess.Popen[bytes]]:
    """A controller for which `journalctl` is what the tests have in its place."""
    command = config.parent / "journalctl"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} {journal.path} "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{config.parent}:{os.environ['PATH']}"}
    run = [sys.executable, "-m", "logwatch", "watch", "--config", str(config)]
    with subprocess.Popen(run, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def status(config: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mailbrake("status", "--json", "--config", config).stdout)
    return found


def wait_for_entry(config: Path, number: int) -> None:
    position = {NAME: {"cursor": entry(number, "")["__CURSOR"]}}
    wait_for(lambda: noted(config, "positions") == position, TIMEOUT, f"entry {number} to be read")


def noted(config: Path, name: str) -> Any:
    """What the controller wrote down; None before its first line."""
    try:
        checkpoint = Checkpoint.read(config.parent / "state" / "journal.sqlite")
    except JournalError:
        return None
    try:
        return checkpoint.noted(name)
    finally:
        checkpoint.close()


def test_entries_are_counted_once_though_it_is_killed(tmp_path: Path, config: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.log(*(entry(number, "connect from unknown[192.0.2.1]") for number in range(1, 6)))
    with watching(config, journal) as first:
        wait_for_entry(config, 5)
        first.send_signal(signal.SIGKILL)
    journal.log(*(entry(number, "connect from unknown[192.0.2.1]") for number in range(6, 9)))
    with watching(config, journal) as second:
        wait_for_entry(config, 8)
        found = status(config)
        second.send_signal(signal.SIGTERM)
        assert second.wait(TIMEOUT) == 0
    assert found["controller"]["lines"] == 8
    assert (found["log"]["gaps"], found["log"][NAME]) == (0, entry(8, "")["__CURSOR"])
