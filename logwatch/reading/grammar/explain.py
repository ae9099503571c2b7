"""What each part of one log line is, or where its reading stops and what was expected there: pyparsing tells.

What was expected is said in words: fixed text as it is, a column by its name and what it looks like, everything else
in the words that the grammar has for it.

Every token of the grammar reports where it matched and where it did not. What an alternative had matched before it was
given up is dropped when the next one matches from the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyparsing as pp

from logwatch.reading.grammar import DIALECTS, OTHER, UNREADABLE, line

_TOKENS = (pp.Regex, pp.Literal)
PROGRAM = "a program: "

# What the columns look like that may be missing where they should stand.
_LOOKS = {
    "client_ip": "an address",
    "client_name": "a name",
    "client_port": "a number",
    "count": "a number",
    "delay": "seconds",
    "dsn": "such as 4.7.1",
    "host": "a name",
    "message_id": "an id",
    "mode": "enforce or observe",
    "nrcpt": "a number",
    "orig_queue_id": "letters and digits",
    "others": "more addresses",
    "peer": "a name or an address",
    "pid": "a number",
    "queue_id": "letters and digits",
    "recipient": "an address",
    "ref": "letters and digits",
    "reject_reason": "words",
    "relay_host": "a name",
    "relay_ip": "an address",
    "relay_port": "a number",
    "response": "letters and digits",
    "rule": "a rule's name",
    "sasl_method": "a word",
    "sender": "an address",
    "size": "a number",
    "smtp_code": "such as 550",
    "stage": "a word, such as RCPT",
    "stamp": "such as Nov 25 03:27:47 or 2026-11-25T03:27:47+01:00",
    "status": "a word, such as sent",
    "uid": "a number or a name",
    "unchecked": "why no password could be checked",
    "verdict": "a word, such as tempfail",
}


@dataclass(frozen=True)
class Piece:
    """A part of the line: its column ("" for fixed text) and where it stands."""

    column: str
    begin: int
    end: int


@dataclass(frozen=True)
class Explanation:
    """How a line was read.

    `event` is "" where it is none; `dialect` where not even the program is known. `meant` is the event that a broken
    line should have been. `stop` is how far the best attempt came, `expected` what it wanted there.
    """

    text: str
    pieces: list[Piece]
    dialect: str = ""
    event: str = ""
    meant: str = ""
    stop: int = 0
    expected: list[str] = field(default_factory=list)


def explain(text: str) -> Explanation:
    """Read one line, without its newline: bytes as Latin-1, as pyparsing gets them."""
    record = _Record()
    grammar = line()
    for element in grammar.visit_all():  # type: ignore[no-untyped-call]
        if isinstance(element, _TOKENS):
            element.set_debug_actions(_nothing, record.matched, record.failed)
    try:
        found = grammar.parse_string(text + "\n")
    except pp.ParseException:
        return Explanation(text, record.best, stop=record.stop, expected=record.expected)
    dialect, event, *meant = found["event"].split()
    if event in (OTHER, UNREADABLE):
        return Explanation(text, record.best, dialect, meant="".join(meant), stop=record.stop, expected=record.expected)
    return Explanation(text, record.pieces, dialect, event)


class _Record:
    """The tokens of the way on which the line was read, and those of the way that came furthest before it failed."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.best: list[Piece] = []
        self.stop = -1
        self.expected: list[str] = []

    def matched(self, _: str, begin: int, end: int, token: pp.ParserElement, *_rest: Any) -> None:
        self._return_to(begin)
        if end > begin:
            self.pieces.append(Piece(token.resultsName or "", begin, end))

    def failed(self, _: str, begin: int, token: pp.ParserElement, *_rest: Any) -> None:
        self._return_to(begin)
        if begin > self.stop:
            self.stop, self.best, self.expected = begin, list(self.pieces), []
        if begin == self.stop and (words := wanted(token)) and words not in self.expected:
            self.expected.append(words)

    def _return_to(self, begin: int) -> None:
        while self.pieces and self.pieces[-1].begin >= begin:
            self.pieces.pop()


def _nothing(*_: Any) -> None:
    """Attempts are not told: their outcomes are."""


def wanted(token: pp.ParserElement) -> str:
    """What a token wants, in words; "" where it only tells what is of no interest."""
    if not isinstance(token, pp.Regex):
        return repr(getattr(token, "match"))  # noqa: B009 - not in pyparsing's stubs
    words = str(getattr(token, "words"))  # noqa: B009
    column, pattern = token.resultsName, str(token.pattern)
    if column == "prefix":
        return PROGRAM + words
    if column == "daemon":
        return PROGRAM + ", ".join(pattern.split("|"))
    if column:
        return f"{column}: {words or _LOOKS[column]}"
    return words or _beginnings()[pattern]


@cache
def _beginnings() -> dict[str, str]:
    """Words for what has none of its own: how kinds of lines begin, and those that say nothing of mail ("")."""
    found: dict[str, str] = {}
    for dialect in DIALECTS:
        silent = ("", getattr(dialect, "SILENT", pp.Empty()), None)
        for event, start, _ in (silent, *(kind for kinds in dialect.KINDS.values() for kind in kinds)):
            for token in start.visit_all():
                if isinstance(token, pp.Regex):
                    found.setdefault(str(token.pattern), event and f"the beginning of {event}")
    return found
