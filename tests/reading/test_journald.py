"""The systemd journal as a source: followed by cursor across restarts."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enforce.config import Config, Log
from logwatch.reading.journald import NAME, Journald
from logwatch.settings import follower_of
from tests.mta.waiting import wait_for

FAKE = Path(__file__).with_name("fake_journalctl.py")
TIMEOUT = 60.0


def entry(number: int, message: Any, **fields: Any) -> dict[str, Any]:
    """An entry as journald has it of a line that came through its syslog socket."""
    return {
        "__CURSOR": f"s=267b2b09612e40ecaf0a33e79461b13b;i={number:x};b=1111222233334444;m=1;t=1;x={number}",
        "__REALTIME_TIMESTAMP": str(1_790_812_800_000_000 + number * 1_000_001),
        "__MONOTONIC_TIMESTAMP": str(number),
        "_BOOT_ID": "11112222333344441111222233334444",
        "_HOSTNAME": "mx1",
        "SYSLOG_FACILITY": "2",
        "SYSLOG_IDENTIFIER": "postfix/smtpd",
        "SYSLOG_PID": "42",
        "PRIORITY": "6",
        "MESSAGE": message,
        **fields,
    }


def line(number: int, text: str) -> bytes:
    return f"2026-10-01T00:00:{number:02}.{number:06}+00:00 mx1 postfix/smtpd[42]: {text}\n".encode()


class Journal:
    """A journal's entries, and who follows them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def log(self, *entries: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)

    def forget(self) -> None:
        """Vacuum: nothing is left."""
        self.path.write_text("")

    def follower(self, position: dict[str, Any] | None = None) -> Journald:
        return Journald(position or {}, (sys.executable, str(FAKE), str(self.path)))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def follower(journal: Journal) -> Iterator[Journald]:
    follower = journal.follower()
    yield follower
    follower.close()


def read(follower: Journald, lines: int) -> bytes:
    """So many lines, once they are there, and whatever comes with them."""
    found = b""

    def enough() -> bool:
        nonlocal found
        found += b"".join(piece for _, piece in follower.read())
        return found.count(b"\n") >= lines

    wait_for(enough, TIMEOUT, f"{lines} lines of the journal")
    return found


def test_entries_of_facility_mail_are_read_as_they_come(journal: Journal, follower: Journald) -> None:
    journal.log(entry(1, "one"), entry(2, "not mail", SYSLOG_FACILITY="9"))
    assert read(follower, 1) == line(1, "one")
    journal.log(entry(3, "three"))
    assert read(follower, 1) == line(3, "three")
    assert not follower.problems()
    assert (follower.paths(), follower.directories()) == ([], [])


def test_what_journald_dropped_is_read_as_well(journal: Journal, follower: Journald) -> None:
    told = entry(
        1,
        "Suppressed 1234 messages from postfix@-.service",
        SYSLOG_FACILITY="5",
        SYSLOG_IDENTIFIER="systemd-journald",
        MESSAGE_ID="a596d6fe7bfa4994828e72309e95d61e",
    )
    journal.log(entry(0, "other", SYSLOG_FACILITY="5"), told)
    assert read(follower, 1).endswith(b" mx1 systemd-journald[42]: Suppressed 1234 messages from postfix@-.service\n")


def test_an_entry_wakes_whoever_waits_for_one(journal: Journal, follower: Journald) -> None:
    woken = threading.Event()
    follower.notify(woken.set)
    assert list(follower.read()) == []
    journal.log(entry(1, "one"))
    assert woken.wait(TIMEOUT)
    assert [piece for _, piece in follower.read()] == [line(1, "one")]


def test_after_a_restart_reading_goes_on_after_the_cursor(journal: Journal, follower: Journald) -> None:
    journal.log(entry(1, "one"), entry(2, "two"))
    read(follower, 2)
    follower.close()
    journal.log(entry(3, "three"))
    again = journal.follower(follower.positions()[NAME])
    assert read(again, 1) == line(3, "three")
    assert not again.losses()
    again.close()


