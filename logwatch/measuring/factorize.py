"""Replaces the values of a column by small whole numbers, equal values by the same one.

As `pandas.factorize` gives them, at the same speed, without the third of a second that it takes to import that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class _Codes(dict[Any, int]):
    """Codes by value, in order of their first appearance; None has -1."""

    def __init__(self) -> None:
        super().__init__({None: -1})

    def __missing__(self, value: object) -> int:
        code = self[value] = len(self) - 1
        return code


def coded(column: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Of a column of objects: a code for each value (-1 for None), and the values by code."""
    known = _Codes()
    codes = np.fromiter(map(known.__getitem__, column.tolist()), np.int64, len(column))
    del known[None]
    return codes, objects([*known])


def objects(values: Sequence[Any]) -> NDArray[Any]:
    """A column of them."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
