"""Show the closed loop on this machine, in under a minute: no MTA, no root, nothing left behind."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from logwatch.commands import Failure, demo_cluster
from logwatch.commands.output import now, when

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
_PATIENCE = 20.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose but to keep the files."""
    parser.add_argument("--keep", action="store_true", help="keep the directory with log, policy and journal")
    parser.add_argument("--cluster", action="store_true", help="three gateways and two controllers instead of one loop")


def run(args: argparse.Namespace) -> int:
    """Tell the story."""
    if args.cluster:
        return demo_cluster.run(keep=args.keep)
    directory = Path(tempfile.mkdtemp(prefix="mailbrake-demo-"))
    try:
        with contextlib.ExitStack() as stack:
            _Story(directory, stack).tell()
    finally:
        if args.keep:
            print(f"\nThe files are in {directory}")
        else:
            shutil.rmtree(directory)
    return 0


class _Story:
    """The scenes, one after the other; daemons started on the way end with the stack."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._config = directory / "mailbrake.toml"
        self._log = directory / "mail.log"
        self._console = Console(highlight=False)

    def tell(self) -> None:
        """From the first line of the log to the release."""
        self._prepare()
        self._heading("1", "Before: both accounts may send")
        self._ask("alice", "bob")
        self._heading("2", f"A mail server writes its log ({self._log.name}; the lines are from a real Postfix)")
        self._write()
        self._heading("3", "mailbrake watch has read along, and decided")
        entry = self._decision()
        self._heading("4", "Now the mail server asks again, at MAIL FROM, through the milter")
        self._ask("alice", "bob")
        self._heading("5", f"The user calls: why was I blocked?  $ mailbrake why {entry['ref']}")
        self._show(self._mailbrake("why", entry["ref"]))
        self._heading("6", "The password has been changed.  $ mailbrake table release bob")
        self._show(self._mailbrake("table", "release", "bob", "--because", "password changed"))
        self._ask("bob")
        self._end()

    # Scenes.

    def _prepare(self) -> None:
        self._log.touch()
        (self._directory / "policy").write_text(POLICY)
        self._config.write_text(_CONFIG.format(directory=self._directory))
        self._say("mailbrake reads the log of a mail server, finds accounts that were hijacked, and brakes them.")
        self._say(
            "Two of its processes now run on this machine: `mailbrake watch`, which thinks, and `mailbrake milter`,"
        )
        self._say("which answers the mail server. The policy is one rule:")
        self._show(POLICY)
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
        self._console.print(
            Text(f"   {login:<6} from {address:<15} a message to {recipients} recipient{plural}", style)
        )

    def _decision(self) -> dict[str, Any]:
        listed = self._wait(lambda: self._mailbrake("table", "list", "--json").strip(), "a decision")
        entry: dict[str, Any] = json.loads(listed.splitlines()[0])
        case = json.loads(self._mailbrake("why", entry["ref"], "--json").splitlines()[0])
        for label, numbers in case["evidence"].items():
            self._say(f"   {entry['key']}: {label} is {numbers['value']}, the limit is {numbers['threshold']}", "bold")
        until = when(datetime.fromisoformat(entry["until"]).timestamp())
        self._say(f"   answer its mail with {entry['action']} until {until}; case {entry['ref']}", "bold")
        return entry

    def _ask(self, *logins: str) -> None:
        for login in logins:
            answer = _reply(self._directory / "milter.sock", login)
            accepted = answer == "accept"
            style = "bold green" if accepted else "bold red"
            self._console.print(
                Text(f"   {login:<6} MAIL FROM  →  "),
                Text("accepted" if accepted else answer, style),
                sep="",
                soft_wrap=True,
            )

    def _end(self) -> None:
        self._heading("✓", "That was the loop. On your own log, nothing is changed by any of these:")
        self._say("   mailbrake replay /var/log/mail.log          what the shipped policy would have done")
        self._say("   mailbrake rates /var/log/mail.log --top 20  who sends most")
        self._say("   mailbrake check --policy shipped            the shipped policy, to fit to your site")
        self._say("Then README.md: following the log live, in observe mode, and the milter.")

    # Means.

    def _heading(self, number: str, text: str) -> None:
        self._console.print(Text(f"\n{number}  {text}", "bold cyan"))

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)

    def _show(self, text: str) -> None:
        for line in text.rstrip().splitlines():
            self._console.print(Text(f"   │ {line}", "dim"), soft_wrap=True)

    def _mailbrake(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "logwatch", *arguments, "--config", str(self._config)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own command

    def _daemon(self, name: str, sign: Path) -> None:
        """Start a command that stays; it is up when the file `sign` is there."""
        errors = self._stack.enter_context((self._directory / f"{name}.err").open("w"))
        command = [sys.executable, "-m", "logwatch", name, "--config", str(self._config)]
        process = subprocess.Popen(command, stderr=errors)  # noqa: S603 - our own command
        self._stack.callback(_stop, process)
        self._wait(lambda: sign.exists() or process.poll() is not None, f"mailbrake {name}")
        if process.poll() is not None:
            raise Failure(f"mailbrake {name} did not start: {Path(errors.name).read_text().strip()}")

    def _wait(self, condition: Any, what: str) -> Any:
        deadline = now() + _PATIENCE
        while not (found := condition()):
            if now() > deadline:
                raise Failure(f"waited {_PATIENCE:.0f} s in vain for {what}; --keep keeps the files to look into")
            threading.Event().wait(0.05)
        return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
