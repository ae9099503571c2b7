"""What a rule may look at that is no count: hour and day of an event in the log's zone, age, reputation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.habits import DAY, Habits

_QUARTER = 900.0  # seconds; no zone's offset divides it


def age(times: NDArray[np.float64], keys: Iterable[str], habits: Habits) -> Any:
    """Days for which each key has been known at a time."""
    known = {key: habits.first_seen(key) for key in set(keys)}
    since = np.array([known[key] for key in keys], dtype=float)  # None becomes not a number
    return np.nan_to_num(np.maximum(times - since, 0.0)) / DAY


def on_the_clock(name: str, times: NDArray[np.float64], zone: tzinfo | None) -> Any:
    """The hour, or the weekday, of each time."""
    quarters, which = np.unique(times // _QUARTER, return_inverse=True)
    local = [datetime.fromtimestamp(quarter * _QUARTER, zone) for quarter in quarters.tolist()]
    return np.array([one.hour if name == "hour" else one.isoweekday() for one in local], dtype=float)[which]
