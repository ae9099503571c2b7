"""After a release only what comes after it counts, for every rule about the key."""

from __future__ import annotations

from .bench import START, Bench, message, told

FLOOD = "rule flood per account: when recipients in 10m > 5 tempfail for 1h mode enforce"
BOTH = f"""
{FLOOD}
rule burst per account: when messages in 10m > 2 block for 30m mode enforce
"""


def test_the_same_evidence_never_denies_twice() -> None:
    bench = Bench(FLOOD)
    bench.send(0, 50)
    bench.release(10)
    assert bench.send(20, 5) == []


def test_new_evidence_after_a_release_begins_a_new_case() -> None:
    bench = Bench(FLOOD)
    (first,) = bench.send(0, 50)
    bench.release(10)
    bench.send(20, 5)
    (second,) = bench.send(21, 1)
    assert second.ref != first.ref
    assert second.evidence == {"recipients in 10m": {"value": 6, "threshold": 5}}


def test_after_a_release_other_rules_begin_anew_as_well() -> None:
    """Of the evidence that one rule was released from, another that comes near its limit has seen a part."""
    bench = Bench(BOTH)
    bench.feed(message(0, 6), message(1, 0))
    assert told(bench.release(10)) == [(10, "flood", "release", "enforce")]
    assert bench.send(20, 0) == []
    assert told(bench.feed(message(21, 0), message(22, 0))) == [(22, "burst", "block", "enforce")]


def test_a_release_without_a_case_is_a_new_beginning_too() -> None:
    """Somebody blocked by hand before a rule had seen enough: with the rest of it the rule would hold."""
    bench = Bench(FLOOD)
    bench.send(0, 5)
    assert bench.release(10) == []
    assert bench.send(20, 5) == []
    assert told(bench.send(21, 1)) == [(21, "flood", "tempfail", "enforce")]


def test_a_floor_ends_with_the_longest_window_of_the_rule() -> None:
    bench = Bench("rule r per account: when recipients in 10m > 5 tempfail for 30d mode enforce")
    bench.send(0, 1000)
    bench.release(10)
    bench.rates.expire(START + 3 * 86400)  # and the totals may have begun anew
    assert bench.send(3 * 86400, 1003)[0].evidence == {"recipients in 10m": {"value": 1003, "threshold": 5}}


def test_a_release_of_a_key_forgotten_long_since_needs_no_floor() -> None:
    bench = Bench("rule r per account: when recipients in 10m > 5 tempfail for 30d mode enforce")
    bench.send(0, 1000)
    assert told(bench.release(5 * 86400)) == [(5 * 86400, "r", "release", "enforce")]
    assert told(bench.send(5 * 86400 + 1, 6)) == [(5 * 86400 + 1, "r", "tempfail", "enforce")]
