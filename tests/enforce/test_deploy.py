"""What is shipped for a real machine: units that start what there is, and may do little else; snippets that work."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from enforce.config import Config
from logwatch.commands import parser as mailbrake
from tests.enforce.gate import PATIENT, SOCKET, Gate
from tests.enforce.records import record
from tests.mta.postfix import Postfix
from tests.mta.waiting import wait_for

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
OURS = [path for path in UNITS if path.stem != "mailbrake-stream"]  # which is NATS's own server
HARDENED = {
    "ProtectSystem": "strict",
    "NoNewPrivileges": "yes",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "CapabilityBoundingSet": "",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",  # else the kernel kills whoever asks for too much
}
GIVES_AWAY = [path for path in OURS if path.stem != "mailbrake-ship"]  # the socket, or the table, to a group


def unit(path: Path) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(path)
    return parsed


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_hardened_and_started_again(path: Path) -> None:
    service = unit(path)["Service"]
    assert {name: service[name] for name in HARDENED} == HARDENED
    assert service["Restart"] == "always"
    assert service["User"] in (DEPLOY / "mailbrake.sysusers").read_text()


@pytest.mark.parametrize("path", GIVES_AWAY, ids=lambda path: path.name)
def test_a_unit_may_give_to_a_group_what_it_makes(path: Path) -> None:
    """By chown(2), which systemd.exec(5) counts among @privileged: the later line decides."""
    filters = re.findall(r"^SystemCallFilter=(.*)$", path.read_text(), re.MULTILINE)
    assert [one for one in filters if {"@privileged", "@chown"} & set(one.strip("~").split())][-1] == "@chown"


def test_the_milters_unit_lets_it_use_a_table_that_is_made_anew() -> None:
    """systemd binds what is writable when the milter starts: another directory in the table's place is not."""
    paths = re.findall(r"^ReadWritePaths=-?(.*)$", (DEPLOY / "mailbrake-milter.service").read_text(), re.MULTILINE)
    assert str(Config().table.parent) in paths


