"""A policy is a value: rules, the conditions they wait for, and who is exempt from them.

It compares by what it says, not by where that stands in its text (`at`, an offset, for messages) or what the files that
it names hold: `parse(render(policy)) == policy`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from logwatch.judging.conditions import Condition, Number, Rate, span
from logwatch.judging.dnsbl import Dnsbl
from logwatch.judging.exemptions import Exempted
from logwatch.judging.remedies import LOOKALIKE_QUOTES
from logwatch.judging.reputation import Scored, highest
from logwatch.schema import ACTIONS, AT_ONCE, PACE, USUAL

OBSERVE, ENFORCE = MODES = ("observe", "enforce")
SEVERITY = {action: rank for rank, action in enumerate((OBSERVE, *ACTIONS))}
OTHERS = "others"  # countries that no price names
UNITS = ("messages", "recipients")  # of a throttle's target
MEAN = 86400  # seconds over which an account's recipients per message are taken
WATCHED_ONLY = ("local", "site")  # kinds that no SMTP session belongs to, so that the milter cannot act on them


_NO_ANSWERS: Mapping[str, Collection[str]] = MappingProxyType({})

NAME = r"[a-z][a-z0-9-]{0,63}"  # of a rule or list
# An item that needs no quotes; one that looks like a name has them all the same.
BARE = rf"""(?![{LOOKALIKE_QUOTES}])[^\s,#"\x00-\x1f\x7f]+"""
QUOTED = r'"(?:[^"\x00-\x1f\x7f]|"")+"'  # a quote inside is doubled, and a backslash is only a backslash


def quoted(text: str) -> str:
    """The text in quotes, as `unquoted` reads it."""
    return '"' + text.replace('"', '""') + '"'


def unquoted(text: str) -> str:
    """What stands between the quotes."""
    return text[1:-1].replace('""', '"')


def _offset() -> Any:
    return field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Item:
    """An account, address, network or user id, as written."""

    text: str
    at: int = _offset()

    def __str__(self) -> str:
        bare = re.fullmatch(BARE, self.text) and not re.fullmatch(NAME, self.text)
        return self.text if bare else quoted(self.text)


@dataclass(frozen=True)
class File:
    """A file of items, one a line; a relative path starts at the policy's directory."""

    path: str
    at: int = _offset()

    def __str__(self) -> str:
        return f"file {quoted(self.path)}"


@dataclass(frozen=True)
class Listed:
    """The name of a list (`let`), which stands for its items."""

    name: str
    at: int = _offset()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Let:
    """`let NAME = ITEMS`."""

    name: str
    items: tuple[Item | File, ...]
    at: int = _offset()

    def __str__(self) -> str:
        return f"let {self.name} = {', '.join(map(str, self.items))}"


@dataclass(frozen=True)
class Exemption:
    """`exempt KIND in ITEMS`."""

    kind: str
    items: tuple[Item | File | Listed, ...]

    def __str__(self) -> str:
        return f"exempt {self.kind} in {', '.join(map(str, self.items))}"


@dataclass(frozen=True)
class Price:
    """`price AMOUNT for COUNTRIES`: what a recipient costs that is written to from there, for the signal `cost`."""

    amount: int
    countries: tuple[str, ...]  # two capital letters each, or OTHERS
    at: int = _offset()

    def __str__(self) -> str:
        return f"price {self.amount} for {', '.join(self.countries)}"


@dataclass(frozen=True)
class Score:
    """`score AMOUNT for ITEMS`: the reputation of client addresses; a file may have scores of its own."""

    amount: int
    items: tuple[Item | File | Listed | Dnsbl, ...]

    def __str__(self) -> str:
        return f"score {self.amount} for {', '.join(map(str, self.items))}"


@dataclass(frozen=True)
class Scope:
    """`in ITEMS` or `not in ITEMS` behind a rule's kind: the only keys that it concerns, or those that it does not."""

    items: tuple[Item | File | Listed, ...]
    inside: bool

    def __str__(self) -> str:
        items = (quoted(item.text) if isinstance(item, Item) else str(item) for item in self.items)
        return f"{'in' if self.inside else 'not in'} {', '.join(items)}"


@dataclass(frozen=True)
class Target:
    """`to AMOUNT UNIT per WINDOW`: what a throttle lets through."""

    amount: int
    unit: str
    seconds: int

    def __str__(self) -> str:
        return f"to {self.amount} {self.unit} per {span(self.seconds)}"


@dataclass(frozen=True)
class Deed:
    """What a rule does: an action, and what it needs to know."""

    action: str
    target: Target | None = None  # of a throttle
    recipients: int | None = None  # that a cap lets through, of each message

    def __str__(self) -> str:
        more = self.target or (f"{self.recipients} recipients" if self.recipients else "")
        return f"{self.action} {more}".rstrip()


@dataclass(frozen=True)
class Rule:
    """What is to be done, for how many seconds, with a key of a kind for which the condition holds.

    `stays`, if there is one, holds a case once begun (hysteresis). Each new case within a month of the one before lasts
    twice as long, up to `longest` seconds. `percent` of the keys are enforced, the others observed.
    """

    name: str
    kind: str
    condition: Condition
    deed: Deed
    duration: int
    mode: str = OBSERVE
    percent: int = 100
    stays: Condition | None = None
    longest: int | None = None
    scope: Scope | None = None
    at: int = _offset()
    line: int = field(default=1, compare=False, repr=False)

    @property
    def action(self) -> str:
        """The action's name."""
        return self.deed.action

    def rates(self) -> frozenset[Rate]:
        """What must be known to decide."""
        found = self.condition.rates() | (self.stays.rates() if self.stays else frozenset())
        target = self.deed.target
        if target is None:
            return found
        mean = (Rate("recipients", MEAN), Rate("messages", MEAN)) if target.unit == "recipients" else ()
        return found | {Rate(PACE, 0), *mean}

    def __str__(self) -> str:
        scope = f" {self.scope}" if self.scope else ""
        doubling = f", doubling to {span(self.longest)}" if self.longest else ""
        canary = f" {self.percent}%" if self.percent < 100 else ""
        rows = (
            f"rule {self.name} per {self.kind}{scope}:",
            f"when {self.condition}",
            f"while {self.stays}" if self.stays else "",
            f"{self.deed} for {span(self.duration)}{doubling}",
            f"mode {self.mode}{canary}",
        )
        return "\n    ".join(filter(None, rows))


@dataclass(frozen=True)
class Ceiling:
    """`cap per account: N recipients, or FACTOR * largest`: how many a message of any account may have."""

    recipients: int
    factor: float | None = None
    mode: str = OBSERVE
    at: int = _offset()

    def __str__(self) -> str:
        more = f", or {Number(self.factor)} * largest" if self.factor else ""
        return f"cap per account: {self.recipients} recipients{more}\n    mode {self.mode}"


@dataclass(frozen=True)
class Guard:
    """`guard ACCOUNTS, or PERCENT%`: the larger of both is how many accounts may be newly denied within an hour.

    PERCENT is of the accounts that were active on the busiest of the seven days before.
    """

    accounts: int = 10
    percent: int | None = 2
    at: int = _offset()

    def places(self, active: int) -> int:
        """How many that is on a site with so many active accounts."""
        return max(self.accounts, active * (self.percent or 0) // 100)

    def bound(self) -> str:
        """The same in words."""
        share = f"{self.percent} % of the accounts that were active on the busiest day of the week before"
        return f"the larger of {self.accounts} and {share}" if self.percent else f"{self.accounts}"

    def __str__(self) -> str:
        return f"guard {self.accounts}" + (f", or {self.percent}%" if self.percent else "")


@dataclass(frozen=True)
class Policy:
    """The whole file; `mode` is the most that any of its rules may do."""

    rules: tuple[Rule, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    lists: tuple[Let, ...] = ()
    mode: str = ENFORCE
    prices: tuple[Price, ...] = ()
    scores: tuple[Score, ...] = ()
    ceiling: Ceiling | None = None
    guard: Guard = Guard()
    exempted: Exempted = field(default=Exempted(), compare=False, repr=False)
    exempting: tuple[Exempted, ...] = field(default=(), compare=False, repr=False)  # by exemption, in their order
    scopes: Mapping[str, Exempted] = field(default_factory=dict, compare=False, repr=False)  # by rule
    scored: tuple[Scored, ...] = field(default=(), compare=False, repr=False)
    digests: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)  # of files, as they were read

    def exempt(self, key: str) -> bool:
        """Whether no rule counts for a key such as `account:bob@example.com` or `client:192.0.2.1`."""
        return key in self.exempted

    def exempt_accounts(self) -> Iterator[str]:
        """The keys of accounts that are exempt by name."""
        return (key for key in self.exempted.keys if key.startswith("account:") and not key.startswith("account:@"))

    def concerns(self, rule: Rule, key: str) -> bool:
        """Whether a rule counts for a key."""
        return self.scoped(rule, key) and key not in self.exempted

    def scoped(self, rule: Rule, key: str) -> bool:
        """Whether a rule counts for a key, exemptions left aside."""
        return rule.scope is None or (key in self.scopes[rule.name]) == rule.scope.inside

    def price(self, country: str) -> int:
        """What a recipient costs that is written to from a country."""
        found = {code: price.amount for price in self.prices for code in price.countries}
        return found.get(country, found.get(OTHERS, 1))

    def reputation(self, client: str, answers: Mapping[str, Collection[str]] = _NO_ANSWERS) -> int:
        """The highest score of a client's key, 0 if it is on no list; `answers` are those of DNS block lists."""
        asked = (score.amount for score, of in self._dnsbls() if of.lists(answers.get(of.zone, ()))) if answers else ()
        return max(highest(self.scored, client), *asked, 0)

    def zones(self) -> tuple[str, ...]:
        """The DNS block lists to be asked: those that have a score, if a rule looks at reputation."""
        looked_at = any(Rate("reputation", 0) in rule.rates() for rule in self.rules)
        return tuple(dict.fromkeys(of.zone for _, of in self._dnsbls())) if looked_at else ()

    def asks(self) -> Dnsbl | None:
        """The first DNS block list that is to be asked."""
        zones = self.zones()
        return next((of for _, of in self._dnsbls() if of.zone in zones), None)

    def _dnsbls(self) -> Iterator[tuple[Score, Dnsbl]]:
        return ((score, item) for score in self.scores for item in score.items if isinstance(item, Dnsbl))

    def files(self) -> tuple[str, ...]:
        """The paths of the lists that it names, as written."""
        scopes = [rule.scope for rule in self.rules if rule.scope]
        parts: Iterable[Let | Exemption | Score | Scope] = (*self.lists, *self.exemptions, *self.scores, *scopes)
        named = [item for part in parts for item in part.items]
        return tuple(dict.fromkeys(item.path for item in named if isinstance(item, File)))

    def needs(self) -> dict[str, frozenset[Rate]]:
        """The rates that the rules look at, by kind of key."""
        wanted: defaultdict[str, frozenset[Rate]] = defaultdict(frozenset)
        for rule in self.rules:
            wanted[rule.kind] |= rule.rates()
        if self.ceiling and self.ceiling.factor:
            wanted["account"] |= {Rate(USUAL + AT_ONCE, 0)}
        return dict(wanted)

    def mode_of(self, rule: Rule) -> str:
        """The rule's mode, as far as the policy lets it go."""
        return min(rule.mode, self.mode, key=MODES.index)


def render(policy: Policy) -> str:
    """A policy in its own language: mode, guard, lists, exemptions, prices, scores, cap, rules, each in their order."""
    mode = [f"mode {policy.mode}"] if policy.mode != ENFORCE else []
    mode += [str(policy.guard)] if policy.guard != Guard() else []
    parts = (policy.lists, policy.exemptions, policy.prices, policy.scores)
    heads = "\n".join([*mode, *(str(one) for part in parts for one in part)])
    ceiling = str(policy.ceiling) if policy.ceiling else ""
    return "\n\n".join(filter(None, [heads, ceiling, *map(str, policy.rules)])) + "\n"
