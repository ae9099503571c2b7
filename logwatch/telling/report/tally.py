"""Counts what a page shows: traffic by hour, senders, what the milter wrote, and cases out of decisions.

Bounded: hours by the length of the log, accounts by their number, and of each day only its largest senders.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from logwatch.schema import Columns, Decision
from logwatch.telling.effects import Effects, Tips, counted
from logwatch.telling.journal import TAKEN_BACK, Effect, Review
from logwatch.telling.published import DECIDED, ENDED, SILENT, Change
from logwatch.telling.report.findings import Hour, MilterWrote, Put, ReportedCase, Sender
from logwatch.telling.verdicts import found_out, is_about

_SENDERS = 15
_DAILY = 500  # senders of a day whose recipients are remembered by day
_HOUR = 3600

CaseName = tuple[str, str, str]  # reference, key, rule


class Tally:
    """Takes in events and decisions, step after step."""

    def __init__(self, zone: Any = None) -> None:
        self.begin: float | None = None
        self.end = 0.0
        self.decisions: list[Decision] = []
        self.effects: dict[CaseName, Effect] = {}
        self.while_cases_stood = Effect("", "", "")  # mail that several cases stood for counts once
        self._zone = zone
        self._following = Effects()
        self._hours: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._accounts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._days: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._day, self._today = 0, Counter[str]()
        self._verdicts: Counter[tuple[str, bool]] = Counter()  # (reference, whether it only would have)

    def add(self, events: Columns, decisions: list[Decision], tips: Tips) -> None:
        """One more chunk of the log."""
        self.decisions.extend(decisions)
        stood = self._following.stood(events, decisions, tips)
        for case, rows in stood:
            name = (case.ref, case.key, case.rule)
            self.effects[name] = added(self.effects.get(name), counted(events, rows, case))
        together = np.unique(np.concatenate([rows for _, rows in stood])) if stood else np.empty(0, np.int64)
        self.while_cases_stood = added(self.while_cases_stood, counted(events, together, Effect("", "", "")))
        if len(events["clock"]):
            self.begin = float(events["clock"][0]) if self.begin is None else self.begin
            self.end = max(self.end, float(events["clock"].max()))
            self._count(events)

    @property
    def accounts(self) -> int:
        """How many different ones sent something."""
        return len(self._accounts)

    def hours(self) -> dict[int, Hour]:
        """The site's mail by hour since the epoch."""
        names = Hour._fields
        return {hour: Hour(*(mail[name] for name in names)) for hour, mail in sorted(self._hours.items())}

    def senders(self) -> list[Sender]:
        """Those with the most recipients, most first."""
        self._close_day(self._day)
        ranked = sorted(self._accounts.items(), key=lambda item: (-item[1]["recipients"], item[0]))
        return [
            Sender(key, mail["messages"], mail["recipients"], mail["unknown"], self._days.get(key, {}))
            for key, mail in ranked[:_SENDERS]
            if mail["recipients"]
        ]

    def said(self) -> dict[str, MilterWrote]:
        """What the milter's lines say, by rule; those of cases that are not known here under ""."""
        rules = {decision.ref: decision.rule for decision in self.decisions}
        found: dict[str, MilterWrote] = {}
        for (ref, would), count in self._verdicts.items():
            refused, so_far = found.get(rules.get(ref, ""), MilterWrote())
            found[rules.get(ref, "")] = MilterWrote(refused + count * (not would), so_far + count * would)
        return found

    def _count(self, events: Columns) -> None:
        kinds = events["event"]
        for row in np.flatnonzero(np.isin(kinds, tuple(_COUNTED))).tolist():
            _COUNTED[kinds[row]](self, events, row, float(events["clock"][row]))

    def _queued(self, events: Columns, row: int, clock: float) -> None:
        self._sent(events, row, clock, messages=1, recipients=int(events["nrcpt"][row] or 0))

    def _sent(self, events: Columns, row: int, clock: float, **sent: int) -> None:
        if events["counts"][row]:
            self._hours[int(clock // _HOUR)].update(sent)
            account = events["account"][row]
            if account is not None:
                self._accounts[account].update(sent)
                self._turn(clock)
                self._today[account] += sent["recipients"]

    def _delivery(self, events: Columns, row: int, clock: float) -> None:
        account, named = events["account"][row], int(events["count"][row] or 0)
        if named:  # Exim names further recipients only now
            self._sent(events, row, clock, recipients=named)
        unknown = events["status"][row] == b"bounced" and events["dsn"][row] == b"5.1.1"
        if unknown and account is not None and events["counts"][row]:
            self._accounts[account]["unknown"] += 1

    def _verdict(self, events: Columns, row: int, clock: float) -> None:
        count = int(events["count"][row] or 1)
        if events["counts"][row]:
            self._hours[int(clock // _HOUR)].update(refused=count)
        if events["event"][row] == "verdict":
            self._verdicts[(events["ref"][row] or b"").decode("ascii", "replace"), _would(events, row)] += count

    def _turn(self, clock: float) -> None:
        day = day_of(clock, self._zone)
        if day != self._day:
            self._close_day(day)

    def _close_day(self, day: int) -> None:
        for account, recipients in self._today.most_common(_DAILY):
            self._days[account][self._day] = self._days[account].get(self._day, 0) + recipients
        self._day, self._today = day, Counter()


_COUNTED = {
    "queued": Tally._queued,
    "delivery": Tally._delivery,
    "verdict": Tally._verdict,
    "milter_reject": Tally._verdict,
}


def day_of(clock: float, zone: Any) -> int:
    """The day, counted from the epoch, of an epoch time in a zone."""
    return datetime.fromtimestamp(clock, zone).date().toordinal() - _EPOCH


_EPOCH = datetime(1970, 1, 1).date().toordinal()


def _would(events: Columns, row: int) -> bool:
    return bool((events["verdict"][row] or b"").startswith(b"would-"))


def added(before: Effect | None, more: Effect) -> Effect:
    """Both effects of one case together."""
    if before is None:
        return more
    return Effect(*before[:3], *(a + b for a, b in zip(before[3:], more[3:], strict=True)))


def cases(
    decisions: Iterable[Decision], effects: Mapping[CaseName, Effect], reviews: Iterable[Review] = ()
) -> list[ReportedCase]:
    """One for each reference, key and rule, in the order in which they began; `reviews` oldest first."""
    grouped: dict[CaseName, list[Decision]] = {}
    for decision in decisions:
        grouped.setdefault((decision.ref, decision.key, decision.rule), []).append(decision)
    words: defaultdict[str, list[Review]] = defaultdict(list)
    for review in reviews:
        words[review.key].append(review)
    return [_case(name, made, effects.get(name, Effect(*name)), words[name[1]]) for name, made in grouped.items()]


def _case(name: CaseName, made: list[Decision], effect: Effect, words: list[Review]) -> ReportedCase:
    begun, last = made[0], made[-1]
    back = [review for review in words if review.verdict in TAKEN_BACK and is_about(review, begun)]
    taken_back = next((at for at in map(_taken_up, back) if at < last.until), None)
    return ReportedCase(
        *name,
        action=begun.action,
        mode=last.mode,
        begun=begun.time,
        until=last.until if taken_back is None else max(begun.time, taken_back),
        released=last.action == "release" or taken_back is not None,
        extended=sum(now.until > before.until and now.action != "release" for before, now in pairwise(made)),
        evidence=begun.evidence,
        messages=effect.messages,
        recipients=effect.recipients,
        refused=effect.refused,
        verdict=found_out(words, begun),
    )


def _taken_up(review: Review) -> float:
    """When a review began to hold (epoch): as soon as it was said, as long as the controller has not heard of it."""
    return review.time if review.effective is None else review.effective


def put_by_rule(changes: Iterable[Change], decisions: Iterable[Decision]) -> list[Put]:
    """What was changed in the table, by rule."""
    begun: dict[tuple[str, str], float] = {}  # a case that was observed may be enforced hours later
    for decision in decisions:
        begun.setdefault((decision.ref, decision.mode), decision.time)
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    delays: defaultdict[str, list[float]] = defaultdict(list)
    for change in changes:
        found[change.rule][_REMOVED.get(change.why, "taken") if change.change == "remove" else change.change] += 1
        if (change.change, change.why) == ("add", DECIDED) and (change.ref, change.mode) in begun:
            delays[change.rule].append(max(0.0, change.time - begun[change.ref, change.mode]))
    return [
        Put(rule, of["add"], of["change"], of["ended"], of["taken"], of["silent"], delays[rule])
        for rule, of in sorted(found.items())
    ]


_REMOVED = {ENDED: "ended", SILENT: "silent"}
