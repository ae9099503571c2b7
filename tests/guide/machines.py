"""Machines to run docs/cluster.md on, each below a directory of its own; commands are run as they stand, but for this:

- absolute paths lie below the machine's directory, and `scp` copies from one to another;
- the stream's machine answers on loopback, on a port that is free;
- `systemctl` starts and stops what the unit of that name would start; users are not made, and own nothing;
- `pip install` builds, or asks whether such packages are there.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from enforce.table import Denied, Reader
from tests.cluster.site import POLICY
from tests.guide.machine import ROOT
from tests.mta.postfix import free_ports
from tests.mta.waiting import wait_for

PATIENCE = 60.0
PLACES = re.compile(r"(?<![\w.])(?:/etc/|/var/|/opt/|/usr/local/|/usr/lib/sysusers\.d|/root/)")
STREAM = "stream.example.com"
ADMIN = "admin"
MACHINES = (ADMIN, STREAM, "c1", "mx1", "mx2", "mx3")
FIXED = """
[state]
directory = "{root}/var/lib/mailbrake"
[milter]
syslog = ""
"""
DECIDES = """
[policy]
file = "{root}/etc/mailbrake/policy"
mode = "enforce"
"""


class Machines:
    """All of them; `close` ends what runs on them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = next(free_ports())
        self._running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        for name in MACHINES:
            for place in ("etc/systemd/system", "var/lib", "var/log", "usr/local/bin", "root", "opt"):
                (self.root(name) / place).mkdir(parents=True)
            (self.root(name) / "usr/lib/sysusers.d").mkdir(parents=True)
            (self.root(name) / "var/log/mail.log").touch()
        for name in (ADMIN, "mx1"):
            self.run(name, "python3 -m venv /opt/mailbrake")
            self.run(name, "ln -s /opt/mailbrake/bin/mailbrake /usr/local/bin/mailbrake")
        for name in ("c1", "mx1"):
            (self.root(name) / "etc/mailbrake").mkdir()
            (self.root(name) / "etc/mailbrake/policy").write_text(POLICY)

    def root(self, name: str) -> Path:
        return self._directory / name

    def close(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(PATIENCE)

    def configure(self, name: str, block: str) -> None:
        """The configuration of a machine; a gateway has its own name."""
        own = re.sub(r'^name = "mx1"', f'name = "{name}"', block, flags=re.MULTILINE)
        more = FIXED + DECIDES * ("[cluster]" not in block or name == "c1")
        if "[cluster]" in block:
            own = f'{own}credentials = "/etc/mailbrake/cluster"\n'
        text = self.local(name, own) + more.format(root=self.root(name))
        (self.root(name) / "etc/mailbrake/mailbrake.toml").write_text(text)

    def run(self, name: str, command: str) -> subprocess.CompletedProcess[str]:
        """A line of the page, on a machine."""
        for pattern, act in self._acts(name).items():
            found = re.fullmatch(pattern, command)
            if found:
                return act(*found.groups())
        return self._sh(name, self.local(name, command))

    def local(self, name: str, text: str) -> str:
        """What a text means here."""
        here = text.replace(STREAM, "127.0.0.1").replace("4222", str(self._port))
        return PLACES.sub(lambda found: f"{self.root(name)}{found[0]}", here)

    def said(self, name: str) -> str:
        """What its services have."""
        return "\n".join(path.read_text()[-1500:] for path in sorted(self.root(name).glob("*.err")))

    def denied(self, name: str, login: str) -> bool:
        """Whether its milter would refuse an account."""
        table = Reader(self.root(name) / "var/lib/mailbrake/table")
        return isinstance(table.look_up([f"account:{login}"], time.time()), Denied)

    def _acts(self, name: str) -> dict[str, Callable[..., subprocess.CompletedProcess[str]]]:
        return {
            r"python3 -m venv (\S+)": lambda where: self._sh(name, f"ln -s {sys.prefix} {self.root(name)}{where}"),
            r"\S+/bin/pip install '\.\[cluster\]'": lambda: self._pip(name, "--no-deps --no-build-isolation ."),
            r"\S+/bin/pip install --no-deps \.": lambda: self._pip(name, "--no-deps --no-build-isolation ."),
            r"\S+/bin/pip install ([a-z -]+)": lambda names: self._pip(name, f"--no-index {names}"),
            r"systemd-sysusers": lambda: self._sh(
                name, f"systemd-sysusers --dry-run {self.root(name)}/usr/lib/sysusers.d/*"
            ),
            r"(chown -R mailbrake:|chown mailbrake:) (\S+)": lambda _, what: self._sh(
                name, f"test -e {self.root(name)}{what}"
            ),
            r"install -d -o mailbrake -g mailbrake (.*)": lambda rest: self._sh(
                name, self.local(name, f"install -d {rest}")
            ),
            r"scp -rp (\S+) ([^:]+):(\S+)": lambda what, other, where: self._sh(
                name, f"cp -rp {self.root(name)}{what} {self.root(other)}{where}"
            ),
            r"systemctl (daemon-reload)": lambda _: self._sh(name, "true"),
            r"systemctl enable --now (\S+)": lambda unit: self._start(name, unit),
            r"systemctl disable --now (\S+)": lambda unit: self._stop(name, unit),
            r"logrotate -f (\S+)": lambda _: self._sh(
                name, self.local(name, "mv /var/log/mail.log /var/log/mail.log.1 && touch /var/log/mail.log")
            ),
        }

    def _environment(self, name: str) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.root(name)}/usr/local/bin:{os.environ['PATH']}"}

    def _sh(self, name: str, command: str) -> subprocess.CompletedProcess[str]:
        environment = self._environment(name)
        return subprocess.run(
            ["sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def _pip(self, name: str, what: str) -> subprocess.CompletedProcess[str]:
        return self._sh(name, f"{shlex.quote(sys.executable)} -m pip install -q --dry-run {what}")

    def _start(self, name: str, service: str) -> subprocess.CompletedProcess[str]:
        unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(self.root(name) / f"etc/systemd/system/{service}.service")
        section = unit["Service"]
        (self.root(name) / "var/lib" / section["StateDirectory"]).mkdir(exist_ok=True)
        at = Path(self.local(name, section.get("WorkingDirectory", str(ROOT))))
        for written in at.glob("server.conf"):
            written.write_text(self.local(name, written.read_text()))
        said = self.root(name) / f"{service}.err"
        with said.open("ab") as errors:
            command = shlex.split(self.local(name, section["ExecStart"]))
            process = subprocess.Popen(command, env=self._environment(name), stderr=errors, cwd=at)
        self._running[name, service] = process
        ready = "Server is ready" if service == "mailbrake-stream" else "configuration: "
        wait_for(lambda: ready in said.read_text() or process.poll() is not None, PATIENCE, service, said)
        return self._sh(name, "true" if process.poll() is None else f"cat {said} >&2; false")

    def _stop(self, name: str, service: str) -> subprocess.CompletedProcess[str]:
        process = self._running.pop((name, service))
        process.terminate()
        return subprocess.CompletedProcess(service, process.wait(PATIENCE), "", self.said(name))
