"""Finds domains that refuse known recipients of several accounts as unknown: a fault of theirs, held against nobody.

A provider may lose its list of users for hours, or its new server not know it yet, and answer 5.1.1 to all. It shows in
people to whom accounts wrote on earlier days: as a rule one in hundreds of these is refused as unknown. While those of
four accounts were within two hours, and these were more than a third of all such since the first of them, no refusal
by the domain as unknown counts for whoever wrote. The first few have been counted by then.

Who was refused as unknown is no contact (see `contacts`), so a stolen login cannot make a domain look so by writing to
the same dead addresses again.
"""

from __future__ import annotations

from typing import Any

from logwatch.memory import Memory

SPAN = 2 * 3600.0
_ACCOUNTS = 4
_SHARE = 1 / 3


class Domains:
    """Remembers, of domains that refused an old contact of somebody's lately, what became of all such."""

    def __init__(self) -> None:
        # when it last did, whose they were, how many it refused, how many it took meanwhile
        self.memory: Memory[list[Any]] = Memory("domains", 20_000)

    def excuses(self, account: str, recipient: bytes, time: float, *, refused: bool, known: bool) -> bool:
        """Whether a domain refuses a recipient, and everybody else; `known`: the account wrote to him on another day.

        Learns from what it refuses and takes.
        """
        if not refused and not len(self.memory):
            return False
        domain = recipient.rpartition(b"@")[2].lower().decode("latin-1")
        record = self._lately(domain, time)
        if known and (refused or record):
            last, whose, lost, taken = record or (time, [], 0, 0)
            whose = whose if account in whose or not refused else [*whose, account][:_ACCOUNTS]
            record = [time if refused else last, whose, lost + refused, taken + (not refused)]
            self.memory.put(domain, record, time)
        return refused and record is not None and _fails(record)

    def expire(self, clock: float) -> None:
        """Forget domains that have refused nobody's contacts of late."""
        self.memory.expire(clock - SPAN)

    def _lately(self, domain: str, time: float) -> list[Any] | None:
        record = self.memory.get(domain, time - SPAN)
        return record if record and record[0] >= time - SPAN else None


def _fails(record: list[Any]) -> bool:
    _, whose, lost, taken = record
    return len(whose) >= _ACCOUNTS and lost > _SHARE * (lost + taken)
