"""Hour, weekday and age, as a rule sees them."""

from __future__ import annotations

import pytest

from tests.judging.bench import Bench

DAY = 86400.0


class TestMoments:
    @pytest.mark.parametrize(("hour", "hits"), [(0, 1), (5.99, 1), (6, 0), (22.9, 0), (23, 1)])
    def test_a_rule_sees_the_hour(self, hour: float, hits: int) -> None:
        bench = Bench("rule r per account: when messages in 1m > 0 and (hour < 6 or hour >= 23) block for 1h")
        assert len(bench.send(hour * 3600, 1)) == hits

    def test_a_rule_sees_the_weekday(self) -> None:
        bench = Bench("rule r per account: when messages in 1m > 0 and weekday >= 6 block for 1h")
        assert [len(bench.send(day * DAY, 1)) for day in range(7)] == [0, 0, 0, 0, 1, 1, 0]

    def test_a_rule_sees_for_how_many_days_an_account_has_been_known(self) -> None:
        bench = Bench("rule r per account: when messages in 1m > 0 and age >= 10 block for 1h")
        assert [len(bench.send(day * DAY, 1)) for day in (0, 9.9, 10.5)] == [0, 0, 1]
