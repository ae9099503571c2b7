"""Signals that libmilter wants too come to the main thread."""

import os
import re
import signal
from pathlib import Path

import pytest

from .daemon import Daemon


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_libmilter_takes_nevertheless_ends_it_within_a_tick(daemon: Daemon, number: int) -> None:
    """Of two signals at once the second one may go to the thread that libmilter waits with."""
    (waiting,) = [
        task.name
        for task in Path(f"/proc/{daemon.pid}/task").iterdir()
        if task.name != str(daemon.pid)
        and not int(re.findall(r"SigBlk:\s*(\w+)", (task / "status").read_text())[0], 16) & 1 << signal.SIGTERM - 1
    ]
    os.kill(int(waiting), number)  # the kernel prefers the thread that is named
    assert daemon.end(within=4) == 0
