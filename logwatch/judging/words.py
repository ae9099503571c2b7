"""The smallest parts of the policy language's grammar, and how reading stops at what is wrong.

Every refusal is a ParseSyntaxException, which no alternative catches, so that nothing is ever read twice.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, NoReturn

import pyparsing as pp

from enforce.checks import UNITS
from logwatch.judging.conditions import span

Action = Callable[[str, int, pp.ParseResults], Any]


def refuse(text: str, at: int, problem: str) -> NoReturn:
    """Stop reading; a problem that begins with `Expected` is completed with what was found at the offset."""
    raise pp.ParseSyntaxException(text, at, problem)


def nearest(word: str, known: Iterable[str]) -> str:
    """A remedy for a misspelt word, or nothing."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f"; did you mean {close[0]}?" if close and close[0] != word else ""


def either(words: Collection[str]) -> str:
    """The words as prose: a, b or c."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def regex(pattern: str, name: str, action: Action | None = None) -> pp.ParserElement:
    """A regular expression, and what it is called in messages."""
    element = pp.Regex(pattern).set_name(name)
    return element.add_parse_action(action) if action else element


def words(choice: Iterable[str], name: str, action: Action | None = None) -> pp.ParserElement:
    """One of some words, as a whole; its token is the word."""
    return regex(rf"(?:{'|'.join(choice)})(?![\w-])", name, action)


def word(one: str, name: str = "") -> pp.ParserElement:
    """A word that is only there to be read; without a token."""
    return pp.Suppress(words([one], name or one))


def mark(character: str, name: str) -> pp.ParserElement:
    """A punctuation mark, without a token."""
    return pp.Suppress(regex(re.escape(character), name))


def here() -> pp.ParserElement:
    """Nothing, at the start of what comes next; its token is the offset."""
    return pp.Empty().add_parse_action(lambda _text, at, _tokens: at)


def length(limits: tuple[int, int], name: str) -> pp.ParserElement:
    """A length of time as seconds, refused beyond the limits."""
    shortest, longest = limits

    def seconds(text: str, at: int, tokens: pp.ParseResults) -> int:
        length = int(tokens[0][:-1]) * UNITS[tokens[0][-1]]
        if not shortest <= length <= longest:
            what = name.partition(" such")[0]
            refuse(text, at, f'expected {what} from {span(shortest)} to {span(longest)}, found "{tokens[0]}"')
        return length

    return regex(r"[1-9][0-9]{0,8}[smhdw](?![\w.])", name, seconds)
