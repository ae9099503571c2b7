"""What is usual for a key, of signals that show something odd by themselves and of all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.measuring.deflated_memory import written
from logwatch.measuring.usual import DAY, Usual, ranges
from logwatch.schema import AT_ONCE, RateColumn
from tests.judging.bench import Bench

OFTEN, AT_ONCE_COLUMN = ("recipients", 3600), (AT_ONCE, 0)
gaps = st.integers(0, 99).map(lambda dice: {0: 183, 1: 182, 2: 2}.get(dice, 1))  # days from one active day to the next
peaks = st.sampled_from([0, 1, 5, 40, 100, 300])
untimed = settings(deadline=None)


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
        ([50] * 4 + [20] * 30, 20, 20),
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


@untimed
@given(st.lists(st.tuples(gaps, st.lists(peaks, min_size=1, max_size=3), st.booleans()), min_size=1, max_size=45))
def test_it_is_what_the_latest_thirty_days_that_teach_stay_within(days: list[tuple[int, list[int], bool]]) -> None:
    """By definition, on every day, however it comes in pieces; after half a year without a day nothing is known."""
    memory, day, taught = Usual("account", 10), 0, list[int]()
    for gap, reached, condemned in days:
        day, taught = day + gap, taught if gap <= 182 else []
        for number, peak in enumerate(reached):
            rates = (OFTEN, AT_ONCE_COLUMN)[: 1 + number % 2]
            found = learned(memory, day, {rate: np.array([peak]) for rate in rates})
            assert found[OFTEN] == max(10, nine_in_ten(taught))
            memory.condemn("account:a", not condemned)
        memory.condemn("account:a", condemned)
        if not condemned or len(taught) < 5:
            taught = [*taught, max(reached)][-30:]
    memory.expire(float((day + 182) * DAY))
    assert len(memory.memory) == 1
    memory.expire((day + 182) * DAY + 1.0)
    assert len(memory.memory) == 0


def nine_in_ten(values: list[int]) -> int:
    """The smallest of the values that nine in ten do not exceed; 0 of none."""
    return min((one for one in values if 10 * sum(v <= one for v in values) >= 9 * len(values)), default=0)


def test_of_the_recipients_of_one_message_it_is_the_largest() -> None:
    """Of the days before, without a floor."""
    assert usual_after(AT_ONCE_COLUMN, []) == 0
    assert usual_after(AT_ONCE_COLUMN, [*range(20), 3]) == 19


class TestUsual:
    POLICY = "rule r per account: when recipients in 1h > 2 × usual block for 1h"

    def test_is_a_floor_for_a_new_account(self) -> None:
        bench = Bench(self.POLICY)
        assert bench.send(0, 20) == []
        assert bench.send(1, 1)[0].evidence == {"recipients in 1h": {"value": 21, "threshold": 20}}

    def test_is_what_nine_in_ten_days_stay_within(self) -> None:
        bench = Bench(self.POLICY)
        for day in range(10):
            bench.send(day * DAY, 30 if day < 9 else 50)
        assert bench.send(10 * DAY, 60) == []
        assert bench.send(10 * DAY + 1, 1)[0].evidence == {"recipients in 1h": {"value": 61, "threshold": 60}}

    def test_today_does_not_count(self) -> None:
        bench = Bench(self.POLICY)
        assert bench.send(0, 19) == []
        assert len(bench.send(7200, 21)) == 1

    def test_a_condemned_day_teaches_nothing(self) -> None:
        """A ramp that doubles daily does not become usual."""
        bench = Bench(self.POLICY.replace("2", "1.5"))
        ramp = [bool(bench.send(day * DAY, 15 * 2 ** max(0, day - 5))) for day in range(10)]
        assert ramp == [False] * 6 + [True] * 4

    def test_a_condemned_day_teaches_once_it_is_released(self) -> None:
        bench = Bench(self.POLICY)
        for day in range(6):
            bench.send(day * DAY, 5)
        bench.send(6 * DAY, 100)
        assert len(bench.rates.habits.condemned.memory) == 1
        bench.rates.condemn(bench.release(6 * DAY + 10))
        assert len(bench.rates.habits.condemned.memory) == 0
        assert bench.send(7 * DAY, 150) == []

    def test_a_condemned_day_teaches_while_there_are_few_days_to_learn_from(self) -> None:
        """An honest account may begin above the floor."""
        bench = Bench(self.POLICY)
        assert [bool(bench.send(day * DAY, 30)) for day in range(7)] == [True, False, False, False, False, False, False]
