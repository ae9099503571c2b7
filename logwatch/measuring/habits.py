"""What an account is used to: recipients, networks, countries by day, senders. Says of each event what is unusual.

    new_recipients   the first delivery to a recipient to whom the account has not written for half a year
    new_networks     a message from a network that the account first used less than a day ago
    odd_countries    a message from a country that it used on fewer than three days, though it has one that it uses
    odd_senders      a message with an envelope sender that it used for less than 2 % of its messages

Learning comes first: nothing is new in the first week of the log; an account has no new network in its first week, no
odd country before it has one used on three days, no odd sender before its twentieth message, nor when it uses many
anyway. A network that several accounts have used for longer than a day (a carrier, a VPN's exit, a web server) is
nothing new. Days are those of UTC.

Per account at most 48 networks, 24 countries and 32 senders are remembered, those used last; it is forgotten after half
a year.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import numpy as np

from logwatch.measuring.contacts import Contacts
from logwatch.measuring.origin import ANYWHERE, Site, mapped, network
from logwatch.memory import Memory
from logwatch.schema import Columns

DAY = 86400.0
LEARNING = 7 * DAY
MEMORY = 182 * DAY
_NETWORKS, _COUNTRIES, _SENDERS = 48, 24, 32
_USED_DAYS = 3  # of a country
_FEW = 0.02  # of all messages, for a sender
_MESSAGES = 20  # before a sender can be odd
_SHARED = 3  # other accounts that make a network nothing new
_WATCHED = 8  # accounts remembered for each network

_written = json.JSONEncoder(separators=(",", ":")).encode
_read = json.JSONDecoder().decode

SIGNALS = ("new_recipients", "new_networks", "odd_countries", "odd_senders")
_KINDS = np.array(["queued", "delivery"], dtype=object)


class Habits:
    """Remembers, in order of events."""

    def __init__(self, site: Site = ANYWHERE) -> None:
        self.contacts = Contacts()
        self._site = site
        # first message, number of messages, day of the last one,
        # {network: first and last use}, {country: days, last day}, {sender: messages}
        self._accounts: Memory[bytes] = Memory("habits", 1_000_000, bytes, bytes)  # JSON: a fifth of the room
        self._networks: Memory[dict[str, float]] = Memory("networks", 200_000)  # network -> account -> first use
        self._days: Memory[Any] = Memory(
            "days", 3
        )  # first event; the day and its active accounts; those of the day before

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks."""
        return (self.contacts.memory, self._accounts, self._networks, self._days)

    @property
    def active(self) -> int:
        """Accounts that sent something on the day before that of the last event."""
        return int(self._days.get("before") or 0)

    def first_seen(self, account: str) -> float | None:
        """When an account sent its first message that is remembered."""
        record = self._accounts.get(account)
        return None if record is None else float(_read(record.decode())[0])

    def observe(self, events: Columns) -> Columns:
        """The events with `network`, `country`, `price`, and a number for each of SIGNALS; learns from them."""
        added: Columns = {name: np.zeros(len(events["event"]), dtype=np.int64) for name in SIGNALS}
        for name, of in (("network", network), ("country", self._site.country)):
            added[name] = mapped(events["client"], of)
        added["price"] = mapped(added["country"], self._site.price, 1)
        rows = np.flatnonzero(events["counts"] & np.isin(events["event"], _KINDS) & _known(events["account"]))
        if len(rows):
            self._learn(rows, events, added)
        return {**events, **added}

    def expire(self, clock: float) -> None:
        """Forget who has not sent anything for half a year."""
        self._accounts.expire(clock - MEMORY)
        self._networks.expire(clock - MEMORY)

    def _learn(self, rows: Any, events: Columns, added: Columns) -> None:
        first = self._days.get("first")
        if first is None:
            first = float(events["clock"][rows[0]])
            self._days.put("first", first, first)
        columns = [{**events, **added}[name][rows].tolist() for name in _Row._fields]
        used: dict[str, tuple[float, list[Any]]] = {}  # accounts of this chunk, in order of their last message
        for row, line in zip(rows.tolist(), map(_Row._make, zip(*columns, strict=True)), strict=True):
            account, time = line.account, line.clock
            if line.event == "delivery":
                met = line.recipient is None or self.contacts.met(account, line.recipient, time)
                added["new_recipients"][row] = not met and time - first >= LEARNING
                continue
            record = self._recalled(account, used.pop(account, None), time)
            for name, found in zip(SIGNALS[1:], self._message(record, line), strict=True):
                added[name][row] = found
            used[account] = (time, record)
        for account, (time, record) in used.items():
            self._accounts.put(account, _written(record).encode(), time)

    def _recalled(self, account: str, lately: tuple[float, list[Any]] | None, time: float) -> list[Any]:
        """What is known of an account, as it was used in this chunk or before it."""
        if lately and lately[0] >= time - MEMORY:
            return lately[1]
        known = None if lately else self._accounts.get(account, time - MEMORY)
        return _read(known.decode()) if known else [time, 0, -1, {}, {}, {}]

    def _message(self, record: list[Any], line: _Row) -> tuple[bool, ...]:
        time, day = line.clock, int(line.clock // DAY)
        if record[2] != day:
            record[2] = day
            self._count_active(day, time)
        grown = time - record[0] >= LEARNING
        found = (
            line.network is not None and self._new_network(record[3], line.account, line.network, time, grown),
            line.country is not None and _odd_country(record[4], line.country, day) and grown,
            bool(line.sender) and _odd_sender(record[5], _text(line.sender or b""), record[1]),
        )
        record[1] += 1
        return found

    def _count_active(self, day: int, time: float) -> None:
        today, count = self._days.get("today") or (day, 0)
        if today != day:
            self._days.put("before", count, time)
            count = 0
        self._days.put("today", [day, count + 1], time)

    def _new_network(self, used: dict[str, list[float]], account: str, net: str, time: float, grown: bool) -> bool:
        first, _ = used.pop(net, None) or self._first_use(account, net, time)
        used[net] = [first, time]
        _bound(used, _NETWORKS)
        return grown and time - first < DAY and not self._shared(net, account, time)

    def _first_use(self, account: str, net: str, time: float) -> tuple[float, float]:
        users = self._networks.get(net, time - MEMORY) or {}
        if len(users) < _WATCHED:
            users[_short(account)] = time
            self._networks.put(net, users, time)
        return time, time

    def _shared(self, net: str, account: str, time: float) -> bool:
        users = self._networks.get(net) or {}
        mine = _short(account)
        return sum(first <= time - DAY for user, first in users.items() if user != mine) >= _SHARED


class Places(NamedTuple):
    """Where an account has been used: networks with first and last use, countries with days and last day."""

    since: float
    networks: dict[str, tuple[float, float]]  # epoch seconds; those used last come last
    countries: dict[str, tuple[int, float]]  # number of days, start of the last one


def places(written: bytes) -> Places:
    """What the memory of `Habits` tells of an account."""
    since, _, _, networks, countries, _ = _read(written.decode())
    return Places(
        since,
        {net: (first, last) for net, (first, last) in networks.items()},
        {land: (days, day * DAY) for land, (days, day) in countries.items()},
    )


class _Row(NamedTuple):
    """What is looked at of an event."""

    event: str
    account: str
    sender: bytes | None
    recipient: bytes | None
    clock: float
    network: str | None
    country: str | None


def _odd_country(used: dict[str, list[int]], land: str, day: int) -> bool:
    days, last = used.pop(land, (0, -1))
    used[land] = [days + (last != day), day]
    _bound(used, _COUNTRIES)
    return used[land][0] < _USED_DAYS and any(count >= _USED_DAYS for count, _ in used.values())


def _odd_sender(used: dict[str, int], sender: str, messages: int) -> bool:
    before = used.pop(sender, 0)
    many = len(used) >= _SENDERS - 1
    used[sender] = before + 1
    _bound(used, _SENDERS)
    return messages >= _MESSAGES and before < _FEW * messages and not many


def _bound(used: dict[str, Any], most: int) -> None:
    """What was used longest ago goes first; dictionaries keep the order of use."""
    if len(used) > most:
        del used[next(iter(used))]


def _text(sender: bytes) -> str:
    return sender.lower().decode("latin-1")


def _short(account: str) -> str:
    return hashlib.blake2b(account.encode(), digest_size=6).hexdigest()


def _known(column: Any) -> Any:
    return np.asarray(column != None, dtype=bool)  # noqa: E711  # for each element
