"""Lines by which a logger says that a line came again, and how often.

    … mx1 postfix/smtpd[42]: message repeated 3 times: [ connect from … ]    rsyslog, since 4
    … mx1 last message repeated 3 times                                      syslogd of BSD, Solaris, Linux of old
    … mx1 syslogd: last message repeated 3 times                             FreeBSD's, since 12
    … mx1 postfix/smtpd[42]: last message repeated 3 times                   rsyslog before that

The last three mean the line before them in the same file, whatever program wrote it: they are put as rsyslog puts them
now, while it is still known which file a line comes from (`spelled_out`). They count for nothing where the line before
is another host's or another process's, as it is where many hosts share a file, or where the file begins: the scanner
counts them as unreadable. Nobody but a logger can write one: all other text stands behind a program's name.
"""

from __future__ import annotations

import re

from logwatch.reading.stamp import SYSLOG_STAMP

_HOST = rf"(?:<[0-9]{{1,3}}>(?:1 )?)?(?:(?:{SYSLOG_STAMP}) [^ \r\n]+ )"
# a program's name, its process, and what Solaris or RFC 5424 put before the text
_PROGRAM = (
    r"[^ :\[\]\r\n]+(?:(?:\[[0-9]{1,10}\])?: (?:\[ID [0-9]{1,10} [a-z0-9]+\.[a-z]+\] )?"
    r"| [0-9]{1,10} [^ \r\n]+ (?:-|(?:\[(?:[^\]\\\r\n]|\\[^\r\n])*\])+) (?:\xef\xbb\xbf)?)"
)

# what rsyslog writes: header, number, line
REPEATED = re.compile(
    rf"^((?:{_HOST})?{_PROGRAM})message repeated ([0-9]{{1,18}}) times: \[ ?([^\n]*?)\](?=\r?\n)".encode("latin-1"),
    re.MULTILINE,
)
_MARK = b"last message repeated "  # found by itself before any expression is asked
_LAST = re.compile(
    rf"^(?P<host>{_HOST})(?:syslogd(?:\[[0-9]+\])?: |(?P<program>{_PROGRAM}))?"
    rf"last message (?P<times>repeated [0-9]{{1,18}} times)(?P<end>\r?\n)".encode("latin-1"),
    re.MULTILINE,
)
_LINE = re.compile(rf"(?P<host>{_HOST})(?P<program>{_PROGRAM})(?P<text>[^\r\n]*)\r?\n".encode("latin-1"))


def last_line(lines: bytes) -> bytes:
    """The last of whole lines; b"" of none."""
    return lines[lines.rfind(b"\n", 0, -1) + 1 :]


def spelled_out(lines: bytes, last: bytes) -> tuple[bytes, bytes]:
    """Whole lines of one file with what was repeated in them, and the line that the next may repeat.

    `last` is the line that the first may repeat.
    """
    if _MARK not in lines:
        return lines, last_line(lines) or last
    pieces, done, end = [], 0, 0
    for told in _LAST.finditer(lines):
        if told.start() > end:
            last = last_line(lines[end : told.start()])
        end = told.end()
        if said := _said(told, last):
            pieces += [lines[done : told.start()], said]
            done = end
    return b"".join([*pieces, lines[done:]]), last_line(lines[end:]) or last


def untold(chunk: bytes) -> int:
    """How many lines repeat one that is not known."""
    return sum(1 for _ in _LAST.finditer(chunk))


def _said(told: re.Match[bytes], last: bytes) -> bytes:
    """What rsyslog would have written; b"" where the last line is not what is meant."""
    line = _LINE.fullmatch(last)
    if line is None or _name(line["host"]) != _name(told["host"]) or told["program"] not in {None, line["program"]}:
        return b""
    return b"%b%bmessage %b: [ %b]%b" % (told["host"], line["program"], told["times"], line["text"], told["end"])


def _name(host: bytes) -> bytes:
    return host.rsplit(b" ", 2)[1]
