"""What is left to do about a hijacked account: mail still queued, recipients reached, addresses and other logins used.

Told from attributed events alone: a message is in the queue from its acceptance to `removed`. An address is suspect if
the account was first seen from it within the time looked at; other accounts seen from it may be hijacked as well.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from logwatch.schema import Columns

_BOUND = 500_000  # clients, and recipients


@dataclass
class Address:
    """One client address of the account: epoch seconds of first and last use, messages accepted."""

    first: float
    last: float
    messages: int = 0


@dataclass
class Cleanup:
    """Collects, chunk after chunk, what concerns one account from a time on."""

    account: str
    since: float
    queued: dict[str, float] = field(default_factory=dict)  # queue id -> accepted when
    recipients: dict[str, str] = field(default_factory=dict)  # recipient -> status of the latest delivery
    addresses: dict[str, Address] = field(default_factory=dict)
    failures: int = 0  # failed logins
    first_failure: float | None = None
    _before: set[str] = field(default_factory=set)  # addresses used before `since`
    _logins: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # client -> accounts

    def add(self, events: Columns) -> None:
        """Take in a chunk of attributed events."""
        names = ("event", "account", "client", "queue_id", "recipient", "status", "clock")
        for row in zip(*(events[name].tolist() for name in names), strict=True):
            event, account, client = row[:3]
            if account and client and len(self._logins) < _BOUND:
                self._logins[client].add(account)
            if account == self.account:
                self._mine(event, client, row[3:])

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

    def reached(self) -> list[str]:
        """Recipients to whom mail was delivered."""
        return sorted(recipient for recipient, status in self.recipients.items() if status == "sent")

    def _mine(self, event: str, client: str | None, rest: tuple[Any, ...]) -> None:
        queue_id, recipient, status, clock = rest
        if clock < self.since:
            if event == "accept" and client:
                self._before.add(client)
            return
        if event == "accept":
            self._accepted(_text(queue_id), client, clock)
        elif event == "removed":
            self.queued.pop(_text(queue_id), None)
        elif event == "delivery" and recipient and len(self.recipients) < _BOUND:
            self.recipients[_text(recipient)] = _text(status)
        elif event == "auth_failure":
            self.failures += 1
            self.first_failure = self.first_failure or clock

    def _accepted(self, queue_id: str, client: str | None, clock: float) -> None:
        self.queued[queue_id] = clock
        if client:
            use = self.addresses.setdefault(client, Address(clock, clock))
            use.last = clock
            use.messages += 1


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")
