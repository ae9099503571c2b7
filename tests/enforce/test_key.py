"""Keys: the same person gets the same key however the login is written, and a key always fits the table."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enforce import key

logins = st.text() | st.binary(max_size=2000).map(lambda raw: raw.decode(errors="surrogateescape"))
realms = st.sampled_from(["", "example.com"])


@pytest.mark.parametrize(
    ("login", "realm", "expected"),
    [
        ("bob", "", "account:bob"),
        (" Bob ", "", "account:bob"),
        ("bob", "example.com", "account:bob@example.com"),
        ("BOB@Example.Com", "example.com", "account:bob@example.com"),
        ("bob@other.example", "example.com", "account:bob@other.example"),
        ("user+tag", "", "account:user+tag"),
        ("a\nb\0", "", "account:a\\x0ab\\x00"),
        ("caf\udce9", "", "account:caf\\xe9"),
        ("", "example.com", None),
        ("   ", "", None),
    ],
)
def test_a_login_becomes_an_account_key_or_none(login: str, realm: str, expected: str | None) -> None:
    assert key.account(login, realm) == expected


def test_case_is_kept_where_it_matters() -> None:
    assert key.account("Bob", keep_case=True) == "account:Bob"


@given(logins, st.booleans())
def test_an_account_is_its_own_account(login: str, keep_case: bool) -> None:
    once = key.account(login, keep_case=keep_case)
    if once is not None:
        assert key.account(once.removeprefix("account:"), keep_case=keep_case) == once


@given(logins | st.text(min_size=280, max_size=420), st.sampled_from(["example.com", "Example.COM", "x" * 250]))
@example("x" * 600, "example.com")
@example("\u212a" * 150, "example.com")
def test_an_account_with_the_sites_own_domain_is_its_own_account(login: str, realm: str) -> None:
    """However long it is: the key's cut takes no domain away that would then be added again."""
    once = key.account(login, realm)
    if once is not None:
        assert key.account(once.removeprefix("account:"), realm) == once


@given(logins, realms, st.booleans())
def test_a_key_fits_the_table_and_a_log_line(login: str, realm: str, keep_case: bool) -> None:
    name = key.account(login, realm, keep_case=keep_case)
    if name is not None:
        assert len(name.encode()) <= 511
        assert name.isprintable()


@given(logins | st.just("*"), realms, st.booleans())
def test_no_login_is_everybody(login: str, realm: str, keep_case: bool) -> None:
    """Invariant 7: who may type a login may not name the key that stands for all accounts."""
    assert key.account(login, realm, keep_case=keep_case) != key.EVERYBODY


def test_long_logins_stay_apart() -> None:
    names = {key.account("x" * 600 + end) for end in ("a", "b", "ab")}
    assert len(names) == 3


@pytest.mark.parametrize(
    ("address", "client", "networks"),
    [
        ("192.0.2.7", "client:192.0.2.7", ("net:192.0.2.0/24",)),
        ("::ffff:192.0.2.7", "client:192.0.2.7", ("net:192.0.2.0/24",)),
        ("IPv6:2001:DB8::0:1", "client:2001:db8::1", ("net:2001:db8::/64", "net:2001:db8::/48")),
        ("fe80::1%eth0", "client:fe80::1", ("net:fe80::/64", "net:fe80::/48")),
        ("unknown", None, ()),
        ("", None, ()),
        ("/run/socket", None, ()),
        ("192.0.2.07", None, ()),
    ],
)
def test_an_address_becomes_a_client_key_and_those_of_its_networks(
    address: str, client: str | None, networks: tuple[str, ...]
) -> None:
    assert key.client(address) == client
    assert key.networks(address) == networks


@given(st.ip_addresses())
def test_a_client_is_its_own_client_and_in_its_networks(address: object) -> None:
    name = key.client(str(address))
    assert name is not None
    bare = name.removeprefix("client:")
    assert key.client(bare) == name
    assert key.networks(bare) == key.networks(str(address))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("bob", "account:bob@example.com"),
        ("account:Bob", "account:bob@example.com"),
        ("192.0.2.7", "client:192.0.2.7"),
        ("client:2001:db8::1", "client:2001:db8::1"),
        ("net:192.0.2.7/24", "net:192.0.2.0/24"),
        ("192.0.2.0/24", "net:192.0.2.0/24"),
        ("192.0.2.7/24", "net:192.0.2.0/24"),
        ("2001:db8::/48", "net:2001:db8::/48"),
        ("192.0.2.7/32", "client:192.0.2.7"),
        ("net:2001:db8::7/128", "client:2001:db8::7"),
        ("::ffff:192.0.2.0/120", "net:192.0.2.0/24"),
        ("net:::ffff:192.0.2.7/128", "client:192.0.2.7"),
        ("account:192.0.2.0/24", "account:192.0.2.0/24@example.com"),
        ("room/24", "account:room/24@example.com"),
        ("local:33", "local:33"),
        ("account:*", "account:*"),
        ("*", "account:*@example.com"),
        ("site", "site"),
    ],
)
def test_what_an_operator_writes_is_understood_as_a_key(written: str, expected: str) -> None:
    assert key.parse(written, "example.com") == expected


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("client:bob", "expected an address after client:, found 'bob'"),
        ("192.0.2.0/33", "expected a network such as net:192.0.2.0/24, found '192.0.2.0/33'"),
        (
            "10.0.0.0/8",
            "net:10.0.0.0/8 would never be found: mail is judged by networks of /24, and by /64 and /48 in IPv6",
        ),
        (
            "net:2001:db8::/56",
            "net:2001:db8::/56 would never be found: mail is judged by networks of /24, and by /64 and /48 in IPv6",
        ),
        (
            "::ffff:0:0/96",
            "net:0.0.0.0/0 would never be found: mail is judged by networks of /24, and by /64 and /48 in IPv6",
        ),
        ("net:bob", "expected a network such as net:192.0.2.0/24, found 'bob'"),
        ("account: ", "expected account:LOGIN, client:ADDRESS or net:PREFIX, found nothing"),
    ],
)
def test_what_an_operator_cannot_mean_is_told_with_the_reason(written: str, problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        key.parse(written)
    assert str(raised.value) == problem


def test_a_uid_becomes_a_local_key() -> None:
    assert key.local("33") == "local:33"
