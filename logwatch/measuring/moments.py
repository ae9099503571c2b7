"""What a rule may look at that is no count: hour and day of an event in the log's zone, age, reputation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.condemned_days import DAY
from logwatch.measuring.dnsbl_answers import Listings
from logwatch.measuring.habits import Habits
from logwatch.measuring.origin import Site

_QUARTER = 900.0  # seconds; no zone's offset divides it


def age(times: NDArray[np.float64], keys: Iterable[str], habits: Habits) -> Any:
    """Days for which each key has been known at a time."""
    known = {key: habits.first_seen(key) for key in set(keys)}
    since = np.array([known[key] for key in keys], dtype=float)  # None becomes not a number
    return np.nan_to_num(np.maximum(times - since, 0.0)) / DAY


def reputation(clients: NDArray[Any], times: NDArray[np.float64], listings: Listings, site: Site) -> Any:
    """The score of each event's client, as of its time."""
    pairs = list(zip(clients.tolist(), times.tolist(), strict=True))
    listed = {client for client in set(clients.tolist()) if client is not None and client in listings.memory}
    plain = {client: site.reputation(client, {}) for client in {*clients.tolist()} - {None}}
    scores = [
        site.reputation(client, listings.answers(client, time)) if client in listed else plain.get(client, 0)
        for client, time in pairs
    ]
    return np.array(scores, dtype=np.int64)


def on_the_clock(name: str, times: NDArray[np.float64], zone: tzinfo | None) -> Any:
    """The hour, or the weekday, of each time."""
    quarters, which = np.unique(times // _QUARTER, return_inverse=True)
    local = [datetime.fromtimestamp(quarter * _QUARTER, zone) for quarter in quarters.tolist()]
    return np.array([one.hour if name == "hour" else one.isoweekday() for one in local], dtype=float)[which]
