"""The grammar of what stands behind `when`.

Conditions and numbers share one grammar, since an opening parenthesis does not tell which of the two follows; checks
on the operands tell them apart. In `a / b in 1h` the window goes for both. Parentheses are grammars within grammars,
`NESTING` of them, so that no text can make the parser recurse deeper.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import pyparsing as pp

from logwatch.judging.conditions import (
    And,
    AtLeast,
    Binary,
    Compare,
    Condition,
    Expression,
    Node,
    Not,
    Number,
    Or,
    Rate,
)
from logwatch.judging.words import Action, here, length, mark, nearest, refuse, regex, word, words
from logwatch.schema import MOMENTS, USUAL

NESTING = 10  # parentheses within each other
DEPTH = 40  # operations within each other
WINDOW = (60, 7 * 86400)  # shortest and longest, in seconds

_COMPARISON = "a comparison (>, >=, <, <=, == or !=)"
_IN_WINDOW = '"in" and a window such as 10m, 1h or 7d'
_OPERAND = "a signal such as recipients, a number or an opening parenthesis"


_THE_USUAL = Rate(USUAL, 0)  # until it is known of which rate
_ALONE = {"usual": _THE_USUAL, **{name: Rate(name, 0) for name in MOMENTS}}


@dataclass(frozen=True)
class _Part:
    """A node, or a signal still without its window (str); where it starts, and where the next word does."""

    node: Node | str
    start: int
    after: int
    depth: int = 0


def _signal(signals: Collection[str], reserved: Collection[str]) -> pp.ParserElement:
    others = "|".join(("and", "or", "not", "in", "of", "for", *reserved))

    def known(text: str, at: int, tokens: pp.ParseResults) -> None:
        if tokens[0] not in signals and tokens[0] not in _ALONE:
            remedy = nearest(tokens[0], signals) or f"; known are {', '.join(signals)}"
            refuse(text, at, f'unknown signal "{tokens[0]}"{remedy}')

    return regex(rf"(?!(?:{others})(?![\w-]))[A-Za-z_]\w*", _OPERAND, known)


def _rate(text: str, at: int, tokens: pp.ParseResults) -> Rate | str:
    name, *window = tokens
    if name not in _ALONE:
        return Rate(name, *window) if window else str(name)
    if window:
        refuse(text, at, f"{name} is no count and has no window")
    return _ALONE[name]


def _operand(signals: Collection[str], reserved: Collection[str]) -> pp.ParserElement:
    number = regex(r"[0-9]{1,15}(?:\.[0-9]{1,15})?(?![\w.])", _OPERAND, lambda _text, _at, t: Number(float(t[0])))
    window = length(WINDOW, "a window such as 10m, 1h or 7d")
    return number | (_signal(signals, reserved) + pp.Opt(word("in") - window)).add_parse_action(_rate)


def _part(_text: str, at: int, tokens: pp.ParseResults) -> _Part:
    found, after = tokens
    return replace(found, start=at, after=after) if isinstance(found, _Part) else _Part(found, at, after)


def _product(text: str, at: int, tokens: pp.ParseResults) -> _Part:
    """A share's first signal takes the window of its second; no other may be without."""
    found = list(tokens)
    for i in reversed(range(0, len(found), 2)):
        if isinstance(found[i].node, str):
            share = found[i + 1 : i + 2] == ["/"] and isinstance(found[i + 2].node, Rate)
            if not share:
                refuse(text, found[i].after, f"Expected {_IN_WINDOW}")
            found[i] = replace(found[i], node=Rate(found[i].node, found[i + 2].node.window_seconds))
    return _calculated(text, at, found)


def _calculated(text: str, _at: int, tokens: Iterable[Any]) -> _Part:
    result: _Part
    result, *rest = tokens
    for op, right in zip(rest[::2], rest[1::2], strict=True):
        node = Binary(op, _number(text, result), _number(text, right))
        result = _joined(text, node, result, right)
    return result


def _compared(text: str, _at: int, tokens: pp.ParseResults) -> _Part:
    left: _Part = tokens[0]
    if len(tokens) == 1:
        return left
    op, right = tokens[1:]
    comparison = Compare(op, _number(text, left), _number(text, right))
    if _THE_USUAL in comparison.rates():
        comparison = _with_usual(comparison, text, left)
    return _joined(text, comparison, left, right)


