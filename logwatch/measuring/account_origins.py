"""Where an account has been used, read off its record in the memory of `habits`. Needs no pandas."""

from __future__ import annotations

from typing import NamedTuple

from logwatch.measuring.account_record import Account
from logwatch.measuring.condemned_days import DAY
from logwatch.measuring.deflated_memory import read


class Places(NamedTuple):
    """Where an account has been used: networks with first and last use, countries with days and last day."""

    since: float
    networks: dict[str, tuple[float, float]]  # epoch seconds; those used last come last
    countries: dict[str, tuple[int, float]]  # number of days, start of the last one


def places(written: bytes) -> Places:
    """What the memory of `Habits` tells of an account."""
    account = Account(*read(written))
    return Places(
        account.since,
        {net: (first, last) for net, (first, last) in account.places.items() if net.startswith("net:")},
        {land: (days, day * DAY) for land, (days, day) in account.countries.items()},
    )
