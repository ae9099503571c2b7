"""`last message repeated N times` counts for the line before it in its file, whatever the pieces and restarts."""

from __future__ import annotations

import gzip
import itertools
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.follow import Follower
from logwatch.reading.log_file import Position
from logwatch.reading.repeated import spelled_out
from logwatch.reading.source import Lines, chunks
from logwatch.reading.tail import Tail

from .samples import START, scanned, scanner

AT = b"Nov 25 03:27:47 mx1 "
LINE = AT + b"postfix/smtpd[42]: connect from unknown[192.0.2.1]\n"
OTHER = AT + b"postfix/smtpd[43]: connect from unknown[192.0.2.3]\n"
LATER = b"Nov 25 03:29:10 mx1 "
MEANT = LATER + b"postfix/smtpd[42]: message repeated 3 times: [ connect from unknown[192.0.2.1]]\n"
TOLD = (
    LATER + b"last message repeated 3 times\n",
    LATER + b"syslogd: last message repeated 3 times\n",
    LATER + b"syslogd[7]: last message repeated 3 times\n",
    LATER + b"postfix/smtpd[42]: last message repeated 3 times\n",
)


@pytest.mark.parametrize("told", TOLD)
def test_it_stands_for_the_line_before(told: bytes) -> None:
    """As rsyslog would have said it, at its own time."""
    assert spelled_out(LINE + told + OTHER, b"") == (LINE + MEANT + OTHER, OTHER)
    rows = scanned(spelled_out(LINE + told, b"")[0])
    assert [row["event"] for row in rows] == ["connect"] * 4
    assert [row["time"][11:19] for row in rows] == ["03:27:47", *["03:29:10"] * 3]


def test_told_again_and_again_it_is_still_the_same_line() -> None:
    """A syslogd says so after half a minute, two minutes, ten, and each time of what came since."""
    lines, last = spelled_out(LINE + TOLD[0] * 2, b"")
    assert (lines, last) == (LINE + MEANT * 2, LINE)
    assert spelled_out(TOLD[0], last) == (MEANT, LINE)


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (b"", TOLD[0]),
        (LINE.replace(b"mx1", b"mx2"), TOLD[0]),
        (OTHER, TOLD[3]),
        (AT + b"-- MARK --\n", TOLD[0]),
        (b"postfix/smtpd[42]: connect from unknown[192.0.2.1]\n", TOLD[0]),
    ],
    ids=["nothing before", "another host", "another process", "no program", "no header"],
)
def test_a_repetition_of_something_else_is_not_guessed(before: bytes, told: bytes) -> None:
    """It counts for nothing, and is counted."""
    lines, _ = spelled_out(before + told, b"")
    assert lines == before + told
    reader = scanner()
    reader.scan(lines)
    assert reader.unreadable == {"repeated": 1}


@pytest.mark.parametrize(
    "text",
    [
        b"warning: unknown[192.0.2.1]: SASL X authentication failed: no, sasl_username=last message repeated 9 times",
        b"last message repeated 9 times more",
        b"x last message repeated 9 times",
    ],
)
def test_nobody_but_a_logger_says_so(text: bytes) -> None:
    """What a stranger writes stands behind a program's name and its words."""
    line = AT + b"postfix/smtpd[42]: " + text + b"\n"
    assert spelled_out(LINE + line, b"")[0] == LINE + line
    reader = scanner()
    reader.scan(LINE + line)
    assert "repeated" not in reader.unreadable


FILE = OTHER + LINE + TOLD[0] + LINE + b"\n" + TOLD[0] + OTHER + TOLD[1] + TOLD[1] + LINE.rstrip(b"\n")
WHOLE = spelled_out(FILE + b"\n", b"")[0]


@given(st.lists(st.integers(0, len(FILE)), max_size=9).map(sorted))
def test_a_line_is_repeated_alike_whatever_the_pieces(cuts: list[int]) -> None:
    """The line before may have come in another piece."""
    lines = Lines()
    pieces = [lines.take(FILE[one:other]) for one, other in itertools.pairwise([0, *cuts, len(FILE)])]
    assert b"".join([*pieces, lines.finish()]) == WHOLE


def test_a_line_before_a_restart_is_repeated_after_it(tmp_path: Path) -> None:
    """The line before is looked up in the file; in a packed one too."""
    path = tmp_path / "mail.log"
    path.write_bytes(LINE)
    tail = Tail(str(path))
    assert tail.read() == LINE
    position = tail.position()
    tail.close()
    with path.open("ab") as file:
        file.write(TOLD[0])
    assert _read(path, position) == MEANT
    path.rename(tmp_path / "mail.log.1")
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress((tmp_path / "mail.log.1").read_bytes()))
    (tmp_path / "mail.log.1").unlink()
    path.write_bytes(OTHER)
    assert _read(path, position) == MEANT + OTHER


def _read(path: Path, position: Position) -> bytes:
    tail = Tail(str(path), position)
    found = b"".join(iter(tail.read, b""))
    tail.close()
    return found


def test_another_file_s_line_is_not_the_one_before(tmp_path: Path) -> None:
    """Neither that of a log that is followed at the same time, nor the end of an older part."""
    one, other = tmp_path / "one.log", tmp_path / "other.log"
    one.write_bytes(LINE)
    other.write_bytes(OTHER.replace(b"03:27:47", b"03:28:00"))
    follow = Follower([str(one), str(other)], {}, UTC, lambda _: START)
    list(follow.lines())
    with one.open("ab") as file:
        file.write(TOLD[0])
    assert b"".join(follow.lines()) == MEANT
    follow.close()
    (tmp_path / "new.log").write_bytes(TOLD[0])
    assert b"".join(chunks(tmp_path / "new.log")) == TOLD[0]


def test_dovecot_s_lines_have_no_process() -> None:
    """rsyslog repeats them just so."""
    failed = b"imap-login: Disconnected (auth failed, 2 attempts): user=<bob>, method=PLAIN, rip=192.0.2.7"
    rows = scanned(AT + b"dovecot: message repeated 2 times: [ " + failed + b"]\n")
    assert [(row["event"], row["sasl_username"]) for row in rows] == [("auth_failure", "bob")] * 2


def test_a_dovecot_user_cannot_repeat_a_line() -> None:
    """The header is all that may stand before `message repeated`, even if a stranger could end the line."""
    user = b"x[1]: message repeated 9 times: [ imap-login: Login: user=<bob>, rip=192.0.2.9"
    text = b"imap-login: Disconnected (auth failed, 1 attempts): user=<" + user + b">, method=PLAIN, rip=192.0.2.7, x]"
    assert [row["client_ip"] for row in scanned(AT + b"dovecot: " + text + b"\n")] == ["192.0.2.7"]
