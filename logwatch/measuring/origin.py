"""Where an address is: its network, and the country to which a registry gave it.

The country comes from the files of the five Regional Internet Registries as the package `iptocc` carries them (agrees
with commercial data for about 95 % of IPv4), or from any `.mmdb` file. Addresses of nobody (10.0.0.0/8, documentation)
have none. What a site thinks of places, prices and scores, comes from its policy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any

import iptocc

from enforce import key as keys

Country = Callable[[str], str | None]  # of a client's key


def network(client: str) -> str:
    """The network of a client's key, as `net:` keys have it: IPv4 /24, IPv6 /64; the key itself if it is no address."""
    found = keys.networks(client.removeprefix("client:"))
    return found[0] if found else client


@lru_cache(maxsize=16384)
def neighbourhood(client: str) -> str | None:
    """The networks around a client's key that mostly belong to one provider: IPv4 /16, IPv6 /32; None if no address."""
    found = keys.networks(client.removeprefix("client:"))
    if not found:
        return None
    around = found[-1].removeprefix("net:")
    if ":" in around:
        return f"near:{ipaddress.ip_network(around).supernet(new_prefix=32)}"
    return f"near:{'.'.join(around.split('.')[:2])}.0.0/16"


@lru_cache(maxsize=65536)
def registered(client: str) -> str | None:
    """Two letters such as `DE` for a client's key, by registry; None if nobody holds it."""
    return iptocc.country_code(client.removeprefix("client:"))


def mmdb(path: Path) -> Country:
    """The same from a MaxMind database; OSError or ValueError if it cannot be used."""
    try:
        import maxminddb
    except ImportError:
        raise ValueError("the package maxminddb is not installed: pip install 'mailbrake[mmdb]'") from None
    try:
        reader = maxminddb.open_database(str(path))
    except maxminddb.InvalidDatabaseError as error:
        raise ValueError(str(error)) from None

    @lru_cache(maxsize=65536)
    def found(client: str) -> str | None:
        record: Any = reader.get(client.removeprefix("client:"))
        place = (record.get("country") or record.get("registered_country")) if isinstance(record, dict) else None
        return place.get("iso_code") if isinstance(place, dict) else None

    return found


@dataclass(frozen=True)
class Site:
    """What differs from site to site: time zone, countries of addresses, prices by country, scores of addresses."""

    zone: tzinfo | None = None  # None is the machine's
    country: Country = registered
    price: Callable[[str], int] = lambda _: 1
    reputation: Callable[[str, Mapping[str, Collection[str]]], int] = lambda *_: 0  # by key and answers of DNS lists


ANYWHERE = Site()
