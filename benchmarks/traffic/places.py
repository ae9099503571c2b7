"""Addresses that a registry gave to a country, so that whoever asks for an address's country finds one."""

from __future__ import annotations

import random
from functools import lru_cache

from logwatch.measuring.origin import registered


@lru_cache(maxsize=1)
def _blocks() -> dict[str, list[str]]:
    """The IPv4 /16 that lie in one country as far as three of their addresses tell."""
    found: dict[str, list[str]] = {}
    for block in (f"{first}.{second}" for first in range(1, 224) for second in range(256)):
        lands = {registered(f"client:{block}.{rest}") for rest in ("0.1", "128.1", "255.1")}
        land = lands.pop()
        if land and not lands:
            found.setdefault(land, []).append(block)
    return found


@lru_cache(maxsize=1)
def lands() -> tuple[str, ...]:
    """Countries with ten such blocks or more."""
    return tuple(sorted(land for land, blocks in _blocks().items() if len(blocks) >= 10))


def block(pick: random.Random, land: str) -> str:
    """A /16 of a country, as its first two bytes."""
    return pick.choice(_blocks()[land])


def abroad(pick: random.Random, home: str) -> str:
    """Another country."""
    return pick.choice([land for land in lands() if land != home])


def network(pick: random.Random, within: str) -> str:
    """A /24 of a /16, as its first three bytes."""
    return f"{within}.{pick.randrange(256)}"


def host(pick: random.Random, within: str) -> str:
    """An address of a /24."""
    return f"{within}.{pick.randrange(1, 255)}"
