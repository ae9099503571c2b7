"""A condition holds or not, for every row of the rates at once, and can say why.

Nodes are frozen and compare by what they say. `str(node)` is the node in the policy language.

Rates come as one column per (signal, window in seconds): a mapping of arrays, or a DataFrame with one row per event.
Of frames, a flat index of tuples (`pandas.Index(columns, tupleize_cols=False)`) is looked up more than twice as fast
as a MultiIndex; both work. This module itself needs no pandas.

A comparison with a value that is no finite number (a division by zero, a rate that is unknown) is false, whatever its
operator. `not` turns that into true: `not bounces / messages in 1h > 0.2` holds where there was no message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from logwatch.schema import USUAL, RateColumn

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rates = Mapping[RateColumn, Floats]


def _quotient(left: Floats, right: Floats) -> Floats:
    return np.where(right == 0, np.nan, left / right)


_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _quotient,
}
_COMPARISONS: dict[str, Callable[[Floats, Floats], Bools]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_TIGHTNESS = {"or": 1, "and": 2, "not": 3, **dict.fromkeys(_COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6, "": 7}
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def span(seconds: int) -> str:
    """A length of time as the policy language writes it, in the largest unit that fits: 90m, 1h, 7d; a day is 24h."""
    if seconds == _UNITS["d"]:
        return "24h"
    unit, size = next((unit, size) for unit, size in _UNITS.items() if seconds % size == 0)
    return f"{seconds // size}{unit}"


def _plain(value: float) -> float:
    """Whole numbers as int, to be shown as 201 and not 201.0."""
    return int(value) if value == int(value) else value


class Evidence(NamedTuple):
    """One comparison that made a rule hold: `recipients in 10m`, 201, `>`, 200."""

    label: str
    value: float
    op: str
    threshold: float


class Node:
    """A part of a condition; `op` is what joins its operands, empty where there is none."""

    op: str

    def rates(self) -> frozenset[Rate]:
        """The rates that must be known to evaluate this."""
        raise NotImplementedError

    def enclosed(self, tightness: int) -> str:
        """The node's text, in parentheses if an operator of this tightness beside it would tear it apart."""
        return f"({self})" if _TIGHTNESS[self.op] < tightness else str(self)


class Expression(Node):
    """A number for every row of the rates."""

    def values(self, rates: Rates) -> Floats:
        """The value for every row."""
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Expression):
    """A constant, not negative."""

    op = ""
    value: float

    def rates(self) -> frozenset[Rate]:
        """None."""
        return frozenset()

    def values(self, rates: Rates) -> Floats:  # noqa: ARG002  # one signature for all expressions
        """The same for every row."""
        return np.asarray(self.value, float)

    def __str__(self) -> str:
        return f"{Decimal(repr(float(self.value))):f}".removesuffix(".0")


@dataclass(frozen=True)
class Rate(Expression):
    """A signal counted over a window; or, with a window of 0, what needs none: the hour, an account's age.

    A signal with USUAL in front is what is usual for the key: `usual` in a comparison with that rate.
    """

    op = ""
    signal: str
    window_seconds: int

    @property
    def column(self) -> RateColumn:
        """The rates frame's name for it."""
        return self.signal, self.window_seconds

    def rates(self) -> frozenset[Rate]:
        """Itself."""
        return frozenset({self})

    def values(self, rates: Rates) -> Floats:
        """The column."""
        return rates[self.column]

    def __str__(self) -> str:
        if self.signal.startswith(USUAL):
            return "usual"
        return f"{self.signal} in {span(self.window_seconds)}" if self.window_seconds else self.signal


@dataclass(frozen=True)
class Binary(Expression):
    """Two numbers joined by + - * or /."""

    op: str
    left: Expression
    right: Expression

    def rates(self) -> frozenset[Rate]:
        """Those of both sides."""
        return self.left.rates() | self.right.rates()

    def values(self, rates: Rates) -> Floats:
        """Row by row; not a number where it divides by zero."""
        return _ARITHMETIC[self.op](self.left.values(rates), self.right.values(rates))

    def __str__(self) -> str:
        tightness = _TIGHTNESS[self.op]
        return f"{self._first(tightness)} {self.op} {self.right.enclosed(tightness + 1)}"

    def _first(self, tightness: int) -> str:
        """The left side; in a share over one window the window is named once, behind it."""
        left, right = self.left, self.right
        if (
            self.op == "/"
            and isinstance(left, Rate)
            and isinstance(right, Rate)
            and left.window_seconds == right.window_seconds != 0
            and "usual" not in (str(left), str(right))
        ):
            return left.signal
        return left.enclosed(tightness)


class AsFloats(dict[RateColumn, Floats]):
    """The columns of a frame as floating point numbers, each when it is first asked for."""

    def __init__(self, frame: pd.DataFrame | Mapping[RateColumn, Any]) -> None:
        super().__init__()
        self._frame = frame

    def __missing__(self, column: RateColumn) -> Floats:
        found = self[column] = np.asarray(self._frame[column], float)
        return found


