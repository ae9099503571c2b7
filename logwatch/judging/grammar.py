"""The grammar of a policy file: pyparsing expressions whose actions build the policy's parts.

White space, newlines included, only separates; `#` begins a comment. Whatever the grammar alone cannot tell (a signal
that does not exist, a window out of range) is refused as soon as it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

import pyparsing as pp

from logwatch.judging.exemptions import KINDS as EXEMPTIBLE
from logwatch.judging.expression import condition
from logwatch.judging.policy import (
    ACTIONS,
    BARE,
    BUILT,
    ENFORCE,
    MODES,
    NAME,
    QUOTED,
    WATCHED_ONLY,
    Exemption,
    File,
    Item,
    Let,
    Listed,
    Rule,
    unquoted,
)
from logwatch.judging.words import either, here, length, mark, refuse, regex, word, words
from logwatch.schema import KINDS

DURATION = (1, 365 * 86400)  # shortest and longest, in seconds
STATEMENTS = ("let", "exempt", "mode", "rule")
NO_LIST_NAMES = ("file", *STATEMENTS)

# What an element is called in messages, and the words that a near miss may have meant.
STATEMENT = either(STATEMENTS)
MORE = f"a comma and another item, or {STATEMENT}"
KIND = either(KINDS)
EXEMPT_KIND = either(EXEMPTIBLE)
PER = f'"per" (then {KIND})'
DOES = f"{either(BUILT)} (what the rule does)"
MODE = either(MODES)
WHEN = '"when"'
IN = '"in" (then the list, or items with commas between)'
FOR = '"for" and a duration such as 1h'
WORDS: dict[str, Collection[str]] = {
    STATEMENT: STATEMENTS,
    MORE: STATEMENTS,
    KIND: KINDS,
    EXEMPT_KIND: EXEMPTIBLE,
    PER: ("per",),
    WHEN: ("when",),
    DOES: BUILT,
    MODE: MODES,
    FOR: ("for",),
}
ITEM = "an address, a network or an account"
ITEM_OR_LIST = "an address, a network, an account or the name of a list"
_NAME = "a name (small letters, digits, hyphens)"


@dataclass(frozen=True)
class Mode:
    """A mode as written."""

    mode: str
    at: int


def _rule(text: str, at: int, tokens: pp.ParseResults) -> Rule:
    name, name_at, kind, condition, action, duration, *modes = tokens
    for mode in modes:
        if mode.mode == ENFORCE and kind in WATCHED_ONLY:
            refuse(text, mode.at, f"a rule per {kind} can only observe: no SMTP session is its own; write mode observe")
    mode = modes[0].mode if modes else Rule.mode
    return Rule(name, kind, condition, action, duration, mode, at=name_at, line=pp.lineno(at, text))


def _action(text: str, at: int, tokens: pp.ParseResults) -> None:
    if tokens[0] not in BUILT:
        refuse(text, at, f"{tokens[0]} is not built yet; known are {', '.join(BUILT)}")


def _items(plain: Callable[[str, int], Item | Listed], name: str) -> pp.ParserElement:
    """Items with commas between; `plain` says what one without quotes is."""
    path = regex(QUOTED, "the name of a file in quotes")
    file = (pp.Suppress(pp.Regex(r'file(?=[\s"#])')) - path).add_parse_action(lambda _, at, t: File(unquoted(t[0]), at))
    text = regex(QUOTED, name, lambda _text, at, tokens: Item(unquoted(tokens[0]), at))
    reserved = rf'(?!(?:{"|".join(STATEMENTS)})(?![^\s,#"]))'
    bare = regex(reserved + BARE, name, lambda _text, at, tokens: plain(tokens[0], at))
    item = (file | text | bare).set_name(name)
    follows = (words(STATEMENTS, STATEMENT) | pp.StringEnd()).set_name(MORE)
    items: pp.ParserElement = item + (mark(",", "a comma") - item)[...] - pp.FollowedBy(follows)
    return items


def _item(text: str, at: int) -> Item | Listed:
    return Listed(text, at) if re.fullmatch(NAME, text) else Item(text, at)


def _let(text: str, _at: int, tokens: pp.ParseResults) -> Let:
    name, at, *items = tokens
    if name in NO_LIST_NAMES:
        refuse(text, at, f'a list cannot be called "{name}", as "in {name}" would mean something else')
    return Let(name, tuple(items), at)


def _exemption(_text: str, _at: int, tokens: pp.ParseResults) -> Exemption:
    kind, *items = tokens
    return Exemption(kind, tuple(items))


def _misplaced(text: str, at: int, _tokens: pp.ParseResults) -> NoReturn:
    refuse(text, at, "the mode of the whole policy stands before the first rule, and only once")


@lru_cache(maxsize=8)
def grammar(signals: tuple[str, ...]) -> pp.ParserElement:
    """The grammar of a policy file; its tokens are Let, Exemption, Rule, and at most one Mode."""
    name = regex(rf"{NAME}(?![\w-])", _NAME)
    named = (here() + name).add_parse_action(lambda _text, _at, tokens: [tokens[1], tokens[0]])
    mode = word("mode") - (words(MODES, MODE)).add_parse_action(lambda _text, at, tokens: Mode(tokens[0], at))
    let = (word("let") - named - mark("=", "=") - _items(Item, ITEM)).add_parse_action(_let)
    exempt = word("exempt") - words(EXEMPTIBLE, EXEMPT_KIND) - word("in", IN) - _items(_item, ITEM_OR_LIST)
    exempt.add_parse_action(_exemption)
    head = word("rule") - named - word("per", PER) - words(KINDS, KIND) - mark(":", "a colon") - word("when", WHEN)
    when = condition(signals, (*ACTIONS, *STATEMENTS))
    deed = words(ACTIONS, DOES, _action) - word("for", FOR) - length(DURATION, "a duration such as 10m or 1h")
    rule = (head - when - deed - pp.Opt(mode)).add_parse_action(_rule)
    lists = (let | exempt)[...]
    misplaced = word("mode").add_parse_action(_misplaced)
    body = (let | exempt | rule | misplaced)[...]
    policy: pp.ParserElement = lists + pp.Opt(mode) + body - pp.StringEnd().set_name(STATEMENT)
    policy.ignore(pp.Suppress(pp.Regex("#[^\n]*"))).parse_with_tabs()
    return policy.streamline()  # here, as a grammar half prepared (for want of stack) must not stay in the cache
