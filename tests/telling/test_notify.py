"""Notifications: what is told, how a storm is grouped, how each channel sends, and that nobody waits for them."""

from __future__ import annotations

import json
import logging
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforce import config as configuration
from logwatch.commands import main
from logwatch.schema import Decision
from logwatch.telling.announcements import Herald
from logwatch.telling.journal import Journal
from logwatch.telling.journal_file import JournalError
from logwatch.telling.notify import Clocks, Grouping, Happening, Message, Notifications, channels_of
from logwatch.telling.notify.channels import Channel, UnsentError
from logwatch.telling.notify.grouping import MOST
from logwatch.telling.notify.message import KINDS
from logwatch.telling.standing import Standing
from logwatch.watch import Controller
from tests.enforce.gate import Gate
from tests.enforce.records import record
from tests.mta.waiting import wait_for
from tests.telling.decisions import NOW, decision
from tests.telling.receivers import Hook, Mailbox
from tests.test_watch import BOB, Machine

EVERY = 600.0
HOST = "mx1.example.com"
CLOCKS = Clocks(time.monotonic, time.time)


def braked(number: int = 0, **fields: Any) -> Happening:
    """An account that was braked."""
    made = decision(**{"key": f"account:u{number}@example.com", **fields})
    return Happening("decision", NOW + number, f"{made.action} {made.key}", made)


def trouble(text: str = "the disk is full") -> Happening:
    return Happening("trouble", NOW, text)


def message(*happenings: Happening, lost: int = 0) -> Message:
    grouping = Grouping(EVERY)
    for happening in happenings:
        grouping.add(happening)
    grouping.lose(lost)
    made = grouping.take(0.0, NOW)
    assert made is not None
    return made


class TestGrouping:
    def test_the_first_is_due_at_once_and_what_follows_after_a_while(self) -> None:
        """Counted from the last message."""
        grouping = Grouping(EVERY)
        assert grouping.due_in(0) is None
        grouping.add(braked(1))
        assert grouping.due_in(0) == 0
        assert grouping.take(0, NOW) == Message(NOW, (braked(1),), {"decision": 1})
        grouping.add(braked(2))
        grouping.add(braked(3))
        assert grouping.due_in(100) == EVERY - 100
        assert grouping.take(100, NOW) is None
        assert grouping.take(EVERY, NOW) == Message(NOW, (braked(2), braked(3)), {"decision": 2})
        assert grouping.take(2 * EVERY, NOW) is None

    def test_the_first_of_another_kind_does_not_wait(self) -> None:
        """And takes along what does."""
        grouping = Grouping(EVERY)
        grouping.add(braked(1))
        grouping.take(0, NOW)
        grouping.add(braked(2))
        grouping.add(trouble())
        assert grouping.take(1, NOW) == Message(NOW, (braked(2), trouble()), {"decision": 1, "trouble": 1})

    def test_a_storm_is_one_message(self) -> None:
        """With the first of them, and how many there were."""
        told = message(*map(braked, range(5000)))
        assert told.counts == {"decision": 5000}
        assert told.happenings == tuple(map(braked, range(MOST)))
        assert f"… and {5000 - MOST} more" in told.text()

    def test_commands_in_it_use_the_configuration_by_which_it_was_found(self) -> None:
        """Whoever reads the mail need not know where that is."""
        grouping = Grouping(EVERY, " --config '/etc/a site.toml'")
        for happening in (braked(0), trouble(), Happening("guard", NOW, "tripped"), Happening("loss", NOW, "gone")):
            grouping.add(happening)
        made = grouping.take(0.0, NOW)
        assert made is not None
        commands = re.findall(r"`(mailbrake [^`]*)`", made.text())
        assert len(commands) == 7
        assert all(command.endswith(" --config '/etc/a site.toml'") for command in commands)

    def test_at_the_end_all_that_waits_is_told(self) -> None:
        """Whether due or not."""
        grouping = Grouping(EVERY)
        assert grouping.take(0, NOW, all_of_it=True) is None
        for number in range(2):
            grouping.add(braked(number))
            assert grouping.take(number, NOW, all_of_it=True) is not None

    @given(st.lists(st.tuples(st.floats(0, 500), st.sampled_from(sorted(KINDS)), st.integers(1, 3))))
    def test_every_happening_is_told_once_and_messages_are_few(self, script: list[tuple[float, str, int]]) -> None:
        """However they come: in any window no more messages than kinds."""
        grouping, now, added = Grouping(EVERY), 0.0, 0
        sent: list[tuple[float, Message]] = []
        for wait, about, number in script:
            now += wait
            for _ in range(number):
                grouping.add(Happening(about, now, "it"))
            added += number
            if told := grouping.take(now, NOW):
                sent.append((now, told))
        if told := grouping.take(now, NOW, all_of_it=True):
            sent.append((now + EVERY, told))  # as if it had been due
        assert sum(sum(told.counts.values()) for _, told in sent) == added
        for start, _ in sent:
            assert len([at for at, _ in sent if start <= at < start + EVERY]) <= len(KINDS)


