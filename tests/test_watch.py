"""The controller, driven step by step with a clock of the test's own: real files, real journal, real table."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from enforce import config as configuration
from enforce.config import Config
from enforce.table import Reader, Record, Unusable
from logwatch.judging.language import PolicyError
from logwatch.policy_files import EVERY, THREAD
from logwatch.ports import Ports
from logwatch.reading.source import DamageError
from logwatch.rerun import rerun, start_of
from logwatch.settings import core_of, policy_of
from logwatch.telling.journal import Journal, Review
from logwatch.telling.journal_file import JournalError
from logwatch.telling.keeper import BEAT
from logwatch.telling.recorder import SAVE_EVERY, BusyError
from logwatch.watch import MACHINE, Controller, LearnedError
from tests.measuring.test_origin import database
from tests.mta.waiting import wait_for

NOW = datetime(2026, 11, 25, 12, 0).timestamp()
POLICY = "rule flood per account: when recipients in 10m > 20 tempfail for 1h mode enforce\n"
BOB = "account:bob"
P = ParamSpec("P")
T = TypeVar("T")


class Machine:
    """A state directory, a log and a policy; the wall clock is `now`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.now = NOW
        self.log = directory / "mail.log"
        self.log.touch()
        self.policy = directory / "policy"
        self.policy.write_text(POLICY)
        self.mode = "enforce"
        self.more: dict[str, object] = {}  # sections of the configuration
        self._messages = 0

    @property
    def config(self) -> Config:
        return configuration.parse(
            {
                "log": {"files": [str(self.log)]},
                "policy": {"file": str(self.policy), "mode": self.mode},
                "state": {"directory": str(self.directory / "state")},
                **self.more,
            },
            "test",
        )

    @contextmanager
    def controller(self, ports: Ports = MACHINE) -> Iterator[Controller]:
        """A controller that has read what there is, and is closed at the end."""
        controller = Controller(self.config, lambda: self.now, ports=ports)
        try:
            controller.once()
            yield controller
        finally:
            controller.close()

    def send(
        self, login: str = "bob", recipients: int = 25, at: float | None = None, client: str = "192.0.2.1"
    ) -> None:
        """A message in the log, at the machine's time unless said otherwise."""
        self._messages += 1
        stamp = datetime.fromtimestamp(self.now if at is None else at).strftime("%b %e %H:%M:%S")
        queue_id = f"4jZ1x{self._messages:05d}zJ9Hg"
        with self.log.open("a") as log:
            log.write(
                f"{stamp} mx1 postfix/submission/smtpd[7]: {queue_id}: client=unknown[{client}], "
                f"sasl_method=PLAIN, sasl_username={login}\n"
                f"{stamp} mx1 postfix/qmgr[8]: {queue_id}: from=<x@example.org>, "
                f"size=300, nrcpt={recipients} (queue active)\n"
            )

    def listed(self) -> dict[str, list[str]]:
        """Keys in the table that count now, with the modes of their records."""
        modes = {key: [r.mode for r in records if r.counts(self.now)] for key, records in self._records().items()}
        return {key: found for key, found in modes.items() if found}

    def record(self, key: str = BOB) -> Record:
        """The only record of a key."""
        (only,) = self._records()[key]
        return only

    def _records(self) -> dict[str, tuple[Record, ...]]:
        """From a copy: a process that writes a table, as this one does, cannot open it for reading too."""
        copy = self.directory / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.config.table, copy)
        found = {}
        for key, records in Reader(copy).records():
            assert not isinstance(records, Unusable)
            found[key] = records
        return found

    def journalled(self, what: Callable[Concatenate[Journal, P], T], *given: P.args, **named: P.kwargs) -> T:
        """What a method of the journal answers."""
        with Journal.read(self.config.journal) as journal:
            return what(journal, *given, **named)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_flood_is_decided_journalled_and_published(machine: Machine) -> None:
    """With its log lines and an absolute end."""
    machine.send()
    with machine.controller():
        assert machine.listed() == {BOB: ["enforce"]}
    assert machine.record().until == NOW + 3600
    (decision,) = machine.journalled(Journal.decisions)
    assert decision.key == BOB
    assert len(machine.journalled(Journal.lines, decision.seq)) == 2


def test_what_has_ended_is_journalled_but_not_published(machine: Machine) -> None:
    """The first start reads the log from its beginning, to learn."""
    machine.send(at=NOW - 7200)
    with machine.controller():
        assert machine.listed() == {}
    assert len(machine.journalled(Journal.decisions)) == 1


