"""Attributed events as small tables, for tests that need no log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from logwatch.measuring import signals
from logwatch.schema import Columns

_TEXT = ("account", "client", "local", "queue_id")


def events(rows: Iterable[Mapping[str, Any]]) -> Columns:
    """One event per row: `clock`, `event` and whatever else counts; what is not said is not in the line."""
    found = list(rows)
    names = dict.fromkeys((*signals.NEEDS, *_TEXT))
    table: Columns = {name: _objects(row.get(name) for row in found) for name in names}
    table["clock"] = np.array([row["clock"] for row in found], dtype=np.float64)
    table["opens"] = np.array([row.get("opens", False) for row in found], dtype=bool)
    table["counts"] = np.array([row.get("counts", True) for row in found], dtype=bool)
    return table


def rows_of(table: Columns, begin: int, end: int) -> Columns:
    """Some of the rows."""
    return {name: column[begin:end] for name, column in table.items()}


def _objects(values: Iterable[Any]) -> Any:
    listed = list(values)
    column = np.empty(len(listed), dtype=object)
    column[:] = listed
    return column