class TestMessage:
    def test_one_decision_is_told_in_the_subject(self) -> None:
        """Whom, by which rule, which case."""
        subject = message(braked(1)).subject(HOST)
        assert subject == "[mailbrake mx1.example.com] tempfail account:u1@example.com (rule flood, case 7K2M9Q)"

    @pytest.mark.parametrize("about", KINDS)
    def test_every_kind_has_its_words(self, about: str) -> None:
        """In the subject, alone or with others, and in the text what to do next."""
        one = Happening(about, NOW, "this happened")
        assert message(one).subject(HOST) == f"[mailbrake {HOST}] {KINDS[about][0]}"
        assert message(one, one).subject(HOST) == f"[mailbrake {HOST}] {KINDS[about][1].format(2)}"
        assert "this happened\n" in message(one).text()
        assert "`mailbrake " in message(one).text()

    def test_several_kinds_are_told_the_most_urgent_first(self) -> None:
        """In subject and text."""
        told = message(trouble(), braked(1), braked(2), Happening("guard", NOW, "tripped"))
        assert told.subject(HOST).endswith("] the guard has tripped, 2 accounts were braked, there is trouble")
        assert told.text().index("tripped") < told.text().index("u1@") < told.text().index("disk")

    def test_what_happened_again_is_said_once(self) -> None:
        """As a rule that trips the guard does with every line, until somebody looks."""
        told = message(trouble(), *(Happening("guard", NOW + number, "tripped") for number in range(9)))
        assert told.text().count("tripped") == 1
        assert "tripped (9 times)\n" in told.text()
        assert "the disk is full\n" in told.text()
        storm = message(*(Happening("guard", NOW + number, "tripped") for number in range(90)))
        assert "tripped (90 times or alike)\n" in storm.text()
        assert "more" not in storm.text()

    def test_what_senders_write_stays_in_its_line(self) -> None:
        """A login is the sender's own words: no header and no second line come of it."""
        evil = "account:a\r\nBcc: all@example.com\x1b[2J\udc80"
        told = message(Happening("decision", NOW, f"tempfail {evil}", decision(key=evil)))
        assert "a??Bcc: all@example.com?[2J?" in told.subject(HOST)
        assert told.subject(HOST).isprintable()
        assert "a??Bcc" in told.text()

    def test_as_json_it_has_everything(self) -> None:
        """The decision as `replay --json` has it."""
        told = json.loads(message(braked(1), trouble(), lost=3).as_json(HOST))
        assert (told["format"], told["host"], told["lost"]) == (1, HOST, 3)
        assert told["counts"] == {"decision": 1, "trouble": 1}
        assert told["text"].endswith("Notifications lost before this one: 3\n")
        first, second = told["happenings"]
        assert Decision.from_json(first["decision"]) == braked(1).decision
        assert (second["about"], second["text"], second["decision"]) == ("trouble", "the disk is full", None)


