"""How near rates come to a condition: 1 where it holds, down to 0; to show who would be hit next.

A comparison upwards is as near as the value is to the threshold; `and` is as near as its farthest part, `or` as its
nearest. Comparisons downwards and negations are met or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from logwatch.judging.conditions import And, AtLeast, Compare, Condition, Floats, Or


def nearness(condition: Condition, frame: pd.DataFrame) -> Floats:
    """A number between 0 and 1 for every row of a rates frame."""
    return _NEAR.get(type(condition), _met)(condition, frame)


def _met(condition: Condition, frame: pd.DataFrame) -> Floats:
    return np.broadcast_to(condition.holds(frame).astype(float), len(frame))


def _compared(condition: Any, frame: pd.DataFrame) -> Floats:
    shown: Compare = condition.mirrored()
    if shown.op not in (">", ">="):
        return _met(condition, frame)
    columns = {rate.column: np.asarray(frame[rate.column], float) for rate in condition.rates()}
    with np.errstate(all="ignore"):
        near = shown.left.values(columns) / shown.right.values(columns)
    return np.maximum(np.clip(np.nan_to_num(near), 0.0, 0.999), _met(condition, frame))


_NEAR: dict[type[Condition], Callable[[Any, pd.DataFrame], Floats]] = {
    And: lambda condition, frame: np.minimum.reduce([nearness(part, frame) for part in condition.conditions]),
    Or: lambda condition, frame: np.maximum.reduce([nearness(part, frame) for part in condition.conditions]),
    AtLeast: lambda condition, frame: np.sort([nearness(part, frame) for part in condition.conditions], axis=0)[
        -condition.count
    ],
    Compare: _compared,
}
