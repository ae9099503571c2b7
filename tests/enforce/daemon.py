"""The milter as a process of its own, and sessions with it in the MTA's place, over the real protocol."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from miltertest import MilterConnection, constants

from enforce.table import Record, Writer

ROOT = Path(__file__).parents[2]


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Return once `condition` holds; AssertionError says `what` was awaited in vain."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        threading.Event().wait(0.005)


class Session:
    """One SMTP session, as an MTA tells a milter of it; replies are "accept", "continue" or "450 4.7.1 text"."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._mta = MilterConnection(self._socket)
        self.actions, self.protocol = self._mta.optneg_mta()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def connect(self, address: str = "192.0.2.1", version: str = "Postfix 3.7.11", name: str = "mx.example") -> str:
        """The client's connection; `version` is the macro `v`, not sent if empty."""
        if version:
            self._mta.send_macro(constants.SMFIC_CONNECT, v=version)
        family = constants.SMFIA_INET6 if ":" in address else constants.SMFIA_INET
        return self._reply(constants.SMFIC_CONNECT, hostname=name, family=family, port=1234, address=address)

    def mail(self, login: str = "", **macros: str) -> str:
        """MAIL by this login; the macros are sent as both MTAs do, a fresh set each time."""
        sent = {"{mail_addr}": "a@example.org", **macros, **({"{auth_authen}": login} if login else {})}
        self._mta.send_macro(constants.SMFIC_MAIL, **sent)
        return self._reply(constants.SMFIC_MAIL, args=["<a@example.org>"])

    def raw(self, command: str, body: bytes, *, answered: bool) -> str:
        """A packet that miltertest would not make."""
        self._socket.sendall((len(body) + 1).to_bytes(4, "big") + command.encode() + body)
        return self._told(self._mta.recv()) if answered else ""

    def rcpt(self) -> str:
        """A recipient of the message."""
        return self._reply(constants.SMFIC_RCPT, args=["<b@example.org>"])

    def end(self) -> str:
        """The end of the message; its quarantine is told as "quarantine: REASON, accept"."""
        self._socket.sendall(b"\0\0\0\1" + constants.SMFIC_BODYEOB.encode())
        told: list[str] = []
        while True:
            code, fields = self._mta.recv()
            if code != constants.SMFIR_QUARANTINE:
                return ", ".join([*told, self._told((code, fields))])
            told.append(f"quarantine: {fields['reason']}")

    def _reply(self, command: str, **fields: Any) -> str:
        return self._told(self._mta.send_ar(command, **fields))

    def _told(self, reply: tuple[str, dict[str, str]]) -> str:
        code, fields = reply
        if code == constants.SMFIR_REPLYCODE:
            return f"{fields['smtpcode']} {fields['text']}"
        return {"a": "accept", "c": "continue"}[code]


class Daemon:
    """`python -m enforce.main` in `directory`, ended with SIGTERM when the block is left; it must then end well."""

    def __init__(
        self,
        directory: Path,
        configuration: str = "",
        command: tuple[str, ...] = ("-m", "enforce.main"),
        more: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`more` are further options of [milter]; `environment` goes on top of the test's own."""
        self.directory = directory
        self.table = directory / "table"
        self.socket = directory / "milter.sock"
        self._command = command
        self._environment = {**os.environ, **(environment or {})}
        self._errors = directory / "stderr"
        self._file = directory / "mailbrake.toml"
        self._file.write_text(
            configuration
            or f'[log]\ndefault_realm = "example.com"\n[state]\ndirectory = "{directory}"\n'
            f'[milter]\nsocket = "unix:{self.socket}"\nsyslog = ""\n{more}'
        )

    def __enter__(self) -> Daemon:
        self.start()
        wait_until(lambda: "listening on" in self.told() or self._process.poll() is not None, "the milter")
        assert self._process.poll() is None, self.told()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = self.stop()
        if error is None:
            assert status == 0, self.told()

    def start(self) -> None:
        """Start it, whatever becomes of it."""
        with self._errors.open("wb") as errors:
            command = [sys.executable, *self._command, "--config", str(self._file)]
            self._process = subprocess.Popen(command, cwd=ROOT, stderr=errors, env=self._environment)

    def end(self, within: float = 30) -> int:
        """Wait for it to end by itself; its exit status."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as no signal handler can see."""
        self._process.kill()
        self._process.wait()

    def stop(self, by: signal.Signals = signal.SIGTERM, within: float = 30) -> int:
        """End it as an administrator does; its exit status."""
        self._process.send_signal(by)
        return self.end(within)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def configure(self, old: str, new: str) -> None:
        """Change its configuration file."""
        self._file.write_text(self._file.read_text().replace(old, new))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal that does not end it."""
        self._process.send_signal(number)

    def told(self) -> str:
        """All that it wrote to standard error."""
        return self._errors.read_text()

    def verdicts(self, count: int) -> list[str]:
        """Its verdict lines, once there are `count` of them: they are written by a thread of their own."""
        wait_until(lambda: len(self._verdicts()) >= count, f"{count} verdicts in {self.told()}")
        return self._verdicts()

    def wait_for(self, text: str) -> None:
        """Return once it wrote `text` to standard error."""
        wait_until(lambda: text in self.told(), f"{text!r} in {self.told()}")

    def _verdicts(self) -> list[str]:
        whole, _, _ = self.told().rpartition("\n")
        return [line.removeprefix("mailbrake: ") for line in whole.splitlines() if "verdict:" in line]

    def publish(self, **records: Record | list[Record]) -> None:
        """Commit these, `account_bob` standing for the key `account:bob@example.com`."""
        changes = {}
        for name, value in records.items():
            kind, _, who = name.partition("_")
            changes[f"{kind}:{who}@example.com"] = value if isinstance(value, list) else [value]
        self.publish_keys(changes)

    def publish_keys(self, changes: dict[str, list[Record]]) -> None:
        """Commit these."""
        with Writer(self.table) as writer:
            writer.publish(changes, time.time())

    def session(self) -> Session:
        """A session with it, after negotiation."""
        return Session(self.socket)
