"""How near rates come to a condition: 1 where it holds, down to 0; to show who would be hit next.

A comparison upwards is as near as the value is to the threshold; `and` is as near as its farthest part, `or` as its
nearest. Comparisons downwards and negations are met or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from logwatch.judging.conditions import And, AtLeast, Compare, Condition, Floats, Or
from logwatch.schema import RateTable


def nearness(condition: Condition, rates: RateTable, rows: int) -> Floats:
    """A number between 0 and 1 for every row of rates."""
    return _NEAR.get(type(condition), _met)(condition, rates, rows)


def _met(condition: Condition, rates: RateTable, rows: int) -> Floats:
    return np.broadcast_to(condition.holds(rates).astype(float), rows)


def _compared(condition: Any, rates: RateTable, rows: int) -> Floats:
    shown: Compare = condition.mirrored()
    if shown.op not in (">", ">="):
        return _met(condition, rates, rows)
    columns = {rate.column: np.asarray(rates[rate.column], float) for rate in condition.rates()}
    with np.errstate(all="ignore"):
        near = shown.left.values(columns) / shown.right.values(columns)
    return np.maximum(np.clip(np.nan_to_num(near), 0.0, 0.999), _met(condition, rates, rows))


def _parts(condition: Any, rates: RateTable, rows: int) -> list[Floats]:
    return [nearness(part, rates, rows) for part in condition.conditions]


_NEAR: dict[type[Condition], Callable[[Any, RateTable, int], Floats]] = {
    And: lambda condition, rates, rows: np.minimum.reduce(_parts(condition, rates, rows)),
    Or: lambda condition, rates, rows: np.maximum.reduce(_parts(condition, rates, rows)),
    AtLeast: lambda condition, rates, rows: np.sort(_parts(condition, rates, rows), axis=0)[-condition.count],
    Compare: _compared,
}
