"""The parts that log lines of every dialect are made of.

Three rules keep text that a stranger wrote from becoming evidence:

1. a field ends where its successor, fixed by the MTA, begins, never at the first comma;
2. what may hold such a successor in quotes (addresses) is read with its quotes;
3. a line must match to its very end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyparsing as pp

from logwatch.reading.stamp import SYSLOG_STAMP

END = r"\r?\n"  # lines are scanned with their newline, of which only this look-ahead takes notice


def lit(text: str) -> pp.ParserElement:
    """Fixed text."""
    return pp.Literal(text)


def rx(pattern: str, column: str = "", words: str = "") -> pp.ParserElement:
    """What matches `pattern` (no capturing group, no newline), kept as `column` if it has a name.

    `words` say what is meant to whoever asks why a line is not understood (`explain`). Classes are ASCII's: to
    pyparsing a log is bytes read as Latin-1, in which no other letter or blank is meant.
    """
    element = pp.Regex(pattern, flags=re.ASCII)
    element.words = words  # type: ignore[attr-defined]
    return element.set_results_name(column) if column else element


def opt(*parts: pp.ParserElement) -> pp.ParserElement:
    """Parts that stand there together or not at all."""
    return pp.Opt(seq(*parts))


def seq(*parts: pp.ParserElement) -> pp.ParserElement:
    """Parts one after the other."""
    return pp.And(list(parts)) if len(parts) > 1 else parts[0]


def first(*alternatives: pp.ParserElement) -> pp.ParserElement:
    """The first alternative that matches; the others are not tried again."""
    return pp.MatchFirst(list(alternatives))


def until(stop: str, column: str = "") -> pp.ParserElement:
    """Everything before the first place where `stop` matches; `stop` starts with a literal character.

    Leaps from one candidate to the next instead of looking ahead at every character.
    """
    return rx(_until(stop), column)


def _until(stop: str) -> str:
    head = stop[:2] if stop[0] == "\\" else stop[0]
    return rf"[^{head}\r\n]*+" + many(rf"{head}(?!{stop[len(head) :]})[^{head}\r\n]*+")


def many(pattern: str, times: str = "*") -> str:
    """`pattern` so many times, never to be matched in another way.

    Not `(?:…)*+`: up to Python 3.11.4, Debian 12's among them, `re` then goes on from where the last attempt failed,
    not from where it began (CPython issues 100061, 106052).
    """
    return rf"(?>(?:{pattern}){times})"


def rest(column: str = "") -> pp.ParserElement:
    """Everything to the end of the line."""
    return rx(r"[^\r\n]*", column)


def end() -> pp.ParserElement:
    """The end of the line, not taken."""
    return rx(rf"(?={END})", words="the end of the line")


def address(successor: str, column: str) -> pp.ParserElement:
    """An address up to the `>` before `successor`.

    A `>` inside a quoted local part is part of it. Postfix before 3.5 logged addresses without their quotes: where
    quotes do not come out even, the first successor ends the address.
    """
    quoted = many(rf"{QUOTED}|" + r'[^">\r\n]++') + rf"(?=>{successor})"
    return rx(rf"{quoted}|{_until(f'>{successor}')}", column)


QUOTED = '"' + many(r'[^"\\\r\n]++|\\[^\r\n]') + '"'
IPV4_OR_6 = r"[0-9A-Fa-f:.]+"


def header() -> pp.ParserElement:
    """What stands before the program: PRI and version (RFC 5424) if any, stamp, host; lines without any pass too."""
    return seq(
        opt(rx(r"<[0-9]{1,3}>(?:1 )?", words="a priority, such as <22>")),
        opt(rx(SYSLOG_STAMP, "stamp"), lit(" "), rx(r"[^ \r\n]+", "host"), lit(" ")),
    )


# Solaris numbers its messages; RFC 5424 has a message id, structured data, and sometimes a byte order mark.
_AFTER_PID = (
    r"\]: (?!\[ID )|\]: (?:\[ID [0-9]{1,10} [a-z0-9]+\.[a-z]+\] )?"
    r"| [^ \r\n]+ (?:-|(?:\[(?:[^\]\\\r\n]|\\[^\r\n])*\])+) (?:\xef\xbb\xbf)?"
)


def pid() -> pp.ParserElement:
    """The process id after a program's name, and what stands before the text: `[42]: `, or ` 42 - - ` (RFC 5424)."""
    return seq(
        rx(r"[\[ ]", words="a process id, such as [42]: "),
        rx(r"[0-9]{1,10}", "pid"),
        rx(_AFTER_PID, words="']: ' after the process id"),
    )


def nothing_of(starts: Sequence[pp.ParserElement]) -> list[pp.ParserElement]:
    """That none of `starts` stands here."""
    return [pp.NotAny(first(*starts))] if starts else []


def keep_all(element: pp.ParserElement) -> pp.ParserElement:
    """The element, all of whose columns are kept when it is compiled, wanted or not: they are to be translated."""
    element.keep_all = True  # type: ignore[attr-defined]
    return element
