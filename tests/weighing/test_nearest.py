"""Who came nearest to a rule without meeting it, and how near."""

from __future__ import annotations

from collections.abc import Iterable

from logwatch.judging.language import parse
from logwatch.judging.policy import Policy
from logwatch.schema import ALWAYS, Span
from logwatch.weighing.nearest import Near, Nearest
from tests import maillog
from tests.telling.report.test_tally import POLICY, message, steps


def nearest_of(policy: Policy, lines: Iterable[maillog.Timed], pieces: int = 1, span: Span = ALWAYS) -> Nearest:
    nearest = Nearest(policy, span)
    for step in steps(lines, pieces, policy):
        nearest.add(step)
    return nearest


def told(found: Iterable[tuple[str, str, Near]]) -> list[tuple[str, str, float, float]]:
    return [(rule, key[8:], round(near.near, 2), near.time - maillog.START) for rule, key, near in found]


def test_the_nearest_are_those_that_did_not_reach_a_limit() -> None:
    """Each key once, when it first came nearest, in whatever pieces; who was hit, later even, can be left out."""
    lines = [*message(10, 1, 8), *message(15, 5, 7, "eve"), *message(20, 2, 11, "eve"), *message(8000, 3, 6)]
    lines += [*message(16000, 6, 8), *message(86500, 4, 7, "joe")]
    others = [("burst", "bob", 0.8, 10), ("burst", "joe", 0.7, 86500)]
    for pieces in (1, 4):
        nearest = nearest_of(POLICY, lines, pieces)
        assert told(nearest.best([("burst", "account:eve")])) == others
        assert sorted(told(nearest.best())) == sorted([*others, ("burst", "eve", 0.7, 15)])


def test_the_nearest_are_of_a_span_and_of_whom_a_rule_is_for() -> None:
    """Its beginning is within it, its end is not."""
    policy = parse('exempt account in "eve" rule burst per account: when recipients in 10m > 10 block for 1h')
    lines = [*message(9, 1, 8, "ann"), *message(10, 2, 7), *message(11, 3, 7, "eve"), *message(20, 4, 8, "joe")]
    found = nearest_of(policy, lines, span=Span(maillog.START + 10, maillog.START + 20)).best()
    assert told(found) == [("burst", "bob", 0.7, 10)]


def test_a_rule_that_many_come_near_to_does_not_hide_the_others() -> None:
    """Three of each come first, however many are nearer; less than half way is not near."""
    policy = parse(
        "rule burst per account: when recipients in 10m > 10 block for 1h\n"
        "rule large per account: when recipients in 24h > 12 block for 1h\n"
    )
    nearest = nearest_of(policy, [line for n in range(6) for line in message(10 + n, n, 4 + n, f"u{n}")])
    assert [(rule, key, near) for rule, key, near, _ in told(nearest.best())] == [
        ("burst", "u5", 0.9),
        ("burst", "u4", 0.8),
        ("large", "u5", 0.75),
        ("burst", "u3", 0.7),
        ("large", "u4", 0.67),
        ("large", "u3", 0.58),
        ("burst", "u2", 0.6),
        ("burst", "u1", 0.5),
        ("large", "u2", 0.5),
    ]


def test_of_more_than_two_hundred_the_nearer_half_is_kept() -> None:
    lines = [line for n in range(201) for line in message(n, n, 9 if n < 100 else 6, f"u{n}")]
    found = told(nearest_of(POLICY, lines).best())
    assert (len(found), {near for _, _, near, _ in found}) == (100, {0.9})
