"""The guard: how many accounts may be newly denied within an hour, and who comes first when they are too many.

    a place    is taken by an account that is newly denied, for an hour; there are as many as the policy's `guard` says
    waiting    a case that finds no place is observed; it is let in at the first event at which there is one: the most
               severe first, then the one with the most reasons, then the one that has waited longest. So whoever comes
               first keeps nobody out for longer than the hour. A case that ends meanwhile waits no more
    confirmed  an account of which an operator has said that it is abused indeed gives its place back, and needs none
               for a day

So one wrong rule denies no more accounts than the guard says within any hour, but those that a person has looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from logwatch.judging.cases import name
from logwatch.judging.policy import Guard
from logwatch.memory import Memory

HOUR = 3600.0
_CONFIRMED = 86400.0  # seconds for which a confirmed account needs no place
_ALWAYS = float("-inf")

Evidence = Mapping[str, Mapping[str, float]]


class Waiting(NamedTuple):
    """A case that the guard holds back: whose, since when (epoch seconds), and what made its rule hold last."""

    rule: str
    key: str
    since: float
    evidence: Evidence


class Admission:
    """Gives places to accounts, and remembers who waits for one."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.active = 0  # accounts on the busiest day of the week before
        self._denied: Memory[float] = Memory("denied", 100_000)  # account -> when it was newly denied
        self._confirmed: Memory[float] = Memory("confirmed", 100_000)  # account -> when an operator said so
        self._waiting: Memory[list[Any]] = Memory("waiting", 100_000)  # rule and account -> since when, evidence
        self._changed = True  # whether some may be let in though no hour is over: somebody was confirmed, or a start

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered."""
        return (self._denied, self._confirmed, self._waiting)

    @property
    def places(self) -> int:
        """How many there are."""
        return self.guard.places(self.active)

    @property
    def taken(self) -> int:
        """How many are taken, as of the last event at which one was asked for."""
        return len(self._denied)

    def admits(self, account: str, time: float) -> bool:
        """Whether an account may be denied from now on; it takes a place, if it needs one."""
        if self._confirmed.get(account, time - _CONFIRMED) is not None:
            return True
        self._denied.expire(time - HOUR)
        if account not in self._denied and len(self._denied) >= self.places:
            return False
        self._denied.put(account, time, time)
        return True

    def wait(self, rule: str, account: str, time: float, evidence: Evidence) -> None:
        """A case was held back, or is held back still."""
        known = self._waiting.get(name(rule, account))
        self._waiting.put(name(rule, account), [known[0] if known else time, evidence], time)

    def leave(self, rule: str, account: str) -> None:
        """A case was let in, or is over."""
        self._waiting.drop(name(rule, account))

    def waits(self, rule: str, account: str) -> bool:
        """Whether a case is held back."""
        return name(rule, account) in self._waiting

    def opens(self) -> float | None:
        """Some of those who wait may be let in at an event later than this; None where that is not known."""
        if not len(self._waiting):
            return None
        above = len(self._denied) - self.places
        if self._changed or above < 0:
            return _ALWAYS
        return next(islice(self._denied.items(), above, None))[1] + HOUR

    def waiting(self) -> Iterator[Waiting]:
        """All who wait, as they are to be asked now."""
        self._changed = False
        for called, (since, evidence) in list(self._waiting.items()):
            rule, _, account = called.partition(" ")
            yield Waiting(rule, account, since, evidence)

    def confirm(self, account: str, time: float) -> None:
        """An operator has said that an account is abused indeed."""
        self._denied.drop(account)
        self._confirmed.put(account, time, time)
        self._changed = True

    def release(self, account: str) -> None:
        """An operator has let an account send again: whatever it was, it is over. Its place stays taken."""
        self._confirmed.drop(account)

    def turn_back(self, clock: float) -> None:
        """The log's clock has been set back: what happened later than it is, happened now."""
        for memory in (self._denied, self._confirmed):
            for account, time in list(memory.items()):
                if time > clock:
                    memory.put(account, clock, clock)

    def expire(self, clock: float, longest: float) -> None:
        """Forget what has no meaning any more; no case lasts longer than `longest` seconds."""
        self._confirmed.expire(clock - _CONFIRMED)
        self._waiting.expire(clock - longest)
