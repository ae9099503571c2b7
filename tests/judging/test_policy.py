"""What a policy says about itself: which rates it needs, which modes it allows, what a country costs; and its text."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given

from logwatch.judging.conditions import Rate
from logwatch.judging.language import parse
from logwatch.judging.policy import SEVERITY, Policy, render
from logwatch.schema import ACTIONS

from .strategies import policies, untimed
from .test_exemptions import LISTS


def test_a_policy_can_be_handed_to_another_process() -> None:
    policy = parse(LISTS)
    copy = pickle.loads(pickle.dumps(policy))  # noqa: S301  # made here
    assert copy == policy
    assert copy.exempt("client:192.0.2.10")


def test_needs_are_the_rates_by_kind() -> None:
    policy = parse(
        """
        rule a per account: when recipients in 10m > 1 block for 1h
        rule b per account: when recipients / messages in 1h > 1 block for 1h
        rule c per net: when auth_failures in 10m > 1 block for 1h
        """
    )
    assert policy.needs() == {
        "account": {Rate("recipients", 600), Rate("recipients", 3600), Rate("messages", 3600)},
        "net": {Rate("auth_failures", 600)},
    }


@pytest.mark.parametrize(
    ("policy_mode", "rule_mode", "expected"),
    [
        ("", "", "observe"),
        ("", "mode enforce", "enforce"),
        ("mode enforce", "", "observe"),
        ("mode enforce", "mode enforce", "enforce"),
        ("mode observe", "mode enforce", "observe"),
    ],
)
def test_the_policy_caps_the_mode_of_its_rules(policy_mode: str, rule_mode: str, expected: str) -> None:
    policy = parse(f"{policy_mode} rule a per account: when bytes in 1h > 1 block for 1h {rule_mode}")
    assert policy.mode_of(policy.rules[0]) == expected


def test_actions_stand_from_mild_to_severe() -> None:
    assert list(SEVERITY) == ["observe", *ACTIONS]
    assert sorted(SEVERITY.values()) == list(SEVERITY.values())
    assert SEVERITY["tempfail"] < SEVERITY["hold"] < SEVERITY["block"]


@untimed
@given(policies())
def test_what_is_rendered_is_read_as_the_same_policy(policy: Policy) -> None:
    text = render(policy)
    again = parse(text, read=lambda _: "")
    assert again == policy
    assert render(again) == text


PRICES = "price 2 for DE, AT price 30 for others"


@pytest.mark.parametrize(
    ("policy", "country", "price"),
    [(PRICES, "AT", 2), (PRICES, "US", 30), ("price 2 for DE", "US", 1), ("", "DE", 1), ("price 0 for DE", "DE", 0)],
)
def test_a_country_has_its_own_price_or_that_of_others_or_one(policy: str, country: str, price: int) -> None:
    assert parse(policy).price(country) == price
