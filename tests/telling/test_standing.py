"""Which decisions stand, and which of them are new."""

from __future__ import annotations

import pytest

from logwatch.schema import Decision
from logwatch.telling.standing import Standing
from tests.telling.decisions import NOW, decision


class TestStanding:
    @pytest.mark.parametrize(
        ("before", "now", "new"),
        [
            ([], decision(), True),
            ([], decision(mode="observe"), False),
            ([], decision(until=NOW), False),
            ([], decision(action="release", until=NOW), False),
            ([decision()], decision(2, until=NOW + 7200), False),
            ([decision(mode="observe")], decision(2), True),
            ([decision(until=NOW - 1)], decision(2, ref="OTHER1"), True),
            ([decision(), decision(2, action="release", until=NOW)], decision(3, ref="OTHER1"), True),
            ([decision()], decision(2, rule="other"), True),
        ],
        ids=[
            "enforced",
            "observed",
            "ended by now",
            "release",
            "extended",
            "enforced at last",
            "again, after its end",
            "again, after a release",
            "by another rule",
        ],
    )
    def test_only_what_is_newly_enforced_is_new(self, before: list[Decision], now: Decision, new: bool) -> None:
        """And it is so once."""
        standing = Standing(before[:1])
        standing.take(before[1:], NOW)
        assert standing.take([now, now], NOW) == [now] * new

    def test_counts_what_stands_in_each_mode(self) -> None:
        """Until it ends, or is released."""
        standing = Standing([decision(), decision(2, key="account:b", mode="observe", until=NOW + 10)])
        assert standing.counts(NOW) == {"enforce": 1, "observe": 1}
        assert standing.counts(NOW + 10) == {"enforce": 1, "observe": 0}
        standing.take([decision(3, key="account:c")], NOW + 10)
        assert standing.counts(NOW + 11) == {"enforce": 2, "observe": 0}
        standing.forget("account:c")
        assert standing.counts(NOW + 11) == {"enforce": 1, "observe": 0}
