"""What is left to do about a hijacked account: mail still queued, recipients reached, addresses and other logins used.

Told from attributed events alone. A message is known by its host and queue id: another host may have the same id for
somebody else's. It is in the queue from its `queued` line to `removed`, or where a host never
writes that (Sendmail) until each of its recipients was sent it or bounced. Where the log lacks who handed a message in,
its sender may be the account's own address: such a message may be anybody's, and is told apart. An address is suspect
if the account was first seen from it within the time looked at; other accounts seen from it may be hijacked as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from logwatch.schema import Columns

COLUMNS = ("host", "pid", "queue_id", "event", "client_ip", "sasl_username", "sender", "recipient", "status", "nrcpt")
_LOOKED_AT = ("event", "account", "client", "clock", "queue_id", "recipient", "status", "nrcpt", "host", "counts")
_UNCLAIMED = ("event", "account", "client", "local", "clock", "host", "queue_id", "sender")
_BOUND = 500_000  # clients, recipients, unclaimed messages
_NAMED = 5  # accounts with the same login
_FINAL = (b"sent", b"bounced", b"expired")
_BY_THE_CLIENT = ("auth_ok", "accept", "queued", "reject", "verdict", "milter_reject", "milter_hold")
_LEFT = ("removed", "milter_reject")  # the latter: refused at the end of its text


@dataclass
class Address:
    """One client address of the account: epoch seconds of first and last use, messages accepted."""

    first: float
    last: float
    messages: int = 0


Name = tuple[Any, Any]  # host, queue id
Left = dict[str, list[str]]  # queue ids by host


@dataclass
class Cleanup:
    """Collects, chunk after chunk, what concerns one account from a time on."""

    account: str
    since: float
    begin: float | None = None  # of the logs, epoch seconds
    last: float | None = None  # when the account was last seen in them
    addresses: dict[str, Address] = field(default_factory=dict)
    failures: int = 0  # failed logins
    first_failure: float | None = None
    _queue: dict[Name, int] = field(default_factory=dict)  # recipients who have neither been sent it nor bounced
    _unclaimed: dict[Name, None] = field(default_factory=dict)
    _cut: set[Name] = field(default_factory=set)  # messages of which only a part came
    _removing: set[Any] = field(default_factory=set)  # hosts that write when a message leaves the queue
    _reached: dict[str, set[str | None]] = field(default_factory=dict)  # recipient -> from where he was written to
    _before: set[str] = field(default_factory=set)  # addresses used before `since`
    _logins: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # client -> accounts

    def add(self, events: Columns) -> None:
        """Take in a chunk of attributed events."""
        if self.begin is None and len(events["clock"]):
            self.begin = float(events["clock"][0])
        self._removing.update(events["host"][events["event"] == "removed"].tolist())
        self._claim(events)
        rows = zip(*(events[name].tolist() for name in _LOOKED_AT), strict=True)
        for event, account, client, clock, *rest in rows:
            if account and client and event != "auth_failure" and len(self._logins) < _BOUND:
                self._logins[client].add(account)
            if account == self.account:
                self.last = clock
                if event == "delivery":
                    self._delivered(clock, client, rest)
                else:
                    self._mine(event, client, clock, rest)

    def queued(self) -> Left:
        """Ids of messages that are still in the queue, by host."""
        return _by_host(name for name, left in self._queue.items() if left > 0 or name[0] in self._removing)

    def unclaimed(self) -> Left:
        """Those of messages still in the queue that have its address as sender, and nobody who handed them in."""
        return _by_host(self._unclaimed)

    def suspects(self) -> dict[str, Address]:
        """Addresses first seen within the time looked at, by first use."""
        found = {client: use for client, use in self.addresses.items() if client not in self._before}
        return dict(sorted(found.items(), key=lambda item: item[1].first))

    def others(self) -> dict[str, list[str]]:
        """Other accounts seen from suspect addresses, with those addresses."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for client in self.suspects():
            for account in self._logins[client] - {self.account}:
                found[account].append(client)
        return dict(sorted(found.items()))

    def alike(self) -> list[str]:
        """Accounts that the logs do have, a few, with the same login and another domain or none."""
        login = self.account.partition("@")[0]
        everybody = {account for accounts in self._logins.values() for account in accounts}
        return sorted(one for one in everybody - {self.account} if one.partition("@")[0] == login)[:_NAMED]

    def reached(self) -> list[str]:
        """Recipients to whom mail was delivered."""
        return sorted(self._reached)

    def reached_from_suspects(self) -> int:
        """To how many of them mail from a suspect address was."""
        suspects = set(self.suspects())
        return sum(not suspects.isdisjoint(clients) for clients in self._reached.values())

    def _claim(self, events: Columns) -> None:
        sender = self.account.partition(":")[2].encode().lower()
        rows = events["event"] == "queued"
        for kind in _LEFT:
            rows |= events["event"] == kind
        for event, *whose, clock, host, queue_id, of in zip(
            *(events[name][rows].tolist() for name in _UNCLAIMED), strict=True
        ):
            if event in _LEFT:
                self._unclaimed.pop((host, queue_id), None)
            elif (of or b"").lower() == sender and not any(whose) and self.since <= clock:
                self._unclaimed[host, queue_id] = None
                if len(self._unclaimed) > _BOUND:
                    del self._unclaimed[next(iter(self._unclaimed))]

    def _mine(self, event: str, client: str | None, clock: float, rest: Sequence[Any]) -> None:
        queue_id, _, _, nrcpt, host, counts = rest
        name = host, queue_id
        if event == "auth_failure":
            if clock >= self.since and counts:
                self.failures += 1
                self.first_failure = self.first_failure or clock
        elif clock < self.since:
            if client:
                self._before.add(client)
        else:
            if client and counts and event in _BY_THE_CLIENT:
                self._used(client, clock, message=event == "queued")
            if event == "queued" and (counts or name not in self._cut):
                self._queue.setdefault(name, int(nrcpt or 1))
            elif event in _LEFT:
                self._queue.pop(name, None)
            elif event == "lost_connection" and queue_id and len(self._cut) < _BOUND:
                self._cut.add(name)

    def _used(self, client: str, clock: float, *, message: bool) -> None:
        use = self.addresses.setdefault(client, Address(clock, clock))
        use.last = clock
        use.messages += message

    def _delivered(self, clock: float, client: str | None, rest: Sequence[Any]) -> None:
        queue_id, recipient, status, _, host, _ = rest
        if clock < self.since:
            return
        if status in _FINAL and (host, queue_id) in self._queue:
            self._queue[host, queue_id] -= 1
        reached = _text(recipient) if status == b"sent" else ""
        if reached and (reached in self._reached or len(self._reached) < _BOUND):
            self._reached.setdefault(reached, set()).add(client)


def _by_host(names: Iterable[Name]) -> Left:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for host, queue_id in names:
        found[_text(host)].append(_text(queue_id))
    return dict(found)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")
