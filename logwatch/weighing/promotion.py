"""How far each rule is from observing to enforcing, and what its next step would have meant: joins judging and telling.

No I/O. A step enforces a rule for a share of the keys (`_STEPS`, percent), which are always the same ones, so what a
step would have meant is counted, not estimated: the cases of the keys that belong to the share.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from logwatch.judging.policy import ENFORCE, OBSERVE, WATCHED_ONLY, Exemption, Item, Policy, Rule
from logwatch.judging.restraint import within
from logwatch.schema import Decision
from logwatch.telling.journal import Effect, Review
from logwatch.telling.verdicts import EXEMPTED, found_out

_STEPS = (1, 10, 100)  # percent of the keys
_FEW = 10
LOOPBACK = ("127.0.0.0/8", "127.0.0.1", "::1", "::1/128")
_UNSEEN = re.compile(r'"[^"\n]*"|#[^\n]*')  # of a policy's text: what only looks like a mode
_STATEMENT = re.compile(r"\b(?:let|exempt|price|score|guard)[ \t]|\bcap\s+per\s|\brule\s")
_MODE = re.compile(r"\bmode[ \t]+(?:observe|enforce(?:[ \t]+\d+[ \t]*%)?)")


@dataclass
class JournalledCase:
    """A case of a rule: its decisions, oldest first, and what came of it."""

    decisions: list[Decision]
    effect: Effect
    guarded: bool = False  # whether the guard turned it into observe when it began

    @property
    def begun(self) -> Decision:
        """The decision that began it."""
        return self.decisions[0]

    @property
    def excess(self) -> float:
        """By how much its weakest reason exceeded the limit when it was at its strongest: near 1 is borderline."""
        return max((_weakest(decision) for decision in self.decisions if decision.evidence), default=1.0)


@dataclass
class Stand:
    """What the journal knows of one rule over the days looked at."""

    cases: list[JournalledCase] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)  # key -> what was found out

    def keys(self) -> list[str]:
        """Whom it hit, in order of their first case."""
        return list(dict.fromkeys(case.begun.key for case in self.cases))

    def count(self, verdicts: Iterable[str]) -> int:
        """How many of them were found to be so."""
        return sum(verdict in verdicts for verdict in self.verdicts.values())

    def borderline(self, most: int) -> list[JournalledCase]:
        """Cases that hardly passed the limit and that nobody has looked at, one for each key, the nearest first."""
        strongest: dict[str, JournalledCase] = {}
        for case in sorted(self.cases, key=lambda case: case.excess):
            strongest[case.begun.key] = case
        open_ones = [case for key, case in strongest.items() if key not in self.verdicts]
        return sorted(open_ones, key=lambda case: case.excess)[:most]

    def within(self, percent: int) -> Stand:
        """The part of it that concerns a share of the keys."""
        return Stand(
            [case for case in self.cases if within(percent, case.begun.key)],
            {key: verdict for key, verdict in self.verdicts.items() if within(percent, key)},
        )


class PolicyChange(NamedTuple):
    """A line of a policy, what stands there ("" if the rule has no such line) and what to write instead."""

    line: int
    old: str
    new: str


class Next(NamedTuple):
    """A rule's next step: percent of the keys, the policy's change, what it and those after it would have meant."""

    percent: int
    change: PolicyChange
    steps: dict[int, Stand]  # by percent, from the next one on


def stands(
    decisions: Iterable[Decision],
    effects: Mapping[tuple[str, str, str], Effect],
    reviews: Iterable[Review],
    held_back: Container[int] = (),
) -> dict[str, Stand]:
    """By rule; decisions in their order, `held_back`: the `seq` of those that the guard turned into observe."""
    cases: dict[tuple[str, str, str], JournalledCase] = {}
    for decision in decisions:
        name = (decision.ref, decision.key, decision.rule)
        known = cases.setdefault(name, JournalledCase([], effects.get(name, Effect(*name)), decision.seq in held_back))
        known.decisions.append(decision)
    said: defaultdict[str, list[Review]] = defaultdict(list)
    for review in reviews:
        said[review.key].append(review)
    found: defaultdict[str, Stand] = defaultdict(Stand)
    for (_, key, rule), case in cases.items():
        found[rule].cases.append(case)
        word = found_out(said[key], case.begun)
        if word:
            found[rule].verdicts[key] = word
    return dict(found)


def following(rule: Rule, stand: Stand, text: str) -> Next | None:
    """The next step of a rule of a policy with this text; None where there is none.

    From observing it is one percent, or ten where nobody whom the rule hit is among the one percent: on a small site
    that step would say nothing. Then ten, then all.
    """
    now = rule.percent if rule.mode == ENFORCE else 0
    ahead = [step for step in _STEPS if step > now]
    if rule.kind in WATCHED_ONLY or not ahead:
        return None
    steps = {step: stand.within(step) for step in ahead}
    percent = _FEW if stand.cases and now < _FEW and not steps.get(1, Stand()).cases else ahead[0]
    steps = {step: found for step, found in steps.items() if step >= percent}
    return Next(percent, _change(rule, text, percent), steps)


def _change(rule: Rule, text: str, percent: int) -> PolicyChange:
    """Where the rule's mode stands, and what it becomes."""
    plain = _UNSEEN.sub(lambda match: " " * len(match[0]), text)
    following = _STATEMENT.search(plain, rule.at)
    end = following.start() if following else len(text)
    new = f"mode {ENFORCE}" + (f" {percent}%" if percent < 100 else "")
    found = _MODE.search(plain, rule.at, end)
    at = found.start() if found else rule.at + len(plain[rule.at : end].rstrip()) - 1
    return PolicyChange(text.count("\n", 0, at) + 1, found[0] if found else "", new)


