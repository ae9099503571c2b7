"""What `habits` remembers of an account. Needs neither numpy nor pandas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Account:
    """What an account is used to; dictionaries are in the order of use, what was used last is last.

    since      time of its first message that is remembered, epoch seconds
    messages   how many it has sent
    day        of the last one, counted from the epoch; -1: none yet
    places     by network and neighbourhood: time of the first and of the last use
    countries  by country: on how many days it was used, and the last of them
    senders    by envelope sender: time of the first use (0: among the account's first messages), and messages
    """

    since: float
    messages: int = 0
    day: int = -1
    places: dict[str, list[float]] = field(default_factory=dict)
    countries: dict[str, list[int]] = field(default_factory=dict)
    senders: dict[str, tuple[float, int]] = field(default_factory=dict)

    def fields(self) -> list[Any]:
        """As it is kept."""
        return [self.since, self.messages, self.day, self.places, self.countries, self.senders]
