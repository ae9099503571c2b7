"""What each part of one log line is, or where its reading stops and what was expected there: pyparsing tells.

Every token of the grammar reports where it matched and where it did not. What an alternative had matched before it was
given up is dropped when the next one matches from the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyparsing as pp

from logwatch.reading.grammar import OTHER, UNREADABLE, line

_TOKENS = (pp.Regex, pp.Literal)


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
        if begin == self.stop and (wanted := _wanted(token)) not in self.expected:
            self.expected.append(wanted)

    def _return_to(self, begin: int) -> None:
        while self.pieces and self.pieces[-1].begin >= begin:
            self.pieces.pop()


def _nothing(*_: Any) -> None:
    """Attempts are not told: their outcomes are."""


def _wanted(token: pp.ParserElement) -> str:
    if isinstance(token, pp.Regex):
        return f"{token.resultsName or 'what matches'} {token.pattern}"
    return repr(getattr(token, "match"))  # noqa: B009 - not in pyparsing's stubs
