"""What an account is used to: recipients, networks, countries by day, senders. Says of each event what is unusual.

    new_recipients   the first delivery to a recipient to whom the account has not written for half a year
    fresh_recipients a delivery to a recipient to whom the account had not written before that day
    new_networks     a message from a network that the account first used less than a day ago
    odd_countries    a message from a country that it used on fewer than three days, though it has one that it uses
    odd_senders      a message with an envelope sender of less than 2 % of its messages, or one first used this week
    far              a message from afar: from a neighbourhood of networks (IPv4 /16, IPv6 /32) that the account first
                     used less than four days ago
    far_strangers    a new recipient of such a message
    excused          a recipient refused as unknown by a domain that refuses everybody (see `domains`)
    away             a message from a neighbourhood that the account first used less than a day ago, whoever else does

An attempt that our milter refused is looked at like a message, but teaches nothing.

Learning comes first: nothing is new, far or away in the first week of the log; an account is not away on its first day,
has no new network in its first week, no odd country before it has one used on three days, no odd sender before its
twentieth message, nor when it uses many anyway. A network or neighbourhood that several accounts have used for longer
than a day (a carrier, a VPN's exit, a web server) is nothing new, and not far. A day on which something was decided
against the account teaches nothing, once it is over (see `condemned_days`). Days are those of UTC.

Per account at most 64 networks and neighbourhoods, 24 countries and 32 senders are remembered, those used last; it is
forgotten after half a year.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from logwatch.measuring.account_record import Account
from logwatch.measuring.condemned_days import DAY, Condemned, short
from logwatch.measuring.contacts import BEFORE, NEVER, Contacts, Delivery
from logwatch.measuring.deflated_memory import Records
from logwatch.measuring.domains import Domains
from logwatch.measuring.factorize import coded
from logwatch.measuring.network_users import Users
from logwatch.measuring.origin import ANYWHERE, Site, neighbourhood, network
from logwatch.measuring.signals import messages
from logwatch.memory import Memory
from logwatch.schema import Columns

LEARNING = 7 * DAY
MEMORY = 182 * DAY
_FAR = 4 * DAY
_NETWORKS, _COUNTRIES, _SENDERS = 64, 24, 32
_USED_DAYS = 3  # of a country
_FEW = 0.02  # of all messages, for a sender
_MESSAGES = 20  # before a sender can be odd
_SHARED = 3  # other accounts that make a network nothing new
_WEEK = 7  # days that say how many accounts are active

FOUND = (
    "new_recipients",
    "fresh_recipients",
    "far_strangers",
    "new_networks",
    "odd_countries",
    "far",
    "away",
    "odd_senders",
    "excused",
)
_KINDS = ("queued", "delivery", "verdict")


class Habits:
    """Remembers, in order of events."""

    def __init__(self, site: Site = ANYWHERE) -> None:
        self.condemned = Condemned()
        self.contacts = Contacts()
        self._domains = Domains()
        self._site = site
        self._accused = False  # whether anything has been decided against anybody
        self._accounts = Records("used", 1_000_000, Account)
        self._users = Users()  # of either
        # first event; the day and its active accounts; the days of a week before it, each with its own
        self._days: Memory[Any] = Memory("days", 3)

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks."""
        others = (self.condemned.memory, self._accounts, self._users.memory, self._days, self._domains.memory)
        return (*self.contacts.memories(), *others)

    @property
    def active(self) -> int:
        """Accounts that sent something on the busiest of the seven days before that of the last event.

        Of the day before alone they would be few on a Monday, and so would be those whom the guard lets be denied.
        """
        return max((count for _, count in self._days.get("week") or ()), default=0)

    def first_seen(self, account: str) -> float | None:
        """When an account sent its first message that is remembered."""
        record = self._accounts.get(account)
        return None if record is None else float(record.since)

    def observe(self, events: Columns) -> Columns:
        """The events with `network`, `country`, `price`, `message`, and what of FOUND each is; learns from them."""
        codes, clients = coded(events["client"])
        countries = [self._site.country(client) for client in clients]
        found: dict[str, list[str | None]] = {
            "network": [*map(network, clients)],
            "near": [*map(neighbourhood, clients)],
            "country": countries,
        }
        added: Columns = {name: _column([*of, None])[codes] for name, of in found.items()}  # no client (-1): the last
        prices = [1 if country is None else self._site.price(country) for country in countries]
        added["message"] = messages(events)
        added["price"] = np.array([*prices, 1], dtype=np.int64)[codes]
        added |= {name: np.zeros(len(codes), dtype=np.int64) for name in FOUND}
        kinds = [events["event"] == kind for kind in _KINDS]
        rows = np.flatnonzero(events["counts"] & np.logical_or.reduce(kinds) & _known(events["account"]))
        if len(rows):
            self._learn(rows, events, added)
        return {**events, **added}

    def expire(self, clock: float) -> None:
        """Forget who has not sent anything for half a year."""
        self._accounts.expire(clock - MEMORY)
        self._users.expire(clock)
        self.condemned.expire(clock)
        self.contacts.expire(clock)
        self._domains.expire(clock)

    def _learn(self, rows: Any, events: Columns, added: Columns) -> None:
        self._accused = len(self.condemned.memory) > 0
        began = self._days.get("first")
        if began is None:
            began = float(events["clock"][rows[0]])
            self._days.put("first", began, began)
        looked_at = {**events, **added}
        columns = {name: looked_at[name][rows].tolist() for name in (*_Row._fields, "recipient", "status", "dsn")}
        deliveries = _deliveries(columns)
        met = self._met(deliveries)
        added["excused"][rows[self._excused(deliveries, met, columns["status"])]] = 1
        fresh = [place for place, when in met.items() if when != BEFORE and columns["clock"][place] - began >= LEARNING]
        new = [place for place in fresh if met[place] == NEVER]
        added["fresh_recipients"][rows[fresh]] = added["new_recipients"][rows[new]] = 1
        telling = [event != "delivery" for event in columns["event"]]
        for place in new:
            telling[place] = True
        found = defaultdict[str, list[int]](list)  # rows
        lines = zip(rows.tolist(), map(_ROW, zip(*map(columns.__getitem__, _Row._fields), strict=True)), strict=True)
        used: dict[str, tuple[float, Account]] = {}  # accounts of this chunk, in order of their last message
        for row, line in compress(lines, telling):
            event, account, clock = line.event, line.account, line.clock
            record = self._recalled(line, used)
            firsts = self._firsts(record, line)
            if event == "delivery":
                if self._far(line, firsts):
                    found["far_strangers"].append(row)
                continue
            for name in self._unusual(record, line, firsts, clock - began >= LEARNING):
                found[name].append(row)
            if event == "queued":
                if self._message(record, line, firsts):
                    found["odd_senders"].append(row)
                used.pop(account, None)
                used[account] = (clock, record)
        for name, places in found.items():
            added[name][places] = 1
        for account, (time, record) in used.items():
            self._accounts.put(account, record, time)

    def _met(self, deliveries: Mapping[int, Delivery]) -> dict[int, int]:
        """By place of a delivery: when the account wrote to its recipient before."""
        if not deliveries:
            return {}
        met = self.contacts.met_by(deliveries.values(), self._taught_nothing if self._accused else None)
        return dict(zip(deliveries, met, strict=True))

    def _excused(
        self, deliveries: Mapping[int, Delivery], met: Mapping[int, int], status: Sequence[bytes | None]
    ) -> list[int]:
        """The places of refusals that accuse nobody."""
        found = []
        for place, (account, recipient, clock, exists) in deliveries.items():
            if not exists or status[place] == b"sent":
                whose, known = short(account), met[place] == BEFORE
                if self._domains.excuses(whose, recipient, clock, refused=not exists, known=known):
                    found.append(place)
        return found

    def _taught_nothing(self, account: str, day: int, time: float) -> bool:
        return self.condemned.on(short(account), day, time)

    def _firsts(self, record: Account, line: _Row) -> tuple[float, float]:
        """When the account first used network and neighbourhood, on days not condemned; now, if it never did."""
        places, never = record.places, [line.clock]
        network, near = places.get(line.network or "", never)[0], places.get(line.near or "", never)[0]
        if self._accused:
            network, near = (line.clock if self._condemned(line, first // DAY) else first for first in (network, near))
        return network, near

    def _unusual(self, record: Account, line: _Row, firsts: tuple[float, float], ready: bool) -> list[str]:
        """What is unusual about where a message comes from."""
        found: list[str] = []
        if not ready:
            return found
        age = line.clock - record.since
        if age >= LEARNING:
            if self._newer(line, line.network, firsts[0], DAY):
                found.append("new_networks")
            if self._odd_country(record, line):
                found.append("odd_countries")
        if line.near is not None and line.clock - firsts[1] < _FAR:
            if self._far(line, firsts):
                found.append("far")
            if age >= DAY and line.clock - firsts[1] < DAY:
                found.append("away")
        return found

    def _recalled(self, line: _Row, used: dict[str, tuple[float, Account]]) -> Account:
        """What is known of an account, as it was used in this chunk or before it."""
        lately = used.get(line.account)
        if lately and lately[0] >= line.clock - MEMORY:
            return lately[1]
        known = None if lately else self._accounts.get(line.account, line.clock - MEMORY)
        return known or Account(line.clock)

    def _message(self, record: Account, line: _Row, firsts: tuple[float, float]) -> bool:
        """Learn from a message; whether its sender is odd."""
        day = int(line.clock // DAY)
        if record.day != day:
            record.day = day
            self._count_active(day, line.clock)
        places, user = record.places, bytes.fromhex(short(line.account))
        for place, first in zip((line.network, line.near), firsts, strict=True):
            if place is not None:
                self._users.note(place, user, first, line.clock)
                places.pop(place, None)
                places[place] = [first, line.clock]
                if len(places) > _NETWORKS:
                    _forget_oldest(places)
        if line.country is not None:
            days, last = self._days_there(record, line)
            record.countries.pop(line.country, None)
            record.countries[line.country] = [days + (last != day), day]
            if len(record.countries) > _COUNTRIES:
                _forget_oldest(record.countries)
        odd = bool(line.sender) and self._odd_sender(record, line)
        record.messages += 1
        return odd

    def _count_active(self, day: int, time: float) -> None:
        today, count = self._days.get("today") or (day, 0)
        if today != day:
            week = [[today, count], *(self._days.get("week") or ())]
            self._days.put("week", [one for one in week if day - _WEEK <= one[0] < day], time)
            count = 0
        self._days.put("today", [day, count + 1], time)

    def _condemned(self, line: _Row, day: float) -> bool:
        return self._accused and self.condemned.on(short(line.account), int(day), line.clock)

    def _far(self, line: _Row, firsts: tuple[float, float]) -> bool:
        return self._newer(line, line.near, firsts[1], _FAR) and not self._shared(line, line.network)

    def _newer(self, line: _Row, place: str | None, first: float, span: float) -> bool:
        """Whether the account has used a place for less than a span, and others hardly have."""
        return place is not None and line.clock - first < span and not self._shared(line, place)

    def _shared(self, line: _Row, place: str | None) -> bool:
        """Whether several others have used a place for longer than a day, and not only while they were abused."""
        mine, settled = short(line.account), line.clock - DAY
        users = self._users.of(place or "", line.clock).items()
        others = [(user, first) for user, first in users if user != mine and first <= settled]
        good = (not self.condemned.on(user, int(first // DAY), line.clock) for user, first in others)
        return len(others) >= _SHARED and sum(good) >= _SHARED

    def _days_there(self, record: Account, line: _Row) -> tuple[int, int]:
        """On how many days the account used a country before today, and the last day on which it did."""
        days, last = record.countries.get(line.country or "", (0, -1))
        return days - self._condemned(line, last), last

    def _odd_country(self, record: Account, line: _Row) -> bool:
        if line.country is None:
            return False
        days, last = self._days_there(record, line)
        others = (count for land, (count, _) in record.countries.items() if land != line.country)
        return days + (last != line.clock // DAY) < _USED_DAYS and any(count >= _USED_DAYS for count in others)

    def _odd_sender(self, record: Account, line: _Row) -> bool:
        messages, used = record.messages, record.senders
        sender = _text(line.sender or b"")
        first, before = used.pop(sender, (line.clock if messages >= _MESSAGES else 0.0, 0))
        if self._condemned(line, first // DAY):
            first, before = line.clock, 0
        many = len(used) >= _SENDERS - 1
        used[sender] = (first, before + 1)
        if len(used) > _SENDERS:
            _forget_oldest(used)
        return messages >= _MESSAGES and not many and (before < _FEW * messages or line.clock - first < LEARNING)


def _deliveries(columns: Mapping[str, Sequence[Any]]) -> dict[int, Delivery]:
    """The deliveries among events, by place."""
    each = zip(*map(columns.__getitem__, ("event", "account", "recipient", "clock", "status", "dsn")), strict=True)
    return {
        place: (account, recipient, clock, status != b"bounced" or dsn != b"5.1.1")
        for place, (event, account, recipient, clock, status, dsn) in enumerate(each)
        if event == "delivery" and recipient is not None
    }


class _Row(NamedTuple):
    """What is looked at of an event."""

    event: str
    account: str
    sender: bytes | None
    clock: float
    network: str | None
    near: str | None
    country: str | None


_ROW: Callable[[Any], _Row] = partial(tuple.__new__, _Row)  # from a row of as many values; NamedTuple's own is slow


def _forget_oldest(used: dict[str, Any]) -> None:
    """What was used longest ago goes first; dictionaries keep the order of use."""
    del used[next(iter(used))]


def _text(sender: bytes) -> str:
    return sender.lower().decode("latin-1")


def _column(values: Sequence[Any]) -> Any:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _known(column: Any) -> Any:
    return np.asarray(column != None, dtype=bool)  # noqa: E711  # for each element
