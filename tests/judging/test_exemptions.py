"""Who is exempt: by account, domain, address and network, as a policy's lists name them."""

from __future__ import annotations

import ipaddress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforce import key
from logwatch.judging import exemptions
from logwatch.judging.language import parse
from logwatch.judging.policy import Policy

from .strategies import untimed

LISTS = """
let webmail = 192.0.2.10, 198.51.100.0/28, 2001:db8:7::/48
exempt client in webmail, ::ffff:203.0.113.9
exempt net in 10.0.0.0/16, 2001:db8:7::/48, 2001:db8:9:100::/56
exempt account in "Bob", newsletter@example.com, "odd name, with comma"
exempt local in 33
"""


@pytest.mark.parametrize(
    ("written", "exempt"),
    [
        ("client:192.0.2.10", True),
        ("client:192.0.2.11", False),
        ("client:198.51.100.15", True),
        ("client:198.51.100.16", False),
        ("client:2001:db8:7:ffff::1", True),
        ("client:2001:db8:8::1", False),
        ("client:203.0.113.9", True),
        ("net:10.0.7.0/24", True),
        ("net:10.1.0.0/24", False),
        ("net:2001:db8:7::/48", True),
        ("net:2001:db8:7:1::/64", True),
        ("net:2001:db8:8::/48", False),
        ("net:2001:db8:9:1ff::/64", True),
        ("net:2001:db8:9::/48", False),  # of which a part is
        ("net:198.51.100.0/24", False),
        ("client:10.0.0.1", False),
        ("account:bob@example.org", True),
        ("account:bob", False),
        ("account:newsletter@example.com", True),
        ("account:odd name, with comma@example.org", True),
        ("account:192.0.2.10", False),
        ("local:33", True),
        ("local:34", False),
        ("client:unknown", False),
        ("site", False),
    ],
)
def test_a_key_is_exempt_if_a_list_names_it_or_its_network_or_domain(written: str, exempt: bool) -> None:
    policy = parse(LISTS, account=partial(key.account, default_realm="example.org"))
    assert policy.exempt(written) is exempt


def test_case_of_an_account_counts_where_the_site_says_so() -> None:
    folded, kept = parse(LISTS), parse(LISTS, account=partial(key.account, keep_case=True))
    assert folded.exempt("account:bob")
    assert not kept.exempt("account:bob")
    assert kept.exempt("account:Bob")


def test_nobody_is_exempt_by_default() -> None:
    assert not Policy().exempt("client:192.0.2.1")


@untimed
@given(
    st.lists(st.tuples(st.ip_addresses(v=4), st.integers(20, 32)), max_size=5),
    st.ip_addresses(v=4, network="192.0.2.0/23") | st.ip_addresses(),
)
def test_networks_are_looked_up_as_ipaddress_does(
    listed: list[tuple[ipaddress.IPv4Address, int]], address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    networks = [ipaddress.ip_network("192.0.2.0/25"), ipaddress.ip_network("2001:db8::/32")]
    networks += [ipaddress.ip_network(pair, strict=False) for pair in listed]
    found = exemptions.gather([exemptions.entry("client", str(network), key.account) for network in networks])
    wanted = key.client(str(address)) or ""
    parsed = ipaddress.ip_address(wanted.removeprefix("client:"))
    assert (wanted in found) == any(parsed in network for network in networks)
