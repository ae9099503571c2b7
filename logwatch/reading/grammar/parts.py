"""The parts that log lines of every dialect are made of.

Three rules keep text that a stranger wrote from becoming evidence:

1. a field ends where its successor, fixed by the MTA, begins, never at the first comma;
2. what may hold such a successor in quotes (addresses) is read with its quotes;
3. a line must match to its very end.
"""

from __future__ import annotations

import re

import pyparsing as pp

END = r"\r?\n"  # lines are scanned with their newline, of which only this look-ahead takes notice


def lit(text: str) -> pp.ParserElement:
    """Fixed text."""
    return pp.Literal(text)


def rx(pattern: str, column: str = "") -> pp.ParserElement:
    """What matches `pattern` (no capturing group, no newline), kept as `column` if it has a name.

    Classes are ASCII's: to pyparsing a log is bytes read as Latin-1, in which no other letter or blank is meant.
    """
    element = pp.Regex(pattern, flags=re.ASCII)
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
    head = stop[:2] if stop[0] == "\\" else stop[0]
    return rx(rf"[^{head}\r\n]*(?:{head}(?!{stop[len(head) :]})[^{head}\r\n]*)*", column)


def rest(column: str = "") -> pp.ParserElement:
    """Everything to the end of the line."""
    return rx(r"[^\r\n]*", column)


def end() -> pp.ParserElement:
    """The end of the line, not taken."""
    return rx(rf"(?={END})")


def address(successor: str, column: str) -> pp.ParserElement:
    """An address up to the `>` before `successor`.

    A `>` inside a quoted local part is part of it. Postfix before 3.5 logged addresses without their quotes: where
    quotes do not come out even, the first successor ends the address.
    """
    quoted = rf'(?:"(?:[^"\\\r\n]|\\[^\r\n])*"|[^">\r\n])*(?=>{successor})'
    return rx(rf"{quoted}|[^>\r\n]*(?:>(?!{successor})[^>\r\n]*)*", column)


IPV4_OR_6 = r"[0-9A-Fa-f:.]+"

BSD_STAMP = r"[A-Z][a-z]{2} [ 0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
ISO_STAMP = (
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:[.,][0-9]{1,9})?(?:Z|[+-][0-2][0-9]:?[0-5][0-9])"
)


def header() -> pp.ParserElement:
    """What syslog puts before program and text: stamp and host."""
    return seq(rx(f"{BSD_STAMP}|{ISO_STAMP}", "stamp"), lit(" "), rx(r"[^ \r\n]+", "host"), lit(" "))


def pid() -> pp.ParserElement:
    """The process id after a program's name, and the colon."""
    return seq(lit("["), rx(r"[0-9]{1,10}", "pid"), lit("]: "))
