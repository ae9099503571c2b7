"""`forget`: nothing that is kept names the account any more, and everybody else is as before."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from logwatch.telling.journal import Journal, Review
from tests.commands.running import config, mailbrake
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


SEVERAL = {
    "bob@example.org": [
        "2026-11-25 12:00:00 1tFjzA-000001-2a <= x@example.com H=(a) [192.0.2.1]:555 P=esmtpsa A=plain:bob S=300",
        "2026-11-25 12:00:00 1tFjzA-000001-2a <= x@example.com H=(a) [192.0.2.1]:555 A=plain:Bob@example.org S=3",
        "2026-11-25 12:00:00 plain authenticator failed for (a) [192.0.2.1]: 535 Incorrect authentication "
        "data (set_id=bob)",
        "Nov 25 12:00:00 mx sm-mta[7]: AUTH=server, relay=[192.0.2.1], authid=bob, mech=PLAIN, bits=0",
        "Nov 25 12:00:00 mx dovecot: submission-login: Login: user=<bob>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.9",
        "of no kind that is known: bob@example.org",
    ],
    "2001:db8::1": [
        "Nov 25 12:00:00 mx sm-mta[7]: AUTH=server, relay=[IPv6:2001:db8:0:0:0:0:0:1], authid=eve, mech=PLAIN, bits=0",
        "Nov 25 12:00:00 mx postfix/smtpd[7]: connect from unknown[2001:db8::1]",
    ],
}


@pytest.mark.parametrize("who", SEVERAL)
def test_lines_of_others_name_it_in_every_way(machine: Machine, who: str) -> None:
    """Whatever server wrote them; a longer name or another address is somebody else."""
    path = machine.directory / "mailbrake.toml"
    path.write_text(path.read_text() + '[log]\ndefault_realm = "example.org"\n')
    others = [
        line.replace("bob", "kate.bob").replace("Bob", "kate.bob").replace(":1]", ":11]") for line in SEVERAL[who]
    ]
    with closing(sqlite3.connect(machine.config.journal)) as journal, journal:
        journal.execute("DELETE FROM lines")
        lines = enumerate([*SEVERAL[who], *others])
        journal.executemany("INSERT INTO lines SELECT max(seq), ?, ? FROM decisions WHERE key LIKE 'client:%'", lines)
    assert json.loads(mailbrake("forget", who, "--json", *config(machine)).stdout)["lines"] == len(SEVERAL[who])
    assert [line for seq in range(9) for line in machine.journalled(Journal.lines, seq)] == others


def test_a_login_that_is_no_text_hinders_nobody(machine: Machine) -> None:
    """Whoever tried that one stands in the lines of a case; the key is as it is everywhere."""
    line = "Nov 25 12:00:00 mx sm-mta[7]: AUTH=server, relay=[192.0.2.1], authid=m+FCller, mech=PLAIN, bits=0"
    with closing(sqlite3.connect(machine.config.journal)) as journal, journal:
        journal.execute("DELETE FROM lines")
        journal.execute("INSERT INTO lines SELECT max(seq), 0, ? FROM decisions WHERE key LIKE 'client:%'", (line,))
    for key, lines in (("bob", 0), (r"account:m\xfcller", 1)):
        assert json.loads(mailbrake("forget", key, "--json", *config(machine)).stdout)["lines"] == lines


def test_that_somebody_reads_the_file_is_said(machine: Machine) -> None:
    """For him it has to stay as it was, on the disk, too."""
    with closing(sqlite3.connect(machine.config.journal)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM decisions").fetchone()
        done = mailbrake("forget", "bob", *config(machine))
        assert done.returncode == 1
        assert "still stands in the file, which somebody reads" in done.stderr
        assert b"bob" in kept(machine).replace(b"bobby", b"")
    assert mailbrake("forget", "bob", *config(machine)).returncode == 0
    assert b"bob" not in kept(machine).replace(b"bobby", b"")


def test_what_no_table_lists_is_forgotten_as_well(machine: Machine) -> None:
    """A local user has cases, too."""
    done = mailbrake("forget", "local:33", *config(machine))
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_journal_it_says_so(tmp_path: Path) -> None:
    """And makes none."""
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    done = mailbrake("forget", "bob", "--config", tmp_path / "mailbrake.toml")
    assert (done.returncode, (tmp_path / "state").exists()) == (1, False)
