"""Partitions under leases: each has a holder within seconds, and never two that both believe it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.cluster.bucket import Entry
from logwatch.cluster.partition_leases import DEAD, FENCE, RENEW, Put, Shares

PARTITIONS = 8


@dataclass
class Bucket:
    """A bucket that changes a key over its last revision only."""

    entries: dict[str, Entry] = field(default_factory=dict)
    revision: int = 0

    def put(self, put: Put) -> bool:
        before = self.entries.get(put.key)
        if put.revision != (before.revision if before else 0):
            return False
        self.revision += 1
        self.entries[put.key] = Entry(put.key, put.value, self.revision)
        return True

    def all(self) -> list[Entry]:
        return list(self.entries.values())


@dataclass
class Controller:
    """What a controller does once a second, if it can reach the bucket."""

    shares: Shares
    bucket: Bucket
    fit: bool = True
    cut: bool = False

    def step(self, now: float) -> None:
        if self.cut:
            return
        entries = self.bucket.all()
        sign = self.shares.renew(entries, {"fit": self.fit}, now)
        if sign and self.bucket.put(sign):
            self.shares.renewed(now)
            for change in self.shares.plan(entries, fit=self.fit):
                if self.bucket.put(change):
                    self.shares.done(change)


def controllers(names: str, bucket: Bucket, place: str = "here") -> dict[str, Controller]:
    return {name: Controller(Shares(name, PARTITIONS, place), bucket) for name in names}


def run(all_of: dict[str, Controller], begin: float, seconds: float) -> float:
    now = begin
    while now < begin + seconds:
        for controller in all_of.values():
            controller.step(now)
        now += RENEW
    return now


def held(all_of: dict[str, Controller], now: float) -> dict[str, int]:
    return {name: len(controller.shares.held(now)) for name, controller in all_of.items()}


def test_one_alone_holds_all_at_once() -> None:
    one = controllers("a", Bucket())
    now = run(one, 0.0, 2.0)
    assert held(one, now) == {"a": PARTITIONS}


def test_they_share_evenly_and_a_newcomer_gets_its_part() -> None:
    bucket = Bucket()
    two = controllers("ab", bucket)
    now = run(two, 0.0, 6.0)
    assert held(two, now) == {"a": 4, "b": 4}
    four = {**two, **controllers("cd", bucket)}
    now = run(four, now, 6.0)
    assert sum(held(four, now).values()) == PARTITIONS
    assert max(held(four, now).values()) == math.ceil(PARTITIONS / 4)


def test_what_a_dead_one_held_is_taken_over_within_seconds() -> None:
    two = controllers("ab", Bucket())
    now = run(two, 0.0, 6.0)
    two["a"].cut = True
    now = run(two, now, DEAD + 2 * RENEW)
    assert held(two, now) == {"a": 0, "b": PARTITIONS}


def test_whoever_cannot_renew_lets_go_before_another_may_take() -> None:
    assert FENCE < DEAD
    two = controllers("ab", Bucket())
    now = run(two, 0.0, 6.0) - RENEW
    two["a"].cut = True
    assert two["a"].shares.held(now + FENCE - 0.1)
    assert not two["a"].shares.held(now + FENCE)


def test_one_that_still_reads_up_holds_nothing() -> None:
    """It would take off what was decided since."""
    two = controllers("ab", Bucket())
    two["a"].fit = False
    now = run(two, 0.0, 6.0)
    assert held(two, now) == {"a": 0, "b": PARTITIONS}
    two["b"].fit, two["a"].fit = False, True
    now = run(two, now, 6.0)
    assert held(two, now) == {"a": PARTITIONS, "b": 0}


def test_two_of_one_name_do_not_both_hold() -> None:
    bucket = Bucket()
    one, other = controllers("a", bucket)["a"], controllers("a", bucket, "elsewhere")["a"]
    both = {"one": one, "other": other}
    now = run(both, 0.0, 8.0)
    assert held(both, now) == {"one": PARTITIONS, "other": 0}
    assert "another controller is called a" in other.shares.problem


def test_a_new_life_goes_on_with_what_it_held() -> None:
    """At once: the one before cannot be alive, as its state is ours."""
    bucket = Bucket()
    two = controllers("ab", bucket)
    now = run(two, 0.0, 6.0)
    two["a"] = controllers("a", bucket)["a"]
    now = run(two, now, 1.0)
    assert held(two, now) == {"a": 4, "b": 4}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(2, 4))
def test_never_do_two_believe_to_hold_the_same(seed: int, number: int) -> None:
    dice, bucket = random.Random(seed), Bucket()
    all_of = controllers("abcd"[:number], bucket)
    now = 0.0
    for _ in range(60):
        someone = dice.choice(list(all_of.values()))
        someone.cut = dice.random() < 0.3
        someone.fit = dice.random() < 0.8
        now = run(all_of, now, dice.choice([1.0, 3.0]))
        holders = [controller.shares.held(now) for controller in all_of.values()]
        assert sum(map(len, holders)) == len(frozenset().union(*holders))
    for controller in all_of.values():
        controller.cut, controller.fit = False, True
    now = run(all_of, now, 3 * DEAD)
    assert sum(held(all_of, now).values()) == PARTITIONS
