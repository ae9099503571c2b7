"""A fifth site: the people of `hosted` without what all other sites assume about addresses and the past.

Nobody has a provider: a home moves to any network of the country every twenty days, far from the one before, and VPN
exits are everybody's own. Nobody has written to anybody before the log begins: address books grow from nothing, and
every fourth recipient is new, as in the first month of the two public traces. So those who write little have few
contacts, and all who move look like stolen logins for some days.
"""

from __future__ import annotations

import random

from benchmarks.traffic.hosted import LAND, Box, Hosted
from benchmarks.traffic.places import abroad, block, network

_FRESH = 0.27  # of recipients, in an account's first month


class Scattered(Hosted):
    """A month, as `Month` is one."""

    called = "scattered"

    def _box(self, number: int) -> Box:
        box = super()._box(number)
        box.book.clear()
        box.fresh = _FRESH
        if "exit" in box.places:
            box.places["exit"] = network(box.pick, block(box.pick, abroad(box.pick, LAND)))
        return box

    @staticmethod
    def _home(pick: random.Random, provider: list[str]) -> str:
        """Anywhere in the country, whatever the provider's blocks."""
        del provider
        return f"{network(pick, block(pick, LAND))}.{pick.randrange(1, 255)}"
