"""Tells systemd how a service fares (sd_notify(3)): that it is ready, alive, reloading, stopping; or tells nobody.

The protocol: one datagram with `NAME=VALUE` lines to the socket that the variable NOTIFY_SOCKET names; `@` in front
stands for the abstract name space. WATCHDOG_USEC says how often the unit wants a sign of life, in microseconds.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """The service manager that `environment` names, if it names one; what cannot be sent is left out."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._path = environment.get("NOTIFY_SOCKET", "")
        self._watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watched = self._watched and environment.get("WATCHDOG_USEC", "0") != "0"

    def ready(self, status: str) -> None:
        """Say that the service is up."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self, now: float) -> None:
        """Say that it reads its configuration again; `ready` ends that. `now` is the monotonic clock."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(now * 1e6)}")

    def alive(self) -> None:
        """Give the sign of life that a watchdog waits for."""
        if self._watched:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that it is about to end."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._path:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), "\0" + self._path[1:] if self._path[0] == "@" else self._path)
        except OSError:
            pass  # a manager that does not listen is no reason to stop serving
