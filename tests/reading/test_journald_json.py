"""An entry of the systemd journal becomes the line that syslog would have."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.follow import Follower
from logwatch.reading.journald_json import as_syslog, plain
from logwatch.reading.source import chunks

from .test_journald import entry, line


def test_an_entry_is_the_line_that_syslog_would_have() -> None:
    assert as_syslog(json.dumps(entry(1, "connect from unknown[192.0.2.1]")).encode()) == line(
        1, "connect from unknown[192.0.2.1]"
    ).rstrip(b"\n")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"MESSAGE": [98, 97, 100, 32, 255]}, b"mx1 postfix/smtpd[42]: bad \xff"),
        ({"MESSAGE": ["first", "second"]}, b"mx1 postfix/smtpd[42]: first"),
        ({"MESSAGE": "one\ntwo"}, b"mx1 postfix/smtpd[42]: one#012two"),
        ({"MESSAGE": ""}, b"mx1 postfix/smtpd[42]: "),
        ({"SYSLOG_PID": None, "_PID": "7"}, b"mx1 postfix/smtpd[7]: x"),
        ({"SYSLOG_PID": None}, b"mx1 postfix/smtpd: x"),
        ({"SYSLOG_IDENTIFIER": None, "_COMM": "smtpd"}, b"mx1 smtpd[42]: x"),
        ({"SYSLOG_IDENTIFIER": "a b\nc"}, b"mx1 a_b_c[42]: x"),
        ({"_HOSTNAME": None}, b"localhost postfix/smtpd[42]: x"),
    ],
)
def test_fields_of_every_form_are_read(fields: dict[str, Any], expected: bytes) -> None:
    """Byte arrays, repeated fields, and those that some entries lack."""
    text = json.dumps(entry(0, "x") | fields).encode()
    assert as_syslog(text) == b"2026-10-01T00:00:00.000000+00:00 " + expected


NO_MESSAGES: tuple[Any, ...] = (None, 7, [300], [None], {})
NO_STAMPS: tuple[Any, ...] = ("9" * 30, None, [], "")


@pytest.mark.parametrize(
    "text",
    [b"{", b"{}", b'{"a": 1}', b"[1]", b"{" * 100_000, b'{"__REALTIME_TIMESTAMP":"x","MESSAGE":"m"}']
    + [json.dumps(entry(1, message)).encode() for message in NO_MESSAGES]
    + [json.dumps(entry(1, "m", __REALTIME_TIMESTAMP=stamp)).encode() for stamp in NO_STAMPS],
)
def test_what_is_no_entry_stays_as_it_is(text: bytes) -> None:
    assert as_syslog(text) == text


@given(st.binary().filter(lambda line: b"\n" not in line))
def test_any_line_stays_one_line(text: bytes) -> None:
    assert b"\n" not in as_syslog(b"{" + text)
    assert b"\n" not in as_syslog(json.dumps(entry(1, list(text) or "x")).encode())


def test_entries_and_other_lines_may_stand_in_one_archive(tmp_path: Path) -> None:
    lines = json.dumps(entry(1, "one")).encode() + b"\nplain\n" + json.dumps(entry(2, "two")).encode() + b"\n"
    assert plain(b"plain\n") == b"plain\n"
    (tmp_path / "journal.json").write_bytes(lines[:-1])
    assert b"".join(chunks(tmp_path / "journal.json")) == line(1, "one") + b"plain\n" + line(2, "two")
    follower = Follower([str(tmp_path / "journal.json")], {})
    assert [piece for _, piece in follower.read()] == [line(1, "one") + b"plain\n"]
    follower.close()
