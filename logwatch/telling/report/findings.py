"""What the page shows: numbers, cases and names, no layout. Times are epoch seconds in event time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Evidence = Mapping[str, Mapping[str, float]]  # what was compared -> value, threshold


class RuleWords(NamedTuple):
    """A rule of the policy: who it is for, what it does, and in which mode, in the policy's own words."""

    name: str
    kind: str
    deed: str
    mode: str


@dataclass(frozen=True)
class ReportedCase:
    """What stood on a key by one rule.

    `messages`, `recipients`: accepted while it stood; `refused`: attempts that the milter refused; `verdict`: what
    operators found out (telling.verdicts.found_out); `extended`: how often.
    """

    ref: str
    key: str
    rule: str
    action: str
    mode: str
    begun: float
    until: float
    released: bool
    extended: int
    evidence: Evidence
    messages: int = 0
    recipients: int = 0
    refused: int = 0
    verdict: str = ""


class Sender(NamedTuple):
    """An account's mail over the whole time, and its recipients by day (day number since the epoch, in the zone)."""

    key: str
    messages: int
    recipients: int
    unknown: int
    days: Mapping[int, int]


class Nearby(NamedTuple):
    """A key that came near to a rule without meeting it: how near (0 to 1), when, with which numbers."""

    key: str
    rule: str
    near: float
    time: float
    because: str


class Hour(NamedTuple):
    """The site's mail within one hour."""

    messages: int = 0
    recipients: int = 0
    refused: int = 0


class MilterWrote(NamedTuple):
    """What the milter wrote for a rule: attempts that it refused, and that it would have refused."""

    refused: int = 0
    would: int = 0


@dataclass(frozen=True)
class Put:
    """What a rule changed in the deny table; `delays`: seconds from each decision until its record was there."""

    rule: str
    added: int = 0
    changed: int = 0
    ended: int = 0
    taken: int = 0
    silent: int = 0
    delays: Sequence[float] = ()


@dataclass(frozen=True)
class Guard:
    """The bound on accounts newly denied within an hour: how many decisions it turned into observe, and what it is."""

    guarded: int = 0
    bound: str = "10"


@dataclass(frozen=True)
class Findings:
    """All that one page shows. `live`: from a journal, so that it happened; else it would have.

    `same`, put behind a command, has it use the same configuration.
    """

    title: str
    sources: Sequence[str]
    policy: str
    live: bool
    made: float
    begin: float
    end: float
    totals: Mapping[str, int]
    rules: Sequence[RuleWords]
    cases: Sequence[ReportedCase]
    hours: Mapping[int, Hour] = field(default_factory=dict)  # by hour since the epoch; empty where it is not known
    senders: Sequence[Sender] = ()
    near: Sequence[Nearby] = ()
    published: Sequence[Put] = ()  # by rule
    guard: Guard = Guard()
    losses: Mapping[str, int] = field(default_factory=dict)  # by what was lost, in words
    said: Mapping[str, MilterWrote] | None = None  # by rule; None where no line of the milter was read
    same: str = ""
    zone: Any = None  # a tzinfo; None is the machine's
