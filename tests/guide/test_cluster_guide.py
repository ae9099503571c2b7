"""Every command of docs/cluster.md runs, in its order, from one machine to three and back; and does what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from tests.guide.machine import ROOT
from tests.guide.machines import PATIENCE, Machines
from tests.mta.waiting import wait_for

PAGE = ROOT / "docs" / "cluster.md"
GATEWAYS = ("mx1", "mx2", "mx3")
BLOCK = re.compile(r"^```(sh|toml) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOOK = "mailbrake status"


def follow(page: str, machines: Machines) -> int:
    """Do what a part of the page says; how many commands were run."""
    done = 0
    for language, names, text in (found.groups() for found in BLOCK.finditer(page)):
        for name in names.split(","):
            if language == "toml":
                machines.configure(name, text)
                continue
            for command in text.splitlines():
                _do(machines, name, command)
                done += 1
    return done


def _do(machines: Machines, name: str, command: str) -> None:
    ran = machines.run(name, command)
    until = monotonic() + PATIENCE
    while command.startswith(LOOK) and ran.returncode and monotonic() < until:  # it takes a moment until all is there
        ran = machines.run(name, command)
    assert ran.returncode == 0, f"{name}: {command}\n{ran.stdout}\n{ran.stderr}\n{machines.said(name)}"


def send(machines: Machines, name: str, login: str, recipients: int) -> None:
    stamp, queue_id = (
        datetime.now(UTC).isoformat(timespec="microseconds"),
        f"4jZ{abs(hash((login, name))) % 10**8:08}zJ9",
    )
    head = f"{stamp} {name} postfix"
    with (machines.root(name) / "var/log/mail.log").open("a") as log:
        log.write(
            f"{head}/submission/smtpd[7]: {queue_id}: client=unknown[192.0.2.1], sasl_method=PLAIN, "
            f"sasl_username={login}@example.com\n{head}/qmgr[8]: {queue_id}: from=<{login}@example.com>, size=300, "
            f"nrcpt={recipients} (queue active)\n"
        )


def refused(machines: Machines, login: str, *names: str) -> None:
    account = f"{login}@example.com"
    wait_for(lambda: all(machines.denied(name, account) for name in names), PATIENCE, f"{login} refused on {names}")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """`mx1` has run alone so far, and Bob is refused there."""
    made = Machines(tmp_path)
    try:
        made.configure("mx1", '[log]\nfiles = ["/var/log/mail.log"]\ndefault_realm = "example.com"\n')
        for command in (
            "install -m 0644 deploy/mailbrake-watch.service /etc/systemd/system/",
            "systemctl enable --now mailbrake-watch",
        ):
            _do(made, "mx1", command)
        send(made, "mx1", "bob", 25)
        refused(made, "bob", "mx1")
        yield made
    finally:
        made.close()


def test_from_one_machine_to_three_and_back(machines: Machines) -> None:
    there, back = PAGE.read_text().split("## And back")
    assert follow(there, machines) > 40
    refused(machines, "bob", *GATEWAYS)
    for name in GATEWAYS:
        send(machines, name, "carol", 8)
    refused(machines, "carol", *GATEWAYS)
    (status,) = (
        json.loads(row) for row in machines.run("c1", f"{LOOK} --json --config {_config()}").stdout.splitlines()
    )
    assert set(status["gateways"]) == set(GATEWAYS)
    assert status["controller"]["lines"] == 8  # of both lives, none of them twice
    assert follow(back, machines) > 8
    send(machines, "mx1", "dave", 25)
    refused(machines, "dave", "mx1")
    refused(machines, "carol", "mx1")
    assert machines.run("mx1", f"mailbrake why account:carol@example.com --config {_config()}").returncode == 0


def _config() -> str:
    return "/etc/mailbrake/mailbrake.toml"


def test_no_command_escapes() -> None:
    """All stand in a block that says on which machine it is run; what is shown without one is no command."""
    left = BLOCK.sub("", PAGE.read_text())
    assert "```" not in left
