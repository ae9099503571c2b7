"""A throttle lets its target through, of any demand, whatever the delay between log and table."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from logwatch.schema import Decision

from .bench import START, Bench, message, refusal


def decayed(times: list[float], at: float) -> float:
    """Attempts of late by definition."""
    return sum(math.exp((time - at) / 600) for time in times if time <= at)


class TestThrottle:
    POLICY = "rule r per account: when messages in 1m > 5 throttle to 60 per 1h for 1h mode enforce"

    def test_lets_through_the_target_out_of_what_is_attempted(self) -> None:
        bench = Bench(self.POLICY)
        (decision,) = bench.feed(*(message(2 * n, 1) for n in range(6)))
        rate = decayed([2 * n for n in range(6)], 10) / 600 * 3600
        assert decision.action == "throttle"
        assert decision.share == pytest.approx(min(1, 60 / rate), abs=1e-4)

    def test_says_what_was_attempted(self) -> None:
        (decision,) = Bench(self.POLICY).feed(*(message(2, 1) for n in range(30)))[-1:]
        assert decision.evidence["messages in 1m"] == {"value": 6, "threshold": 5}
        assert decision.evidence["pace of attempts, messages per 1h"] == {"value": 36, "threshold": 60}

    def test_follows_the_attempts_while_the_case_stands(self) -> None:
        """Refused ones too, and though the rule itself no longer holds; at most every ten seconds."""
        bench = Bench(self.POLICY)
        bench.feed(*(message(0, 1) for _ in range(60)))
        found = bench.feed(*(refusal(100 + n) for n in range(100)))
        assert {d.ref for d in found} == {found[0].ref}
        assert [d.until for d in found] == [START + 3600] * len(found)
        gaps = [after.time - before.time for before, after in pairwise(found)]
        assert min(gaps) >= 10
        shares = [d.share or 0 for d in found]
        assert shares == sorted(shares, reverse=True)
        assert shares[-1] < 0.1

    def test_is_not_written_anew_for_small_changes(self) -> None:
        bench = Bench(self.POLICY)
        bench.feed(*(message(0, 1) for _ in range(600)))
        assert len(bench.feed(refusal(15))) == 1
        assert bench.feed(refusal(26), refusal(37)) == []

    def test_a_target_in_recipients_goes_by_the_mean_of_a_message(self) -> None:
        bench = Bench("rule r per account: when recipients in 1m > 50 throttle to 60 recipients per 1h for 1h")
        (decision,) = bench.feed(*(message(0, 10) for _ in range(6)))
        assert decision.share == pytest.approx(60 / (6 / 600 * 3600 * 10), abs=1e-4)

    def test_an_account_that_got_nothing_accepted_is_taken_to_write_to_one(self) -> None:
        """Six attempts in ten minutes are thirty-six an hour."""
        bench = Bench("rule r per account: when attempts in 10m > 5 throttle to 6 recipients per 1h for 1h")
        (decision,) = bench.feed(*(refusal(0) for _ in range(6)))
        assert decision.share == 0.1667

    @pytest.mark.parametrize(("demand", "lag"), [(600, 10), (600, 300), (6000, 60), (6000, 300)])
    def test_settles_near_its_target(self, demand: int, lag: int) -> None:
        """The closed loop with a delay between log and table: in the second hour about 60 pass, of any demand."""
        bench = Bench("rule r per account: when attempts in 10m > 20 throttle to 60 per 1h for 1h mode enforce")
        credit, passed, written = 0.0, 0, list[Decision]()
        for begin in range(0, 7200, 10):
            share = next((d.share for d in reversed(written) if d.time - START <= begin - lag), None)
            rows = []
            for n in range(demand * begin // 3600, demand * (begin + 10) // 3600):
                credit += 1.0 if share is None else share
                accepted = credit >= 1
                credit -= accepted
                passed += accepted and begin >= 3600
                rows.append(message(n * 3600 / demand, 1) if accepted else refusal(n * 3600 / demand))
            written += bench.feed(*rows)
        assert 50 <= passed <= 66
