"""Conditions are read as at school: what binds tighter, what parentheses do, and how deep they go."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

from logwatch.judging.conditions import And, Binary, Compare, Not, Number, Or, Rate
from logwatch.judging.expression import DEPTH, NESTING
from logwatch.judging.language import PolicyError, parse
from logwatch.judging.policy import (
    Policy,
    render,
)
from logwatch.schema import SIGNALS

RULE = "rule flood per account:\n    when {} tempfail for 1h"


def _condition(text: str) -> object:
    return parse(RULE.format(text)).rules[0].condition


_A, _B, _C = (Rate(signal, 3600) for signal in ("bounces", "messages", "recipients"))


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("bounces / messages in 1h", Binary("/", _A, _B)),
        ("bounces in 1h / messages in 1h", Binary("/", _A, _B)),
        ("bounces in 10m / messages in 1h", Binary("/", Rate("bounces", 600), _B)),
        ("bounces / messages / recipients in 1h", Binary("/", Binary("/", _A, _B), _C)),
        ("2 × bounces / messages in 1h", Binary("/", Binary("*", Number(2), _A), _B)),
        ("bounces in 1h + messages in 1h * 2", Binary("+", _A, Binary("*", _B, Number(2)))),
        ("(bounces in 1h + messages in 1h) * 2", Binary("*", Binary("+", _A, _B), Number(2))),
        ("bounces in 1h - messages in 1h - 1", Binary("-", Binary("-", _A, _B), Number(1))),
        ("bounces in 1h - (messages in 1h - 1)", Binary("-", _A, Binary("-", _B, Number(1)))),
        ("((bounces in 1h))", _A),
    ],
)
def test_numbers_are_calculated_as_at_school(text: str, expression: object) -> None:
    assert _condition(f"{text} > 0.5") == Compare(">", expression, Number(0.5))  # type: ignore[arg-type]
    assert _condition(f"0.5 <= {text}") == Compare("<=", Number(0.5), expression)  # type: ignore[arg-type]


def test_and_binds_tighter_than_or_and_not_tighter_than_both() -> None:
    a, b, c = (Compare(">", rate, Number(1)) for rate in (_A, _B, _C))
    text = "not bounces in 1h > 1 and messages in 1h > 1 or recipients in 1h > 1"
    assert _condition(text) == Or((And((Not(a), b)), c))
    assert _condition("not (bounces in 1h > 1 and (messages in 1h > 1 or recipients in 1h > 1))") == Not(
        And((a, Or((b, c))))
    )


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 10_000,
        "(" * 10_000 + "bytes in 1h" + ")" * 10_000 + " > 1",
        "not " * 10_000 + "bytes in 1h > 1",
        "1 + " * 10_000 + "bytes in 1h > 1",
        "1 / " * 10_000 + "bytes in 1h > 1",
        "not (" * 10_000,
        "1 + (" * 10_000,
    ],
)
def test_no_text_makes_the_parser_recurse_without_bound(condition: str) -> None:
    with pytest.raises(PolicyError, match=f"at most ({NESTING}|{DEPTH}) "):
        parse(RULE.format(condition))


def test_what_is_long_but_not_deep_is_read() -> None:
    many = " and ".join(["bytes in 1h > 1"] * 2_000)
    assert len(parse(RULE.format(many)).rules[0].condition.conditions) == 2_000  # type: ignore[attr-defined]


def test_the_deepest_condition_can_be_used() -> None:
    deep = "not " * (DEPTH - NESTING - 1) + "(" * NESTING + "bytes in 1h" + " + 1)" * NESTING + " > 1"
    policy = parse(RULE.format(deep))
    assert policy == parse(render(policy))
    assert hash(policy) == hash(parse(render(policy)))
    assert policy.rules[0].condition.holds({("bytes", 3600): np.zeros(1)}).shape == (1,)


def test_a_stack_that_is_almost_full_gives_the_same_error_and_harms_no_later_reading() -> None:
    text = RULE.format("(" * NESTING + "bytes in 1h" + ")" * NESTING + " > 1")
    signals = [*SIGNALS, "a_grammar_of_its_own"]

    def below(frames: int) -> Policy:
        return below(frames - 1) if frames else parse(text, signals=signals)

    with pytest.raises(PolicyError, match="no room on the stack"):
        below(sys.getrecursionlimit() - len(inspect.stack()) - 60)
    assert below(0).rules
    with pytest.raises(PolicyError, match="expected a closing parenthesis, found"):
        parse(RULE.format("(bytes in 1h > 1"), signals=signals)