def test_the_position_is_that_of_what_was_given_out(journal: Journal, follower: Journald) -> None:
    """What is on its way through pipe and queue when we are killed is printed again."""
    journal.log(entry(1, "one"))
    read(follower, 1)
    position = follower.positions()[NAME]
    journal.log(entry(2, "two"))
    again = journal.follower(position)
    assert read(again, 1) == line(2, "two")
    again.close()


def test_a_journal_that_was_vacuumed_meanwhile_is_a_gap(journal: Journal, follower: Journald) -> None:
    journal.log(entry(1, "one"))
    read(follower, 1)
    follower.close()
    journal.forget()
    journal.log(entry(3, "three"))
    again = journal.follower(follower.positions()[NAME])
    assert read(again, 1) == line(3, "three")
    assert again.losses() == {"gaps": 1}
    assert "the entry read last is gone" in again.notices()[0]
    again.close()


def test_more_than_may_wait_is_not_lost(journal: Journal, follower: Journald) -> None:
    """journalctl waits until we have read."""
    text = "x" * 1000
    journal.log(*(entry(number, text) for number in range(10_000)))
    found = read(follower, 10_000)
    assert found.count(b"\n") == found.count(text.encode()) == 10_000


def test_closing_ends_journalctl_even_while_it_waits(journal: Journal, follower: Journald) -> None:
    journal.log(*(entry(number, "x" * 1000) for number in range(10_000)))
    assert list(follower.read()) == []
    follower.close()
    assert read(follower, 10_000).count(b"\n") == 10_000


def test_a_journalctl_that_ends_is_started_again_and_the_reason_told(journal: Journal) -> None:
    follower = journal.follower({"cursor": "nonsense"})

    def told() -> bool:
        assert list(follower.read()) == []
        return bool(follower.problems())

    wait_for(told, TIMEOUT, "journalctl to end")
    assert follower.problems() == [
        f"{sys.executable}: ended and was started again: Failed to seek to cursor: Invalid argument"
    ]
    follower.close()


def test_a_journalctl_that_was_killed_loses_nothing(journal: Journal, tmp_path: Path) -> None:
    """Its output ends anywhere; the next one goes on after the last entry that was given out."""
    command = tmp_path / "command"
    command.write_text('#!/bin/sh\necho $$ >"$0.pid"\nexec "$@"\n')
    command.chmod(0o755)
    follower = Journald({}, (str(command), sys.executable, str(FAKE), str(journal.path)))
    journal.log(entry(1, "one"))
    assert read(follower, 1) == line(1, "one")
    os.kill(int((tmp_path / "command.pid").read_text()), signal.SIGKILL)
    wait_for(lambda: not list(follower.read()) and follower.problems(), TIMEOUT, "it to end")
    journal.log(entry(2, "two"))
    assert read(follower, 1) == line(2, "two")
    assert not follower.problems()
    assert not follower.losses()["gaps"]
    follower.close()


def test_without_journalctl_it_says_so() -> None:
    follower = Journald({}, ("/nowhere/journalctl",))
    assert list(follower.read()) == []
    assert follower.problems() == [
        "/nowhere/journalctl: cannot be started: No such file or directory; needed for journald = true"
    ]
    follower.close()


def test_the_configuration_says_whether_files_or_the_journal_are_followed(tmp_path: Path) -> None:
    positions: dict[str, dict[str, Any]] = {NAME: {"cursor": "s=1;i=2"}, str(tmp_path / "a"): {"offset": 0}}
    journald = follower_of(Config(log=Log(journald=True)), positions)
    assert isinstance(journald, Journald)
    assert journald.positions() == {NAME: {"cursor": "s=1;i=2"}}
    files = follower_of(Config(log=Log(files=(str(tmp_path / "a"),))), positions)
    assert files.paths() == [str(tmp_path / "a")]
    files.close()
