"""Whoever may not read or write what a command needs is told so with the remedy, and sees no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.running import config
from tests.enforce.daemon import wait_until
from tests.test_watch import Machine

UNPRIVILEGED = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"] * (os.geteuid() == 0)
ASKING = ("status", "why bob", "review", "rollout", "report --journal --out /nowhere/x", "table list")
TELLING = ("forget bob", "table block bob --for 1h", "review confirm bob --note x", "watch")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A state directory with a case."""
    machine = Machine(tmp_path)
    machine.send()
    with machine.controller():
        pass
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    yield machine
    (tmp_path / "state").chmod(0o700)


def refused(*arguments: str) -> str:
    """What a command says that fails, to somebody who may do nothing but what files' modes allow."""
    command = [*UNPRIVILEGED, sys.executable, "-m", "logwatch", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("command", [*ASKING, *TELLING])
def test_a_state_directory_of_somebody_else_is_told_with_the_remedy(machine: Machine, command: str) -> None:
    """As the help desk's own user, say."""
    (machine.directory / "state").chmod(0)
    said = refused(*command.split(), *config(machine))
    assert "ermission denied" in said
    assert "as root" in said or "in the group of the state directory" in said


@pytest.mark.parametrize("command", TELLING)
def test_a_state_directory_that_is_only_to_be_read_is_told_with_the_remedy(machine: Machine, command: str) -> None:
    """As on a file system that was mounted read-only after an error."""
    state = machine.directory / "state"
    for path in (*state.glob("journal*"), state / "controller.lock"):
        path.chmod(0o400)
    state.chmod(0o500)
    said = refused(*command.split(), *config(machine))
    assert "check owner, permissions" in said or "as root" in said


def test_a_log_that_may_not_be_read_is_told_with_the_remedy(machine: Machine) -> None:
    """Also where its directory cannot be looked into."""
    machine.log.chmod(0)
    assert "run as a user that may read it" in refused("replay", str(machine.log))
    directory = machine.directory / "closed"
    directory.mkdir(mode=0)
    assert f"{directory}/mail.log: Permission denied" in refused("replay", f"{directory}/mail.log")


def test_a_milter_that_may_not_be_asked_is_not_said_to_be_away(machine: Machine) -> None:
    """Its socket is for the MTA; whoever looks on by timer would be told every time that mail is not braked."""
    where = machine.directory / "milter.sock"
    settings = machine.directory / "mailbrake.toml"
    more = f'[milter]\nsocket = "unix:{where}"\n[policy]\nmode = "enforce"\n'
    settings.write_text(settings.read_text() + more)
    with socket.socket(socket.AF_UNIX) as milter:
        milter.bind(str(where))
        milter.listen()
        where.chmod(0)
        command = [*UNPRIVILEGED, sys.executable, "-m", "logwatch"]
        for words in (["status"], ["table", "block", "bob", "--for", "1h"]):
            done = subprocess.run([*command, *words, *config(machine)], check=False, capture_output=True, text=True)
            assert "no milter answers" not in done.stderr
            assert ("whether a milter answers is not known" in done.stdout) == (words == ["status"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_whoever_has_a_number_and_no_name_gives_orders_as_well() -> None:
    """As in a container."""
    code = "import os; from logwatch.commands.operator import who; os.setuid(54321); print(who())"
    nameless = {name: value for name, value in os.environ.items() if not name.endswith(("USER", "USERNAME", "LOGNAME"))}
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=nameless)
    assert (done.stdout, done.stderr) == ("user 54321\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("command", ["table block bob --for 1h", "watch"])
def test_what_root_makes_first_is_the_controllers(tmp_path: Path, command: str) -> None:
    """Else its own user could not open it, would be started again and again, and leases would run out."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65533, 65534)
    (tmp_path / "mail.log").touch()
    settings = tmp_path / "mailbrake.toml"
    settings.write_text(f'[log]\nfiles = ["{tmp_path}/mail.log"]\n[state]\ndirectory = "{state}"\n')
    made = ("journal.sqlite", "table/data.mdb", "table/lock.mdb") + ("controller.lock",) * (command == "watch")
    words = [sys.executable, "-m", "logwatch", *command.split(), "--config", str(settings)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as done:
        wait_until(lambda: all((state / name).exists() for name in made), "files", 60)
        wait_until(lambda: {_owner(state / name) for name in made} == {(65533, 65534)}, "the owner", 60)
        done.terminate()


def _owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid
