"""Waits for something to come true in the real world, and shows the end of the mail log when it does not.

A test waits for what it needs, never for a while: these tests wait nowhere else, and `time.sleep` nowhere.
"""

import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TypeVar

POLL_SECONDS = 0.01
TAIL_LINES = 30

Value = TypeVar("Value")


def wait_for(condition: Callable[[], Value], timeout: float, what: str, log: Path | None = None) -> Value:
    """Return the first true value of `condition`, which is asked at least once.

    After `timeout` seconds raise AssertionError that says `what` was awaited, with the last lines of `log`.
    """
    deadline = monotonic() + timeout
    pause = Event()
    while True:
        value = condition()
        if value:
            return value
        if monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}; {tail(log)}")
        pause.wait(POLL_SECONDS)


def listens(path: Path) -> bool:
    """Whether a server takes connections at its socket, the file of which is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def tail(log: Path | None, count: int = TAIL_LINES) -> str:
    """The last lines of a log, introduced; a log that is missing is said to be so."""
    if log is None:
        return "no log given"
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return f"{log} is not there"
    return "\n".join([f"the last of {len(lines)} lines of {log}:", *lines[-count:]])
