"""Ctrl-C at any moment of a program's life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
CTRL_C = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
IN_A_CLASS = f"""class Attribute:
    def __set_name__(self, *_):
        exec({CTRL_C!r})
class Owner:
    attribute = Attribute()
"""


def started(script: str, home: Path, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """A program as its script starts it, with the modules in `home` before all others; `before`: run first."""
    module, _, function = SCRIPTS[script].partition(":")
    code = f"import signal, sys; {before}\nfrom {module} import {function}; sys.exit({function}())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": f"{home}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c_while_it_is_imported_ends_it_in_silence(script: str, tmp_path: Path) -> None:
    """As it does a program that has not said anything of signals."""
    (tmp_path / "argparse.py").write_text(CTRL_C)
    done = started(script, tmp_path, "--help")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_was_started_with_the_signal_ignored_goes_on_ignoring_it(script: str, tmp_path: Path) -> None:
    """As a shell starts what is to run in the background."""
    (tmp_path / "tomllib.py").write_text(CTRL_C)
    done = started(script, tmp_path, "--help", before="signal.signal(signal.SIGINT, signal.SIG_IGN)")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", [CTRL_C, IN_A_CLASS])
def test_ctrl_c_while_a_command_runs_ends_it_in_silence(module: str, tmp_path: Path) -> None:
    """With the status that a shell gives what a signal ended; also in the midst of a class that is being made."""
    (tmp_path / "pandas.py").write_text(module)
    done = started("mailbrake", tmp_path, "rates", str(ROOT / "samples" / "incident.log"))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
