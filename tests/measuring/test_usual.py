"""What is usual for a key, of signals that show something odd by themselves and of all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from logwatch.measuring.records import written
from logwatch.measuring.usual import DAY, Usual, ranges
from logwatch.schema import RateColumn


def learned(memory: Usual, day: int, rates: dict[RateColumn, Any]) -> dict[RateColumn, Any]:
    """What is usual at the one event of a day."""
    times = np.array([day * DAY * 1_000_000])
    return memory.learn(["account:a"], np.array([0]), times, rates, np.array([True]))


def usual_after(rate: RateColumn, peaks: list[int]) -> float:
    """What is usual on the day after days with these peaks."""
    memory = Usual("account", 10)
    for day, peak in enumerate([*peaks, 0]):
        found = learned(memory, day, {rate: np.array([peak])})
    return float(found[rate][0])


@pytest.mark.parametrize(
    ("peaks", "seldom", "often"),
    [
        ([], 2, 10),
        ([40], 2, 40),
        ([40, 30], 30, 40),
        ([50, 40, 30], 40, 50),
        ([*range(11, 20), 50], 19, 19),
        ([*range(11, 30), 50], 28, 28),
    ],
)
def test_a_single_day_makes_no_habit_of_what_is_odd_by_itself(peaks: list[int], seldom: float, often: float) -> None:
    assert usual_after(("far_recipients", 86400), peaks) == seldom
    assert usual_after(("recipients", 86400), peaks) == often


def test_what_is_told_of_a_key_is_what_it_is_judged_by() -> None:
    memory, rate = Usual("account", 10), ("odd_senders", 3600)
    for day, peak in enumerate([7, 5, 0]):
        learned(memory, day, {rate: np.array([peak])})
    assert ranges(written(memory.memory.get("account:a")))[rate] == (5, 7, 2)
