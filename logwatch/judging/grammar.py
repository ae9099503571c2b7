"""The grammar of a policy file: pyparsing expressions whose actions build the policy's parts.

White space, newlines included, only separates; `#` begins a comment. Whatever the grammar alone cannot tell (a signal
that does not exist, a window out of range) is refused as soon as it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NoReturn

import pyparsing as pp

from logwatch.judging import dnsbl
from logwatch.judging.conditions import Condition
from logwatch.judging.dnsbl import Dnsbl
from logwatch.judging.exemptions import KINDS as EXEMPTIBLE
from logwatch.judging.expression import WINDOW, condition
from logwatch.judging.policy import (
    BARE,
    ENFORCE,
    MODES,
    NAME,
    OBSERVE,
    OTHERS,
    QUOTED,
    UNITS,
    WATCHED_ONLY,
    Ceiling,
    Deed,
    Exemption,
    File,
    Guard,
    Item,
    Let,
    Listed,
    Price,
    Rule,
    Scope,
    Score,
    Target,
    unquoted,
)
from logwatch.judging.words import either, here, length, mark, refuse, regex, word, words
from logwatch.schema import ACTIONS, KINDS

DURATION = (1, 365 * 86400)  # shortest and longest, in seconds
STATEMENTS = ("let", "exempt", "price", "score", "cap", "guard", "mode", "rule")
MOST_GUARDED = 20  # percent of the active accounts
NO_LIST_NAMES = ("file", "dnsbl", *STATEMENTS)

# What an element is called in messages, and the words that a near miss may have meant.
STATEMENT = either(STATEMENTS)
MORE = f"a comma and another item, or {STATEMENT}"
KIND = either(KINDS)
EXEMPT_KIND = either(EXEMPTIBLE)
PER = f'"per" (then {KIND})'
DOES = f"{either(ACTIONS)} (what the rule does)"
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
    DOES: ACTIONS,
    MODE: MODES,
    FOR: ("for",),
}
ITEM = "an address, a network or an account"
ITEM_OR_LIST = "an address, a network, an account or the name of a list"
ZONE = 'a DNS block list in quotes such as "zen.spamhaus.org"'
COUNTRY = "a country in two capital letters such as DE, or others"
SCOPED = "the name of a list, an account or address in quotes, or file"
GUARDED = "a number of accounts such as 30, or a percentage such as 5%"
_AMOUNT = "a whole number"
_NAME = "a name (small letters, digits, hyphens)"


@dataclass(frozen=True)
class Mode:
    """A mode as written, and for how many keys in a hundred it is."""

    mode: str
    at: int
    percent: int = 100


@dataclass(frozen=True)
class _Stays:
    condition: Condition


@dataclass(frozen=True)
class _Longest:
    seconds: int


def _rule(text: str, at: int, tokens: pp.ParseResults) -> Rule:
    name, name_at, kind, *rest = tokens
    found: dict[type, Any] = {type(token): token for token in rest}
    mode = found.get(Mode, Mode(OBSERVE, at))
    if Scope in found and kind not in EXEMPTIBLE:
        refuse(text, name_at, f"a rule per {kind} concerns everything: it cannot be for some of it only")
    if mode.mode == ENFORCE and kind in WATCHED_ONLY:
        refuse(text, mode.at, f"a rule per {kind} can only observe: no SMTP session is its own; write mode observe")
    if mode.mode == OBSERVE and mode.percent < 100:
        refuse(text, mode.at, "only enforce can be for a part of the keys")
    deed, duration = found[Deed], found[int]
    condition = next(token for token in rest if isinstance(token, Condition))
    stays, longest = found.get(_Stays), found.get(_Longest)
    if longest and longest.seconds <= duration:
        refuse(text, name_at, f"the duration of {name} can double only to a longer one than it begins with")
    return Rule(
        name,
        kind,
        condition,
        deed,
        duration,
        mode.mode,
        mode.percent,
        stays.condition if stays else None,
        longest.seconds if longest else None,
        found.get(Scope),
        at=name_at,
        line=pp.lineno(at, text),
    )


def _deed() -> pp.ParserElement:
    """An action with what it needs to know."""
    amount = regex(r"[1-9][0-9]{0,8}(?![\w.])", f"{_AMOUNT}, at least 1", lambda _text, _at, tokens: int(tokens[0]))
    unit = pp.Opt(words(UNITS, either(UNITS)), default=UNITS[0])
    target = word("to", '"to" and what is let through, such as 20 per 1h') - amount - unit - word("per", '"per"')
    target = (target - length(WINDOW, "a window such as 10m, 1h or 7d")).add_parse_action(lambda t: Target(*t))
    throttle = word("throttle") - target
    cap = word("cap") - amount - word("recipients", '"recipients"')
    others = words([action for action in ACTIONS if action not in ("throttle", "cap")], DOES)
    throttle.add_parse_action(lambda tokens: Deed("throttle", target=tokens[0]))
    cap.add_parse_action(lambda tokens: Deed("cap", recipients=tokens[0]))
    others.add_parse_action(lambda tokens: Deed(tokens[0]))
    return (throttle | cap | others).set_name(DOES)


def _scope() -> pp.ParserElement:
    """Whom of its kind a rule concerns."""
    path = regex(QUOTED, "the name of a file in quotes")
    file = (pp.Suppress(pp.Regex(r'file(?=[\s"#])')) - path).add_parse_action(lambda _, at, t: File(unquoted(t[0]), at))
    text = regex(QUOTED, SCOPED, lambda _text, at, tokens: Item(unquoted(tokens[0]), at))
    name = regex(rf"{NAME}(?![\w.-])", SCOPED, lambda _text, at, tokens: Listed(tokens[0], at))
    item = (file | text | name).set_name(SCOPED)
    inside = (words(["not"], "not") - word("in", IN) | word("in")).add_parse_action(lambda t: [not t])
    scope: pp.ParserElement = inside - item + (mark(",", "a comma") - item)[...]
    return scope.add_parse_action(lambda tokens: Scope(tuple(tokens[1:]), tokens[0]))


def _dnsbl(text: str, at: int, tokens: pp.ParseResults) -> Dnsbl:
    try:
        return dnsbl.read(unquoted(tokens[0]), at)
    except ValueError as error:
        refuse(text, at, str(error))


def _items(plain: Callable[[str, int], Item | Listed], name: str, *more: pp.ParserElement) -> pp.ParserElement:
    """Items with commas between; `plain` says what one without quotes is, `more` what else there may be."""
    path = regex(QUOTED, "the name of a file in quotes")
    file = (pp.Suppress(pp.Regex(r'file(?=[\s"#])')) - path).add_parse_action(lambda _, at, t: File(unquoted(t[0]), at))
    text = regex(QUOTED, name, lambda _text, at, tokens: Item(unquoted(tokens[0]), at))
    reserved = rf'(?!(?:{"|".join(STATEMENTS)})(?![^\s,#"]))'
    bare = regex(reserved + BARE, name, lambda _text, at, tokens: plain(tokens[0], at))
    item = pp.MatchFirst([*more, file, text, bare]).set_name(name)
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


def _ceiling() -> pp.ParserElement:
    """The cap for everybody."""
    amount = regex(r"[1-9][0-9]{0,5}(?![\w.])", f"{_AMOUNT}, at least 1", lambda _text, _at, tokens: int(tokens[0]))
    factor = regex(
        r"[1-9][0-9]{0,2}(?:\.[0-9]{1,3})?(?![\w.])", "a number such as 2", lambda _text, _at, t: float(t[0])
    )
    larger = (
        mark(",", "a comma") - word("or", '"or" and a multiple of the largest message, such as 2 * largest') - factor
    )
    larger = larger - regex("[*×]", "*").suppress() - word("largest", '"largest"')
    mode = word("mode") - words(MODES, MODE)
    begin = word("cap") - here() - word("per", '"per account"') - word("account", '"account": only they have a cap')
    whole: pp.ParserElement = begin - mark(":", "a colon") - amount - word("recipients", '"recipients"')
    return (whole - pp.Opt(larger, default=None) - pp.Opt(mode, default=OBSERVE)).add_parse_action(
        lambda t: Ceiling(t[1], t[2], t[3], t[0])
    )


def _guard() -> pp.ParserElement:
    """How many accounts may be newly denied within an hour."""

    def accounts(text: str, at: int, tokens: pp.ParseResults) -> int:
        if int(tokens[0]) == 0:
            refuse(text, at, "a guard of 0 would deny nobody: write mode observe before the first rule")
        return int(tokens[0])

    def percent(text: str, at: int, tokens: pp.ParseResults) -> int:
        found = int(tokens[0][:-1])
        if not 1 <= found <= MOST_GUARDED:
            most = f"{MOST_GUARDED}%: a guard of more would guard nothing"
            refuse(text, at, f"expected a percentage from 1% to {most}; write a number of accounts such as 500")
        return found

    share = regex(r"[0-9]{1,3}%", "a percentage such as 5%", percent)
    number = regex(r"[0-9]{1,6}(?![\w.%])", GUARDED, accounts)
    larger = (mark(",", "a comma") - word("or", '"or" and a percentage such as 5%') | word("or")) - share.copy()
    alone = share.copy().add_parse_action(lambda tokens: Guard(percent=tokens[0]))
    both = (number - pp.Opt(larger, default=None)).add_parse_action(lambda tokens: Guard(tokens[0], tokens[1]))
    whole: pp.ParserElement = word("guard") - here() - (alone | both).set_name(GUARDED)
    return whole.add_parse_action(lambda tokens: replace(tokens[1], at=tokens[0]))


def _misplaced(text: str, at: int, _tokens: pp.ParseResults) -> NoReturn:
    refuse(text, at, "the mode of the whole policy stands before the first rule, and only once")


@lru_cache(maxsize=8)
def grammar(signals: tuple[str, ...]) -> pp.ParserElement:
    """The grammar of a policy file; its tokens are Let, Exemption, Ceiling, Guard, Rule, and at most one Mode."""
    name = regex(rf"{NAME}(?![\w-])", _NAME)
    named = (here() + name).add_parse_action(lambda _text, _at, tokens: [tokens[1], tokens[0]])
    mode = word("mode") - (words(MODES, MODE)).add_parse_action(lambda _text, at, tokens: Mode(tokens[0], at))
    duration = length(DURATION, "a duration such as 10m or 1h")
    amount = regex("[0-9]{1,6}(?![0-9.])", _AMOUNT, lambda _text, _at, tokens: int(tokens[0]))
    country = regex(rf"[A-Z]{{2}}(?![\w])|{OTHERS}(?![\w])", COUNTRY)
    price = word("price") - here() - amount - word("for", '"for"') - country + (mark(",", "a comma") - country)[...]
    price.add_parse_action(lambda tokens: Price(tokens[1], tuple(tokens[2:]), tokens[0]))
    asked = pp.Suppress(pp.Regex(r'dnsbl(?=[\s"#])')) - regex(QUOTED, ZONE).add_parse_action(_dnsbl)
    score = word("score") - amount - word("for", '"for"') - _items(_item, ITEM_OR_LIST, asked)
    score.add_parse_action(lambda tokens: Score(tokens[0], tuple(tokens[1:])))
    let = (word("let") - named - mark("=", "=") - _items(Item, ITEM)).add_parse_action(_let)
    exempt = word("exempt") - words(EXEMPTIBLE, EXEMPT_KIND) - word("in", IN) - _items(_item, ITEM_OR_LIST)
    exempt.add_parse_action(_exemption)
    per = word("per", PER) - words(KINDS, KIND) - pp.Opt(_scope()) - mark(":", "a colon")
    when = word("when", WHEN) - condition(signals, (*ACTIONS, *STATEMENTS, "while"))
    stays = word("while") - condition(signals, (*ACTIONS, *STATEMENTS)).add_parse_action(lambda t: _Stays(t[0]))
    doubling = mark(",", "a comma") - word("doubling", '"doubling to" and a duration') - word("to") - duration.copy()
    doubling.add_parse_action(lambda tokens: _Longest(tokens[0]))
    deed = _deed() - word("for", FOR) - duration - pp.Opt(doubling)
    percent = regex("[1-9][0-9]?%", "a percentage", lambda _text, _at, tokens: int(tokens[0][:-1]))
    some = (mode + pp.Opt(percent)).add_parse_action(lambda t: Mode(t[0].mode, t[0].at, *t[1:]))
    rule = (word("rule") - named - per - when - pp.Opt(stays) - deed - pp.Opt(some)).add_parse_action(_rule)
    ceiling, guard = _ceiling(), _guard()
    lists = (let | exempt | price | score | ceiling | guard)[...]
    misplaced = word("mode").add_parse_action(_misplaced)
    body = (let | exempt | price | score | ceiling | guard | rule | misplaced)[...]
    policy: pp.ParserElement = lists + pp.Opt(mode) + body - pp.StringEnd().set_name(STATEMENT)
    policy.ignore(pp.Suppress(pp.Regex("#[^\n]*"))).parse_with_tabs()
    return policy.streamline()  # here, as a grammar half prepared (for want of stack) must not stay in the cache