def test_the_milters_unit_is_started_again_however_often_it_fails() -> None:
    """Five starts in ten seconds are systemd's limit, and this one comes every second."""
    parsed = unit(DEPLOY / "mailbrake-milter.service")
    assert (parsed["Unit"]["StartLimitIntervalSec"], parsed["Service"]["RestartSec"]) == ("0", "1")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_unit_is_ready_when_it_says_so_and_watched(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 10


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_unit_starts_what_the_package_installs(path: Path) -> None:
    command, *arguments = unit(path)["Service"]["ExecStart"].split()
    scripts = (DEPLOY.parent / "pyproject.toml").read_text()
    assert re.search(rf'^{Path(command).name} = "', scripts, re.MULTILINE)
    if arguments[0] != "--config":
        mailbrake().parse_args(arguments)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_unit_as_it_is(path: Path, tmp_path: Path) -> None:
    """Where systemd is at hand; its programs are replaced by one that is there, whatever machine this is."""
    text = re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", path.read_text(), flags=re.MULTILINE)
    (tmp_path / path.name).write_text(text)
    systemd = shutil.which("systemd-analyze")
    command = [systemd, "verify", "--man=no", str(tmp_path / path.name)] if systemd else ["true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if path.name in line]) == (0, [])


def settings(name: str) -> dict[str, str]:
    lines = (line for line in (DEPLOY / name).read_text().splitlines() if line and line[0] != "#")
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def test_postfix_works_with_the_snippet_and_without_the_milter() -> None:
    found = settings("postfix-main.cf")
    assert found["milter_default_action"] == "accept"
    with Gate("postfix") as gate:
        assert isinstance(gate.mta, Postfix)
        ours = gate.mta.run("postconf", "-h", "smtpd_milters").strip()
        gate.mta.reload({**found, "smtpd_milters": found["smtpd_milters"].replace(SOCKET, ours)})
        gate.deny(bob=record("block"))
        assert gate.send("bob")[0].code == 550
        gate.milter.kill()
        assert gate.send("bob")[0].code == 250
        assert gate.mta.lines("warning: (?!connect to Milter)") == []
        restart(gate)
    assert not gate.directory.exists()


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
def test_mail_flows_while_the_milter_hangs(mta: str) -> None:
    """As on a disk that does not answer; the snippets' timeouts are a second here."""
    hasty = (DEPLOY / "sendmail.mc").read_text().replace("5s", "1s")
    with Gate(mta, snippet=hasty if mta == "sendmail" else "") as gate:
        if isinstance(gate.mta, Postfix):
            ours = gate.mta.run("postconf", "-h", "smtpd_milters").strip()
            asked = settings("postfix-main.cf")["smtpd_milters"].replace(SOCKET, ours).replace("5s", "1s")
            gate.mta.reload(
                {"smtpd_milters": asked, "milter_default_action": "tempfail"}
            )  # the snippet's own comes first
        gate.deny(bob=record("block"))
        # on a busy machine an answer may well take a second: then mail flows
        wait_for(lambda: gate.send("bob")[0].code == 550, 60, "bob to be refused", gate.mta.log_path)
        gate.milter.signal(signal.SIGSTOP)
        try:
            assert (gate.send("bob")[0].code, gate.send(None)[0].code) == (250, 250)
        finally:
            gate.milter.signal(signal.SIGCONT)
        wait_for(lambda: gate.send("bob")[0].code == 550, 60, "bob to be refused again", gate.mta.log_path)


def test_the_snippet_for_maps_names_restrictions_that_postfix_has() -> None:
    with Postfix(extra=PATIENT) as postfix:
        known = postfix.run("postconf", "-d")
        for name, value in settings("postfix-maps.cf").items():
            assert f"\n{name} =" in known
            assert re.fullmatch(r"check_(sasl|client)_access lmdb:/etc/postfix/mailbrake/(sasl|client)", value)


def test_sendmail_works_with_the_snippet_and_without_the_milter() -> None:
    """Without F=, so that mail flows while the milter is away."""
    with Gate("sendmail", snippet=(DEPLOY / "sendmail.mc").read_text()) as gate:
        gate.deny(bob=record("block"))
        assert gate.send("bob")[0].code == 550
        gate.milter.kill()
        assert gate.send("bob")[0].code == 250
        restart(gate)
        assert gate.send("bob")[0].code == 550


LISTENERS = {"submission": (False, True), "smtp": (True, False)}  # refused: what comes without AUTH, and with it


@pytest.mark.parametrize("service", LISTENERS)
def test_postfix_asks_for_one_service_only(service: str) -> None:
    """By the command of docs/enforcing.md, in an instance whose services are called by their ports."""
    command = documented("postconf -P 'submission/inet/smtpd_milters=")
    with Gate("postfix") as gate:
        assert isinstance(gate.mta, Postfix)
        ours = gate.mta.run("postconf", "-h", "smtpd_milters").strip()
        gate.mta.reload({"smtpd_milters": ""})
        port = gate.mta.submission_port if service == "submission" else gate.mta.smtp_port
        argument = shlex.split(command)[2].replace("submission/", f"{port}/").replace(SOCKET, ours)
        gate.mta.run("postconf", "-P", argument)
        gate.mta.run("postfix", "reload")
        gate.deny(record("block"))
        asked = "bob" if service == "submission" else None
        wait_for(lambda: gate.send(asked)[0].refused, 60, f"{service} to ask", gate.mta.log_path)
        assert tuple(gate.send(login)[0].refused for login in (None, "bob")) == LISTENERS[service]


@pytest.mark.parametrize("service", LISTENERS)
def test_sendmail_asks_for_one_service_only(service: str) -> None:
    """With MAIL_FILTER instead of INPUT_MAIL_FILTER, and InputMailFilters of the daemon."""
    snippet = (DEPLOY / "sendmail.mc").read_text().replace("INPUT_MAIL_FILTER(", "MAIL_FILTER(")
    option = documented("InputMailFilters=")
    with Gate("sendmail", snippet=snippet, listeners={"MSA" if service == "submission" else "MTA": option}) as gate:
        gate.deny(record("block"))
        assert tuple(gate.send(login)[0].refused for login in (None, "bob")) == LISTENERS[service]


def documented(begin: str) -> str:
    """What stands in docs/enforcing.md in back quotes, or on a line of its own, and begins like this."""
    text = (DEPLOY.parent / "docs" / "enforcing.md").read_text()
    found = re.search(rf"^ *({re.escape(begin)}.*)$|`({re.escape(begin)}[^`]*)`", text, re.MULTILINE)
    assert found is not None
    return found[1] or found[2]


def restart(gate: Gate) -> None:
    gate.milter.start()
    gate.milter.wait_for("listening on")
