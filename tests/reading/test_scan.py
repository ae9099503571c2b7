"""Bytes of a log in, columns out: repeated lines, odd bytes, counts of what was not read."""

import json
import tracemalloc
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.reading.grammar import compiled
from logwatch.reading.scan import Scanner, number_of, text_of
from logwatch.reading.stamp import Stamps

from .samples import START, by_regex, is_unreadable, samples, scanned, scanner
from .test_compile import mutated

HEAD = b"Nov 25 03:27:47 mx1 postfix/smtpd[42]: "
CONNECT = HEAD + b"connect from unknown[192.0.2.1]\n"
LEAVE = HEAD + b"disconnect from unknown[192.0.2.1] ehlo=1 quit=1 commands=2\n"


def repeated(times: int, text: bytes = CONNECT) -> bytes:
    """As rsyslog says that a line came so many times more."""
    return text.replace(HEAD, HEAD + b"message repeated %d times: [ " % times).replace(b"\n", b"]\n")


def is_known(dialect: str, line: bytes) -> bool:
    """Whether the expression of a dialect takes a line for its own, read or not; the scanner looks at no long one."""
    return compiled(frozenset(), frozenset({dialect})).regex.match(b"\n" + line) is not None


def test_a_repeated_line_counts_as_often_as_it_came() -> None:
    """The first line, and N more: no more, no less; `line` and `start` are those of the line that stands for them."""
    reader = scanner()
    chunk = CONNECT + repeated(3) + LEAVE + repeated(2) + LEAVE
    found = reader.scan(chunk)
    assert found["event"].tolist() == ["connect"] * 4 + ["disconnect"] + ["connect"] * 2 + ["disconnect"]
    assert found["line"].tolist() == [1, 2, 2, 2, 3, 4, 4, 5]
    starts = [chunk.index(line) for line in (CONNECT, repeated(3), LEAVE, repeated(2))]
    assert found["start"].tolist() == [starts[0], *[starts[1]] * 3, starts[2], *[starts[3]] * 2, chunk.rindex(LEAVE)]
    assert reader.lines == 5


def test_a_line_repeated_by_an_old_rsyslog_or_ended_by_a_carriage_return_counts_too() -> None:
    """No blank after the bracket; CRLF."""
    line = HEAD + b"message repeated 2 times: [connect from unknown[192.0.2.1]]\r\n"
    assert [row["client_ip"] for row in scanned(line)] == ["192.0.2.1", "192.0.2.1"]


def test_a_line_cannot_stand_for_any_number() -> None:
    """Beyond 10,000 it is no log's line: a bound, and a count of what is left out."""
    reader = scanner()
    assert len(reader.scan(repeated(10**17))["event"]) == 10_000
    assert reader.unreadable == {"repeated": 1}


