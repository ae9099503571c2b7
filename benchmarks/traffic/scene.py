"""What happens at a site: small values in order of time, not yet lines of a log. Times are epoch seconds."""

from __future__ import annotations

import random
from dataclasses import dataclass

DAY = 86400.0
HOUR = 3600.0
START = 1_791_158_400.0  # Monday 2026-10-05 00:00 UTC; the site's clocks show UTC

NOISE = -1_000_000  # label of what is hostile but no attack that somebody could be blamed for missing

SENT, DEFERRED, UNKNOWN, REFUSED = "sent", "deferred", "unknown", "refused"  # what becomes of a recipient


@dataclass(slots=True)
class Mail:
    """A message handed in by a login; `fates` has one entry for each recipient. `attack` 0 is honest mail."""

    time: float
    account: str
    client: str
    sender: str
    recipients: tuple[str, ...]
    fates: tuple[str, ...]
    attack: int = 0


@dataclass(slots=True)
class Incoming:
    """A message from another server to people of the site; `unknown` of its recipients do not exist."""

    time: float
    client: str
    recipients: tuple[str, ...]
    unknown: int = 0
    attack: int = 0


@dataclass(slots=True)
class Guess:
    """A login that failed."""

    time: float
    client: str
    login: str
    attack: int = 0


@dataclass(slots=True)
class Knock:
    """A connection without a message."""

    time: float
    client: str
    attack: int = 0


Event = Mail | Incoming | Guess | Knock


@dataclass(frozen=True)
class Attack:
    """The truth about one attack; `account` is the login that is abused, empty where none is."""

    number: int
    family: str
    account: str
    first: float
    last: float


def seeded(*parts: object) -> random.Random:
    """Chance that is the same in every run; what differs in any part is independent."""
    return random.Random(" ".join(map(str, parts)))  # noqa: S311  # traffic needs no secure randomness


def fates(pick: random.Random, count: int, unknown: float, refused: float, deferred: float) -> tuple[str, ...]:
    """What becomes of so many recipients, by their shares; the rest is sent."""
    weights = (unknown, refused, deferred, max(0.0, 1.0 - unknown - refused - deferred))
    return tuple(pick.choices((UNKNOWN, REFUSED, DEFERRED, SENT), weights, k=count))
