"""`forget`: nothing that is kept names the account any more, and everybody else is as before."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from logwatch.telling.journal import Journal, Review
from tests.commands.test_commands import mailbrake
from tests.commands.test_reviewing import config
from tests.test_watch import Machine

POLICY = """\
rule flood per account: when recipients in 10m > 20 tempfail for 1h mode enforce
rule many per client: when messages in 1h > 2 block for 1h mode enforce
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Bob, Bobby and Carol flood from one address, which has a case, too; Bob is released, exempt and confirmed."""
    machine = Machine(tmp_path)
    machine.policy.write_text(POLICY)
    for login in ("bob", "bobby", "carol"):
        machine.send(login=login)
    with machine.controller() as controller:
        for verdict in ("confirmed", "released", "exempted"):
            controller.journal.review(Review(machine.now, "account:bob", verdict, "root", until=machine.now + 1e6))
        controller.once()
        machine.now += 60
        machine.send(login="bob")
        controller.once()
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    return machine


def kept(machine: Machine) -> bytes:
    """All bytes of the journal, its write-ahead log included."""
    return b"".join(path.read_bytes() for path in (machine.directory / "state").glob("journal*"))


def test_nothing_names_the_account_any_more(machine: Machine) -> None:
    """Not even in what a file has freed; a login that only begins like it is another one."""
    assert b"bob" in kept(machine).replace(b"bobby", b"")
    done = mailbrake("forget", "bob", "--json", *config(machine))
    assert done.returncode == 0, done.stderr
    gone = json.loads(done.stdout)
    assert gone["decisions"] == 2
    assert gone["reviews"] == 3
    assert gone["lines"] == 1
    assert b"bob" not in kept(machine).replace(b"bobby", b"")
    assert b"bobby" in kept(machine)
    assert mailbrake("why", "bob", *config(machine)).returncode == 1
    assert mailbrake("why", "bobby", *config(machine)).returncode == 0


def test_the_controller_goes_on_without_it(machine: Machine) -> None:
    """As for an account that it has never seen; others keep what they have."""
    mailbrake("forget", "bob", *config(machine))
    machine.now += 60
    machine.send(login="bob", recipients=5)
    with machine.controller() as controller:
        assert controller.core.rates.habits.first_seen("account:bob") == machine.now
        assert "account:carol" in machine.listed()
        assert "account:bob" not in machine.listed()


def test_it_is_refused_while_a_controller_runs(machine: Machine) -> None:
    """Which would write what it remembers again."""
    with machine.controller():
        done = mailbrake("forget", "bob", *config(machine))
    assert done.returncode == 1
    assert "stop it first" in done.stderr
    assert machine.journalled(Journal.case, "account:bob")


def test_a_login_without_the_site_s_domain_is_the_same_account(machine: Machine) -> None:
    """In log lines it stands as it was sent."""
    path = machine.directory / "mailbrake.toml"
    path.write_text(path.read_text() + '[log]\ndefault_realm = "example.org"\n')
    with closing(sqlite3.connect(machine.config.journal)) as journal, journal:
        journal.execute("UPDATE lines SET line = 'x, sasl_username=Bob' WHERE seq = 1 AND place = 0")
        journal.execute("UPDATE decisions SET key = key || '@example.org' WHERE key LIKE 'account:%'")
    mailbrake("forget", "dave", *config(machine))
    assert json.loads(mailbrake("forget", "bob", "--json", *config(machine)).stdout)["decisions"] == 2
    assert "Bob" not in "".join(line for seq in range(9) for line in machine.journalled(Journal.lines, seq))


def test_what_no_table_lists_is_forgotten_as_well(machine: Machine) -> None:
    """A local user has cases, too."""
    done = mailbrake("forget", "local:33", *config(machine))
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_journal_it_says_so(tmp_path: Path) -> None:
    """And makes none."""
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    done = mailbrake("forget", "bob", "--config", tmp_path / "mailbrake.toml")
    assert (done.returncode, (tmp_path / "state").exists()) == (1, False)
