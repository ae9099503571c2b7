"""Entries of the systemd journal (`journalctl -o json`) as the lines that a syslog daemon would have written of them.

    {"__REALTIME_TIMESTAMP":"1790812801000000","_HOSTNAME":"mx1","SYSLOG_IDENTIFIER":"postfix/smtpd","SYSLOG_PID":"42",
     "MESSAGE":"connect from unknown[192.0.2.1]", ...}
    2026-10-01T00:00:01.000000+00:00 mx1 postfix/smtpd[42]: connect from unknown[192.0.2.1]

Fields come in any order, and differently at every call, so that no pattern could find them. The format is described in
systemd's JOURNAL_EXPORT_FORMATS: a value is a string, an array of numbers where the bytes are not printable UTF-8, an
array of these where the field occurs more than once (the first counts), or null where it was too large. A newline in
a message becomes #012, as rsyslog writes it, so that no message can be two lines.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(lines: bytes) -> bytes:
    """Whole lines, those that are journal entries in JSON made plain."""
    if b"{" in lines and (lines.startswith(b"{") or b"\n{" in lines):  # one byte is found ten times faster than two
        return b"\n".join(map(as_syslog, lines.split(b"\n")))
    return lines


def as_syslog(line: bytes) -> bytes:
    """A journal entry, without its newline, as syslog would have it; any other line as it is."""
    entry = fields(line)
    try:
        when = _EPOCH + timedelta(microseconds=int(entry["__REALTIME_TIMESTAMP"]))
        message = _bytes(entry["MESSAGE"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return line
    host = _word(entry, "_HOSTNAME", default=b"localhost")
    tag = _word(entry, "SYSLOG_IDENTIFIER", "_COMM", default=b"unknown")
    pid = _word(entry, "SYSLOG_PID", "_PID", default=b"")
    start = when.isoformat(timespec="microseconds").encode() + b" " + host + b" " + tag + (pid and b"[" + pid + b"]")
    return start + b": " + message.replace(b"\n", b"#012")


def fields(line: bytes) -> dict[str, Any]:
    """The fields of a journal entry; none if it is not one."""
    if not line.startswith(b"{"):
        return {}
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _bytes(value: Any) -> bytes:
    """A field's bytes; ValueError or TypeError if it has none."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if not isinstance(value, list):
        raise TypeError(value)
    return _bytes(value[0]) if value and not isinstance(value[0], int) else bytes(value)


def _word(entry: dict[str, Any], *names: str, default: bytes) -> bytes:
    """The first of these fields that is there, as one word."""
    for name in names:
        try:
            if found := _bytes(entry[name]):
                return _SPACE.sub(b"_", found)
        except (KeyError, TypeError, ValueError):
            continue
    return default


_SPACE = re.compile(rb"[\s\0]")