class Condition(Node):
    """A truth value for every row of the rates: `holds` gives all of them."""

    def mask(self, rates: Rates) -> Bools:
        """Whether it holds, for every row."""
        raise NotImplementedError

    def reasons(self, row: Rates, wanted: bool) -> list[Evidence]:
        """The comparisons that make it hold at a row, or, with `wanted` false, not hold; empty if it does not."""
        raise NotImplementedError

    def holds(self, frame: pd.DataFrame | Mapping[RateColumn, NDArray[Any]]) -> Bools:
        """Whether the condition holds, for every row of a rates frame that has the columns of `rates()`.

        Columns by which nothing is decided any more are not asked for. Whoever asks several conditions makes `AsFloats`
        of the frame once.
        """
        with np.errstate(all="ignore"):
            return self.mask(frame if isinstance(frame, AsFloats) else AsFloats(frame))

    def evidence(self, row: Mapping[RateColumn, float]) -> list[Evidence]:
        """Every comparison that holds at a row and by that makes the condition hold, in the order written.

        Under a `not` the opposite comparison is given. One that is decided by a division by zero has no numbers to
        show and is left out. Empty if the condition does not hold.
        """
        with np.errstate(all="ignore"):
            return self.reasons(AsFloats(row), True)


@dataclass(frozen=True)
class Compare(Condition):
    """Two numbers compared by > >= < <= == or !=."""

    op: str
    left: Expression
    right: Expression

    def rates(self) -> frozenset[Rate]:
        """Those of both sides."""
        return self.left.rates() | self.right.rates()

    def mirrored(self) -> Compare:
        """The same, with a side that is only a number on the right."""
        if self.left.rates() or not self.right.rates():
            return self
        return Compare(_MIRRORED[self.op], self.right, self.left)

    def mask(self, rates: Rates) -> Bools:
        """False where a side is not a finite number."""
        left, right = self.left.values(rates), self.right.values(rates)
        found = _COMPARISONS[self.op](left, right)
        return found & np.isfinite(left) & np.isfinite(right) if found.any() else found

    def reasons(self, row: Rates, wanted: bool) -> list[Evidence]:
        """Itself, or its opposite."""
        if bool(self.mask(row)) != wanted:
            return []
        shown = self.mirrored()
        value, threshold = float(shown.left.values(row)), float(shown.right.values(row))
        op = shown.op if wanted else OPPOSITE[shown.op]
        finite = np.isfinite([value, threshold]).all()
        return [Evidence(str(shown.left), _plain(value), op, _plain(threshold))] if finite else []

    def __str__(self) -> str:
        tightness = _TIGHTNESS[self.op] + 1
        return f"{self.left.enclosed(tightness)} {self.op} {self.right.enclosed(tightness)}"


@dataclass(frozen=True)
class Several(Condition):
    """At least two conditions joined by the same word."""

    conditions: tuple[Condition, ...]

    def rates(self) -> frozenset[Rate]:
        """Those of all."""
        return frozenset[Rate]().union(*(condition.rates() for condition in self.conditions))

    def reasons(self, row: Rates, wanted: bool) -> list[Evidence]:
        """Those of every part that contributes."""
        if bool(self.mask(row)) != wanted:
            return []
        return [reason for condition in self.conditions for reason in condition.reasons(row, wanted)]

    def __str__(self) -> str:
        return f" {self.op} ".join(part.enclosed(_TIGHTNESS["not"]) for part in self.conditions)


class And(Several):
    """Conditions that must hold together."""

    op = "and"

    def mask(self, rates: Rates) -> Bools:
        """Where all hold; nearly always the first one holds nowhere, and the others need not be looked at."""
        found = self.conditions[0].mask(rates)
        for part in self.conditions[1:]:
            if found.ndim and not found.any():
                break
            found = found & part.mask(rates)
        return found


class Or(Several):
    """Conditions of which one is enough."""

    op = "or"

    def mask(self, rates: Rates) -> Bools:
        """Where any holds."""
        found = self.conditions[0].mask(rates)
        for part in self.conditions[1:]:
            found = found | part.mask(rates)
        return found


@dataclass(frozen=True)
class AtLeast(Several):
    """Votes: conditions of which some number must hold."""

    op = ""
    count: int

    def mask(self, rates: Rates) -> Bools:
        """Where enough hold."""
        return sum((part.mask(rates).astype(int) for part in self.conditions), start=np.asarray(0)) >= self.count

    def __str__(self) -> str:
        return f"{self.count} of ({', '.join(map(str, self.conditions))})"


@dataclass(frozen=True)
class Not(Condition):
    """The opposite of a condition."""

    op = "not"
    condition: Condition

    def rates(self) -> frozenset[Rate]:
        """Those of the condition."""
        return self.condition.rates()

    def mask(self, rates: Rates) -> Bools:
        """Where it does not hold."""
        return np.logical_not(self.condition.mask(rates))

    def reasons(self, row: Rates, wanted: bool) -> list[Evidence]:
        """Those of the opposite."""
        return self.condition.reasons(row, not wanted)

    def __str__(self) -> str:
        return f"not {self.condition.enclosed(_TIGHTNESS['not'])}"
