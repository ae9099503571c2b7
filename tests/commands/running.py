"""Commands as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.test_watch import Machine

ROOT = Path(__file__).parents[2]


DEMO = ROOT / "logwatch" / "data" / "demo.log"


def mailbrake(*arguments: str | Path, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with some variables of its environment set."""
    command = [sys.executable, "-m", "logwatch", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, input=text, check=False, env={**os.environ, **variables}
    )


def objects(*arguments: str | Path, text: str = "", **variables: str) -> list[dict[str, object]]:
    """The JSON objects that a command prints."""
    done = mailbrake(*arguments, text=text, **variables)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def config(machine: Machine) -> tuple[str, str]:
    return ("--config", str(machine.directory / "mailbrake.toml"))


def case_of(machine: Machine) -> tuple[str, str]:
    """A case that there is, and whom it is about."""
    row = objects("review", "--json", "--all", *config(machine))[0]
    return str(row["case"]), str(row["who"])
