"""How long cases last: each twice as long as the one before, where the rule says so."""

from __future__ import annotations

from .bench import Bench


class TestDoubling:
    POLICY = "rule r per account: when messages in 1m > 0 block for 1h, doubling to 5h mode enforce"

    def spans(self, bench: Bench, *hours: float) -> list[float]:
        return [(d.until - d.time) / 3600 for hour in hours for d in bench.send(hour * 3600, 1)]

    def test_each_case_lasts_twice_as_long_up_to_the_limit(self) -> None:
        assert self.spans(Bench(self.POLICY), 0, 1, 3, 7, 12) == [1, 2, 4, 5, 5]

    def test_an_extension_is_no_new_case(self) -> None:
        assert self.spans(Bench(self.POLICY), 0, 0.5, 2) == [1, 1, 2]

    def test_a_month_after_the_last_end_all_is_forgiven(self) -> None:
        assert self.spans(Bench(self.POLICY), 0, 1, 3 + 30 * 24 - 0.1) == [1, 2, 4]
        assert self.spans(Bench(self.POLICY), 0, 1, 3 + 30 * 24) == [1, 2, 1]

    def test_what_was_released_counts_for_nothing(self) -> None:
        bench = Bench(self.POLICY)
        assert self.spans(bench, 0, 1) == [1, 2]
        bench.release(4000)
        assert self.spans(bench, 2) == [2]
