"""How near rates come to a condition: 1 where it holds, less before, more as they grow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.judging.conditions import Condition
from logwatch.judging.language import parse
from logwatch.judging.nearness import nearness
from logwatch.schema import RateTable

from .strategies import any_condition, untimed


def condition(text: str) -> Condition:
    return parse(f"rule r per account: when {text} block for 1h").rules[0].condition


def rates_of(**rates: float) -> RateTable:
    """One row; a signal's name and its rate in an hour."""
    return {(signal, 3600): np.array([rate], dtype=float) for signal, rate in rates.items()}


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("recipients in 1h > 100", 0.5),
        ("100 < recipients in 1h", 0.5),
        ("recipients in 1h > 10", 1.0),
        ("recipients in 1h > 50", 0.999),
        ("recipients in 1h < 10", 0.0),
        ("recipients in 1h > 100 and messages in 1h > 40", 0.25),
        ("recipients in 1h > 100 or messages in 1h > 40", 0.5),
        ("2 of (recipients in 1h > 100, messages in 1h > 40, messages in 1h > 50)", 0.25),
        ("not recipients in 1h > 100", 1.0),
        ("recipients / bounces in 1h > 2", 0.0),
    ],
)
def test_a_condition_is_as_near_as_its_value_is_to_the_threshold(text: str, near: float) -> None:
    row = rates_of(recipients=50, messages=10, bounces=0)
    assert nearness(condition(text), row, 1).tolist() == [pytest.approx(near)]


@untimed
@given(any_condition, st.data())
def test_is_one_exactly_where_the_condition_holds(wanted: Condition, data: st.DataObject) -> None:
    columns = [rate.column for rate in wanted.rates()]
    values = data.draw(
        st.lists(st.lists(st.integers(0, 300), min_size=len(columns), max_size=len(columns)), max_size=4)
    )
    rows = dict(zip(columns, np.array(values, dtype=float).reshape(-1, len(columns)).T, strict=True))
    near = nearness(wanted, rows, len(values))
    assert ((near >= 0) & (near <= 1)).all()
    assert (near == 1).tolist() == wanted.holds(rows).tolist()