def _weakest(decision: Decision) -> float:
    ratios = [e["value"] / e["threshold"] for e in decision.evidence.values() if e["threshold"]]
    return min((ratio for ratio in ratios if ratio >= 1), default=1.0)  # below 1 is what steers a throttle, or a "<"


@dataclass(frozen=True)
class Exempt:
    """An exemption, of the policy or by a review: what it says, until when; when a rule last held in spite of it."""

    what: str
    since: float
    until: float | None = None
    needed: float | None = None  # epoch seconds
    rule: str = ""


Spared = Mapping[str, tuple[float, str]]  # exempt key -> when a rule last held for it, and which


def exemptions(policy: Policy, reviews: Iterable[Review], spared: Spared, since: float, now: float) -> list[Exempt]:
    """All that count now; those of the policy are looked at from `since` on, those of reviews since they were said."""
    last: dict[str, Review] = {}
    for review in sorted(reviews, key=lambda review: review.id):
        if review.verdict == EXEMPTED:
            last[review.key] = review
    found = [
        _exempt(review.key, review.time, review.until, (key for key in spared if key == review.key), spared)
        for review in last.values()
        if review.until and review.until > now
    ]
    for written, keys in zip(policy.exemptions, policy.exempting, strict=True):
        if not _within_loopback(written):
            found.append(_exempt(str(written), since, None, (key for key in spared if key in keys), spared))
    return found


def _within_loopback(written: Exemption) -> bool:
    """Whether it names nothing but loopback, which the milter never refuses anyway."""
    return all(isinstance(item, Item) and item.text in LOOPBACK for item in written.items)


def _exempt(what: str, since: float, until: float | None, keys: Iterable[str], spared: Spared) -> Exempt:
    times = [spared[key] for key in keys if spared[key][0] >= since]
    needed, rule = max(times, default=(None, ""))
    return Exempt(what, since, until, needed, rule)


def mode_of(rule: Rule, policy: Policy, site: str) -> str:
    """Where a rule stands in words: observe, enforce, enforce 10%; and who else holds it back."""
    if rule.mode == OBSERVE:
        return OBSERVE
    part = f" {rule.percent}%" if rule.percent < 100 else ""
    held = {
        "but the policy as a whole says mode observe": policy.mode == OBSERVE,
        "but the site only observes ([policy] mode)": site == OBSERVE,
    }
    return ", ".join([f"{ENFORCE}{part}", *(words for words, so in held.items() if so)])
