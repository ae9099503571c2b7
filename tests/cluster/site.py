"""A cluster of real processes: a stream server, gateways that ship and sync, controllers; each may be killed.

`places` says how to run something somewhere else than here, such as in a network namespace.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from enforce.table import Denied, Reader, State
from logwatch.cluster import credentials
from logwatch.cluster.credentials import Roster
from logwatch.schema import Decision
from logwatch.telling.journal import Journal
from tests.mta import waiting
from tests.mta.postfix import free_ports

Value = TypeVar("Value")
HERE = "127.0.0.1"
POLICY = """
rule flood per account:
    when recipients in 10m > 20
    block for 1h
    mode enforce
"""
SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"


def wait_for(condition: Callable[[], Value], what: str, patience: float = 60.0) -> Value:
    return waiting.wait_for(condition, patience, what)


class Site:
    """Files of all machines below one directory; nothing runs until it is started."""

    def __init__(
        self,
        directory: Path,
        gateways: Sequence[str] = ("mx1", "mx2"),
        controllers: Sequence[str] = ("c1", "c2"),
        *,
        servers: Mapping[str, str] = MappingProxyType({"server": HERE}),
        lease: str = "1h",
        places: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.directory = directory
        """`servers`: their machines and addresses."""
        self.gateways, self.controllers, self.servers = tuple(gateways), tuple(controllers), dict(servers)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._places = places or {}
        self._messages = 0
        self.port = next(free_ports())
        addresses = tuple(servers.values())
        self.roster = Roster(addresses, self.gateways, self.controllers, "stream", self.port)
        credentials.make(directory / "keys", self.roster)
        for server in servers:
            shutil.copytree(directory / "keys" / "server", directory / server)
        urls = [f"tls://{address}:{self.port}" for address in addresses]
        (directory / "policy").write_text(POLICY)
        for name in (*gateways, *controllers):
            (directory / f"{name}.log").touch()
            (directory / f"{name}.toml").write_text(
                f"""
                [log]
                files = ["{directory}/{name}.log"]
                [policy]
                file = "{directory}/policy"
                mode = "enforce"
                [state]
                directory = "{directory}/{name}"
                lease = "{lease}"
                [milter]
                syslog = ""
                [cluster]
                servers = {json.dumps(urls)}
                name = "{name}"
                credentials = "{directory}/keys/{name}"
                replicas = {len(servers)}
                """
            )

    # Processes.

    def start(self, *parts: str) -> None:
        """A server by its name, or a machine's command: `mx1 ship`, `mx1 sync`, `c1 watch`."""
        for part in parts:
            machine, _, command = part.partition(" ")
            ours = [sys.executable, "-m", "logwatch", command, "--config", f"{self.directory}/{machine}.toml"]
            run = [str(SERVER), "-c", self._configuration(part)] if part in self.servers else ours
            with (self.directory / f"{part.replace(' ', '.')}.err").open("ab") as errors:
                self.running[part] = subprocess.Popen(
                    [*self._places.get(machine, ()), *run],
                    cwd=self.directory / part if part in self.servers else None,
                    stdout=errors,
                    stderr=errors,
                )

    def _configuration(self, server: str) -> str:
        return "server.conf" if len(self.servers) == 1 else f"{self.servers[server]}.conf"

    def store(self, server: str = "server") -> Path:
        """Where a server keeps its data."""
        return self.directory / server / "stream"

    def start_all(self) -> None:
        """Everything; up when the controllers hold all keys between them."""
        self.start(*self.servers, *(f"{name} watch" for name in self.controllers))
        self.start(*(f"{name} {command}" for name in self.gateways for command in ("ship", "sync")))
        patience = 60.0 * len(self.servers)  # several have to agree on who leads, three times
        wait_for(lambda: not any(self.state(name).reason for name in self.gateways), "tables", patience)

    def kill(self, part: str) -> None:
        """As a power cut does, for the process."""
        process = self.running.pop(part)
        process.kill()
        process.wait()

    def hang(self, part: str) -> None:
        """It lives, keeps its connections, and does nothing."""
        self.running[part].send_signal(signal.SIGSTOP)

    def wake(self, part: str) -> None:
        self.running[part].send_signal(signal.SIGCONT)

    def ended(self, part: str) -> bool:
        """Whether a process has ended by itself."""
        return self.running[part].poll() is not None

    def decided(self, controller: str) -> list[Decision]:
        """All that a controller has decided."""
        journal = Journal.read(self.directory / controller / "journal.sqlite")
        try:
            return journal.decisions()
        finally:
            journal.close()

    def stop(self, part: str) -> None:
        process = self.running.pop(part)
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    def close(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
        for process in self.running.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    def said(self) -> str:
        """The end of what each process has said."""
        return "\n".join(f"{path.name}: {path.read_text()[-600:]}" for path in sorted(self.directory.glob("*.err")))

    def mailbrake(self, machine: str, *arguments: str) -> str:
        """What a command says on a machine."""
        command = [sys.executable, "-m", "logwatch", *arguments, "--config", f"{self.directory}/{machine}.toml"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    # Mail, and what comes of it.

    def send(self, gateway: str, login: str, recipients: int = 5, messages: int = 1) -> float:
        """Messages in a gateway's log, now; when the last was written."""
        lines = []
        for _ in range(messages):
            self._messages += 1
            queue_id = f"4jZ1x{self._messages:05d}zJ9Hg"
            stamp = datetime.now(UTC).isoformat(timespec="microseconds")
            lines += [
                f"{stamp} {gateway} postfix/submission/smtpd[7]: {queue_id}: client=unknown[192.0.2.1], "
                f"sasl_method=PLAIN, sasl_username={login}\n",
                f"{stamp} {gateway} postfix/qmgr[8]: {queue_id}: from=<{login}@example.com>, size=300, "
                f"nrcpt={recipients} (queue active)\n",
            ]
        with (self.directory / f"{gateway}.log").open("a") as log:
            log.writelines(lines)
        return time.time()

    def denied(self, gateway: str, login: str) -> bool:
        """Whether a gateway's milter would refuse an account now."""
        answer = self.reader(gateway).look_up([f"account:{login}"], time.time())
        return isinstance(answer, Denied)

    def everywhere(self, login: str, *, denied: bool = True) -> bool:
        return all(self.denied(gateway, login) is denied for gateway in self.gateways)

    def table(self, gateway: str) -> dict[str, list[tuple[str, float, str]]]:
        """Keys with action, end and reference of their records, leases left out."""
        found = {}
        for key, records in self.reader(gateway).records():
            assert isinstance(records, tuple)
            found[key] = [(record.action, record.until, record.ref) for record in records]
        return found

    def state(self, gateway: str) -> State:
        return self.reader(gateway).state(time.time())

    def reader(self, gateway: str) -> Reader:
        return Reader(self.directory / gateway / "table")

    def status(self, machine: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.mailbrake(machine, "status", "--json"))
        return found

    def forget(self) -> None:
        shutil.rmtree(self.directory)
