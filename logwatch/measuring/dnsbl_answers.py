"""Which DNS block lists have a client, as of an event: what their answers said, each for a time.

An answer is a fact with an event time. It counts for the events after that time, until its own end; so the same lines
with the same answers give the same reputation, whenever the answers came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logwatch.memory import Memory
from logwatch.schema import Listing

LONGEST = 86400.0  # seconds that an answer counts, at most


class Listings:
    """Remembers answers by client."""

    def __init__(self) -> None:
        # client -> [time, until, zone, codes] of each answer
        self.memory: Memory[list[list[Any]]] = Memory("listings", 200_000)

    def learn(self, listing: Listing, clock: float) -> None:
        """Take up an answer; `clock`: the time of the next event is not before it."""
        known = self.memory.get(listing.client) or []
        kept = [answer for answer in known if answer[1] >= clock]
        answer = [listing.time, min(listing.until, listing.time + LONGEST), listing.zone, list(listing.codes)]
        self.memory.put(listing.client, [*kept, answer], listing.time)

    def answers(self, client: str, time: float) -> Mapping[str, list[str]]:
        """The codes that each list gave for a client, as of an event: its latest answer."""
        known = self.memory.get(client) or []
        return {zone: codes for begin, until, zone, codes in known if begin < time <= until}

    def expire(self, clock: float) -> None:
        """Forget what counts no more."""
        self.memory.expire(clock - LONGEST)

    def turn_back(self) -> None:
        """The clock was set back: what is remembered has no time any more."""
        self.memory.clear()
