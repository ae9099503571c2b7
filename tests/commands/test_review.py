"""`mailbrake review` and orders by hand, on a journal that a controller has written."""

from __future__ import annotations

import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from enforce.table import Writer
from logwatch.telling.journal import Journal
from tests.commands.running import mailbrake, objects
from tests.enforce.records import record
from tests.test_watch import POLICY, Machine

from .running import case_of, config


class TestReview:
    def test_lists_what_nobody_has_looked_at(self, machine: Machine) -> None:
        """Every case with its numbers and what came of it; a reviewed one only with `--all`."""
        rows = objects("review", "--json", "--all", *config(machine))
        assert {row["who"]: row["recipients since"] for row in rows} == {"account:bob": 0, "account:carol": 7}
        assert {row["because"] for row in rows} == {"recipients in 10m: 25"}

    @pytest.mark.parametrize(
        ("words", "verdict"),
        [(["confirm"], "confirmed"), (["release"], "released"), (["exempt", "--for", "30d"], "exempted")],
    )
    def test_says_a_verdict_by_reference_or_key(self, machine: Machine, words: list[str], verdict: str) -> None:
        """It is written down with the note and who said it."""
        rows = objects("review", "--json", "--all", *config(machine))
        ref = next(str(row["case"]) for row in rows if row["who"] == "account:bob")
        for subject in (ref, "bob"):
            done = mailbrake("review", *words[:1], subject, *words[1:], "--note", "4711", *config(machine))
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith(f"account:bob: {verdict}")
        first, second = machine.journalled(Journal.reviews, "account:bob")
        assert (first.verdict, first.note, second.verdict) == (verdict, "4711", verdict)
        assert first.by

    @pytest.mark.parametrize("command", ["table release", "review release", "review exempt --for 30d"])
    def test_what_no_table_lists_can_be_taken_back_as_well(self, machine: Machine, command: str) -> None:
        """A local user, whose web form sent, has cases, too."""
        for key in ("local:33", "site"):
            done = mailbrake(*command.split(), key, *config(machine))
            assert (done.returncode, done.stderr) == (0, "")
            assert machine.journalled(Journal.reviews, key)

    def test_the_table_takes_a_reference_as_well(self, machine: Machine) -> None:
        """The caller has read it to the help desk from his screen; also that of an order."""
        ref = next(str(row["case"]) for row in objects("review", "--json", "--all", *config(machine)))
        who = next(str(row["who"]) for row in objects("review", "--json", "--all", *config(machine)))
        assert mailbrake("table", "release", ref, *config(machine)).stdout.startswith(f"{who} released: ")
        (order,) = objects("table", "block", "dave", "--for", "1h", "--json", *config(machine))
        assert mailbrake("table", "show", str(order["ref"]), *config(machine)).stdout.count("account:dave") == 1
        told = mailbrake("table", "release", str(order["ref"]).lower(), *config(machine)).stdout
        gone = f"block (enforce, case {order['ref']}) taken off"
        assert told == f"account:dave released: {gone}; it may send again at once.\n"

    @pytest.mark.parametrize("written", ["(case {})", "case {}.", '"{}"', " {},", "Case {}", "<{}>"])
    def test_a_case_is_known_as_it_was_copied(self, machine: Machine, written: str) -> None:
        """With what stands around it in a reply or a ticket; letters that no case has are those they are taken for."""
        ref, whom = case_of(machine)
        for name in (ref, ref.replace("0", "O").replace("1", "I")):
            told = mailbrake("why", written.format(name), *config(machine)).stdout
            assert told.startswith(f"Case {ref}: {whom}, ")
        assert mailbrake("table", "release", written.format(ref), *config(machine)).stdout.startswith(
            f"{whom} released: "
        )

    def test_what_is_nearly_a_case_is_none_and_the_case_is_named(self, machine: Machine) -> None:
        """At one letter off, or one too few or too many."""
        ref, whom = case_of(machine)
        for nearly in (ref[:-1] + ("Z" if ref[-1] != "Z" else "Y"), ref[:-1], ref + "X", f"(case {ref[1:]})"):
            for command in (["why"], ["table", "release"], ["review", "confirm"]):
                done = mailbrake(*command, nearly, *config(machine))
                assert (done.returncode, done.stdout) == (1, "")
                assert f"; did you mean {ref} ({whom})" in done.stderr

    @pytest.mark.parametrize("command", ["table release", "review confirm", "review release", "table block --for 1h"])
    def test_an_account_of_which_nothing_is_known_is_said_to_be_one(self, machine: Machine, command: str) -> None:
        """It is done all the same, as he may be yet to come; of those that are known nothing is said."""

        def said(whom: str) -> str:
            done = mailbrake(*command.split(), whom, *config(machine))
            assert done.returncode == 0
            lines = done.stderr.splitlines(keepends=True)
            return "".join(line for line in lines if "no controller" not in line and "no milter" not in line)

        assert said("bobb") == "mailbrake: no mail of account:bobb has been seen; did you mean account:bob?\n"
        assert said("BOB@example.org") == (
            "mailbrake: no mail of account:bob@example.org has been seen; did you mean account:bob?\n"
        )
        assert said("nobody") == "mailbrake: no mail of account:nobody has been seen: is it the right login?\n"
        assert [said(whom) for whom in ("bob", '"bob"', "<Bob>", "client:192.0.2.7", "192.0.2.0/24")] == [""] * 5

    def test_numbers_that_are_no_address_are_no_login(self, machine: Machine) -> None:
        """But where it says so; nor does a quote get lost behind a kind."""
        for written in ("203.0.113", "300.1.1.1", "192.0.2.1."):
            done = mailbrake("table", "block", written, "--for", "1h", *config(machine))
            assert (done.returncode, done.stdout) == (2, "")
            assert (
                f"expected an address such as 192.0.2.7, or a network such as 192.0.2.0/24, found '{written}'"
                in done.stderr
            )
        for written in ("account:203.0.113", 'account:"bob"'):
            assert mailbrake("table", "release", written, *config(machine)).stdout.startswith(f"{written} released: ")

    @pytest.mark.parametrize("command", ["table release", "review confirm", "review release", "table block --for 1h"])
    def test_a_reference_that_there_is_not_is_no_account(self, machine: Machine, command: str) -> None:
        """Misread on the telephone: whoever is called so would be released, and the caller still be blocked."""
        done = mailbrake(*command.split(), "ZZ2M9O", *config(machine))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "mailbrake: no case ZZ2M9O; an account that is called so is written account:ZZ2M9O\n"
        assert machine.journalled(Journal.reviews, "account:zz2m9o") == []
        assert mailbrake(*command.split(), "account:ZZ2M9O", *config(machine)).returncode == 0

    def test_a_login_may_look_like_a_reference(self, machine: Machine) -> None:
        """In small letters, or without any."""
        for login in ("robert", "123456"):
            told = mailbrake("table", "release", login, *config(machine)).stdout
            assert told.startswith(f"account:{login} released")

    def test_an_empty_list_says_where_the_rest_is(self, machine: Machine) -> None:
        """Cases that are over are no longer open, and may want a verdict all the same."""
        for who in ("bob", "carol"):
            mailbrake("review", "confirm", who, *config(machine))
        assert "--all lists those that are over" in mailbrake("review", *config(machine)).stdout

    def test_an_exemption_must_end(self, machine: Machine) -> None:
        """Usage error without `--for` or `--until`."""
        done = mailbrake("review", "exempt", "bob", *config(machine))
        assert done.returncode == 2
        assert "--until 2026-12-24" in done.stderr
        done = mailbrake("review", "exempt", "bob", "--for", "1 week", *config(machine))
        assert done.returncode == 2
        assert 'did you mean "1w"?' in done.stderr
        done = mailbrake("review", "exempt", "bob", "--until", "2020-12-24", *config(machine))
        assert (done.returncode, done.stdout) == (2, "")
        assert "--until: 2020-12-24 is over" in done.stderr

    @pytest.mark.parametrize("command", ["table release", "review release", "review exempt --for 30d"])
    def test_a_network_that_still_stands_around_a_client_is_said(self, machine: Machine, command: str) -> None:
        """The caller is refused as before, whatever was said of his address."""
        for key in ("192.0.2.7", "192.0.2.0/24"):
            (order,) = objects("table", "block", key, "--for", "1h", "--json", *config(machine))
        told = mailbrake(*command.split(), "192.0.2.7", *config(machine)).stdout
        case = f"net:192.0.2.0/24: block (case {order['ref']})"
        assert told.endswith(f"\nIts network is still listed, {case}: release that, too, if it is meant.\n")
        assert "may send again" not in told
        as_objects = f"{command} --json" if command.startswith("table") else command.replace("review", "review --json")
        (said,) = objects(*as_objects.split(), "192.0.2.7", *config(machine))
        net = {"key": "net:192.0.2.0/24", "action": "block", "mode": "enforce", "ref": order["ref"]}
        assert said["around"] == [net]
        mailbrake("table", "release", "192.0.2.0/24", *config(machine))
        assert "network" not in mailbrake(*command.split(), "192.0.2.7", *config(machine)).stdout

    def test_a_journal_that_somebody_else_writes_is_said_to_be_held(self, machine: Machine) -> None:
        """Not that its owner or the disk is to be looked at; and nothing is in effect that is not written down."""
        with closing(sqlite3.connect(machine.config.journal, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for command in ("table release bob", "review confirm bob"):
                done = mailbrake(*command.split(), *config(machine))
                assert (done.returncode, done.stdout) == (1, "")
                assert "database is locked: another process is writing it; try again" in done.stderr

    def test_a_verdict_is_an_object_where_that_is_asked_for(self, machine: Machine) -> None:
        """As everywhere; `listed`: whether something was taken off the table."""
        (said,) = objects("review", "--json", "confirm", "bob", *config(machine))
        assert said == {"key": "account:bob", "verdict": "confirmed", "until": None, "listed": False, "around": []}
        (said,) = objects("review", "--json", "exempt", "bob", "--until", "2999-12-24T10:00+00:00", *config(machine))
        assert (said["verdict"], str(said["until"])[:4], said["listed"]) == ("exempted", "2999", True)

    def test_who_was_only_observed_is_not_said_to_send_again(self, machine: Machine) -> None:
        """He never ceased."""
        with Writer(machine.config.table) as table:
            table.publish({"account:dave": [record("block", "observe")], "account:bob": [record("block")]}, time.time())
        assert mailbrake("review", "release", "dave", *config(machine)).stdout == "account:dave: released.\n"
        told = "account:bob: released. It may send again at once.\n"
        assert mailbrake("review", "release", "bob", *config(machine)).stdout == told

    def test_an_order_that_no_milter_hears_of_is_said_to_be_one(self, machine: Machine) -> None:
        """Unless the MTA looks into what is exported."""

        def said() -> str:
            return mailbrake("table", "block", "bob", "--for", "1h", *config(machine)).stderr

        settings = machine.directory / "mailbrake.toml"
        where = machine.directory / "milter.sock"
        settings.write_text(settings.read_text() + f'[milter]\nsocket = "unix:{where}"\n')
        nobody = "no milter answers (No such file or directory): nobody is refused until one does"
        assert said() == f"mailbrake: unix:{where}: {nobody}, but by what was exported\n"
        with socket.socket(socket.AF_UNIX) as milter:
            milter.bind(str(where))
            milter.listen()
            assert "no milter answers" not in said()
        assert "no milter answers (Connection refused)" in said()
        for judge, command in (("clients", "table block bob"), ("accounts", "table block 192.0.2.7")):
            told = settings.read_text()
            settings.write_text(told + f'judge = "{judge}"\n')
            done = mailbrake(*command.split(), "--for", "1h", *config(machine))
            assert f'[milter] judge = "{judge}": the milter of this configuration does not look at' in done.stderr
            settings.write_text(told)
        settings.write_text(settings.read_text() + f'[export]\nfiles = {{ exim = "{machine.directory}/x" }}\n')
        assert "no milter answers" not in said()

    def test_the_list_is_for_people(self, machine: Machine) -> None:
        """Columns with headings; says so when there is nothing to do."""
        told = mailbrake("review", "--all", *config(machine)).stdout
        assert told.startswith("case ")
        assert "account:carol" in told


class TestGuarded:
    """The guard is used up, and somebody is called at night: what is told, what to type, and what comes of it."""

    def test_from_the_alert_to_the_open_guard(self, tmp_path: Path) -> None:
        """`status` names who waits, `review` puts them first, `why` says what to type; a confirmation lets them in."""
        machine = Machine(tmp_path)
        machine.now = time.time() - 60
        machine.policy.write_text(f"guard 2 {POLICY}")
        policy = f'[policy]\nfile = "{machine.policy}"\nmode = "enforce"\n'
        (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n{policy}')
        for login in ("trash1", "trash2", "boss", "late"):
            machine.send(login=login)
        with machine.controller() as controller:
            status = mailbrake("status", *config(machine))
            held, late = (self.case(machine, login) for login in ("boss", "late"))
            waiting = f"Held back now: account:boss (case {held}), account:late (case {late})"
            assert waiting in status.stderr
            assert "2 of 2 places taken" in status.stdout
            assert "observe (guard)" in mailbrake("review", *config(machine)).stdout
            told = " ".join(mailbrake("why", held, *config(machine)).stdout.split())
            assert f"the guard lets it in: mailbrake review confirm {held}" in told
            assert machine.listed()["account:boss"] == ["observe"]

            for subject in ("trash1", late):
                assert mailbrake("review", "confirm", subject, *config(machine)).returncode == 0
            machine.now = time.time() + 1
            machine.send(login="quiet", recipients=1)
            controller.once()
            assert {key: machine.listed()[f"account:{key}"] for key in ("boss", "late")} == {
                "boss": ["enforce"],
                "late": ["enforce"],
            }
        assert "nothing waits any more" in mailbrake("status", *config(machine)).stderr

    @staticmethod
    def case(machine: Machine, login: str) -> str:
        rows = objects("review", "--json", *config(machine))
        (row,) = (row for row in rows if row["who"] == f"account:{login}")
        assert (row["mode"], row["guarded"]) == ("observe", True)
        return str(row["case"])