class TestStanding:
    @pytest.mark.parametrize(
        ("before", "now", "new"),
        [
            ([], decision(), True),
            ([], decision(mode="observe"), False),
            ([], decision(until=NOW), False),
            ([], decision(action="release", until=NOW), False),
            ([decision()], decision(2, until=NOW + 7200), False),
            ([decision(mode="observe")], decision(2), True),
            ([decision(until=NOW - 1)], decision(2, ref="OTHER1"), True),
            ([decision(), decision(2, action="release", until=NOW)], decision(3, ref="OTHER1"), True),
            ([decision()], decision(2, rule="other"), True),
        ],
        ids=[
            "enforced",
            "observed",
            "ended by now",
            "release",
            "extended",
            "enforced at last",
            "again, after its end",
            "again, after a release",
            "by another rule",
        ],
    )
    def test_only_what_is_newly_enforced_is_new(self, before: list[Decision], now: Decision, new: bool) -> None:
        """And it is so once."""
        standing = Standing(before[:1])
        standing.take(before[1:], NOW)
        assert standing.take([now, now], NOW) == [now] * new

    def test_counts_what_stands_in_each_mode(self) -> None:
        """Until it ends, or is released."""
        standing = Standing([decision(), decision(2, key="account:b", mode="observe", until=NOW + 10)])
        assert standing.counts(NOW) == {"enforce": 1, "observe": 1}
        assert standing.counts(NOW + 10) == {"enforce": 1, "observe": 0}
        standing.take([decision(3, key="account:c")], NOW + 10)
        assert standing.counts(NOW + 11) == {"enforce": 2, "observe": 0}
        standing.forget("account:c")
        assert standing.counts(NOW + 11) == {"enforce": 1, "observe": 0}


def test_the_guard_is_told_when_it_trips_not_that_it_once_did() -> None:
    """With the rule that it was for."""
    told: list[Happening] = []
    herald = Herald(told.append, [], guarded=3)
    herald.decided([], (), 3, NOW)
    assert told == []
    herald.decided([decision(1, mode="observe"), decision(2, mode="observe", rule="seen")], [1], 5, NOW)
    herald.decided([], [], 5, NOW)
    (only,) = told
    assert (only.about, only.text[:18]) == ("guard", "the rule flood hit")
    assert only.text.endswith("only observed for now: account:bob@example.com (case 7K2M9Q)")
    assert "seen" not in only.text


