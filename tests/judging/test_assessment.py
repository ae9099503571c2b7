"""Prices of countries and scores of addresses: as a policy says them, and as a rule sees them."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from logwatch.judging.language import load, parse
from logwatch.measuring.origin import Site
from logwatch.measuring.rates import Rates
from tests.measuring.table import events

from .bench import START, Bench, message

PRICES = "price 2 for DE, AT price 30 for others"


@pytest.mark.parametrize(
    ("policy", "country", "price"),
    [(PRICES, "AT", 2), (PRICES, "US", 30), ("price 2 for DE", "US", 1), ("", "DE", 1), ("price 0 for DE", "DE", 0)],
)
def test_a_price_by_country(policy: str, country: str, price: int) -> None:
    assert parse(policy).price(country) == price


def test_recipients_cost_what_their_messages_country_does() -> None:
    """Google's address is American; documentation's belongs to nobody."""
    policy = parse(PRICES)
    rates = Rates([3600], ["account"], site=Site(UTC, price=policy.price))
    rows = [message(0, 3, client="client:8.8.8.8"), message(1, 5, client="client:192.0.2.1"), message(2, 1)]
    history = rates.add(events(rows), {"account": [("cost", 3600)]})["account"]
    assert history.values["cost", 3600].tolist() == [90, 95, 96]


@pytest.mark.parametrize(
    ("client", "score"),
    [
        ("192.0.2.1", 10),
        ("192.0.2.200", 50),
        ("203.0.113.15", 10),
        ("203.0.113.16", 0),
        ("198.51.100.77", 80),
        ("2001:db8:bad::1", 50),
    ],
)
def test_the_highest_score_of_an_address(client: str, score: int) -> None:
    policy = load(Path(__file__).parents[2] / "samples/policies/prices.policy")
    assert policy.reputation(f"client:{client}") == score


@pytest.mark.parametrize(
    ("content", "listed"),
    [
        ("192.0.2.1\n# 192.0.2.2\n", {"192.0.2.1": 7}),
        ("192.0.2.0/24 ; SBL1\n; comment\n", {"192.0.2.1": 7}),
        ("192.0.2.1,80\n192.0.2.2, 90 # why\n", {"192.0.2.1": 80, "192.0.2.2": 90}),
        ("$SOA 0 a b 0\n:127.0.0.2:Listed\n192.0.2.1\n!192.0.2.2\n", {"192.0.2.1": 7, "192.0.2.2": 0}),
        ("192.0.2.1 :4:Listed\n", {"192.0.2.1": 7}),
    ],
    ids=["plain", "drop", "csv", "rbldnsd", "rbldnsd with a text"],
)
def test_forms_of_lists(content: str, listed: dict[str, int]) -> None:
    policy = parse('score 7 for file "list"', read=lambda _: content)
    assert {client: policy.reputation(f"client:{client}") for client in listed} == listed


def test_a_rule_sees_the_score_of_the_events_client() -> None:
    bench = Bench("score 7 for 192.0.2.1 rule r per account: when messages in 1m > 0 and reputation >= 7 block for 1h")
    rows = [message(n, 1, "a", client) for n, client in enumerate([None, "client:192.0.2.2", "client:192.0.2.1"])]
    assert [d.time - START for d in bench.feed(*rows)] == [2]
