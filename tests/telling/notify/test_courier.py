"""Every message is sent, and sent again, by threads for which nobody waits."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from enforce import config as configuration
from logwatch.telling.journal import Journal
from logwatch.telling.journal_file import JournalError
from logwatch.telling.notify import Clocks, Grouping, Happening, Message, Notifications, channels_of
from logwatch.telling.notify.channels import Channel, UnsentError
from tests.mta.waiting import wait_for
from tests.telling.decisions import NOW
from tests.telling.receivers import Hook, Mailbox
from tests.test_watch import Machine

from .notices import EVERY, HOST, braked, channel, trouble

CLOCKS = Clocks(time.monotonic, time.time)


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

    def test_what_was_lost_before_a_message_that_is_lost_is_said_with_the_next(self) -> None:
        """Seven that found no room, and the one that could not be sent."""
        said: list[Message] = []
        refused = [UnsentError("not now", again=False)]

        def send(message: Message) -> None:
            if refused:
                raise refused.pop()
            said.append(message)

        grouping = Grouping(0.0)
        grouping.lose(7)
        notifications = Notifications([Channel("one", send)], grouping, CLOCKS)
        notifications.tell(braked(0))
        wait_for(lambda: notifications.outcomes()["one", "failed"], 60, "the first to be lost")
        notifications.tell(braked(1))
        notifications.close(10)
        assert [message.lost for message in said] == [8]

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
