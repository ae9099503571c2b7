"""`mailbrake status`: what is wrong with log, controller, table and milter."""

from __future__ import annotations

import json
import re
import socket
import time

from enforce.table import Writer
from tests.commands.running import mailbrake
from tests.test_watch import Machine

from .running import config


def test_status_says_where_a_milter_is_needed(machine: Machine) -> None:
    """Not where the MTA has maps; what is exported for scripts is none."""

    def said(more: str = "") -> tuple[str, bool]:
        settings.write_text(written + more)
        (status,) = map(json.loads, mailbrake("status", "--json", *config(machine)).stdout.splitlines())
        return status["milter"]["socket"], any("no milter" in problem for problem in status["problems"])

    settings = machine.directory / "mailbrake.toml"
    where = machine.directory / "milter.sock"
    written = settings.read_text() + f'[milter]\nsocket = "unix:{where}"\n'
    assert said() == (f"unix:{where}", True)
    needless = f"unix:{where}: nobody answers, nor needs to where the MTA looks into what [export] writes"
    assert said('[export]\nfiles = { json = "/x", exim = "/y" }\n') == (needless, False)
    assert said('[export]\nfiles = { json = "/x", text = "/y" }\n') == (f"unix:{where}", True)
    with socket.socket(socket.AF_UNIX) as milter:
        milter.bind(str(where))
        milter.listen()
        assert said() == (f"unix:{where} answers", False)
    written = written.replace(f"unix:{where}", "inet6:1@[::1]")
    assert said() == ("inet6:1@[::1]", True)


def test_status_says_that_the_log_cannot_be_read(machine: Machine) -> None:
    """As after a rotation that gave it to somebody else; here it is a socket. Until it can be."""
    settings = machine.directory / "mailbrake.toml"
    settings.write_text(f'[log]\nfiles = ["{machine.log}"]\n' + settings.read_text())
    machine.log.rename(machine.log.with_suffix(".1"))
    with socket.socket(socket.AF_UNIX) as stranger, machine.controller() as controller:
        stranger.bind(str(machine.log))
        machine.now += 1
        controller.once()
        (status,) = map(json.loads, mailbrake("status", "--json", *config(machine)).stdout.splitlines())
        said = [problem for problem in status["problems"] if problem.startswith(f"{machine.log}: cannot be read: ")]
        assert len(said) == 1
        machine.log.unlink()
        machine.log.touch()
        machine.now += 1
        controller.once()
        (status,) = map(json.loads, mailbrake("status", "--json", *config(machine)).stdout.splitlines())
        assert [problem for problem in status["problems"] if str(machine.log) in problem] == []


def test_a_sign_of_life_that_is_dated_ahead_is_none(machine: Machine) -> None:
    """The clock was set back, and the controller is not running: an order has no more than its lease."""
    with Writer(machine.config.table) as table:
        table.publish({}, time.time() + 86400)
    ahead = r"last sign of life is 8[0-9]{4} s ahead of the clock, which was set back: is `mailbrake watch` running"
    assert re.search(ahead, mailbrake("status", *config(machine)).stderr)
    assert "no controller is running" in mailbrake("table", "block", "bob", "--for", "9h", *config(machine)).stderr
