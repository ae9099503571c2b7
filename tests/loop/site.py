"""A whole site on this machine: a real Postfix, `mailbrake watch` and `mailbrake milter`, one configuration."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.mta.client import Reply, submit
from tests.mta.postfix import Postfix
from tests.mta.waiting import listens, wait_for

PATIENCE = 60.0

_CONFIG = """\
[log]
files = {logs}
default_realm = "example.org"

[policy]
file = "{policy}"
mode = "{mode}"

[state]
directory = "{state}"

[milter]
socket = "unix:{socket}"
socket_mode = "0666"
syslog = ""
"""


class Site:
    """Postfix with alice, bob and carol (or other logins), whose milter and log are mailbrake's; a context manager."""

    def __init__(self, policy: str, mode: str = "enforce", logins: Iterable[str] = ("alice", "bob", "carol")) -> None:
        self._stack = contextlib.ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._policy, self._mode, self._logins = policy, mode, logins

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started; what does not end when told to is killed."""
        for name in list(self._processes):
            process = self._processes.pop(name)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
        self._stack.close()

    def _set_up(self) -> None:
        # the milter's socket lies in Postfix's own directory, which is short and open to its user
        self.postfix = Postfix(accounts=dict.fromkeys(self._logins, "secret"))
        self.directory = self.postfix.directory / "mailbrake"
        self.directory.mkdir(mode=0o755)
        self.socket = self.directory / "milter.sock"
        self.table = self.directory / "state" / "table"
        self.config = self.directory / "mailbrake.toml"
        self.logs = [self.postfix.log_path]
        self._stack.enter_context(self.postfix)
        self.prepare()
        self.configure(self._policy, self._mode)
        self.postfix.reload({"smtpd_milters": f"unix:{self.socket}"})
        self.start("watch")
        self.start("milter")

    def prepare(self) -> None:
        """What has to be there before the controller starts for the first time, Postfix being up: nothing."""

    # Processes.

    def start(self, name: str) -> None:
        """Start `watch` or `milter`, and wait until it is up."""
        errors = self.errors(name).open("ab")
        command = [sys.executable, "-m", "logwatch", name, "--config", str(self.config)]
        self._processes[name] = subprocess.Popen(command, stderr=errors)
        errors.close()
        wait_for(lambda: self._is_up(name) or self._processes[name].poll() is not None, PATIENCE, f"mailbrake {name}")
        assert self._processes[name].poll() is None, self.errors(name).read_text()

    def _is_up(self, name: str) -> bool:
        return listens(self.socket) if name == "milter" else (self.table / "data.mdb").exists()

    def stop(self, name: str, by: signal.Signals = signal.SIGTERM) -> int:
        """End a process; its exit status."""
        process = self._processes.pop(name)
        process.send_signal(by)
        return process.wait(PATIENCE)

    def errors(self, name: str) -> Path:
        """What a process writes to standard error."""
        return self.directory / f"{name}.err"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A mailbrake command with this site's configuration."""
        command = [sys.executable, "-m", "logwatch", *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        """The objects that a command prints with `--json`."""
        return [json.loads(line) for line in self.run(*arguments, "--json").stdout.splitlines()]

    # Mail.

    def send(self, login: str | None, recipients: int = 1, messages: int = 1) -> list[Reply]:
        """Send messages as a login by submission, or without one by port 25."""
        port = self.postfix.submission_port if login else self.postfix.smtp_port
        to = [f"r{number}@ok.example" for number in range(recipients)]
        return submit(port, f"{login or 'list'}@example.org", to, login, messages=messages)

    def flood(self, login: str = "bob") -> None:
        """300 recipients at once; the brake may well bite before the last of them."""
        codes = [reply.code for reply in self.send(login, recipients=50, messages=6)]
        assert codes[:4] == [250] * 4
        assert set(codes) <= {250, 450}

    def refused(self, login: str | None) -> Reply | None:
        """The refusal that a login meets now, if it is refused."""
        reply = self.send(login)[0]
        return reply if reply.refused else None

    def wait_until_refused(self, login: str) -> Reply:
        """Its first refusal."""
        reply = wait_for(lambda: self.refused(login), PATIENCE, f"{login} to be refused", self.errors("watch"))
        assert reply is not None
        return reply

    def wait_until_read(self) -> None:
        """Until the controller has taken in the log as it is now."""
        log = self.postfix.log_path
        size = log.stat().st_size
        wait_for(lambda: self._offset(str(log)) >= size, PATIENCE, "the log to be read", self.errors("watch"))

    def _offset(self, log: str) -> int:
        return int(self.json("status")[0]["log"].get(log, {"offset": 0})["offset"])

    def configure(self, policy: str, mode: str) -> None:
        """Write policy and configuration; what runs reads them when it is started again."""
        file = self.directory / "policy"
        file.write_text(policy)
        self.config.write_text(
            _CONFIG.format(
                logs=json.dumps([str(log) for log in self.logs]),
                policy=file,
                mode=mode,
                state=self.directory / "state",
                socket=self.socket,
            )
        )
