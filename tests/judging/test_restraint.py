"""A rule that is enforced for a part of the keys is enforced for a stable one."""

from __future__ import annotations

from logwatch.judging.decide import Judge
from logwatch.judging.language import parse

from .bench import Bench


class TestCanary:
    POLICY = "rule r per account: when messages in 1m > 0 block for 1h mode enforce 30%"

    def test_enforces_a_stable_part(self) -> None:
        accounts = [f"user{n}" for n in range(300)]
        modes = []
        for _ in range(2):
            bench = Bench(self.POLICY)
            found = [bench.send(n * 400, 1, account)[0] for n, account in enumerate(accounts)]
            modes.append([d.mode for d in found])
        assert modes[0] == modes[1]
        assert 60 <= modes[0].count("enforce") <= 120

    def test_what_stands_is_seen_the_same_way(self) -> None:
        (decision,) = Bench(self.POLICY.replace(" 30%", "")).send(0, 1, "user1")
        still = {percent: Judge(parse(self.POLICY.replace("30", str(percent)))).still(decision) for percent in (1, 99)}
        assert [d.mode for d in still.values() if d] == ["observe", "enforce"]