def test_an_older_journal_put_back_is_told_and_blocks_nobody_for_longer(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """What was decided since is decided again, with the same end; what operators said since is not known any more."""
    with machine.controller():
        older = machine.directory / "older"
        with closing(sqlite3.connect(machine.config.journal)) as now, closing(sqlite3.connect(older)) as then:
            now.backup(then)
    machine.send()
    machine.send("carol")
    with machine.controller() as controller:
        until, ref = machine.record().until, machine.record().ref
        controller.journal.review(Review(machine.now, BOB, "released", "root"))
        machine.now += 1
        controller.once()
        assert machine.listed() == {"account:carol": ["enforce"]}
    older.rename(machine.config.journal)
    machine.now += BEAT
    with machine.controller():
        assert machine.listed() == {BOB: ["enforce"], "account:carol": ["enforce"]}
        assert (machine.record().until, machine.record().ref) == (until, ref)
    assert "is not as the journal left it (1 keys: account:carol)" in caplog.text
    machine.now = NOW + 3601
    with machine.controller():
        assert machine.listed() == {}


def test_other_names_of_accounts_are_told(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """What stood against bob does not stand against bob@example.com."""
    with machine.controller():
        pass
    with machine.controller():
        pass
    assert "another way" not in caplog.text
    machine.more = {"log": {"files": [str(machine.log)], "default_realm": "example.com"}}
    with machine.controller():
        pass
    said = "(default_realm '', keep_case False; now default_realm 'example.com', keep_case False)"
    assert f"accounts are named in another way than before {said}" in caplog.text


def test_a_second_controller_is_refused(machine: Machine) -> None:
    """Two would both decide; the first goes on."""
    with machine.controller(), pytest.raises(BusyError, match="another `mailbrake watch`"):
        Controller(machine.config, lambda: machine.now)


class TestLists:
    """Files that the policy names, changed while the controller runs."""

    @pytest.fixture
    def exempted(self, machine: Machine) -> Path:
        listed = machine.directory / "bulk.txt"
        listed.write_text("alice\n")
        machine.policy.write_text(f'exempt account in file "bulk.txt"\n{POLICY}')
        return listed

    @staticmethod
    def later(machine: Machine, controller: Controller) -> None:
        """Some seconds, in which it looks twice, and reads what has changed."""
        for _ in range(2):
            machine.now += EVERY
            controller.once()
        for thread in TestLists.readers():
            thread.join()
        controller.once()

    @staticmethod
    def readers() -> list[threading.Thread]:
        """What reads lists now."""
        return [thread for thread in threading.enumerate() if thread.name.startswith(THREAD)]

    def test_who_is_exempt_from_now_on_is_let_go(self, machine: Machine, exempted: Path) -> None:
        """And is not decided against again; who is no longer exempt is."""
        machine.send()
        with machine.controller() as controller:
            assert machine.listed() == {BOB: ["enforce"]}
            exempted.write_text("bob\n")
            self.later(machine, controller)
            assert machine.listed() == {}
            machine.send()
            machine.send("alice")
            controller.once()
            assert machine.listed() == {"account:alice": ["enforce"]}

    def test_who_is_no_longer_exempt_is_braked_by_what_still_stands(self, machine: Machine, exempted: Path) -> None:
        """As after a restart: at once, not when a rule holds again."""
        machine.send()
        with machine.controller() as controller:
            until = machine.record().until
            for login, listed in (("bob", {}), ("alice", {BOB: ["enforce"]})):
                exempted.write_text(f"{login}\n")
                self.later(machine, controller)
                assert machine.listed() == listed
            assert machine.record().until == until

    def test_what_comes_of_a_case_is_counted_only_while_it_stands(self, machine: Machine, exempted: Path) -> None:
        """Who is exempt sends as he likes: that is nothing that got through. An order stands throughout."""
        machine.send()
        with machine.controller() as controller:
            controller.journal.review(Review(NOW, BOB, "ordered block", "me", until=NOW + 3600))
            controller.once()
            for login in ("bob", "alice", ""):
                machine.send(recipients=3)
                controller.once()
                exempted.write_text(f"{login}\n")
                self.later(machine, controller)
        found = machine.journalled(Journal.effects).values()
        assert {effect.rule: effect.recipients for effect in found} == {"flood": 6, "by-hand": 9}

    def test_they_are_read_after_the_clock_was_set_back(self, machine: Machine, exempted: Path) -> None:
        """It was ahead when they were looked at."""
        machine.send()
        with machine.controller() as controller:
            exempted.write_text("bob\n")
            machine.now -= 600
            self.later(machine, controller)
            assert machine.listed() == {}

    def test_what_was_ordered_by_hand_stays(self, machine: Machine, exempted: Path) -> None:
        """Exemptions are for rules."""
        machine.send()
        with machine.controller() as controller:
            controller.journal.review(Review(NOW, BOB, "ordered block", "me", until=NOW + 3600))
            controller.once()
            exempted.write_text("bob\n")
            self.later(machine, controller)
            assert machine.record().rule == "by-hand"

    def test_a_broken_list_leaves_the_old_one_in_force(
        self, machine: Machine, exempted: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With one warning that names file, line and column; the next good one counts again."""
        exempted.rename(machine.directory / "networks.txt")
        exempted = machine.directory / "networks.txt"
        exempted.write_text("192.0.2.1\n")
        machine.policy.write_text(
            'exempt client in file "networks.txt"\nrule busy per client: when messages in 10m > 0 block for 1h\n'
        )
        with machine.controller() as controller:
            exempted.write_text("192.0.2.0/24\n192.0.2.300\n")
            self.later(machine, controller)
            self.later(machine, controller)
            machine.send()
            controller.once()
            assert machine.listed() == {}
            assert caplog.text.count(f"{exempted}:2:1: expected an address or network") == 1
            exempted.unlink()
            self.later(machine, controller)
            assert f"{exempted} cannot be read: No such file" in caplog.text
            exempted.write_text("203.0.113.1\n")
            self.later(machine, controller)
            machine.send()
            controller.once()
            assert machine.listed() == {"client:192.0.2.1": ["observe"]}

    def test_a_journal_that_cannot_be_read_just_now_leaves_the_old_one_in_force(
        self, machine: Machine, exempted: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A disk that fails must not end what still decides; lists are changed by timers, too."""
        for number in range(300):
            machine.send(f"u{number}")
        with machine.controller() as controller:
            with closing(sqlite3.connect(machine.config.journal)) as other:
                # until the controller's own thread for it is done
                wait_for(lambda: other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, 60, "the file")
            with machine.config.journal.open("r+b") as file:
                file.seek(4096)
                file.write(b"?" * (machine.config.journal.stat().st_size - 4096))
            exempted.write_text("bob\n")
            self.later(machine, controller)
            controller.reread()
            controller.once()
            assert caplog.text.count("malformed; put off until SIGHUP: lists of the policy") == 1
            assert caplog.text.count("malformed; put off until SIGHUP: policy and lists") == 1
            machine.send("zoe")
            controller.once()
            assert "account:zoe" in machine.listed()

    def test_a_change_is_in_effect_as_a_whole_or_not_at_all(
        self, machine: Machine, exempted: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Here the disk fails after the first look at what stands: nothing was said to be put off that was not."""
        machine.send()
        with machine.controller() as controller:
            db = controller.journal._db
            looks: list[str] = []
            db.set_trace_callback(lambda sql: looks.append(sql) if "WHERE until >" in sql else None)
            exempted.write_text("bob\n")
            db.set_progress_handler(lambda: len(looks) > 1, 1)
            self.later(machine, controller)
            db.set_progress_handler(None, 0)
            assert machine.listed() == {}
        assert "put off" not in caplog.text

    def test_one_that_is_being_written_is_left_alone(self, machine: Machine, exempted: Path) -> None:
        """Until it has not changed between two looks; a hang-up does not wait."""
        with machine.controller() as controller:
            for size in range(3):
                exempted.write_text("bob\n" + "#" * size)
                machine.now += EVERY
                controller.once()
            machine.send()
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
            controller.reread()
            controller.once()
            assert machine.listed() == {}

    def test_while_a_list_is_read_it_counts_as_it_was(self, machine: Machine, exempted: Path) -> None:
        """And what is decided does not wait for it: here it is read from a disk that hangs for a while."""
        works = threading.Event()
        works.set()

        def content(path: Path) -> str:
            assert works.wait(60)
            return path.read_text()

        with machine.controller(replace(MACHINE, content=content)) as controller:
            works.clear()
            exempted.write_text("bob\n")
            for _ in range(2):
                machine.now += EVERY
                controller.once()
            assert self.readers()
            try:
                machine.send()
                controller.once()
                assert machine.listed() == {BOB: ["enforce"]}
            finally:
                works.set()
            self.later(machine, controller)
            assert machine.listed() == {}

    def test_a_pipe_in_place_of_a_list_or_a_policy_is_refused(
        self, machine: Machine, exempted: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever opens it waits until somebody writes: it would decide nothing, and not end at SIGTERM."""
        with machine.controller() as controller:
            for path in (exempted, machine.policy):
                path.unlink()
                os.mkfifo(path)
                controller.reread()
                controller.once()
            self.later(machine, controller)
            for told, times in (("bulk.txt cannot", 2), ("policy: cannot", 1)):  # the list is looked at by itself, too
                assert caplog.text.count(f"{told} be read: it is no regular file") == times
            machine.send()
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
        with pytest.raises(PolicyError, match="it is no regular file"):
            Controller(machine.config, lambda: machine.now)

    def test_the_empty_device_is_an_empty_list(self, machine: Machine, exempted: Path) -> None:
        """As elsewhere in Unix."""
        exempted.unlink()
        exempted.symlink_to(os.devnull)
        with machine.controller():
            machine.send("alice")
        with machine.controller():
            assert machine.listed() == {"account:alice": ["enforce"]}

    def test_says_which_lists_it_goes_by(
        self, machine: Machine, exempted: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """At the start and after a change, by what `sha256sum` prints of them."""
        caplog.set_level("INFO")
        with machine.controller() as controller:
            exempted.write_text("bob\n")
            self.later(machine, controller)
        for content in (b"alice\n", b"bob\n"):
            assert f"list {exempted}: SHA-256 {hashlib.sha256(content).hexdigest()[:16]}…" in caplog.text

    def test_a_new_text_of_the_policy_waits_for_a_hangup(self, machine: Machine, exempted: Path) -> None:
        """Lists go on being read."""
        with machine.controller() as controller:
            machine.policy.write_text("rule not finished")
            exempted.write_text("bob\n")
            self.later(machine, controller)
            machine.send()
            machine.send("alice")
            controller.once()
            assert machine.listed() == {"account:alice": ["enforce"]}


class TestReload:
    """SIGHUP: the policy's own text, read again while the controller runs."""

    @staticmethod
    def reload(machine: Machine, controller: Controller, text: str) -> None:
        machine.policy.write_text(text)
        controller.reread()
        controller.once()
        machine.now += 1

    def test_what_is_remembered_stays_where_it_cannot_be_read_just_now(
        self, machine: Machine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A new policy without it would give numbers and cases anew, which the journal has already."""
        machine.send()
        with machine.controller() as controller:
            with closing(sqlite3.connect(machine.config.journal)) as other:
                wait_for(lambda: other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, 60, "the file")
                (root,) = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'memory'").fetchone()
            with machine.config.journal.open("r+b") as file:
                file.seek((root - 1) * 4096)
                file.write(b"?" * 4096)
            self.reload(machine, controller, POLICY.replace("enforce", "observe"))
            assert caplog.text.count("malformed; put off until SIGHUP: a new policy") == 1
            machine.send("zoe")
            controller.once()
            assert machine.listed() == {BOB: ["enforce"], "account:zoe": ["enforce"]}
            assert machine.record("account:zoe").ref != machine.record().ref

    def test_a_rule_that_only_observes_from_now_on_lets_go(self, machine: Machine) -> None:
        """Its case stands, observed; as after a restart, and with what was counted."""
        machine.send()
        with machine.controller() as controller:
            (decision,) = machine.journalled(Journal.decisions)
            self.reload(machine, controller, POLICY.replace("enforce", "observe"))
            assert machine.listed() == {BOB: ["observe"]}
            assert machine.record().ref == decision.ref
            self.reload(machine, controller, "")
            assert machine.listed() == {}

    def test_what_was_counted_counts_for_another_limit(self, machine: Machine) -> None:
        """Seven recipients before, and one after."""
        machine.send(recipients=7)
        with machine.controller() as controller:
            self.reload(machine, controller, POLICY.replace("> 20", "> 7"))
            machine.send(recipients=1)
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
        (decision,) = machine.journalled(Journal.decisions)
        assert decision.evidence == {"recipients in 10m": {"value": 8, "threshold": 7}}

    def test_a_new_rule_s_decisions_are_counted_from_none(self, machine: Machine) -> None:
        """Prometheus sees no rise in a first value."""
        with machine.controller() as controller:
            self.reload(machine, controller, POLICY.replace("flood", "other"))
            controller.once()
            assert controller.figures()["mailbrake_decisions_total"]["other", "tempfail", "enforce"] == 0
            machine.send()
            controller.once()
            machine.now += 1
            controller.once()
            assert controller.figures()["mailbrake_decisions_total"]["other", "tempfail", "enforce"] == 1

    def test_an_open_case_goes_on_under_its_reference(self, machine: Machine) -> None:
        machine.send()
        with machine.controller() as controller:
            self.reload(machine, controller, POLICY + POLICY.replace("flood", "other"))
            machine.now += 400
            machine.send()
            controller.once()
        begun, *more = machine.journalled(Journal.decisions)
        assert [(d.rule, d.ref == begun.ref) for d in more] == [("flood", True), ("other", False)]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("rule not finished", ":1:10: expected "),
            (f'score 5 for dnsbl "bl.example"\n{POLICY.replace("when", "when reputation >= 5 or")}', "needs a restart"),
        ],
    )
    def test_one_that_cannot_be_used_leaves_the_old_one_in_force(
        self, machine: Machine, text: str, problem: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Said with file, line and column; lists are still read."""
        with machine.controller() as controller:
            self.reload(machine, controller, text)
            machine.send()
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
        assert problem in caplog.text
        assert "stay" in caplog.text

    def test_a_file_of_countries_that_is_gone_leaves_the_old_one_in_force(
        self, machine: Machine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever brings such files up to date may be putting another one in its place."""
        countries = database(machine.directory / "countries.mmdb")
        machine.more = {"log": {"files": [str(machine.log)], "countries": str(countries)}}
        with machine.controller() as controller:
            countries.unlink()
            self.reload(machine, controller, POLICY.replace("20", "90"))
            machine.send()
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
            database(countries)
            self.reload(machine, controller, "")
            assert machine.listed() == {}
        assert f"{countries}: cannot be read" in caplog.text

    @pytest.mark.parametrize("content", [None, b"\xff"])
    def test_a_controller_of_a_cluster_goes_on_where_the_text_cannot_be_read(
        self, machine: Machine, caplog: pytest.LogCaptureFixture, content: bytes | None
    ) -> None:
        """It is gone, as while an editor saves it, or is no UTF-8."""
        machine.more = {"cluster": {"servers": ["tls://stream.example.com:4222"], "name": "c1"}}
        with machine.controller() as controller:
            machine.policy.unlink()
            if content:
                machine.policy.write_bytes(content)
            controller.reread()
            machine.send()
            controller.once()
            assert "policy and lists stay as they were" in caplog.text
            assert machine.listed() == {BOB: ["enforce"]}

    def test_controllers_of_a_cluster_change_it_together(
        self, machine: Machine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """So one that runs keeps it, and says how it is changed; unless it is the one that it has."""
        machine.more = {"cluster": {"servers": ["tls://stream.example.com:4222"], "name": "c1"}}
        with machine.controller() as controller:
            self.reload(machine, controller, POLICY)
            assert "stop all controllers" not in caplog.text
            self.reload(machine, controller, "")
            machine.send()
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
        assert "stop all controllers" in caplog.text

    def test_a_replay_of_both_parts_gives_the_same_decisions(self, machine: Machine) -> None:
        """The new policy is one from that line on: as if the controller had been stopped and started with it."""
        stopped = Machine(machine.directory / "stopped")
        other = POLICY.replace("> 20", "> 30")
        for one in (machine, stopped):
            one.send(recipients=19)
        with machine.controller() as controller:
            self.reload(machine, controller, other)
            machine.send(recipients=12)
            controller.once()
        with stopped.controller():
            pass
        stopped.policy.write_text(other)
        stopped.now += 1
        stopped.send(recipients=12)
        with stopped.controller():
            pass
        assert machine.journalled(Journal.decisions) == stopped.journalled(Journal.decisions) != []


class TestPublished:
    """What was written to the table stands in the journal, with when and why."""

    def test_from_a_decision_to_its_end(self, machine: Machine) -> None:
        """Also while no line comes in."""
        machine.send()
        with machine.controller() as controller:
            machine.now += 3600
            controller.once()
            assert self.told(machine) == [("add", NOW, "decided"), ("remove", NOW + 3600, "ended")]

    def test_a_release_and_an_order(self, machine: Machine) -> None:
        """Who said it; the brake of somebody more severe takes the place of the rule's."""
        machine.send()
        with machine.controller() as controller:
            for verdict, until in (("ordered block", NOW + 600), ("released", None)):
                machine.now += 1
                journal = Journal.open(machine.config.journal)
                journal.review(Review(machine.now, BOB, verdict, "alice", until=until))
                journal.close()
                controller.once()
        assert self.told(machine) == [
            ("add", NOW, "decided"),
            ("change", NOW + 1, "ordered by alice"),
            ("remove", NOW + 2, "released by alice"),
        ]

    def test_a_rule_that_only_observes_and_a_list(self, machine: Machine) -> None:
        """What was decided long ago is put there for another reason: it came with no delay of hours."""
        listed = machine.directory / "bulk.txt"
        listed.write_text("alice\n")
        text = f'exempt account in file "bulk.txt"\n{POLICY}'
        machine.policy.write_text(text)
        machine.send()
        with machine.controller() as controller:
            for policy, exempt in ((text, "bob"), (text, "alice"), (text.replace("enforce", "observe"), "alice")):
                machine.policy.write_text(policy)
                listed.write_text(f"{exempt}\n")
                machine.now += 600
                controller.reread()
                controller.once()
        lists, policy = "the policy's lists changed", "the policy changed"
        assert self.told(machine) == [
            ("add", NOW, "decided"),
            ("remove", NOW + 600, lists),
            ("add", NOW + 1200, lists),
            ("remove", NOW + 1800, policy),
            ("add", NOW + 1800, policy),
        ]

    def test_no_controller_for_longer_than_a_lease(self, machine: Machine) -> None:
        """The brake came off meanwhile, and is on again."""
        machine.policy.write_text(POLICY.replace("1h", "24h"))
        machine.send()
        with machine.controller():
            pass
        machine.now += 7200
        with machine.controller():
            pass
        assert self.told(machine) == [
            ("add", NOW, "decided"),
            ("remove", NOW + 3600, "no controller"),
            ("add", NOW + 7200, "opened"),
        ]

    def test_killed_before_it_was_written_down(self, machine: Machine) -> None:
        """What was in the table is found; the lines are read again, and decided as before."""
        machine.send()
        with machine.controller():
            pass
        with closing(sqlite3.connect(machine.config.journal)) as db, db:
            db.execute("DELETE FROM published")
        machine.now += 5
        with machine.controller():
            pass
        assert self.told(machine) == [("add", NOW + 5, "found")]

    @staticmethod
    def told(machine: Machine) -> list[tuple[str, float, str]]:
        return [(change.change, change.time, change.why) for change in machine.journalled(Journal.published, BOB)]


def test_leases_are_renewed_while_the_controller_lives(machine: Machine) -> None:
    """A block of a day stands longer than its first lease; without the controller it ends within the hour."""
    machine.policy.write_text(POLICY.replace("1h", "24h"))
    machine.send()
    with machine.controller() as controller:
        for _ in range(8):
            machine.now += 900
            controller.once()
        assert machine.listed() == {BOB: ["enforce"]}
    machine.now += 3601
    assert machine.listed() == {}


def test_brakes_come_back_after_a_pause_longer_than_their_lease(machine: Machine) -> None:
    """The machine slept, or its process was stopped: the leases ran out of what still stands."""
    machine.policy.write_text(POLICY.replace("1h", "24h"))
    machine.send()
    with machine.controller() as controller:
        machine.now += machine.config.state.lease + 1
        assert machine.listed() == {}
        controller.once()
        assert machine.listed() == {BOB: ["enforce"]}


@pytest.mark.parametrize("back", [2 * 3600.0, 5 * 365 * 86400.0])
def test_leases_are_renewed_after_the_clock_was_set_back(machine: Machine, back: float) -> None:
    """It was ahead when the controller started: signs of life do not wait until that time is reached."""
    with machine.controller() as controller:
        machine.now -= back
        machine.send()
        controller.once()
        lease = machine.record().lease
        machine.now += machine.config.state.lease * 0.6
        controller.once()
        assert machine.record().lease > lease


def test_a_dead_controllers_brakes_come_off_within_a_lease_though_the_clock_was_set_back(machine: Machine) -> None:
    """A lease was given by a clock that was ahead."""
    machine.policy.write_text(POLICY.replace("1h", "24h"))
    machine.send()
    with machine.controller() as controller:
        machine.now -= 7200
        controller.once()
        assert machine.record().lease == machine.now + machine.config.state.lease


def test_trouble_is_said_again_after_the_clock_was_set_back(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """And not only when the time is reached at which it was said last."""
    machine.config.table.parent.mkdir()
    machine.config.table.write_text("not a directory")
    with machine.controller() as controller:
        caplog.clear()
        machine.now -= 86400
        controller.once()
        assert "decisions are journalled" in caplog.text


class TestPruning:
    """What has been kept for long enough goes, once a day."""

    @pytest.fixture
    def pruned(self, machine: Machine) -> Machine:
        """A machine with a decision of three days ago, of which one day's are kept."""
        machine.more["state"] = {"directory": str(machine.directory / "state"), "keep": "1d"}
        machine.send(at=machine.now - 3 * 86400)
        return machine

    def test_by_one_controller_and_by_one_that_is_started_daily(self, pruned: Machine) -> None:
        with pruned.controller() as controller:
            pruned.now += 86400
            controller.once()
            assert pruned.journalled(Journal.decisions) == []
            pruned.send(at=pruned.now - 3 * 86400)
            controller.once()
        pruned.now += 86400
        with pruned.controller():
            assert pruned.journalled(Journal.decisions) == []

    def test_by_one_that_is_started_once_a_week(self, pruned: Machine) -> None:
        """What was old at the last start: whether the time of this one is right is not known yet."""
        for kept in (1, 0):
            with pruned.controller():
                assert len(pruned.journalled(Journal.decisions)) == kept
            pruned.now += 7 * 86400

    def test_after_the_clock_was_set_back(self, pruned: Machine) -> None:
        """As ever; not only when the old time is reached."""
        with pruned.controller() as controller:
            pruned.now -= 10 * 86400
            for _ in range(2):
                pruned.now += 86400
                pruned.send(at=pruned.now - 5 * 86400)
                controller.once()
        assert len(pruned.journalled(Journal.decisions)) == 1

    def test_who_was_released_stays_so(self, pruned: Machine) -> None:
        """What was decided and ordered against him lasts longer than that it was taken back is kept."""
        pruned.policy.write_text(POLICY.replace("1h", "7d"))
        pruned.send()
        with pruned.controller() as controller:
            controller.journal.review(Review(pruned.now, "account:eve", "ordered block", "root", until=NOW + 7e5))
            controller.once()
            assert set(pruned.listed()) == {BOB, "account:eve"}
            for key in pruned.listed():
                controller.journal.review(Review(pruned.now, key, "released", "root"))
            for _ in range(4):
                pruned.now += 86400
                pruned.send("carol", recipients=1)
                controller.once()
        with pruned.controller():
            assert pruned.listed() == {}

    def test_not_by_a_clock_that_is_years_ahead(self, machine: Machine) -> None:
        """As after a start without a battery, until the network is there: all would be gone, exemptions too."""
        machine.send()
        with machine.controller():
            pass
        machine.now += 5 * 365 * 86400
        with machine.controller() as controller:
            machine.now += 86399
            controller.once()
            machine.now = NOW + 86400
            controller.once()
        assert len(machine.journalled(Journal.decisions)) == 1


def test_a_removed_table_is_made_again(machine: Machine) -> None:
    """At the next beat, from the journal."""
    machine.send()
    with machine.controller() as controller:
        shutil.rmtree(machine.config.table)
        machine.now += BEAT
        controller.once()
        assert machine.listed() == {BOB: ["enforce"]}


def test_deciding_goes_on_while_the_table_cannot_be_written(machine: Machine) -> None:
    """Something else stands in its place; once that is gone, what was decided meanwhile is published."""
    blocker = machine.config.table
    blocker.parent.mkdir()
    blocker.write_text("not a directory")
    with machine.controller() as controller:
        machine.send()
        controller.once()
        assert len(machine.journalled(Journal.decisions)) == 1
        blocker.unlink()
        machine.now += BEAT
        controller.once()
        assert machine.listed() == {BOB: ["enforce"]}


def test_deciding_goes_on_while_the_journal_cannot_be_written(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """It is published all the same, said, and journalled once that is possible."""
    with machine.controller() as controller:
        other = sqlite3.connect(machine.config.journal, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        machine.send()
        controller.once()
        assert machine.listed() == {BOB: ["enforce"]}
        assert "deciding goes on, unrecorded" in caplog.text
        other.execute("ROLLBACK")
        other.close()
        assert machine.journalled(Journal.decisions) == []
        machine.send(login="carol", recipients=1)
        controller.once()
        assert [decision.key for decision in machine.journalled(Journal.decisions)] == [BOB]


class TestRelease:
    def test_takes_effect_while_the_controller_runs(self, machine: Machine) -> None:
        """The key goes off the table, and the same evidence does not bring it back."""
        machine.send()
        with machine.controller() as controller:
            machine.now += 1
            self.release(machine)
            controller.once()
            assert machine.listed() == {}
            machine.now += 1
            machine.send(recipients=1)
            controller.once()
            assert machine.listed() == {}
            machine.send(recipients=20)
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
        actions = [decision.action for decision in machine.journalled(Journal.decisions)]
        assert actions == ["tempfail", "release", "tempfail"]

    def test_holds_when_the_controller_was_down(self, machine: Machine) -> None:
        """Said while no controller ran: the next start does not publish the key again."""
        machine.send()
        with machine.controller():
            pass
        machine.now += 1
        self.release(machine)
        with machine.controller():
            assert machine.listed() == {}

    def test_holds_for_lines_of_the_same_second(self, machine: Machine) -> None:
        """A line that was written before the release, but read after it, does not bring the key back."""
        machine.send()
        with machine.controller() as controller:
            self.release(machine)
            machine.send()
            controller.once()
            assert machine.listed() == {}

    def test_of_who_was_only_blocked_by_hand_is_a_new_beginning_for_the_rules(self, machine: Machine) -> None:
        """What he had sent before somebody noticed was not enough for a rule; with his next mail it would be."""
        machine.send(recipients=20)
        with machine.controller() as controller:
            with Journal.open(machine.config.journal) as journal:
                journal.review(Review(machine.now, BOB, "ordered block", "root", until=machine.now + 7200))
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
            self.release(machine)
            controller.once()
            machine.now += 1
            machine.send(recipients=5)
            controller.once()
            assert machine.listed() == {}

    @staticmethod
    def release(machine: Machine) -> None:
        journal = Journal.open(machine.config.journal)
        journal.review(Review(machine.now, BOB, "released", "root"))
        journal.close()


class TestExemption:
    def test_ends_the_case_and_keeps_the_key_off_until_its_end(self, machine: Machine) -> None:
        """Across restarts; from its end on, the rules count again."""
        machine.send()
        with machine.controller():
            pass
        machine.now += 1
        journal = Journal.open(machine.config.journal)
        journal.review(Review(machine.now, BOB, "exempted", "root", until=machine.now + 600))
        journal.close()
        with machine.controller() as controller:
            machine.now += 1
            machine.send()
            controller.once()
            assert machine.listed() == {}
        machine.now += 599
        machine.send()
        with machine.controller():
            assert machine.listed() == {BOB: ["enforce"]}

    def test_a_confirmation_changes_nothing(self, machine: Machine) -> None:
        """What was decided stands; the review is noted as seen."""
        machine.send()
        with machine.controller() as controller:
            journal = Journal.open(machine.config.journal)
            journal.review(Review(machine.now, BOB, "confirmed", "root"))
            journal.close()
            controller.once()
            assert machine.listed() == {BOB: ["enforce"]}
        assert machine.journalled(Journal.unseen) == []


@pytest.mark.parametrize("waited", [SAVE_EVERY / 2, 2 * SAVE_EVERY])
def test_killed_while_something_is_unwritten_it_decides_the_same(machine: Machine, waited: float) -> None:
    """What was read since the last transaction is read again, whatever of it had been written."""
    state, kept = machine.directory / "state", machine.directory / "kept"
    machine.send(recipients=9)
    with machine.controller() as controller:
        machine.now += waited
        machine.send(recipients=8)
        controller.once()
        shutil.copytree(state, kept)  # what a kill would leave
        machine.send(recipients=4)
        controller.once()
        (decision,) = machine.journalled(Journal.decisions)
    shutil.rmtree(state)
    kept.rename(state)
    with Journal.read(machine.config.journal) as journal:
        assert journal.remembered_of("rates account", BOB) is not None
        assert journal.decisions() == []
    with machine.controller():
        assert machine.journalled(Journal.decisions) == [decision]
        assert machine.record().ref == decision.ref


def test_what_is_decided_is_written_at_once(machine: Machine) -> None:
    """What is not, a tenth of a second after the last transaction."""
    machine.send(recipients=1)
    with machine.controller() as controller:
        for recipients, passed, written in (
            (1, SAVE_EVERY / 2, False),
            (2, SAVE_EVERY, True),
            (25, SAVE_EVERY / 2, True),
        ):
            machine.now += passed
            machine.send(recipients=recipients)
            controller.once()
            (position,) = (machine.journalled(Journal.noted, "positions") or {}).values()
            assert (position["offset"] == machine.log.stat().st_size) is written


def test_what_came_of_a_case_is_counted(machine: Machine) -> None:
    """Mail accepted after the tipping message, while the case stood; not before, nor after its end.

    By the controller that decided it, and by the next one.
    """
    machine.send()
    machine.send(recipients=3)
    machine.send(login="carol", recipients=5)
    with machine.controller():
        machine.now += 1
    machine.send(recipients=4)
    with machine.controller() as controller:
        machine.now += 7200
        machine.send(recipients=9)
        controller.once()
    (effect,) = machine.journalled(Journal.effects).values()
    assert (effect.key, effect.messages, effect.recipients, effect.refused) == (BOB, 2, 7, 0)


def test_what_came_of_a_case_while_no_controller_ran_is_counted(machine: Machine) -> None:
    """The case has ended by the time of the next start, but not by the log's clock, where that reads on."""
    machine.send()
    with machine.controller():
        pass
    machine.send(recipients=4, at=NOW + 600)
    machine.now += 7200
    with machine.controller():
        pass
    (effect,) = machine.journalled(Journal.effects).values()
    assert (effect.messages, effect.recipients) == (1, 4)


def test_a_release_by_a_clock_that_was_ahead_takes_no_later_brake_off(machine: Machine) -> None:
    """Neither at a restart nor after a pause: what was decided since the clock was right again stands."""
    with machine.controller() as controller:
        machine.now += 2 * 86400
        machine.send("carol", recipients=1)
        controller.once()
        controller.journal.review(Review(machine.now, BOB, "released", "root"))
        machine.now += 1
        machine.send("carol", recipients=1)
        controller.once()
        machine.now = NOW + 600
        machine.send()
        controller.once()
        assert machine.listed() == {BOB: ["enforce"]}
    with machine.controller() as controller:
        assert machine.listed() == {BOB: ["enforce"]}
        machine.now += machine.config.state.lease - 500
        controller.once()
        assert machine.listed() == {BOB: ["enforce"]}


class TestRestartWithAnotherPolicy:
    def test_observe_takes_enforced_decisions_down(self, machine: Machine) -> None:
        """The way out at 3 a.m.: `mode = "observe"` and a restart leave nobody refused."""
        machine.send()
        with machine.controller():
            pass
        machine.mode = "observe"
        with machine.controller():
            assert machine.listed() == {BOB: ["observe"]}

    @pytest.mark.parametrize(
        "text", [POLICY.replace("flood", "other"), 'exempt account in "bob"\n' + POLICY], ids=["rule gone", "exempt"]
    )
    def test_decisions_of_no_rule_are_taken_down(self, machine: Machine, text: str) -> None:
        """The rule is gone, or the account exempt by now."""
        machine.send()
        with machine.controller():
            pass
        machine.policy.write_text(text)
        with machine.controller():
            assert machine.listed() == {}

    def test_other_windows_start_counting_anew(self, machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
        """It is said; what stands, stands."""
        machine.send()
        with machine.controller():
            pass
        machine.policy.write_text(POLICY.replace("10m", "25m"))
        with machine.controller():
            assert machine.listed() == {BOB: ["enforce"]}
        assert "counted anew" in caplog.text


class TestLearning:
    """`--learn`: logs from before the first line that is followed."""

    POLICY = "rule more per account: when recipients in 1h > 2 * usual and age > 7 tempfail for 1h mode enforce\n"

    def past(self, machine: Machine) -> list[str]:
        """Eight days on which Bob wrote to thirty, in two rotated files; the log goes on with today."""
        machine.policy.write_text(self.POLICY)
        paths = []
        for part, days in ((2, (9, 8, 7, 6)), (1, (5, 4, 3, 2))):
            for day in days:
                machine.send(recipients=30, at=NOW - day * 86400)
            path = machine.log.with_name(f"mail.log.{part}")
            machine.log.rename(path)
            paths.append(str(path))
        machine.send(recipients=50)
        machine.send(login="carol", recipients=50)
        return paths

    def test_what_was_usual_before_counts_from_the_first_line_on(self, machine: Machine) -> None:
        """Fifty is nothing for who writes to thirty a day; the followed log may be among the names, and counts once."""
        paths = [*self.past(machine), str(machine.log)]
        controller = Controller(machine.config, lambda: machine.now, past=paths)
        controller.learn()
        controller.once()
        assert controller.core.reader.scanner.lines == 2 * 10
        assert controller.core.rates.habits.first_seen(BOB) == NOW - 9 * 86400
        controller.close()
        assert machine.journalled(Journal.decisions) == []

    def test_it_decides_what_a_replay_of_all_of_it_decides(self, machine: Machine) -> None:
        """The past, then what is followed: the same decisions as from one log."""
        paths = self.past(machine)
        machine.send(recipients=20)
        controller = Controller(machine.config, lambda: machine.now, past=paths)
        controller.learn()
        controller.once()
        controller.close()
        live = machine.journalled(Journal.decisions)
        replayed = core_of(machine.config, policy_of(machine.config), start_of([*paths, str(machine.log)], None, NOW))
        found = [d for step in rerun(replayed, [*paths, str(machine.log)], NOW) for d in step.decisions]
        assert found == live != []

    def test_what_was_decided_then_is_told_in_a_number(
        self, machine: Machine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A year of logs may have thousands of cases, which nobody wants to read in the log of today."""
        caplog.set_level("INFO")
        paths = self.past(machine)
        machine.policy.write_text(POLICY)
        with closing(Controller(machine.config, lambda: machine.now, past=paths)) as controller:
            controller.learn()
            assert "up to 2026-11-23T12:00:00" in caplog.text
            assert "; 8 decisions by them are in the journal" in caplog.text
            assert "tempfail account:" not in caplog.text
            controller.once()
            assert "tempfail account:carol" in caplog.text

    def test_that_it_was_stopped_is_said_then_and_at_the_next_start(
        self, machine: Machine, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It was said to have learned, and nobody knew that half of the past was missing."""
        caplog.set_level("INFO")
        with closing(Controller(machine.config, lambda: machine.now, past=self.past(machine))) as controller:
            controller.learn(lambda: True)
        assert "learned from up to 2026-11-" in caplog.text
        assert "decisions by them" not in caplog.text
        for said in (1, 0):
            caplog.clear()
            with machine.controller():
                assert caplog.text.count("it was stopped; to learn from all of them begin anew") == said

    def test_it_is_refused_where_there_is_a_past(self, machine: Machine) -> None:
        """Order of time cannot be had any more; says what to do."""
        paths = self.past(machine)
        with machine.controller():
            pass
        with pytest.raises(LearnedError, match="begin anew with an empty state directory"):
            Controller(machine.config, lambda: machine.now, past=paths)

    def test_of_a_damaged_archive_is_learned_what_can_be_read(self, machine: Machine) -> None:
        """And of those after it; it is told, counted as a loss, and the log is followed all the same."""
        first, second = self.past(machine)
        damaged = machine.directory / "mail.log.9.gz"
        damaged.write_bytes(gzip.compress(Path(first).read_bytes())[:-1])
        Path(first).unlink()
        paths = [str(damaged), second]
        with closing(Controller(machine.config, lambda: machine.now, past=paths)) as controller:
            with pytest.raises(DamageError, match=f"{damaged}: damaged or cut short"):
                controller.learn()
            controller.once()
            assert controller.core.reader.scanner.lines == 2 * 10
        assert machine.journalled(Journal.noted, "losses") == {"damaged": 1}

    def test_the_command_says_so_and_goes_on(self, machine: Machine, tmp_path: Path) -> None:
        """Until it is told to stop; with status 0."""
        damaged = tmp_path / "mail.log.9.gz"
        damaged.write_bytes(b"no archive")
        (tmp_path / "conf").write_text(f'[log]\nfiles = ["{machine.log}"]\n[state]\ndirectory = "{tmp_path}/state"\n')
        command = [
            sys.executable,
            "-m",
            "logwatch",
            "watch",
            "--config",
            str(tmp_path / "conf"),
            "--learn",
            str(damaged),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            said = [next(line for line in process.stderr if f"{damaged}: damaged or cut short" in line)]
            process.terminate()
            said += process.stderr
        assert process.returncode == 0, said


def test_a_state_directory_that_is_removed_while_in_use_is_put_back(machine: Machine) -> None:
    """With all that was decided and learned; no second controller can start on it meanwhile."""
    machine.send()
    with machine.controller() as controller:
        shutil.rmtree(machine.directory / "state")
        machine.now += BEAT
        controller.once()
        machine.send("eve")
        controller.once()
        with pytest.raises(BusyError):
            Controller(machine.config, lambda: machine.now)
    state = machine.directory / "state"
    assert [oct(path.stat().st_mode)[-3:] for path in (state, machine.config.journal)] == ["750", "600"]
    assert [decision.key for decision in machine.journalled(Journal.standing, machine.now)] == [BOB, "account:eve"]
    with machine.controller():
        assert set(machine.listed()) == {BOB, "account:eve"}


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
def test_a_file_of_the_journal_that_is_removed_while_in_use_is_put_back(machine: Machine, part: str) -> None:
    """Alone: the journal, its write-ahead log, or that one's index. Others see what is written afterwards."""
    machine.send()
    with machine.controller() as controller:
        machine.now += BEAT
        controller.once()
        Path(f"{machine.config.journal}{part}").unlink()
        machine.now += BEAT
        controller.once()
        machine.send("eve")
        controller.once()
        assert [decision.key for decision in machine.journalled(Journal.standing, machine.now)] == [BOB, "account:eve"]
    assert [decision.key for decision in machine.journalled(Journal.standing, machine.now)] == [BOB, "account:eve"]


def test_a_journal_that_was_replaced_while_in_use_ends_the_controller(machine: Machine) -> None:
    """Whoever put it there means it: it counts from the next start."""
    with machine.controller() as controller:
        shutil.rmtree(machine.directory / "state")
        Journal.open(machine.config.journal).close()
        machine.now += BEAT
        with pytest.raises(JournalError, match="was replaced while in use"):
            controller.once()


def test_the_lines_of_a_case_have_the_one_that_tipped_it(machine: Machine) -> None:
    """Of a flood that is over within a second, and read at once, too."""
    for _ in range(40):
        machine.send(recipients=5)
    with machine.controller():
        pass
    (decision,) = machine.journalled(Journal.decisions)
    assert f"{decision.queue_id}: from=" in machine.journalled(Journal.lines, decision.seq)[-1]