class Telling(Machine):
    """A machine whose controllers tell."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.told: list[Happening] = []

    @contextmanager
    def controller(self) -> Iterator[Controller]:
        """One that has read what there is."""
        controller = Controller(self.config, lambda: self.now, self.told.append)
        try:
            controller.once()
            yield controller
        finally:
            controller.close()


class TestController:
    """Driven step by step, as in tests/test_watch.py."""

    @pytest.fixture
    def machine(self, tmp_path: Path) -> Telling:
        return Telling(tmp_path)

    @pytest.fixture
    def told(self, machine: Telling) -> list[Happening]:
        return machine.told

    def test_tells_of_a_new_case_once(self, machine: Telling, told: list[Happening]) -> None:
        """Not of its extension, and not again after a restart."""
        with machine.controller() as controller:
            machine.send()
            controller.once()
            machine.now += 1200
            machine.send()
            controller.once()
        assert [happening.about for happening in told] == ["decision"]
        assert told[0].decision is not None
        assert told[0].decision.key == BOB
        machine.now += 1200
        machine.send()
        with machine.controller():
            assert len(told) == 1

    def test_tells_nothing_of_what_is_only_observed(self, machine: Telling, told: list[Happening]) -> None:
        """Nobody was braked."""
        machine.mode = "observe"
        machine.send()
        with machine.controller():
            assert told == []

    def test_tells_nothing_of_history(self, machine: Telling, told: list[Happening]) -> None:
        """The first start reads a whole log: what has ended since then needs nobody's care."""
        machine.send(at=machine.now - 7200)
        with machine.controller():
            assert told == []

    def test_tells_of_a_journal_that_cannot_be_written(self, machine: Telling, told: list[Happening]) -> None:
        """And of the decision that it takes all the same."""
        with machine.controller() as controller:
            other = sqlite3.connect(machine.config.journal, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            machine.send()
            controller.once()
            other.close()
        assert {happening.about for happening in told} == {"decision", "trouble"}
        assert any("deciding goes on, unrecorded" in happening.text for happening in told)

    def test_tells_of_lines_that_were_lost(self, machine: Telling, told: list[Happening]) -> None:
        """In the words of the warning."""
        with machine.controller() as controller:
            machine.log.write_text("x" * 2_000_000 + "\n")
            controller.once()
        assert [happening.about for happening in told] == ["loss"]
        assert "rates may be too low" in told[0].text

    def test_tells_of_a_tripped_guard(self, machine: Telling, told: list[Happening]) -> None:
        """The eleventh account within an hour is observed."""
        for number in range(12):
            machine.send(login=f"user{number}")
        with machine.controller():
            pass
        assert [happening.about for happening in told].count("decision") == 10
        assert told[-1].about == "guard"


# Channels.


def channel(**options: Any) -> Channel:
    """The only channel of a configuration."""
    parsed = configuration.parse({"notify": options}, "test")
    (only,), problems = channels_of(parsed.notify, HOST)
    assert problems == []
    return only


def failure(of: Channel) -> UnsentError:
    with pytest.raises(UnsentError) as raised:
        of.send(message(braked(1)))
    return raised.value


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as hook:
        yield hook


class TestMail:
    @pytest.fixture
    def by_mail(self, mailbox: Mailbox) -> Channel:
        return channel(mail_to=["abuse@example.com", "noc@example.com"], smtp=mailbox.where)

    def test_arrives(self, mailbox: Mailbox, by_mail: Channel) -> None:
        """To all, in one transaction, as mail that no auto-responder answers."""
        sent = message(braked(1, key="account:jörg@example.com"))
        by_mail.send(sent)
        (letter,), (envelope,) = mailbox.letters, mailbox.envelopes
        assert envelope == (f"mailbrake@{HOST}", ["abuse@example.com", "noc@example.com"])
        assert letter["Subject"] == sent.subject(HOST)
        assert letter["Auto-Submitted"] == "auto-generated"
        assert letter["To"] == "abuse@example.com, noc@example.com"
        assert letter.get_content().replace("\r\n", "\n") == sent.text()

    @pytest.mark.parametrize(("answer", "again"), [("451 4.3.0 later", True), ("554 5.7.1 no", False)])
    def test_is_tried_again_if_that_may_help(
        self, mailbox: Mailbox, by_mail: Channel, answer: str, again: bool
    ) -> None:
        """A 4xx may, a 5xx may not."""
        mailbox.answers = [answer]
        error = failure(by_mail)
        assert (error.again, str(error)) == (again, f"{mailbox.where} answers {answer[:3]}")

    @pytest.mark.parametrize(("answer", "again"), [("450 4.2.0 later", True), ("550 5.1.1 no", False)])
    def test_says_that_every_recipient_is_refused(
        self, mailbox: Mailbox, by_mail: Channel, answer: str, again: bool
    ) -> None:
        """Tried again only if somebody may take it later."""
        mailbox.refuses = dict.fromkeys(("abuse@example.com", "noc@example.com"), answer)
        error = failure(by_mail)
        assert (error.again, str(error)) == (again, f"{mailbox.where} refuses every recipient ({answer[:3]})")

    def test_says_which_recipient_is_refused(self, mailbox: Mailbox, by_mail: Channel) -> None:
        """The others have it, and do not get it again."""
        mailbox.refuses = {"noc@example.com": "550 5.1.1 no"}
        error = failure(by_mail)
        assert not error.again
        assert "refuses noc@example.com" in str(error)
        assert len(mailbox.letters) == 1

    def test_waits_for_an_mta_that_is_down(self) -> None:
        """It is tried again."""
        with socket.create_server(("127.0.0.1", 0)) as unused:
            where = f"127.0.0.1:{unused.getsockname()[1]}"
        assert failure(channel(mail_to=["a@example.com"], smtp=where)).again

    def test_waits_for_a_server_whose_name_is_none(self) -> None:
        """As for one that is not there: what cannot be looked up must not end the thread that sends."""
        error = failure(channel(mail_to=["a@example.com"], smtp="mail..example.com:25"))
        assert error.again

    def test_can_go_through_the_sendmail_command(self, tmp_path: Path) -> None:
        """Which gets sender and recipients as arguments, and no shell sees them."""
        script = f"import sys, pathlib; pathlib.Path({str(tmp_path / 'out')!r}).write_text("
        script += "repr(sys.argv[1:]) + chr(10) + sys.stdin.read())"
        channel(
            mail_to=["a`id`@example.com"], mail_from="mb@example.com", sendmail=[sys.executable, "-c", script, "-i"]
        ).send(message(braked(1)))
        arguments, _, letter = (tmp_path / "out").read_text().partition("\n")
        assert arguments == "['-i', '-f', 'mb@example.com', 'a`id`@example.com']"
        assert "Subject: [mailbrake" in letter

    def test_is_not_braked_by_ourselves(self) -> None:
        """A real Postfix, our milter with its default exemptions, and a record that blocks this very client."""
        with Gate("postfix", more="") as gate:
            gate.deny(record("block"))
            by_mail = channel(mail_to=["r1@sink.example"], smtp=f"127.0.0.1:{gate.mta.smtp_port}")
            by_mail.send(message(braked(1)))
            assert gate.mta.wait_for_line("to=<r1@sink.example>.*status=sent")


class TestWebhook:
    def test_gets_the_json(self, hook: Hook) -> None:
        """In one POST to the whole URL."""
        sent = message(braked(1))
        channel(webhooks=[hook.url]).send(sent)
        assert hook.posted == [json.loads(sent.as_json(HOST))]
        assert hook.paths == ["/hook?token=secret"]

    @pytest.mark.parametrize(("status", "again"), [(500, True), (429, True), (404, False), (302, False)])
    def test_is_tried_again_if_that_may_help(self, hook: Hook, status: int, again: bool) -> None:
        """A redirect is not followed: the body would be lost on the way. Nothing secret is said."""
        hook.statuses = [status]
        error = failure(channel(webhooks=[hook.url]))
        assert (error.again, str(error)) == (again, f"{hook.where} answers {status}")
        assert len(hook.paths) == 1

    @pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n"])
    def test_survives_whatever_is_answered(self, answer: bytes) -> None:
        """Nothing, or nonsense."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            tries = subprocess.Popen(
                [sys.executable, "-c", _ANSWERING, str(server.fileno()), answer.hex()], pass_fds=[server.fileno()]
            )
            error = failure(channel(webhooks=[f"http://127.0.0.1:{server.getsockname()[1]}/?secret"]))
            tries.wait(10)
        assert error.again
        assert "secret" not in str(error)


_ANSWERING = """
import socket, sys
connection, _ = socket.socket(fileno=int(sys.argv[1])).accept()
connection.recv(65536)
connection.sendall(bytes.fromhex(sys.argv[2]))
connection.close()
"""


class TestCommand:
    @staticmethod
    def running(script: str, *arguments: str) -> Channel:
        return channel(command=[sys.executable, "-c", script, *arguments])

    def test_gets_the_json_on_its_standard_input(self, tmp_path: Path) -> None:
        """Its arguments are taken as they are: no shell."""
        out = tmp_path / "out"
        sent = message(braked(1))
        script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2] + sys.stdin.read())"
        self.running(script, str(out), "$(id); rm *").send(sent)
        assert out.read_text() == f"$(id); rm *{sent.as_json(HOST)}\n"

    @pytest.mark.parametrize(("status", "again"), [(1, False), (75, True)])
    def test_that_fails_is_called_again_only_if_it_asks_to(self, status: int, again: bool) -> None:
        """With EX_TEMPFAIL; what else it did is not known, and not done twice."""
        error = failure(self.running(f"import sys; sys.stderr.write('no pager'); sys.exit({status})"))
        assert error.again == again
        assert str(error).endswith(f"ended with status {status}: no pager")

    def test_that_is_missing_is_said(self) -> None:
        """With its name."""
        error = failure(channel(command=["/nowhere/pager"]))
        assert (error.again, str(error)) == (False, "/nowhere/pager: No such file or directory")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's own, up to Python 3.12
class TestApprise:
    def test_reaches_what_apprise_reaches(self, hook: Hook) -> None:
        """Here its own JSON service."""
        sent = message(braked(1))
        channel(apprise=[f"json://{hook.where}/"]).send(sent)
        (posted,) = hook.posted
        assert posted["title"] == sent.subject(HOST)
        assert posted["message"].strip() == sent.text().strip()

    def test_is_tried_again(self, hook: Hook) -> None:
        """As Apprise does not say why it failed."""
        hook.statuses = [500]
        error = failure(channel(apprise=[f"json://{hook.where}/secret"]))
        assert (error.again, str(error)) == (True, "json://… did not take it")

    def test_an_unknown_service_is_said_and_the_others_serve(self) -> None:
        """Without the rest of the URL."""
        parsed = configuration.parse({"notify": {"apprise": ["nosuch://secret"], "command": ["true"]}}, "test")
        channels, problems = channels_of(parsed.notify, HOST)
        assert [channel.name for channel in channels] == ["command"]
        assert problems == ["notifications: nosuch://…: Apprise does not know what to do with this URL"]

    def test_what_to_install_is_said(self) -> None:
        """Where it is missing: here, a process that may not import it."""
        code = (
            "import sys; sys.modules['apprise'] = None\nfrom enforce import config\n"
            "from logwatch.telling.notify import channels_of\n"
            "print(channels_of(config.parse({'notify': {'apprise': ['ntfy://x']}}, '').notify, 'h')[1])"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "notifications: ntfy://… needs Apprise: pip install 'mailbrake[apprise]'" in run.stdout


# Threads.


def sending(
    send: Callable[[Message], None], every: float = EVERY, backoff: tuple[float, ...] = (), name: str = "test"
) -> Notifications:
    return Notifications([Channel(name, send)], Grouping(every), CLOCKS, backoff=backoff)


class TestNotifications:
    def test_a_storm_is_two_messages(self, mailbox: Mailbox, hook: Hook) -> None:
        """The first at once, the rest at the end; through every channel."""
        parsed = configuration.parse(
            {"notify": {"mail_to": ["a@example.com"], "smtp": mailbox.where, "webhooks": [hook.url]}}, "test"
        )
        channels, _ = channels_of(parsed.notify, HOST)
        notifications = Notifications(channels, Grouping(EVERY), CLOCKS)
        notifications.tell(braked(0))
        wait_for(lambda: mailbox.letters and hook.posted, 60, "the first message")
        for number in range(1, 1000):
            notifications.tell(braked(number))
        notifications.close(10)
        assert len(mailbox.letters) == 2
        assert [posted["counts"]["decision"] for posted in hook.posted] == [1, 999]
        assert notifications.outcomes() == {
            ("queue", "dropped"): 0,
            **{(name, outcome): 2 * (outcome == "sent") for name in ("mail", "webhook") for outcome in _OUTCOMES},
        }

    def test_what_follows_is_told_when_its_time_has_come(self) -> None:
        """Without anything else happening."""
        sent: list[Message] = []
        notifications = sending(sent.append, every=0.05)
        notifications.tell(braked(0))
        wait_for(lambda: len(sent) == 1, 60, "the first message")
        notifications.tell(braked(1))
        wait_for(lambda: len(sent) == 2, 60, "the second message")
        notifications.close(10)

    def test_only_what_was_asked_for_is_told(self) -> None:
        """By kind."""
        sent: list[Message] = []
        notifications = Notifications([Channel("test", sent.append)], Grouping(EVERY), CLOCKS, about=["guard"])
        notifications.tell(braked(0))
        notifications.tell(Happening("guard", NOW, "tripped"))
        notifications.close(10)
        assert [told.counts for told in sent] == [{"guard": 1}]

    def test_a_message_is_sent_again_until_it_arrives(self, hook: Hook) -> None:
        """Here at the third attempt."""
        hook.statuses = [503, 503]
        notifications = sending(channel(webhooks=[hook.url]).send, backoff=(0.01, 0.01, 0.01))
        notifications.tell(braked(0))
        wait_for(lambda: hook.posted, 60, "the message")
        notifications.close(10)
        assert len(hook.paths) == 3

    def test_what_cannot_be_sent_is_counted_and_said(self, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
        """In the log, and with the next message that arrives."""
        hook.statuses = [404]
        with caplog.at_level(logging.INFO, "mailbrake.notify"):
            notifications = sending(channel(webhooks=[hook.url]).send, every=0.01, name="webhook")
            notifications.tell(braked(0))
            wait_for(lambda: notifications.outcomes()["webhook", "failed"], 60, "the failure")
            notifications.tell(trouble())
            notifications.close(10)
        assert [posted["lost"] for posted in hook.posted] == [1]
        assert f"a notification by webhook was lost: {hook.where} answers 404" in caplog.text

    def test_nobody_waits_for_a_channel_that_is_stalled(self, hook: Hook) -> None:
        """What finds no room is counted."""
        hook.gate.clear()
        notifications = sending(channel(webhooks=[hook.url]).send, every=0.0, name="webhook")
        _storm_until_dropped(notifications)
        for number in range(10_000):
            notifications.tell(braked(number))
        assert hook.posted == []  # all this while the first message has been on its way
        hook.gate.set()
        notifications.close(10)
        assert sum(posted["lost"] for posted in hook.posted) > 0

    def test_ends_in_time_though_a_channel_is_stalled(self, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
        """The controller's end does not wait for a webhook; that something was not sent is said."""
        hook.gate.clear()
        notifications = sending(channel(webhooks=[hook.url]).send, name="webhook")
        notifications.tell(braked(0))
        notifications.close(0.1)
        assert "notifications by webhook were not all sent" in caplog.text

    def test_without_a_channel_nothing_is_kept(self) -> None:
        """However much happens."""
        notifications = Notifications([], Grouping(EVERY), CLOCKS)
        for number in range(10_000):
            notifications.tell(braked(number))
        assert notifications.outcomes() == {("queue", "dropped"): 0}
        notifications.close(10)


def test_what_waits_is_told_when_the_controller_has_to_end(tmp_path: Path) -> None:
    """Somebody has put another journal in its place: a second case waits for its time, which does not come."""
    machine, told = Machine(tmp_path), tmp_path / "told"
    code = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.readline())"
    (tmp_path / "conf").write_text(
        f'[log]\nfiles = ["{machine.log}"]\n[policy]\nfile = "{machine.policy}"\nmode = "enforce"\n'
        f'[state]\ndirectory = "{tmp_path}/state"\n'
        f"[notify]\ncommand = {json.dumps([sys.executable, '-c', code])}\n"
    )
    machine.now = time.time()
    command = [sys.executable, "-m", "logwatch", "watch", "--config", str(tmp_path / "conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for login in ("bob", "carol"):
                machine.send(login)
                wait_for(partial(_has_a_case, machine, login), 60, login)
                wait_for(told.exists, 60, "the first message")
            assert "carol" not in told.read_text()
            (tmp_path / "journal").touch()
            (tmp_path / "journal").rename(machine.config.journal)
            assert process.wait(60) == 1
        finally:
            process.kill()
    assert "carol" in told.read_text()


def _has_a_case(machine: Machine, login: str) -> bool:
    try:
        return bool(machine.journalled(Journal.case, f"account:{login}"))
    except JournalError:  # there is none yet
        return False


_OUTCOMES = ("sent", "failed", "dropped")


def _storm_until_dropped(notifications: Notifications) -> None:
    """Tell of one thing after the other until a message finds no room in front of the stalled channel."""

    def told() -> float:
        notifications.tell(braked(0))
        return notifications.outcomes()["webhook", "dropped"]

    wait_for(told, 60, "a message to be dropped")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_the_check_of_a_configuration_finds_channels_that_cannot_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the controller has to do without them."""
    configured = tmp_path / "mailbrake.toml"
    configured.write_text(f'[log]\nfiles = ["{configured}"]\n[notify]\napprise = ["nosuch://secret"]\n')
    assert main(["check", "--config", str(configured)]) == 1
    assert capsys.readouterr().err == (
        "mailbrake: notifications: nosuch://…: Apprise does not know what to do with this URL\n"
    )
