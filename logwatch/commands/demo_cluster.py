"""Three gateways and two controllers that share one table, on this machine; one of each is killed before your eyes."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sysconfig
import time
from datetime import UTC, datetime
from pathlib import Path

from logwatch.commands import Failure
from logwatch.commands.stage import Stage, stage

GATEWAYS, CONTROLLERS = ("mx1", "mx2", "mx3"), ("c1", "c2")
_HERE = "127.0.0.1"
_POLICY = """\
rule flood per account:
    when recipients in 10m > 100
    tempfail for 1h
    mode enforce
"""
_CONFIG = """\
[log]
files = ["{directory}/{name}.log"]
[policy]
file = "{directory}/policy"
mode = "enforce"
[state]
directory = "{directory}/{name}"
[milter]
syslog = ""
[cluster]
servers = ["tls://127.0.0.1:{port}"]
name = "{name}"
credentials = "{directory}/keys/{name}"
"""


_SCENE = (
    "Three gateways (mx1, mx2, mx3) ship their logs into a stream, two controllers (c1, c2) decide on all of",
    "them together, and each gateway gets the table that its milter answers by. The policy:",
)
PEOPLE = ("carol", "frank", "grace", "heidi", "ivan", "laura", "nora", "olaf")  # one of each of eight partitions


def run(*, keep: bool) -> int:
    """Tell the story; everything it started ends with it."""
    if importlib.util.find_spec("nats") is None or importlib.util.find_spec("cryptography") is None:
        raise Failure("this demo needs more packages: pip install 'mailbrake[cluster]'")
    with stage(keep=keep) as on:
        _Story(on).tell()
    return 0


class _Story:
    """The scenes, one after the other."""

    def __init__(self, on: Stage) -> None:
        self._on = on
        self._directory = on.directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._messages = 0

    def tell(self) -> None:
        """From three slices of a flood to a dead gateway, a dead controller and a dead server."""
        self._prepare()
        self._on.heading("1", "A hijacked account sends through all three gateways")
        self._flood("bob", 40, *GATEWAYS)
        self._on.say("   No gateway sees more than 40 recipients; the limit is 100 in ten minutes. Together:")
        self._await("bob")
        self._on.heading("2", "kill -9 one of the two controllers")
        self._kill("c1 watch")
        self._on.say("   Each publishes half of the keys. So eight accounts are hijacked, one of each eighth:")
        self._flood(", ".join(PEOPLE), 60, "mx1", "mx2")
        self._await(*PEOPLE)
        self._on.say("   The other had decided on all of them, and has taken over what the dead one published.")
        self._on.heading("3", "kill -9 what runs on a gateway; its log goes on")
        self._kill("mx3 ship")
        self._kill("mx3 sync")
        self._flood("dave", 60, "mx3", "mx1")
        self._on.say("   Half of dave's flood is in the dead gateway's log alone. There, the last table stands:")
        self._show("bob", "mx3")
        self._on.say("   It is started again, and sends what it had not:")
        self._start("mx3 ship", "mx3 sync")
        self._await("dave")
        self._on.heading("4", "kill -9 the stream's server")
        self._kill("server")
        self._flood("erin", 60, "mx1", "mx2")
        self._on.say("   Nobody can decide now. Mail flows, the lines wait on the gateways' disks, what stood stands:")
        self._show("dave", *GATEWAYS)
        self._on.say("   It is started again:")
        self._start("server")
        self._await("erin")
        self._on.heading("5", "In the end")
        self._on.wait(lambda: len({self._generation(gateway) for gateway in GATEWAYS}) == 1, "equal tables")
        self._on.say("   On the controller that is left:")
        self._on.quote("$ mailbrake status")
        for row in self._mailbrake("c2", "status").splitlines():
            if row.startswith(("gateways", "controllers")):
                self._on.quote(row)
        self._on.heading("✓", "That was it. docs/cluster.md leads from one machine to three, and back.")

    # Scenes.

    def _prepare(self) -> None:
        from logwatch.cluster import credentials
        from logwatch.cluster.credentials import Roster

        with socket.socket() as probe:
            probe.bind((_HERE, 0))
            port = int(probe.getsockname()[1])
        store = str(self._directory / "stream")
        credentials.make(self._directory / "keys", Roster((_HERE,), GATEWAYS, CONTROLLERS, store, port))
        (self._directory / "policy").write_text(_POLICY)
        for name in (*GATEWAYS, *CONTROLLERS):
            (self._directory / f"{name}.log").touch()
            config = _CONFIG.format(directory=self._directory, name=name, port=port)
            (self._directory / f"{name}.toml").write_text(config)
        for row in _SCENE:
            self._on.say(row)
        self._on.quote(_POLICY)
        self._on.say("   All is being started; each gateway has its table in a moment …")
        self._start("server", *(f"{name} watch" for name in CONTROLLERS))
        self._start(*(f"{name} {command}" for name in GATEWAYS for command in ("ship", "sync")))
        self._on.wait(self._ready, "the tables, and both controllers")

    def _ready(self) -> bool:
        tables = all(self._generation(gateway) is not None for gateway in GATEWAYS)
        return tables and all(row["held"] == 4 for row in self._controllers().values())

    def _flood(self, logins: str, recipients: int, *gateways: str) -> None:
        """So many recipients for each login, on each gateway."""
        for gateway in gateways:
            for login in logins.split(", "):
                self._send(gateway, login, 4, recipients // 4)
            self._on.say(f"   {gateway}  ", (logins, "red"), f"  a message to {recipients // 4} recipients, four times")

    def _send(self, gateway: str, login: str, messages: int, recipients: int) -> None:
        with (self._directory / f"{gateway}.log").open("a") as log:
            for _ in range(messages):
                self._messages += 1
                queue_id = f"4jZ1x{self._messages:05d}zJ9Hg"
                head = f"{datetime.now(UTC).isoformat(timespec='microseconds')} {gateway} postfix"
                log.write(
                    f"{head}/submission/smtpd[7]: {queue_id}: client=unknown[203.0.113.77], sasl_method=PLAIN, "
                    f"sasl_username={login}\n{head}/qmgr[8]: {queue_id}: from=<{login}@example.com>, size=300, "
                    f"nrcpt={recipients} (queue active)\n"
                )

    def _await(self, *logins: str) -> None:
        begun = time.monotonic()
        everywhere = [(gateway, login) for gateway in GATEWAYS for login in logins]
        who = ", ".join(logins)
        self._on.wait(lambda: all(self._refused(*where) for where in everywhere), f"{who} to be refused")
        self._show(who, *GATEWAYS, after=time.monotonic() - begun)

    def _show(self, logins: str, *gateways: str, after: float | None = None) -> None:
        """What the gateways' tables say of accounts."""
        same = {self._refused(gateway, login) for gateway in gateways for login in logins.split(", ")}
        answer = "450" if same == {True} else "accepted"
        when = "" if after is None else f"   {after:.1f} s later"
        self._on.say(
            "   ", *(f"{gateway} " for gateway in gateways), " ", (logins, "red"), " → ", (answer, "bold green"), when
        )

    # Means.

    def _start(self, *parts: str) -> None:
        """`server`, or a machine's command, such as `mx1 ship`."""
        for part in parts:
            machine, _, command = part.partition(" ")
            if part == "server":
                nats = str(Path(sysconfig.get_path("scripts")) / "nats-server")
                started = self._on.start(part, [nats, "-c", "server.conf"], self._directory / "keys" / "server")
            else:
                started = self._on.daemon(part.replace(" ", "."), self._directory / f"{machine}.toml", command)
            self._running[part] = started

    def _kill(self, part: str) -> None:
        process = self._running.pop(part)
        process.kill()
        process.wait()
        self._on.say((f"   ✗ {part.replace(' ', ': mailbrake ')} is dead", "bold red"))

    def _mailbrake(self, machine: str, *arguments: str) -> str:
        return self._on.mailbrake(self._directory / f"{machine}.toml", *arguments)

    def _refused(self, gateway: str, login: str) -> bool:
        from enforce.table import Denied, Reader

        answer = Reader(self._directory / gateway / "table").look_up([f"account:{login}"], time.time())
        return isinstance(answer, Denied)

    def _controllers(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = json.loads(self._mailbrake("c1", "status", "--json"))["controllers"]
        return found

    def _generation(self, gateway: str) -> int | None:
        from enforce.table import peek

        state = peek(self._directory / gateway / "table", time.time())
        return None if state.reason else state.generation
