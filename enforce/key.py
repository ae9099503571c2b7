"""A key names whom a rate or a decision is about; both halves make it here, so that they cannot disagree.

    account:<login>    the SMTP AUTH login, trimmed, in lower case, with the site's own domain where it has none
    client:<address>   the address of an SMTP client, in its shortest form; an IPv4-mapped one as IPv4
    net:<prefix>       its networks: IPv4 /24; IPv6 /64 and /48
    local:<uid>        the local user whose program handed mail to sendmail(1)
    site               everything together
    account:*          in the deny table only: every account; nobody's login gives this key

A login may hold anything that an attacker can type. It stays printable (bytes that are no UTF-8 and control characters
appear as \\xNN, other unprintable characters as \\uNNNN) and short (LMDB takes keys of up to 511 bytes): longer ones
end in a hash of the whole.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache

from enforce.printable import escaped

SITE = "site"
EVERYBODY = "account:*"
# An IPv4 address as we write it ourselves: what nearly all of them are, and need not be taken apart.
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"({_BYTE}\.{_BYTE}\.{_BYTE})\.{_BYTE}")
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)+\.?")  # an address, if they were right
_LONGEST = 400  # bytes of a key
_LONGEST_LOGIN = 300  # bytes of one that gets a domain: the key's cut must not take it away again


def account(login: str, default_realm: str = "", *, keep_case: bool = False) -> str | None:
    """The key of a login as the MTA gives it in log and macro; None for an empty one.

    `login` may hold surrogate escapes (PEP 383) for bytes that are not UTF-8.
    """
    name = escaped(login).strip()
    if not keep_case:
        name = name.lower()
    if not name:
        return None
    if default_realm and "@" not in name and len(name.encode()) <= _LONGEST_LOGIN:
        name = f"{name}@{default_realm if keep_case else default_realm.lower()}"
    found = _bounded("account:" + name)
    return found if found != EVERYBODY else r"account:\x2a"  # else a stranger who fails to log in could name them all


@lru_cache(maxsize=65536)
def client(address: str) -> str | None:
    """The key of a client address; None for what is none (`unknown`, a unix socket's path)."""
    parsed = address if _IPV4.fullmatch(address) else _address(address)
    return f"client:{parsed}" if parsed else None


@lru_cache(maxsize=65536)
def networks(address: str) -> tuple[str, ...]:
    """The keys of the networks around a client address, narrowest first; none for what is no address."""
    if plain := _IPV4.fullmatch(address):
        return (f"net:{plain[1]}.0/24",)
    parsed = _address(address)
    if not parsed:
        return ()
    prefixes = (24,) if parsed.version == 4 else (64, 48)
    return tuple(f"net:{ipaddress.ip_network((parsed, prefix), strict=False)}" for prefix in prefixes)


def local(uid: str) -> str:
    """The key of a local user id."""
    return f"local:{uid}"


def parse(written: str, default_realm: str = "", *, keep_case: bool = False) -> str:
    """The key that an operator means: any of the kinds above, `KIND:` optional for all but local users.

    ValueError says what was expected.
    """
    kind, colon, value = written.partition(":")
    if written in (SITE, EVERYBODY) or (kind in ("net", "local") and colon):
        return _network(value) if kind == "net" else written
    if kind not in ("account", "client") and _is_network(written):
        return _network(written)
    address = value if kind == "client" and colon else written
    found = client(address)
    if found or (kind == "client" and colon):
        if not found:
            raise ValueError(f"expected an address after client:, found {value!r}")
        return found
    if _NUMBERS.fullmatch(written):
        raise ValueError(
            f"expected an address such as 192.0.2.7, or a network such as 192.0.2.0/24, found {written!r}; "
            f"an account that is called so is written account:{written}"
        )
    login = value if kind == "account" and colon else written
    name = account(login, default_realm, keep_case=keep_case)
    if name is None:
        raise ValueError("expected account:LOGIN, client:ADDRESS or net:PREFIX, found nothing")
    return name


def _is_network(written: str) -> bool:
    """Whether this is a network, by its slash, and no login."""
    address, slash, _ = written.partition("/")
    return bool(slash and _address(address))


def network(written: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network without the bits of a host in it, an IPv4-mapped one as IPv4; ValueError for what is none."""
    found = ipaddress.ip_network(written, strict=False)
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    return ipaddress.ip_network((mapped, found.prefixlen - 96)) if mapped and found.prefixlen >= 96 else found


def _network(value: str) -> str:
    """The key of a network that mail is judged by; of one address, that of the client."""
    try:
        found = network(value)
    except ValueError:
        raise ValueError(f"expected a network such as net:192.0.2.0/24, found {value!r}") from None
    if found.num_addresses == 1:
        return f"client:{found.network_address}"
    if f"net:{found}" not in networks(str(found.network_address)):
        raise ValueError(
            f"net:{found} would never be found: mail is judged by networks of /24, and by /64 and /48 in IPv6"
        )
    return f"net:{found}"


def _address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    bare = address.removeprefix("IPv6:").partition("%")[0]
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _bounded(key: str) -> str:
    raw = key.encode()
    if len(raw) <= _LONGEST:
        return key
    return raw[: _LONGEST - 40].decode("utf-8", "ignore") + "#" + hashlib.sha256(raw).hexdigest()[:32]
