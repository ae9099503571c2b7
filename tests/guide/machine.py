"""A machine to run a guide on, below one directory: a made-up log, services by their units, a real Postfix.

Commands are taken from blocks of a page and run by a shell as they stand, but for this:

- absolute paths of the guide lie below the directory;
- a pipe fails if any of its commands does;
- `systemctl` starts and stops what the unit of that name in deploy/ would start, with its directories made;
- users of the guide are not made on the machine that tests: what would become one stays root;
- `apt-get install` asks dpkg whether such packages exist here, `pip install` only builds;
- Postfix's own commands speak to the private one;
- a case of the guide is the case that Bob has here.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import maillog
from tests.mta.postfix import Postfix
from tests.mta.waiting import listens, wait_for

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
DAY = 86400
PLACES = (
    "/etc/mailbrake",
    "/etc/systemd/system",
    "/etc/mail",
    "/var/lib/mailbrake",
    "/var/log/mail.log",
    "/opt/mailbrake",
    "/run/mailbrake",
    "/usr/lib/sysusers.d",
    "/usr/local/bin",
    "/root",
)
MINE = {  # unless the guide has such a section
    "[state": '[state]\ndirectory = "{root}/var/lib/mailbrake"\n',
    "[milter": '[milter]\nsocket = "unix:{root}/run/mailbrake/milter.sock"\nsyslog = ""\n',
}


class Machine:
    """As it is before the guide begins; a context manager."""

    def __init__(self, accounts: dict[str, str] | None = None) -> None:
        """`accounts`: login to password at the submission port."""
        self.postfix = Postfix(accounts)
        self.root = self.postfix.directory / "machine"
        self._environment = {**os.environ, "PATH": f"{self.root}/usr/local/bin:{os.environ['PATH']}"}
        self._services: dict[str, subprocess.Popen[bytes]] = {}
        self._settings: dict[str, str] = {}  # sections of the configuration

    def __enter__(self) -> Self:
        self.postfix.__enter__()
        for place in (*PLACES, "/var/log"):
            if place not in ("/opt/mailbrake", "/var/log/mail.log", "/etc/mailbrake"):
                (self.root / place[1:]).mkdir(parents=True, exist_ok=True)
        (self.root / "opt").mkdir()
        shutil.rmtree(self.root / "var/lib/mailbrake")
        (self.root / "etc/mail/Makefile").write_text("all:\n\tgrep -q INPUT_MAIL_FILTER sendmail.mc\n")
        (self.root / "etc/mail/sendmail.mc").write_text("")
        _write_log(self.root / "var/log")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._services):
            self._stop(name)
        self.postfix.__exit__(kind, error, trace)

    def configure(self, block: str) -> None:
        """Take up a block of the configuration; a later one replaces a section of the same name."""
        for section in re.split(r"(?m)^(?=\[)", self.local(block)):
            if section:
                name = section.split("]")[0]
                self._settings[name] = section + 'syslog = ""\n' * (name == "[milter")
        mine = {name: text.format(root=self.root) for name, text in MINE.items()}
        text = "".join({**mine, **self._settings}.values())
        (self.root / "etc/mailbrake/mailbrake.toml").write_text(text)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """One line of the guide."""
        local = self.local(command)
        for pattern, act in self._acts().items():
            found = re.fullmatch(pattern, local)
            if found:
                return act(*found.groups())
        return self._sh(local)

    def local(self, text: str) -> str:
        """What a text means here."""
        text = text.replace("/var/spool/postfix", f"{self.postfix.directory}/spool")
        text = re.sub(
            rf"(?<![\w.])(?:{'|'.join(map(re.escape, PLACES))})", lambda found: f"{self.root}{found[0]}", text
        )
        return text.replace("7K2M9Q", self._case()) if "7K2M9Q" in text else text

    def _acts(self) -> dict[str, Callable[..., subprocess.CompletedProcess[str]]]:
        return {
            r"apt-get install --no-install-recommends (.*)": lambda names: self._sh(f"dpkg-query -W {names}"),
            r"python3 -m venv (\S+)": lambda where: self._sh(f"ln -s {sys.prefix} {where}"),
            r"\S+/bin/pip install '(\S+)'": self._pip,
            r"systemd-sysusers": lambda: self._sh(f"systemd-sysusers --dry-run {self.root}/usr/lib/sysusers.d/*"),
            r"install -d -o (\S+) -g (\S+) (.*)": self._install_for,
            r"runuser -u (\S+) -g mailbrake -G adm -- (mailbrake watch .* --learn .*)": self._learn,
            r"systemctl (daemon-reload)": lambda _: self._sh("true"),
            r"systemctl (?:enable --now|start|restart) (\S+)": self._start,
            r"systemctl stop (\S+)": self._stop,
            r"systemctl status (\S+)": lambda name: self._sh("true" if name in self._services else "false"),
            r"export (\w+)=(\S+)": self._export,
            r"(.*\| |)(post(?:conf|map|super)) (.*)": self._postfix,
            r"postfix reload": lambda: self._sh(f"postfix -c {self.postfix.config_directory} reload"),
        }

    def _sh(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def _postfix(self, before: str, program: str, rest: str) -> subprocess.CompletedProcess[str]:
        return self._sh(f"{before}{program} -c {self.postfix.config_directory} {rest}")

    def _pip(self, wanted: str) -> subprocess.CompletedProcess[str]:
        """What would be installed can be built, with the extra that is asked for."""
        for extra in re.findall(r"\[(\w+)\]", wanted):
            assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()
        return self._sh(f"{shlex.quote(sys.executable)} -m pip install -q --dry-run --no-deps --no-build-isolation .")

    def _install_for(self, user: str, group: str, rest: str) -> subprocess.CompletedProcess[str]:
        assert re.search(rf"^u {user} ", (ROOT / "deploy/mailbrake.sysusers").read_text(), re.MULTILINE)
        return self._sh(f"install -d {'' if group == user else f'-g {group}'} {rest}")

    def _export(self, name: str, value: str) -> subprocess.CompletedProcess[str]:
        self._environment[name] = value
        return self._sh(f"test -e {value}")

    # Services.

    def _learn(self, user: str, command: str) -> subprocess.CompletedProcess[str]:
        """Until it says that it has learned; then Ctrl-C."""
        assert user == "mailbrake"
        said = self.root / "learn.err"
        process = self._spawn(shlex.split(command), said)
        wait_for(
            lambda: "learned from" in said.read_text() or process.poll() is not None, PATIENCE, "what was learned", said
        )
        process.send_signal(signal.SIGINT)
        return subprocess.CompletedProcess(command, process.wait(PATIENCE), "", said.read_text())

    def _spawn(self, command: list[str], said: Path) -> subprocess.Popen[bytes]:
        with said.open("wb") as errors:
            return subprocess.Popen(command, env=self._environment, stderr=errors, cwd=ROOT)

    def _start(self, name: str) -> subprocess.CompletedProcess[str]:
        if name in self._services:
            self._stop(name)
        unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(self.root / f"etc/systemd/system/{name}.service")
        if "RuntimeDirectory" in unit["Service"]:
            (self.root / "run" / unit["Service"]["RuntimeDirectory"]).mkdir(exist_ok=True)
        said = self.root / f"{name}.err"
        self._services[name] = self._spawn(shlex.split(self.local(unit["Service"]["ExecStart"])), said)
        wait_for(lambda: self._is_up(name), PATIENCE, name, said)
        return self._sh("true")

    def _is_up(self, name: str) -> bool:
        assert self._services[name].poll() is None, (self.root / f"{name}.err").read_text()
        if name == "mailbrake-milter":
            return any(listens(Path(place, "mailbrake/milter.sock")) for place in self._run_directories())
        found = self._sh(f"mailbrake status --json --config {self.root}/etc/mailbrake/mailbrake.toml").stdout
        logs = [log for log in json.loads(found or '{"log": {}}')["log"].values() if isinstance(log, dict)]
        return bool(logs) and all(not log["behind"] for log in logs)

    def _run_directories(self) -> tuple[Path, Path]:
        return self.root / "run", self.postfix.directory / "spool"

    def _stop(self, name: str) -> subprocess.CompletedProcess[str]:
        process = self._services.pop(name)
        process.terminate()
        return subprocess.CompletedProcess(name, process.wait(PATIENCE), "", "")

    def _case(self) -> str:
        rows = self._sh("mailbrake review --all --json").stdout.splitlines()
        return next(str(row["case"]) for row in map(json.loads, rows) if row["who"].startswith("account:bob"))


def _write_log(directory: Path) -> None:
    """Ten days on which four people wrote some mail; ten minutes ago somebody else had Bob's password."""
    now = time.time()
    with (directory / "mail.log.1").open("w") as log:
        for day in range(10, 0, -1):
            for number, login in enumerate(("alice", "bob", "carol", "newsletter")):
                log.writelines(_message(now - day * DAY + number, login, f"{day}{number}", 1))
    with (directory / "mail.log").open("w") as log:
        log.writelines(_message(now - 7200, "alice", "0", 2))
        for number in range(12):
            log.writelines(_message(now - 600 + number, "bob", f"b{number}", 2, "203.0.113.77", bounced=number % 2))


def _message(
    at: float, login: str, name: str, recipients: int, client: str = "192.0.2.7", *, bounced: int = 0
) -> Iterator[str]:
    queue_id = f"4jX{name:0>6}zJ9Hg"
    to = [f"{name}r{number}@example.net" for number in range(recipients)]
    end = maillog.bounced if bounced else maillog.sent
    texts = [
        *maillog.submission(queue_id, f"{login}@example.com", to, client=client),
        *(end(queue_id, address) for address in to),
        maillog.removed(queue_id),
    ]
    return (f"{datetime.fromtimestamp(at):%b %e %H:%M:%S} mx1 {text}\n" for text in texts)
