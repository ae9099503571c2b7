"""What in a policy can never hold, always holds, or adds nothing; and that nothing else is said to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.judging.conditions import And, Compare, Condition, Number, Or, Rate
from logwatch.judging.contradictions import contradictions, notes
from logwatch.judging.language import parse
from logwatch.judging.policy import Deed, Policy, Rule

from .strategies import COMPARISONS, conditions, untimed

BEFORE = "of an account none are counted: they come before the login; per client?"
LONGER = "recipients in 1h is never less than recipients in 10m"
ZERO = "it is never below 0"


def _rule(condition: Condition) -> Policy:
    return Policy((Rule("r", "account", condition, Deed("block"), 3600),))


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("hour > 23", "hour > 23 (an hour is from 0 to 23)"),
        ("messages in 1h > 1 and hour >= 22 and hour < 6", "hour >= 22 and hour < 6"),
        ("weekday < 1", "weekday < 1 (a weekday is from 1, Monday, to 7)"),
        ("not hour <= 23 and bytes in 1h > 1", "hour > 23 (an hour is from 0 to 23)"),
        ("connections in 5m > 9", f"connections in 5m > 9 ({BEFORE})"),
        ("accounts in 5m >= 2", "accounts in 5m >= 2 (it has only one: per client or net?)"),
        ("clients in 5m > 1000", "clients in 5m > 1000 (different values are counted up to 1000)"),
        ("reputation >= 5", 'reputation >= 5 (no address has a score: add one, such as score 10 for file "drop.txt")'),
        (
            "recipients in 10m > 200 and recipients in 1h < 100",
            f"recipients in 10m > 200 and recipients in 1h < 100 ({LONGER})",
        ),
        (
            "recipients in 10m > 200 and recipients in 10m < 900 and recipients in 1h <= 200",
            f"recipients in 10m > 200 and recipients in 1h <= 200 ({LONGER})",
        ),
        (
            "recipients in 10m > recipients in 1h",
            f"recipients in 10m > recipients in 1h ({LONGER})",
        ),
        ("bytes in 1h > bytes in 1h", "bytes in 1h > bytes in 1h (they are the same)"),
        ("2 of (hour > 23, bytes in 1h > 1)", "hour > 23 (an hour is from 0 to 23)"),
        ("recipients in 10m > 200 and recipients in 10m < 100", "recipients in 10m > 200 and recipients in 10m < 100"),
        (
            "100 > recipients in 10m and 200 <= recipients in 10m",
            "recipients in 10m < 100 and recipients in 10m >= 200",
        ),
        ("recipients in 10m == 1 and recipients in 10m == 2", "recipients in 10m == 1 and recipients in 10m == 2"),
        ("bytes in 1h > 1 and (messages in 1h > 5 and bytes in 1h <= 1)", "bytes in 1h > 1 and bytes in 1h <= 1"),
        ("recipients in 10m < 0", "recipients in 10m < 0 (it is never below 0)"),
        ("recipients in 10m < 0 and recipients in 10m < 5", "recipients in 10m < 0 (it is never below 0)"),
        ("bytes in 1h > 1 and 2 > 3", "2 > 3"),
        ("bytes in 1h > 1 and 2 > 3 and 2 < 9", "2 > 3"),
        ("bytes in 1h < 0 or messages in 1h < 0", f"bytes in 1h < 0 ({ZERO}); messages in 1h < 0 ({ZERO})"),
        (
            "bytes in 1h > 1 and (bytes in 1h < 0 or messages in 1h < 0)",
            f"bytes in 1h < 0 ({ZERO}); messages in 1h < 0 ({ZERO})",
        ),
        (
            "bounces / messages in 1h > 0.5 and bounces / messages in 1h < 0.1",
            "bounces / messages in 1h > 0.5 and bounces / messages in 1h < 0.1",
        ),
    ],
)
def test_a_rule_that_can_never_hold_is_named(condition: str, reason: str) -> None:
    policy = parse(f"# first\nrule r per account:\n when {condition} block for 1h")
    assert contradictions(policy) == [(13, f'rule "r" can never hold: {reason}')]


@pytest.mark.parametrize(
    "condition",
    [
        "recipients in 10m > 100 and recipients in 10m < 200",
        "recipients in 10m < 100 and recipients in 1h > 200",
        "recipients in 1h > recipients in 10m",
        "recipients in 10m >= recipients in 1h",
        "2 of (hour > 23, bytes in 1h > 1, bytes in 1h > 2)",
        "not unknown_recipients / recipients in 1h >= 0",
        "not bounces / messages in 1h > 2 and not bounces / messages in 1h <= 2",
        "recipients in 10m >= 5 and recipients in 10m <= 5",
        "recipients in 10m <= 0",
        "recipients in 10m > 200 or recipients in 10m < 0",
        "not recipients in 10m < 0",
        "recipients in 10m != 5 and recipients in 10m == 4",
        "hour >= 23 and weekday <= 1",
    ],
)
def test_a_rule_that_may_hold_is_left_alone(condition: str) -> None:
    assert contradictions(parse(f"rule r per account: when {condition} block for 1h")) == []


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (
            "rule r per client: when networks in 1h > 1 block for 1h",
            "networks in 1h > 1 (it has only one: per account?)",
        ),
        (
            "rule r per net: when neighbourhoods in 1h > 1 block for 1h",
            "neighbourhoods in 1h > 1 (it has only one: per account?)",
        ),
        ("rule r per net: when guessers in 1h > 1 block for 1h", "guessers in 1h > 1 (it has only one: per account?)"),
        ("rule r per client: when age > 3 block for 1h", "age > 3 (only accounts have an age)"),
        (
            "score 5 for 192.0.2.1 rule r per client: when reputation >= 6 block for 1h",
            "reputation >= 6 (the highest score is 5)",
        ),
        (
            'exempt account in "@x.example" rule r per account in "@x.example": when bytes in 1h > 1 block for 1h',
            "all that it is for are exempt",
        ),
    ],
)
def test_whether_a_rule_can_hold_depends_on_its_kind_the_scores_and_exemptions(policy: str, reason: str) -> None:
    (problem,) = contradictions(parse(policy))
    assert problem.sentence == f'rule "r" can never hold: {reason}'


@pytest.mark.parametrize(
    "policy",
    [
        "rule r per client: when accounts in 1h > 1 block for 1h",
        "score 5 for 192.0.2.1 rule r per client: when reputation >= 5 block for 1h",
        "score 5 for 192.0.2.1 score 9 for 192.0.2.2 rule r per client: when reputation > 5 block for 1h",
        'score 5 for dnsbl "bl.example" rule r per client: when reputation >= 5 block for 1h',
        'exempt account in "a" rule r per account in "a", "b": when bytes in 1h > 1 block for 1h',
        'exempt client in 192.0.2.0/24 rule r per client in "192.0.2.0/24": when bytes in 1h > 1 block for 1h',
    ],
)
def test_what_may_be_meant_is_left_alone(policy: str) -> None:
    assert contradictions(parse(policy)) == []
    assert notes(parse(policy)) == []


@pytest.mark.parametrize(
    ("policy", "note"),
    [
        ("", "it has no rules: nothing is ever decided"),
        ("let web = 192.0.2.1, 192.0.2.0/28 RULE", 'list "web" is used by nothing: exempt client in web?'),
        ('let some = "bob", 192.0.2.1 RULE', 'list "some" is used by nothing: exempt account in some?'),
        ("price 5 for DE RULE", "no rule looks at cost, so that prices mean nothing"),
        ("score 5 for 192.0.2.1 RULE", "no rule looks at reputation, so that scores mean nothing"),
    ],
)
def test_what_is_probably_not_meant_is_noted(policy: str, note: str) -> None:
    rule = "rule r per account: when bytes in 1h > 1 block for 1h"
    (problem,) = notes(parse(policy.replace("RULE", rule)))
    assert problem.sentence == note


@pytest.mark.parametrize(
    ("condition", "note"),
    [
        ("recipients in 1h >= 0", 'rule "r" always holds: at every event of every account'),
        ("recipients in 1h < 100", 'rule "r" holds for whoever has sent nothing yet: is < meant to be >?'),
        ("recipients in 1h < 100 and not bounces in 1h > 3", 'rule "r" holds for whoever has sent nothing yet'),
    ],
)
def test_a_rule_that_everybody_breaks_is_noted(condition: str, note: str) -> None:
    (problem,) = notes(parse(f"rule r per account: when {condition} block for 1h"))
    assert problem.at == 5
    assert problem.sentence.startswith(note)


@pytest.mark.parametrize(
    "condition", ["recipients in 1h < usual", "hour < 6", "recipients in 1h < 9 and bytes in 1h > 1"]
)
def test_a_rule_for_some_hours_or_against_the_usual_is_left_alone(condition: str) -> None:
    assert notes(parse(f"rule r per account: when {condition} block for 1h")) == []


_MORE = "rule more per account: when recipients in 1h > 100 block for 1h"


@pytest.mark.parametrize(
    "less",
    [
        "rule less per account: when recipients in 1h > 200 tempfail for 1h",
        "rule less per account: when recipients in 1h > 100 and hour > 3 block for 30m",
        'rule less per account in "bob": when recipients in 1h >= 101 and hour > 3 throttle to 9 per 1h for 1h',
    ],
)
def test_a_rule_that_another_makes_useless_is_noted(less: str) -> None:
    for policy in (f"{_MORE} {less}", f"{less} {_MORE}"):
        (problem,) = notes(parse(policy))
        assert problem.at == policy.index("less")
        assert problem.sentence == 'rule "less" adds nothing: "more" holds whenever it does, and does as much, as long'


def test_of_two_equal_rules_the_second_is_noted() -> None:
    (problem,) = notes(parse(f"{_MORE} {_MORE.replace('more', 'again')}"))
    assert problem.sentence.startswith('rule "again" adds nothing')


@pytest.mark.parametrize(
    "useful",
    [
        "rule useful per account: when recipients in 1h > 50 tempfail for 1h",
        "rule useful per account: when recipients in 1h > 200 tempfail for 2h",
        "rule useful per account: when recipients in 1h > 200 tempfail for 1h, doubling to 4h",
        "rule useful per account: when recipients in 1h > 200 while recipients in 1h > 9 tempfail for 1h",
        "rule useful per account: when recipients in 1h > 200 tempfail for 1h mode enforce",
        "rule useful per account: when recipients in 1h > 200 cap 5 recipients for 1h",
        "rule useful per client: when recipients in 1h > 200 tempfail for 1h",
    ],
)
def test_a_rule_that_reaches_further_in_any_way_is_left_alone(useful: str) -> None:
    assert notes(parse(f"{_MORE} {useful}")) == []


_compare = st.builds(
    Compare, st.sampled_from(COMPARISONS), st.just(Rate("messages", 60)), st.integers(0, 4).map(float).map(Number)
)
_VALUES = {("messages", 60): np.arange(12) / 2}


@untimed
@given(st.lists(_compare, min_size=2, max_size=4).map(tuple), st.lists(_compare, min_size=2, max_size=2).map(tuple))
def test_only_what_never_holds_is_called_a_contradiction(both: tuple[Compare, ...], one: tuple[Compare, ...]) -> None:
    for condition in (And(both), And((Or(one), *both)), Or((And(both), And(one)))):
        found = contradictions(_rule(condition))
        assert not (found and condition.holds(_VALUES).any())


_KEEPS_NOTHING = 'rule "r": its `while` keeps no case standing, as '


@pytest.mark.parametrize(
    ("stays", "reason"),
    [
        ("recipients in 1h > 300", "the rule itself holds"),
        ("recipients in 1h > 200", "the rule itself holds"),
        ("300 <= recipients in 1h", "the rule itself holds"),
        ("recipients in 1h == 201", "the rule itself holds"),
        ("recipients in 1h > 300 and hour > 3", "the rule itself holds"),
        ("recipients in 1h > 300 or recipients in 1h > 250", "the rule itself holds"),
        ("bytes in 1h < 0", "it can never hold: bytes in 1h < 0 (it is never below 0)"),
    ],
)
def test_a_while_that_keeps_nothing_is_noted(stays: str, reason: str) -> None:
    rule = "rule r per account: when recipients in 1h > 200 while {} block for 1h"
    (problem,) = notes(parse(rule.format(stays)))
    assert problem.at == 5
    assert problem.sentence.startswith(_KEEPS_NOTHING + reason)


@pytest.mark.parametrize(
    "stays",
    [
        "recipients in 1h > 50",
        "recipients in 1h >= 200",
        "recipients in 2h > 300",
        "messages in 1h > 300",
        "recipients in 1h > 300 or hour > 3",
    ],
)
def test_a_while_that_keeps_something_is_left_alone(stays: str) -> None:
    assert notes(parse(f"rule r per account: when recipients in 1h > 200 while {stays} block for 1h")) == []


_grid = {("messages", 60): np.repeat(np.arange(12) / 2, 12), ("bytes", 60): np.tile(np.arange(12) / 2, 12)}
_two = st.builds(
    Compare,
    st.sampled_from(COMPARISONS),
    st.sampled_from([Rate("messages", 60), Rate("bytes", 60)]),
    st.integers(0, 4).map(float).map(Number),
)


@untimed
@given(conditions(_two), conditions(_two))
def test_only_a_while_within_the_rule_is_said_to_keep_nothing(one: Condition, other: Condition) -> None:
    """Of any conditions: where it is said, no value is held by `while` alone."""
    rule = replace(_rule(one).rules[0], stays=other)
    if any(note.sentence.startswith(_KEEPS_NOTHING) for note in notes(Policy(rules=(rule,)))):
        assert not (other.holds(_grid) & ~one.holds(_grid)).any()


@untimed
@given(st.lists(_compare.filter(lambda compare: compare.op != "!="), min_size=2, max_size=4).map(tuple))
def test_an_empty_interval_is_always_found(both: tuple[Compare, ...]) -> None:
    assert bool(contradictions(_rule(And(both)))) == (not And(both).holds(_VALUES).any())
