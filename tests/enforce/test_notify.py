"""The service manager is told of readiness, life and end; without one nobody is."""

import re
import signal
import socket
from pathlib import Path

import pytest

from enforce.notify import Notifier

from .daemon import Daemon


def test_the_service_manager_is_told_of_readiness_life_and_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        with Daemon(tmp_path, environment=environment) as daemon:
            assert manager.recv(4096).decode() == f"READY=1\nSTATUS=listening on unix:{daemon.socket}"
            assert manager.recv(4096) == b"WATCHDOG=1"
            daemon.signal(signal.SIGHUP)
            told = [manager.recv(4096).decode() for _ in range(3)]
            assert "READY=1\nSTATUS=configuration read again" in told
            assert any(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", message) for message in told)
        messages = [manager.recv(4096)]
        while messages[-1] != b"STOPPING=1":
            messages.append(manager.recv(4096))


def test_no_service_manager_is_none_to_worry_about(tmp_path: Path) -> None:
    """No variable, a socket that is not there, one in the abstract name space, one that is another process's."""
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "none")}, {"NOTIFY_SOCKET": "@mailbrake-none"}):
        notifier = Notifier(environment)
        notifier.ready("up")
        notifier.stopping()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}).alive()
        with pytest.raises(BlockingIOError):
            manager.recv(1)
