"""Conditions hold a column at a time, exactly as a reader of the policy would work them out row by row."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.judging.conditions import (
    And,
    AtLeast,
    Binary,
    Compare,
    Condition,
    Evidence,
    Expression,
    Not,
    Number,
    Or,
    Rate,
    span,
)
from logwatch.judging.language import parse

from .strategies import COMPARISONS, any_condition, conditions, rates, untimed

Row = Mapping[tuple[str, int], float]

_OPERATORS: dict[str, Callable[[float, float], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: left / right if right else math.nan,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


def value(node: Expression, row: Row) -> float:
    match node:
        case Number(number):
            return number
        case Rate():
            return row[node.column]
        case Binary(op, left, right):
            return float(_OPERATORS[op](value(left, row), value(right, row)))
    raise AssertionError(node)


def true(node: Condition, row: Row) -> bool:
    match node:
        case And(parts):
            return all(true(part, row) for part in parts)
        case Or(parts):
            return any(true(part, row) for part in parts)
        case AtLeast(parts, count):
            return sum(true(part, row) for part in parts) >= count
        case Not(part):
            return not true(part, row)
        case Compare(op, left, right):
            sides = value(left, row), value(right, row)
            return all(map(math.isfinite, sides)) and bool(_OPERATORS[op](*sides))
    raise AssertionError(node)


def condition(text: str) -> Condition:
    return parse(f"rule r per account: when {text} block for 1h").rules[0].condition


_values = st.sampled_from([0.0, 1.0, 2.0, 200.0, 201.0]) | st.integers(0, 10**9).map(float) | st.just(math.nan)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Condition, list[dict[tuple[str, int], float]]]:
    """A condition, and rows that have the rates it looks at and one more."""
    wanted = draw(any_condition)
    columns = [rate.column for rate in wanted.rates() | {draw(rates)}]
    rows = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, _values)), max_size=5))
    return wanted, rows


def flat_frame(rows: list[Row], condition: Condition) -> pd.DataFrame:
    columns = list(rows[0]) if rows else [rate.column for rate in condition.rates()]
    frame = pd.DataFrame(
        [[row[column] for column in columns] for row in rows], dtype=float, columns=range(len(columns))
    )
    frame.columns = pd.Index(columns, tupleize_cols=False)
    return frame


@untimed
@given(cases())
def test_a_column_at_a_time_is_row_by_row(case: tuple[Condition, list[Row]]) -> None:
    wanted, rows = case
    expected = [true(wanted, row) for row in rows]
    frame = flat_frame(rows, wanted)
    held = wanted.holds(frame)
    assert held.dtype == bool
    assert held.tolist() == expected
    columns = [rate.column for rate in wanted.rates()]
    multi = frame[columns].set_axis(pd.MultiIndex.from_tuples(columns), axis=1)
    assert wanted.holds(multi).tolist() == expected
    assert wanted.holds({column: frame[column].to_numpy() for column in columns}).tolist() == expected


@untimed
@given(cases())
def test_evidence_is_true_and_only_given_for_what_holds(case: tuple[Condition, list[Row]]) -> None:
    wanted, rows = case
    for row in rows:
        evidence = wanted.evidence(row)
        assert all(_OPERATORS[each.op](each.value, each.threshold) for each in evidence)
        assert true(wanted, row) or not evidence


@untimed
@given(
    conditions(
        st.builds(Compare, st.sampled_from(COMPARISONS), st.just(Rate("messages", 60)), st.builds(Number, _values))
    ).filter(lambda wanted: "nan" not in str(wanted).lower()),
    st.integers(0, 300).map(float),
)
def test_what_holds_without_a_division_always_has_evidence(wanted: Condition, messages: float) -> None:
    row = {("messages", 60): messages}
    assert bool(wanted.evidence(row)) == true(wanted, row)


def test_whole_numbers_need_no_conversion() -> None:
    frame = {("recipients", 600): np.array([200, 201]), ("messages", 3600): np.array([5, 0], dtype="int32")}
    assert condition("recipients in 10m / messages in 1h > 0 or recipients in 10m > 200").holds(frame).tolist() == [
        True,
        True,
    ]


@pytest.mark.parametrize("op", COMPARISONS)
def test_a_division_by_zero_is_false_for_every_comparison(op: str) -> None:
    row = {("bounces", 3600): 3.0, ("messages", 3600): 0.0}
    frame = pd.DataFrame([row])
    assert condition(f"bounces / messages in 1h {op} 0.2").holds(frame).tolist() == [False]
    assert condition(f"0.2 {op} bounces / messages in 1h").holds(frame).tolist() == [False]
    assert condition(f"not bounces / messages in 1h {op} 0.2").holds(frame).tolist() == [True]
    assert condition(f"not bounces / messages in 1h {op} 0.2").evidence(row) == []


_ROW = {("recipients", 600): 240.0, ("recipients", 3600): 250.0, ("messages", 3600): 60.0, ("bounces", 3600): 12.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recipients in 10m > 200", [("recipients in 10m", 240, ">", 200)]),
        ("200 < recipients in 10m", [("recipients in 10m", 240, ">", 200)]),
        ("recipients in 10m > 300", []),
        (
            "recipients in 10m > 200 and messages in 1h >= 50",
            [("recipients in 10m", 240, ">", 200), ("messages in 1h", 60, ">=", 50)],
        ),
        ("recipients in 10m > 200 and messages in 1h > 60", []),
        ("recipients in 10m > 300 or messages in 1h > 50", [("messages in 1h", 60, ">", 50)]),
        (
            "(recipients in 10m > 200 and messages in 1h > 60) or bounces in 1h > 5",
            [("bounces in 1h", 12.5, ">", 5)],
        ),
        ("not messages in 1h < 5", [("messages in 1h", 60, ">=", 5)]),
        (
            "not (messages in 1h < 5 or bounces in 1h == 0)",
            [("messages in 1h", 60, ">=", 5), ("bounces in 1h", 12.5, "!=", 0)],
        ),
        ("not (messages in 1h < 5 and bounces in 1h > 0)", [("messages in 1h", 60, ">=", 5)]),
        ("bounces / recipients in 1h >= 0.05", [("bounces / recipients in 1h", 0.05, ">=", 0.05)]),
        ("recipients in 1h > 4 * messages in 1h", [("recipients in 1h", 250, ">", 240)]),
        ("messages in 1h * (1 + 2) > 100 + 20", [("messages in 1h * (1 + 2)", 180, ">", 120)]),
    ],
)
def test_evidence_names_what_contributed(text: str, expected: list[tuple[str, float, str, float]]) -> None:
    assert condition(text).evidence(_ROW) == [Evidence(*each) for each in expected]


def test_evidence_shows_whole_numbers_as_such() -> None:
    evidence = condition("recipients in 10m > 200").evidence(_ROW)
    assert (repr(evidence[0].value), repr(evidence[0].threshold)) == ("240", "200")


def test_rates_are_those_of_every_branch() -> None:
    wanted = condition(
        "not (bounces / messages in 1h > 1 or 3 < recipients in 10m + bytes in 7d) and attempts in 5m > 0"
    )
    assert {rate.column for rate in wanted.rates()} == {
        ("bounces", 3600),
        ("messages", 3600),
        ("recipients", 600),
        ("bytes", 604800),
        ("attempts", 300),
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1s"),
        (90, "90s"),
        (600, "10m"),
        (5400, "90m"),
        (3600, "1h"),
        (86400, "24h"),
        (129600, "36h"),
        (604800, "7d"),
    ],
)
def test_lengths_of_time_are_written_as_people_write_them(seconds: int, text: str) -> None:
    assert span(seconds) == text


def test_what_holds_for_one_row_says_nothing_about_another() -> None:
    """Parts are left out only where no row is left that they could decide."""
    wanted = condition("recipients in 1h > 100 and bounces in 1h > 5 or bytes in 1h > 9")
    found = {
        ("recipients", 3600): np.array([7, 101, 101, 7]),
        ("bounces", 3600): np.array([9, 9, 1, 1]),
        ("bytes", 3600): np.array([0, 0, 0, 10]),
    }
    assert wanted.holds(found).tolist() == [False, True, False, True]


def test_a_column_by_which_nothing_is_decided_any_more_is_not_asked_for() -> None:
    """Most rules begin with what nearly never holds; what they compare besides is not even counted then."""
    wanted = condition("recipients in 1h > 100 and bounces / messages in 1h > 0.2")
    assert wanted.holds({("recipients", 3600): np.array([7, 100])}).tolist() == [False, False]
