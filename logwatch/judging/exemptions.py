"""Who is exempt from every rule: one look-up by key, as fast with 100,000 entries as with one.

Keys stand in a set. Networks are kept by length, as the numbers of their prefixes: an address is exempt if one of its
prefixes is listed, so a look-up costs one shift for each length that occurs, however many networks there are.
An exempt client says nothing about the network around it, nor a network about the logins that come from it.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from enforce import key

Length = tuple[str, int, int]  # kind, IP version, prefix length
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Entry = str | tuple[str, Network]  # a key, or the networks of a kind
Naming = Callable[[str], str | None]  # a login's key, as enforce.key.account makes it

_NARROWEST = {4: 24, 6: 64}  # of the networks that have rates
_ADDRESS_BITS = {4: 32, 6: 128}


@dataclass(frozen=True)
class Exempted:
    """The exempt keys: `key in exempted`."""

    keys: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()  # of accounts, `@` in front
    networks: Mapping[Length, frozenset[int]] = field(default_factory=dict)

    def __contains__(self, wanted: str) -> bool:
        return (
            wanted in self.keys
            or (self.domains and wanted[wanted.rfind("@") :] in self.domains and wanted.startswith("account:"))
            or (bool(self.networks) and self._in_network(wanted))
        )

    def _in_network(self, wanted: str) -> bool:
        kind, _, value = wanted.partition(":")
        if kind not in ("client", "net"):
            return False
        try:
            version, prefix, number = _number(value)
        except ValueError:
            return False
        return any(
            kind == listed_kind
            and version == listed_version
            and length <= prefix
            and number >> prefix - length in numbers
            for (listed_kind, listed_version, length), numbers in self.networks.items()
        )


def gather(entries: Iterable[Entry]) -> Exempted:
    """The look-up over entries as `entry` makes them."""
    keys, networks = set(), defaultdict(set)
    for found in entries:
        if isinstance(found, str):
            keys.add(found)
        else:
            kind, network = found
            version, prefix, number = _number(str(network))
            networks[kind, version, prefix].add(number)
    domains = frozenset(key.removeprefix("account:") for key in keys if key.startswith("account:@"))
    return Exempted(frozenset(keys), domains, {length: frozenset(numbers) for length, numbers in networks.items()})


def together(several: Sequence[Exempted]) -> Exempted:
    """All that is in one of these."""
    if len(several) == 1:
        return several[0]
    networks: defaultdict[Length, frozenset[int]] = defaultdict(frozenset)
    for one in several:
        for length, numbers in one.networks.items():
            networks[length] |= numbers
    keys = frozenset[str]().union(*(one.keys for one in several))
    return Exempted(keys, frozenset[str]().union(*(one.domains for one in several)), dict(networks))


def entry(kind: str, written: str, account: Naming) -> Entry:
    """What an item of a list means for keys of a kind; ValueError says what was expected, with a remedy."""
    return _MEANINGS[kind](written, account)


@lru_cache(maxsize=65536)
def _number(value: str) -> tuple[int, int, int]:
    """IP version, prefix length and prefix as a number, of an address or network in its normal form."""
    network = ipaddress.ip_network(value)
    bits = _ADDRESS_BITS[network.version]
    return network.version, network.prefixlen, int(network.network_address) >> bits - network.prefixlen


def _account(written: str, account: Naming) -> str:
    if written.startswith("@"):
        written = written.lower()
    name = account(written)
    if name is None:
        raise ValueError(f'expected an account, found "{written}"')
    return name


def _client(written: str, _: Naming) -> Entry:
    address = key.client(written)
    return address if address else ("client", _network(written, "an address or network such as 192.0.2.0/28"))


def _net(written: str, _: Naming) -> Entry:
    network = _network(written, "a network such as 192.0.2.0/24")
    narrowest = _NARROWEST[network.version]
    if network.prefixlen > narrowest:
        raise ValueError(
            f'expected a network of at most /{narrowest}, as rates of networks are kept, found "{written}"'
        )
    return "net", network


def _local(written: str, _: Naming) -> str:
    if not re.fullmatch("[0-9]{1,10}", written):
        raise ValueError(f'expected a numeric user id such as 33, found "{written}"')
    return key.local(written)


def _network(written: str, expected: str) -> Network:
    try:
        loose = ipaddress.ip_network(written, strict=False)
    except ValueError:
        raise ValueError(f'expected {expected}, found "{written}"') from None
    try:
        return ipaddress.ip_network(written)
    except ValueError:
        raise ValueError(f'expected {expected}, found "{written}"; did you mean {loose}?') from None


_MEANINGS: dict[str, Callable[[str, Naming], Entry]] = {
    "account": _account,
    "client": _client,
    "net": _net,
    "local": _local,
}
KINDS = tuple(_MEANINGS)