def _with_usual(comparison: Compare, text: str, part: _Part) -> Compare:
    """The comparison with `usual` understood as that of the only rate in it."""
    counted = [rate for rate in comparison.rates() if rate.window_seconds]
    if len(counted) != 1 or comparison.rates() & {*_ALONE.values()} != {_THE_USUAL}:
        refuse(text, part.start, "usual is compared with one rate, as in recipients in 1h > 5 * usual")
    usual = Rate(USUAL + counted[0].signal, counted[0].window_seconds)
    return Compare(comparison.op, _understood(comparison.left, usual), _understood(comparison.right, usual))


def _understood(expression: Expression, usual: Rate) -> Expression:
    if isinstance(expression, Binary):
        return replace(expression, left=_understood(expression.left, usual), right=_understood(expression.right, usual))
    return usual if expression == _THE_USUAL else expression


def _votes(text: str, at: int, tokens: pp.ParseResults) -> _Part:
    count, *parts = tokens
    if not 1 <= count <= len(parts):
        refuse(text, at, f"expected a number from 1 to {len(parts)}, as so many conditions follow, found {count}")
    return _joined(text, AtLeast(tuple(_condition(text, part) for part in parts), count), *parts)


def _negated(text: str, _at: int, tokens: pp.ParseResults) -> _Part:
    result: _Part
    *negations, result = tokens
    for _ in negations:
        result = _joined(text, Not(_condition(text, result)), result, result)
    return result


def _joins(join: type[And | Or]) -> Action:
    def joined(text: str, _at: int, tokens: pp.ParseResults) -> _Part:
        first: _Part = tokens[0]
        if len(tokens) == 1:
            return first
        return _joined(text, join(tuple(_condition(text, part) for part in tokens)), *tokens)

    return joined


def _joined(text: str, node: Node, *parts: _Part) -> _Part:
    depth = 1 + max(part.depth for part in parts)
    if depth > DEPTH:
        refuse(text, parts[-1].start, f"expected at most {DEPTH} operations within each other, found more")
    return _Part(node, parts[0].start, parts[-1].after, depth)


def _number(text: str, part: _Part) -> Expression:
    if not isinstance(part.node, Expression):
        refuse(text, part.start, "expected a number to calculate or compare with, found a condition")
    return part.node


def _condition(text: str, part: _Part) -> Condition:
    if not isinstance(part.node, Condition):
        refuse(text, part.after, f"Expected {_COMPARISON}")
    return part.node


def _whole(text: str, at: int, tokens: pp.ParseResults) -> Condition:
    condition = _condition(text, tokens[0])
    if not condition.rates():
        refuse(text, at, "expected a condition with a signal in it, found only numbers")
    return condition


def _too_deep(text: str, at: int, _tokens: pp.ParseResults) -> NoReturn:
    refuse(text, at, f"expected at most {NESTING} parentheses within each other, found more")


def _expression(operand: pp.ParserElement, nesting: int = NESTING) -> pp.ParserElement:
    """Everything that may stand in parentheses, loosest operator last."""
    inner = _expression(operand, nesting - 1) if nesting else pp.Empty().add_parse_action(_too_deep)
    parentheses = mark("(", _OPERAND) - inner - mark(")", "a closing parenthesis")
    count = regex(r"[0-9]{1,2}(?=\s+of(?![\w-]))", _OPERAND, lambda _text, _at, tokens: int(tokens[0]))
    several = mark("(", "an opening parenthesis") - inner + (mark(",", "a comma") - inner)[...]
    votes = (count + word("of") - several - mark(")", "a closing parenthesis")).add_parse_action(_votes)
    part = ((votes | operand | parentheses).set_name(_OPERAND) + here()).add_parse_action(_part)
    times = regex("[*×/]", "* or /", lambda _text, _at, tokens: tokens[0].replace("×", "*"))
    product = (part + (times - part)[...]).add_parse_action(_product)
    total = (product + (regex("[+-]", "+ or -") - product)[...]).add_parse_action(_calculated)
    comparison = (total + pp.Opt(regex("[<>]=?|[=!]=", _COMPARISON) - total)).add_parse_action(_compared)
    negation = (words(["not"], "not")[...] + comparison).add_parse_action(_negated)
    both = (negation + (word("and") - negation)[...]).add_parse_action(_joins(And))
    any_of: pp.ParserElement = both + (word("or") - both)[...]
    return any_of.add_parse_action(_joins(Or))


def condition(signals: Collection[str], reserved: Collection[str]) -> pp.ParserElement:
    """A condition over these signals; no signal is looked for in a reserved word."""
    return _expression(_operand(signals, reserved)).add_parse_action(_whole)
