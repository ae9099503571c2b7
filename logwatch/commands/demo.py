"""Show the closed loop on this machine, in under a minute: no MTA, no root, nothing left behind."""

from __future__ import annotations

import argparse
import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from logwatch.commands import Failure, demo_cluster
from logwatch.commands.output import now, when
from logwatch.commands.stage import Stage, stage

SAMPLE = Path(__file__).parent.parent / "data" / "demo.log"

POLICY = """\
rule flood per account:
    when recipients in 10m > 200
    tempfail for 1h
    mode enforce
"""
_CONFIG = """\
[log]
files = ["{directory}/mail.log"]

[policy]
file = "{directory}/policy"
mode = "enforce"

[state]
directory = "{directory}/state"

[milter]
socket = "unix:{directory}/milter.sock"
syslog = ""
"""
_PAUSE = 0.25  # seconds between two sessions in the log


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose but to keep the files."""
    parser.add_argument("--keep", action="store_true", help="keep the directory with log, policy and journal")
    parser.add_argument("--cluster", action="store_true", help="three gateways and two controllers instead of one loop")


def run(args: argparse.Namespace) -> int:
    """Tell the story."""
    if args.cluster:
        return demo_cluster.run(keep=args.keep)
    with stage(keep=args.keep) as on:
        _Story(on).tell()
    return 0


class _Story:
    """The scenes, one after the other."""

    def __init__(self, on: Stage) -> None:
        self._on = on
        self._directory = on.directory
        self._config = on.directory / "mailbrake.toml"
        self._log = on.directory / "mail.log"

    def tell(self) -> None:
        """From the first line of the log to the release."""
        self._prepare()
        self._on.heading("1", "Before: both accounts may send")
        self._ask("alice", "bob")
        self._on.heading("2", f"A mail server writes its log ({self._log.name}; the lines are from a real Postfix)")
        self._write()
        self._on.heading("3", "mailbrake watch has read along, and decided")
        entry = self._decision()
        self._on.heading("4", "Now the mail server asks again, at MAIL FROM, through the milter")
        self._ask("alice", "bob")
        self._on.heading("5", f"The user calls: why was I blocked?  $ mailbrake why {entry['ref']}")
        self._on.quote(self._mailbrake("why", entry["ref"]))
        self._on.heading("6", "The password has been changed.  $ mailbrake table release bob")
        self._on.quote(self._mailbrake("table", "release", "bob", "--because", "password changed"))
        self._ask("bob")
        self._end()

    # Scenes.

    def _prepare(self) -> None:
        self._log.touch()
        (self._directory / "policy").write_text(POLICY)
        self._config.write_text(_CONFIG.format(directory=self._directory))
        self._on.say("mailbrake reads the log of a mail server, finds accounts that were hijacked, and brakes them.")
        self._on.say(
            "Two of its processes now run on this machine: `mailbrake watch`, which thinks, and `mailbrake milter`,"
        )
        self._on.say("which answers the mail server. The policy is one rule:")
        self._on.quote(POLICY)
        self._daemon("watch", self._directory / "state" / "table" / "data.mdb")
        self._daemon("milter", self._directory / "milter.sock")

    def _write(self) -> None:
        """Write the sample as if it happened now, session by session."""
        with self._log.open("a") as log:
            for login, lines in _sessions(SAMPLE.read_text().splitlines()):
                stamp = datetime.fromtimestamp(now()).strftime("%b %e %H:%M:%S")
                log.writelines(stamp + line[15:] + "\n" for line in lines)
                log.flush()
                self._tell_session(login, lines)
                threading.Event().wait(_PAUSE)

    def _tell_session(self, login: str, lines: list[str]) -> None:
        recipients = sum(int(found[1]) for found in map(re.compile(r"nrcpt=(\d+)").search, lines) if found)
        address = next((found[1] for found in map(re.compile(r"client=\S*\[([^]]+)\]").search, lines) if found), "?")
        style = "red" if recipients > 5 else "green"
        plural = "" if recipients == 1 else "s"
        self._on.say((f"   {login:<6} from {address:<15} a message to {recipients} recipient{plural}", style))

    def _decision(self) -> dict[str, Any]:
        listed = self._on.wait(lambda: self._mailbrake("table", "list", "--json").strip(), "a decision")
        entry: dict[str, Any] = json.loads(listed.splitlines()[0])
        case = json.loads(self._mailbrake("why", entry["ref"], "--json").splitlines()[0])
        for label, numbers in case["evidence"].items():
            self._on.say(
                (f"   {entry['key']}: {label} is {numbers['value']}, the limit is {numbers['threshold']}", "bold")
            )
        until = when(datetime.fromisoformat(entry["until"]).timestamp())
        self._on.say((f"   answer its mail with {entry['action']} until {until}; case {entry['ref']}", "bold"))
        return entry

    def _ask(self, *logins: str) -> None:
        for login in logins:
            answer = _reply(self._directory / "milter.sock", login)
            accepted = answer == "accept"
            style = "bold green" if accepted else "bold red"
            self._on.say(f"   {login:<6} MAIL FROM  →  ", ("accepted" if accepted else answer, style))

    def _end(self) -> None:
        self._on.heading("✓", "That was the loop. On your own log, nothing is changed by any of these:")
        self._on.say("   mailbrake replay /var/log/mail.log          what the shipped policy would have done")
        self._on.say("   mailbrake rates /var/log/mail.log --top 20  who sends most")
        self._on.say("   mailbrake check --policy shipped            the shipped policy, to fit to your site")
        self._on.say("Then README.md: following the log live, in observe mode, and the milter.")

    # Means.

    def _mailbrake(self, *arguments: str) -> str:
        return self._on.mailbrake(self._config, *arguments)

    def _daemon(self, name: str, sign: Path) -> None:
        """Start a command that stays; it is up when the file `sign` is there."""
        process = self._on.daemon(name, self._config, name)
        self._on.wait(lambda: sign.exists() or process.poll() is not None, f"mailbrake {name}")
        if process.poll() is not None:
            raise Failure(f"mailbrake {name} did not start: {self._on.errors(name).read_text().strip()}")


def _sessions(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The sample cut where a client connects: the login of each session, and the lines up to the next one."""
    starts = [place for place, line in enumerate(lines) if ": connect from " in line]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        session = lines[start:end]
        login = next((line.rpartition("sasl_username=")[2] for line in session if "sasl_username=" in line), "?")
        yield login, session


def _reply(path: Path, login: str) -> str:
    """What the milter answers an MTA whose client has logged in: "accept", or the SMTP reply."""
    try:
        from miltertest import MilterConnection, constants
    except ImportError:
        raise Failure("the demo speaks to the milter with one more package: pip install 'mailbrake[demo]'") from None
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        mta = MilterConnection(connection)
        mta.optneg_mta()
        mta.send_macro(constants.SMFIC_CONNECT, v="Postfix 3.7.11")
        mta.send_ar(constants.SMFIC_CONNECT, hostname="client.example", family="4", port=40000, address="203.0.113.77")
        mta.send_macro(constants.SMFIC_MAIL, **{"{auth_authen}": login})
        code, fields = mta.send_ar(constants.SMFIC_MAIL, args=[f"<{login}@example.org>"])
        return f"{fields['smtpcode']} {fields['text']}" if code == constants.SMFIR_REPLYCODE else "accept"
