"""Scores of addresses: in which files they may stand, and how a rule sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from logwatch.judging.language import PolicyError, load, parse

from .bench import START, Bench, message


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
def test_of_several_scores_of_an_address_the_highest_counts(client: str, score: int) -> None:
    policy = load(Path(__file__).parents[2] / "samples/policies/prices.policy")
    assert policy.reputation(f"client:{client}") == score


RANGES = """192.0.2
198.51.100.8-11
203.0.112-113
10/8
172.16/12
198.18.0.128-1.127
192.88.99.4-192.88.99.7
100.64-100.65.7
"""
IN_RANGES = (
    *("192.0.2.255", "198.51.100.8", "198.51.100.11", "203.0.112.0", "203.0.113.255", "10.9.8.7"),
    *("172.31.255.255", "198.18.0.128", "198.18.1.127", "192.88.99.7", "100.64.0.0", "100.65.7.255"),
)
BESIDE = (
    *("192.0.3.0", "198.51.100.7", "198.51.100.12", "203.0.111.255", "203.0.114.0", "11.0.0.0"),
    *("172.32.0.0", "198.18.0.127", "198.18.1.128", "192.88.99.8", "100.63.255.255", "100.65.8.0"),
)


@pytest.mark.parametrize(
    ("content", "listed"),
    [
        ("192.0.2.1\n# 192.0.2.2\n", {"192.0.2.1": 7}),
        ("192.0.2.0/24 ; SBL1\n; comment\n", {"192.0.2.1": 7}),
        ("192.0.2.1,80\n192.0.2.2, 90 # why\n", {"192.0.2.1": 80, "192.0.2.2": 90}),
        ('ip,score\n"192.0.2.1","80"\n192.0.2.2,spam,3\n', {"192.0.2.1": 80, "192.0.2.2": 7}),
        ("$SOA 0 a b 0\n:127.0.0.2:Listed\n192.0.2.1\n!192.0.2.2\n", {"192.0.2.1": 7, "192.0.2.2": 0}),
        ("192.0.2.1 :4:Listed\n", {"192.0.2.1": 7}),
        ("!192.0.2.7\n192.0.2.0/24\n192.0.2.7\n", {"192.0.2.6": 7, "192.0.2.7": 0}),
        (RANGES, dict.fromkeys(IN_RANGES, 7) | dict.fromkeys(BESIDE, 0)),
        ("$TTL 2100\n2001:db8:bad::/48 :3:Listed\n::1\n", {"2001:db8:bad::9": 7, "2001:db8::1": 0, "::1": 7}),
    ],
    ids=[
        "plain",
        "drop",
        "csv",
        "csv with a heading",
        "rbldnsd",
        "rbldnsd with a text",
        "rbldnsd with an exclusion",
        "rbldnsd with ranges",
        "rbldnsd, IPv6",
    ],
)
def test_a_list_of_scores_is_read_in_every_form_in_which_such_are_published(
    content: str, listed: dict[str, int]
) -> None:
    policy = parse('score 7 for file "list"', read=lambda _: content)
    assert {client: policy.reputation(f"client:{client}") for client in listed} == listed


def test_what_one_zone_takes_out_another_may_list() -> None:
    lists = {"a": "!192.0.2.7\n192.0.2.0/24\n", "b": "192.0.2.7\n"}
    policy = parse('score 9 for file "a" score 7 for file "b"', read=lambda path: lists[path.name])
    assert policy.reputation("client:192.0.2.7") == 7


@pytest.mark.parametrize(
    ("content", "where", "expected"),
    [
        ("192.0.2.1\nexample.com\n", "2:1", "an address or network"),
        ("# DROP\n192.0.2.1/24 ; SBL1\n", "2:1", "did you mean 192.0.2.0/24?"),
        ("ip,score\n  mail,80\n", "2:3", "an address or network"),
        ("192.0.2.1\nip,score\n", "2:1", "an address or network"),
        ("1,192.0.2.1\n", "1:1", "an address or network"),
        ("$SOA 0 a b 0\n!192.0.2.9-3\n", "2:2", "a range such as"),
        ("192.0.2.300-301\n", "1:1", "a range such as"),
    ],
    ids=["plain", "drop", "csv", "heading", "csv with numbers", "rbldnsd", "a number too large"],
)
def test_what_cannot_be_read_is_told_with_file_line_and_column(content: str, where: str, expected: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse('score 7 for file "list"', "etc/policy", read=lambda _: content)
    assert str(raised.value).startswith(f"etc/list:{where}: expected ")
    assert expected in str(raised.value)


def test_a_rule_sees_the_score_of_the_events_client() -> None:
    bench = Bench("score 7 for 192.0.2.1 rule r per account: when messages in 1m > 0 and reputation >= 7 block for 1h")
    rows = [message(n, 1, "a", client) for n, client in enumerate([None, "client:192.0.2.2", "client:192.0.2.1"])]
    assert [d.time - START for d in bench.feed(*rows)] == [2]