def test_what_is_cut_is_counted_in_every_dialect() -> None:
    """A line that only begins like a known kind is never taken for one that is known to say nothing."""
    met = set()
    for sample in (sample for sample in samples() if isinstance(sample.expect, dict)):
        whole = sample.raw.rstrip(b"\n")
        for cut in (whole[: len(whole) * part // 8] + b"\n" for part in range(4, 8)):
            if is_unreadable(by_regex(cut)):
                reader = scanner()
                reader.scan(cut)
                assert reader.unreadable.total() == 1, cut
                met.add(sample.dialect)
    assert met >= {"postfix", "sendmail", "exim", "dovecot", "mailbrake"}


def test_nobody_can_repeat_a_line_from_inside() -> None:
    """`message repeated` counts only where the logger puts it: before the text."""
    login = b"a]: message repeated 9 times: [ connect from unknown[192.0.2.9]]"
    line = HEAD + b"warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: no, sasl_username=" + login + b"\n"
    (row,) = scanned(line)
    assert row["event"] == "auth_failure"
    assert row["sasl_username"] == login.decode()


def test_what_repeats_may_be_unreadable() -> None:
    """A broken line does not become an event by coming twice."""
    reader = scanner()
    assert len(reader.scan(repeated(2, HEAD + b"4ABCDEF: reject: no stage\n"))["event"]) == 0
    assert reader.unreadable == {"reject": 1}


def test_unread_lines_are_counted() -> None:
    """Cut lines by the event they should have been, others of a known daemon as such; silent ones are not."""
    reader = scanner()
    reader.scan(
        HEAD + b"4ABCDEF: reject: RCPT fr\n" + HEAD + b"warning: hostname x does not resolve to address 192.0.2.1\n"
        b"Nov 25 03:27:47 mx1 postfix/smtp[1]: Untrusted TLS connection established to x[192.0.2.1]:25: TLSv1.3\n"
        b"Nov 25 03:27:47 mx1 postfix/qmgr[1]: 4ABCDEF: from=<a@exam\n"
        b"Nov 25 03:27:47 mx1 sshd[1]: Connection closed\n"
    )
    assert reader.unreadable == {"reject": 1, "expired": 1}
    assert reader.other == 1
    assert reader.example == b"Nov 25 03:27:47 mx1 postfix/qmgr[1]: 4ABCDEF: from=<a@exam"


def test_bytes_that_are_no_text_are_kept_and_shown() -> None:
    """Invalid UTF-8 is kept, and shown as \\xNN; NUL is a character like others."""
    line = HEAD + b"warning: u[192.0.2.1]: SASL PLAIN authentication failed: no, sasl_username=m\xfcller\0\xc3\xa9\n"
    assert scanned(line)[0]["sasl_username"] == "m\\xfcller\0é"
    assert text_of(b"\xff") == "\\xff"


@pytest.mark.parametrize(
    "token",
    [b"; from=<", b'"', b"\\", b"(case ", b">, relay=", b"message repeated 2 times: [ ", b", sasl_sender=", b"]: "],
)
@pytest.mark.parametrize(
    "begin",
    [
        b"4ABCDEF: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 ",
        b"4ABCDEF: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=",
        b"warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: ",
    ],
)
def test_a_long_line_is_read_in_one_go(begin: bytes, token: bytes) -> None:
    """Whatever is repeated 50,000 times, the time is proportional to the length: otherwise this would not end."""
    assert is_known("postfix", HEAD + begin + token * 50_000 + b"\n")


@pytest.mark.parametrize(
    "token", [b'"', b"\\", b'>, relay=none, delay=1 "', b">, size=1, nrcpt=1 (queue active)", b"(<"]
)
@pytest.mark.parametrize("begin", [b"qmgr[1]: 4ABCDEF: from=<", b"smtp[1]: 4ABCDEF: to=<"])
def test_a_long_address_is_read_in_one_go(begin: bytes, token: bytes) -> None:
    """The same for addresses."""
    assert is_known("postfix", b"Nov 25 03:27:47 mx1 postfix/" + begin + token * 50_000 + b"\n")


TOKENS = [b'\\"', b'"', b"\\a", b'"a" ', b'<"', b"; ", b", ", b"> ", b"("]
LONG = [
    b"exim[7]: 1oYR3x-0003Ay-5k <= ",
    b'exim[7]: 1oYR3x-0003Ay-5k <= a@b H=(x) [192.0.2.1] P=esmtpsa DN="',
    b"exim[7]: 1oYR3x-0003Ay-5k => a <",
    b'postfix/qmgr[7]: 4ABCDEF: from=<"',
    b'postfix/smtp[7]: 4ABCDEF: to=<"',
    b"postfix/postscreen[7]: NOQUEUE: reject: RCPT from [192.0.2.1]:5: 550 5.1.1 x",
    b'postfix/smtp 7 ID [a b="',
    b'sm-mta[7]: 6AP3si0p030580: from=<"',
]


@pytest.mark.parametrize("begin", LONG, ids=bytes.decode)
def test_no_line_takes_more_than_some_megabytes(begin: bytes) -> None:
    """`re` copies all groups so far for each place to which it may come back; bytes are counted, not time."""
    reading = scanner()
    reading.scan(b"Nov 25 03:27:47 mx1 " + begin + b"x\n")  # compiles
    for size in (8_000, 500_000):
        lines = [b"Nov 25 03:27:47 mx1 " + begin + token * (size // len(token)) + b"\n" for token in TOKENS]
        tracemalloc.start()
        for line in lines:
            reading.scan(line)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 128 << 20


def test_a_line_that_no_mta_writes_is_counted_and_takes_no_other_with_it() -> None:
    """Those around it keep their numbers and offsets; a stranger's long line is nobody's."""
    reading = scanner()
    long, strange = HEAD + b"x" * 20_000 + b"\n", b"Nov 25 03:27:47 mx1 cron[1]: " + b"x" * 20_000 + b"\n"
    chunk = CONNECT + long + strange + CONNECT + long
    found = reading.scan(chunk)
    assert found["line"].tolist() == [1, 4]
    assert found["start"].tolist() == [0, chunk.rindex(CONNECT)]
    assert (reading.unreadable, reading.lines) == ({"overlong": 2}, 5)
    assert reading.example.startswith(HEAD)


SOME = (
    frozenset({"host", "queue_id", "status", "dsn"}),
    frozenset({"client_ip", "line"}),
    frozenset({"program", "service", "sasl_username"}),
)


@settings(deadline=None)  # each choice is compiled once
@given(st.lists(mutated(), max_size=15).map(b"".join), st.sampled_from(SOME))
def test_what_is_not_wanted_changes_nothing(lines: bytes, columns: frozenset[str]) -> None:
    """Fewer columns give the same values in the same rows."""
    everything = scanner().scan(lines)
    found = Scanner(Stamps(UTC, START), sorted(columns)).scan(lines)
    for name in columns | {"start", "time", "event"}:
        assert found[name].tolist() == everything[name].tolist(), name


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [("pid", b"42", 42), ("delay", b"0.5", 0.5), ("delay", b".", None), ("pid", b"", None), ("size", None, None)],
)
def test_text_that_is_no_number_is_none(name: str, value: Any, meant: Any) -> None:
    """Text that is no number is None, never an error."""
    assert number_of(name, value) == meant


def test_a_large_chunk_is_its_lines() -> None:
    """What is scanned in parts gives the same rows, offsets and numbers as line by line."""
    lines = [CONNECT, LEAVE, HEAD + b"warning: x\n", repeated(2)] * 2500
    chunk = b"".join(lines)
    whole, single = scanner(), scanner()
    found = whole.scan(chunk)
    rows = [single.scan(line) for line in lines]
    for name in ("event", "line", "client_ip", "time"):
        assert found[name].tolist() == [value for row in rows for value in row[name].tolist()], name
    assert (whole.other, whole.lines) == (single.other, single.lines) == (2500, 10_000)
    assert all(chunk[start:].startswith(HEAD) for start in found["start"].tolist())


@pytest.mark.parametrize(
    "piece", [">,<a>, ctladdr=x, ", ">,<", '"', ", ctladdr=", ", delay=00:00:00, "], ids=json.dumps
)
@pytest.mark.parametrize("before", ["to=<", "to=", "from=<", "from=<a@b>, size=1, class=0, nrcpts=1, msgid=<"])
def test_a_line_that_is_nothing_but_separators_is_read_to_its_end(before: str, piece: str) -> None:
    """In time that grows with its length: in that of its cube, this line would take a quarter of an hour."""
    line = f"Nov 25 01:16:55 mx1 sendmail[7]: 6AP3si0p030580: {before}{piece * (60_000 // len(piece))}, mailer=x\n"
    assert is_known("sendmail", line.encode())


def test_a_dialect_may_come_when_others_have_been_read_for_long() -> None:
    """The first look knows what the log has; what it does not know is looked at again, and in time known."""
    theirs = b"Nov 25 03:27:47 mx1 sm-mta[7]: NOQUEUE: connect from [192.0.2.9]\n"
    reader = scanner()
    for lines in (theirs * 1500, theirs + CONNECT, CONNECT * 1500, theirs + CONNECT):
        found = reader.scan(lines)
        assert found["event"].tolist() == ["connect"] * lines.count(b"\n")
        assert found["client_ip"].tolist()[-1] == (b"192.0.2.1" if lines.endswith(CONNECT) else b"192.0.2.9")
    assert (reader.unreadable, reader.other) == ({}, 0)
