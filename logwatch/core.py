"""One log line's way through the first three rooms: read, measure, judge. Replay and watch both take it.

No I/O and no clock: bytes of whole lines in, decisions out. What is remembered between chunks is in `memories` and
`facts`; taken up again by `restore`, the core goes on as if it had never stopped, whatever the chunks were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import chain, pairwise
from typing import Any

import numpy as np

from logwatch.judging.ceiling import Cut
from logwatch.judging.decide import Judge
from logwatch.judging.pending_reviews import Confirmation, PendingReviews, Word
from logwatch.judging.policy import Policy
from logwatch.measuring import signals
from logwatch.measuring.origin import Country, Site, registered
from logwatch.measuring.rates import Rates
from logwatch.memory import Memory
from logwatch.reading.loss import Silences
from logwatch.reading.reader import Reader
from logwatch.schema import DISTINCT, KEY_COLUMNS, USUAL, Columns, Decision, Facts, History, Listing, RateColumn

WINDOWS = (600, 3600, 86400)  # always counted, so that `rates` and `why` can show them whatever the policy asks
_DAY = 86400
# Of a line's columns, those that are handed on: measuring's, and what is told of decisions and verdicts.
COLUMNS = tuple(dict.fromkeys((*signals.NEEDS, "queue_id", "ref", "verdict")))


@dataclass(frozen=True)
class Step:
    """What came of a chunk: its events (attributed; `start` is a line's offset), rates by kind, decisions.

    `caps`: how many recipients a message may have, of everybody and of those who need more; they are no cases. `cut`:
    messages that had more. `tips`: by `seq`, the row of the event that tipped a decision; of a release, the last row
    before it. `held`: by `seq`, those that the guard turned into observe.

    It was judged piece by piece: `rates` has an entry for each, `begins` the first row of each among the events.
    """

    events: Columns
    rates: list[dict[str, History]]
    decisions: list[Decision]
    begins: list[int]
    caps: list[Decision] = field(default_factory=list)
    cut: list[Cut] = field(default_factory=list)
    tips: dict[int, int] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)


class Core:
    """Reads, measures and judges one log, chunk after chunk."""

    def __init__(  # noqa: PLR0913 - each is a fact about the log, with a default
        self,
        judge: Judge,
        *,
        zone: tzinfo | None = None,
        country: Country = registered,
        default_realm: str = "",
        keep_case: bool = False,
        start: float = 0.0,
    ) -> None:
        """`start`: about when the first line was written (see `reading.stamp.first_year`), for stamps without year."""
        self.reader = Reader(COLUMNS, zone=zone, start=start, default_realm=default_realm, keep_case=keep_case)
        self._needs = judge.needs()  # other lists do not change them
        self.rates = Rates(
            {*WINDOWS, *(window for columns in self._needs.values() for _, window in columns if window)},
            distincts={kind: _distincts(columns) for kind, columns in self._needs.items()},
            site=Site(zone, country, judge.policy.price, judge.reputation),
        )
        self.judge = judge
        self.said = PendingReviews()
        self.answers: list[Listing] = []  # of DNS block lists, in order of time, not yet reached by the log's clock
        self.events: Counter[str] = Counter()
        self.messages = 0  # accepted, each once
        self.silences = Silences()

    def feed(self, chunk: bytes) -> Step:
        """Take in whole lines."""
        before = self.reader.clock
        return self.take(self.reader.read(chunk), before)

    def take(self, events: Columns, before: float = 0.0) -> Step:
        """Measure and judge events that have been read and attributed; `before`: the clock (epoch) until then."""
        self.events.update(events["event"].tolist())
        self.messages += int(np.count_nonzero(accepted(events)))
        self.silences.see(events["clock"])
        step = Step(events, [], [], [])
        for begin, end in self._segments(events["clock"]):
            step.begins.append(begin)
            self._judge(_cut(events, begin, end), before, step)
            before = float(events["clock"][end - 1])
        self.rates.expire(before)
        return step

    def hear(self, word: Word) -> float:
        """Have an operator's word take effect; the event time from which it does: after all that was already judged."""
        return self.said.hear(word, self.reader.clock)

    def answer(self, listing: Listing) -> Listing:
        """Take up a DNS block list's answer; as it counts: not for what was already judged."""
        late = max(0.0, self.reader.clock - listing.time)
        effective = listing._replace(time=listing.time + late, until=listing.until + late)
        self.answers.append(effective)
        self.answers.sort()
        return effective

    def relist(self, policy: Policy) -> None:
        """Go on with the same policy whose lists hold something else, from the next event on."""
        self.judge.policy = policy

    def stands(self, decision: Decision) -> Decision | None:
        """What a decision means by the policy as it is now, and by what operators said; None: nothing any more."""
        return None if self.said.releases(decision) else self.judge.still(decision)

    def memories(self) -> tuple[Memory[Any], ...]:
        """Everything remembered by key."""
        return (*self.reader.memories(), *self.rates.memories(), *self.judge.memories())

    def facts(self) -> Facts:
        """Everything remembered that has no key, as JSON values."""
        return {
            **self.reader.facts(),
            "layouts": {memory.name: memory.layout for memory in self.memories() if memory.layout},
            "seq": self.judge.seq,
            "events": dict(self.events),
            "messages": self.messages,
            "silences": self.silences.state(),
            "guarded": self.judge.guarded,
            **self.said.facts(),
            "places": {"taken": self.judge.restraint.admission.taken, "of": self.judge.restraint.admission.places},
            "answers": self.answers,
        }

    def restore(self, facts: Facts, rows: Mapping[str, Iterable[tuple[str, float, bytes]]]) -> bool:
        """Take up `facts` and the rows of each memory; False if some were kept in another layout and start anew."""
        layouts = facts.get("layouts", {})
        anew = [memory for memory in self.memories() if layouts.get(memory.name, "") != memory.layout]
        for memory in self.memories():
            (memory.give_up if memory in anew else memory.restore)(rows.get(memory.name, ()))
        self.reader.restore(facts)
        self.judge.seq = facts["seq"]
        self.events = Counter(facts["events"])
        self.messages = facts.get("messages", 0)
        self.silences.restore(facts["silences"])
        self.judge.restraint.guarded = facts["guarded"]
        self.said.restore(facts)
        self.answers = [Listing(*answer)._replace(codes=tuple(answer[-1])) for answer in facts.get("answers", ())]
        return not anew

    def _judge(self, events: Columns, before: float, step: Step) -> None:
        clock, begin = float(events["clock"][0]), step.begins[-1]
        ended: list[Decision] = []
        if clock < before:
            self.rates.turn_back()
            self.said.turn_back(clock)
            ended = self.judge.turn_back(clock)
            step.caps.extend(self.judge.ceilings.turn_back(clock))
        released = list(self._heard(clock))
        self.rates.condemn(released)
        step.decisions.extend(ended + released)
        step.tips.update((release.seq, begin - 1) for release in ended + released)
        while self.answers and self.answers[0].time < float(events["clock"][-1]):
            self.rates.listings.learn(self.answers.pop(0), clock)
        step.rates.append(self.rates.add(events, self._needs))
        self.judge.restraint.admission.active = self.rates.habits.active
        rulings = self.judge.decide(events, step.rates[-1])
        decided = [ruling.decision for ruling in rulings]
        self.rates.condemn(decided)
        step.decisions.extend(decided)
        step.tips.update((ruling.decision.seq, begin + ruling.tip) for ruling in rulings)
        step.held.extend(ruling.decision.seq for ruling in rulings if ruling.held)
        policy, ceilings, accounts = self.judge.policy, self.judge.ceilings, step.rates[-1].get("account")
        capped = ceilings.decide(policy, events, accounts, self.judge.excused)
        step.caps.extend(capped.caps)
        step.cut.extend(capped.cut)

    def _heard(self, clock: float) -> Iterator[Decision]:
        """What comes of operators' words that the clock has passed."""
        for word in self.said.passed(clock):
            if isinstance(word, Confirmation):
                self.judge.confirm(word.key, word.time)
                continue
            yield from self.judge.release(word.key, self.rates.totals(word.key, word.time), word.time)
            if word.until:
                self.judge.excuse(word.key, word.until, word.time)

    def _segments(self, clocks: Any) -> Iterator[tuple[int, int]]:
        """Rows that can be judged at once: of one day, no step back of the clock and no operator's word in between."""
        steps = (clocks[1:] < clocks[:-1]).nonzero()[0] + 1
        days = (clocks[1:] // _DAY != clocks[:-1] // _DAY).nonzero()[0] + 1
        passed = [(clocks > time).nonzero()[0][:1].tolist() for time in self.said.times()]
        yield from pairwise(sorted({0, len(clocks), *steps.tolist(), *days.tolist(), *chain.from_iterable(passed)}))


def accepted(events: Columns) -> Any:
    """At which events a message of somebody's came into the queue for the first time; the MTA's own are left out."""
    of_somebody = [events[name] != None for name in KEY_COLUMNS]  # noqa: E711  # for each element
    return np.asarray(events["event"] == "queued", dtype=bool) & events["counts"] & np.logical_or.reduce(of_somebody)


def _distincts(columns: Iterable[RateColumn]) -> set[str]:
    """The distinct signals among columns, and among those that are compared with what is usual."""
    return {signal.removeprefix(USUAL) for signal, _ in columns} & set(DISTINCT)


def _cut(events: Columns, begin: int, end: int) -> Columns:
    if begin == 0 and end == len(events["event"]):
        return events
    return {name: column[begin:end] for name, column in events.items()}
