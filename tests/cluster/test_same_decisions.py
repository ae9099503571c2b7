"""The law, for many: whatever the interleaving, restarts and takeovers, a cluster decides as a replay of its log does.

A made-up day is written by three gateways. Its batches go through mergers and cores as the controllers have them: some
are killed and go on from their journals, reviews come in between, and the partitions of the keys change hands. What
each decides, and what all together publish, must be what one core says of the merged log at once. That the merged log
is that of a replay of all logs, as long as nobody is late, is shown in `test_merging`.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logwatch.cluster.merging import Limits, Merger
from logwatch.cluster.names import partition
from logwatch.cluster.wire import ALL, Batch
from logwatch.judging.pending_reviews import Release
from logwatch.schema import Decision
from logwatch.telling.journal import Journal
from tests import maillog
from tests.test_replay_equals_live import ACCOUNTS, CLIENTS, Traffic, at_once, new_core

HOSTS = ("mx1", "mx2", "mx3")
PARTITIONS = 4
Message = tuple[int, float, Batch | str]  # place in the stream, the server's stamp, lines or the key of a release


def own(host: str, named: str) -> bool:
    return host == named


class Controller:
    """Takes messages as `logwatch.cluster.stream` hands them on, and keeps its journal as `logwatch.watch` does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = b""
        self.effective: list[Release] = []
        self.start()

    def start(self) -> None:
        self.journal = Journal.open(self.path)
        self.core = new_core()
        facts = self.journal.facts()
        if facts:
            assert self.core.restore(facts, self.journal.remembered())
        self.merger = Merger(Limits(), UTC, own, self.journal.noted("merger"))

    def resume(self, stream: Sequence[Message]) -> None:
        for seq, stamp, what in stream:
            if self.merger.resume <= seq <= self.merger.seq:
                self.merger.take(seq, stamp, what if isinstance(what, Batch) else None)
        assert self.merger.out() == b""

    def take(self, some: Sequence[Message]) -> list[Decision]:
        decided: list[Decision] = []
        for seq, stamp, what in some:
            if isinstance(what, Batch):
                self.merger.take(seq, stamp, what)
                continue
            decided += self._step()
            time = self.core.hear(Release(what, stamp))
            self.effective.append(Release(what, time))
            self.merger.take(seq, stamp, None)
        return decided + self._step()

    def _step(self) -> list[Decision]:
        lines = self.merger.out()
        step = self.core.feed(lines)
        with self.journal.transaction():
            self.journal.record(step.decisions, {})
            self.journal.remember(self.core.memories())
            self.journal.note("facts", self.core.facts())
            self.journal.note("merger", self.merger.state())
        for memory in self.core.memories():
            memory.settle()
        self.log += lines
        return step.decisions

    def kill(self, stream: Sequence[Message]) -> None:
        self.journal.close()
        self.start()
        self.resume(stream)


@dataclass
class Day:
    """What three gateways log, in the order in which it reaches the stream, and what happens to the controllers."""

    stream: list[Message]
    cuts: list[int]  # places where a piece ends, and something may happen
    kills: dict[int, int] = field(default_factory=dict)  # place -> which controller
    holders: dict[int, list[int]] = field(default_factory=dict)  # place -> the controller of each partition


@st.composite
def days(draw: st.DrawFn) -> Day:
    dice = random.Random(draw(st.integers(0, 2**32)))
    traffics = {host: Traffic(dice) for host in HOSTS}
    at = 0.0
    deeds = st.sampled_from(["mail", "flood", "flood", "guessing", "harvest", "refusals"])
    for deed, who, gap, where in draw(
        st.lists(
            st.tuples(deeds, st.integers(0, 29), st.sampled_from([0, 1, 20, 300, 4000]), st.integers(0, 2)), max_size=25
        )
    ):
        at += gap
        traffics[HOSTS[where]].act(at, deed, who)
    events: list[tuple[float, Batch]] = []
    for host, traffic in traffics.items():
        lines = sorted(traffic.lines, key=lambda line: line[0])
        events += _sent(host, lines, dice)
    last = max((stamp for stamp, _ in events), default=0.0) + 10
    events += [(last, Batch(host, ALL, "e", 0, 0, promise=maillog.START + last)) for host in HOSTS]
    keys = [f"account:{login}" for login in ACCOUNTS] + [f"client:{client}" for client in CLIENTS]
    released = [(dice.uniform(0, last), dice.choice(keys)) for _ in range(draw(st.integers(0, 3)))]
    everything: list[tuple[float, Batch | str]] = [*events, *released]
    everything.sort(key=lambda event: event[0])
    stream: list[Message] = [(seq, maillog.START + stamp, what) for seq, (stamp, what) in enumerate(everything, 1)]
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    places = st.integers(0, 8)
    kills = draw(st.dictionaries(places, st.integers(0, 1)))
    holders = draw(st.dictionaries(places, st.lists(st.integers(0, 1), min_size=PARTITIONS, max_size=PARTITIONS)))
    return Day(stream, cuts, kills, holders)


def _sent(host: str, lines: list[maillog.Timed], dice: random.Random) -> list[tuple[float, Batch]]:
    """Batches of a gateway, each a little after its lines, now and then twice; and promises while it is quiet."""
    events, sent, begin, arrived = [], 0, 0, 0.0
    while begin < len(lines):
        end = min(len(lines), begin + dice.randint(1, 12))
        text = b"".join(maillog.log(lines[begin:end], host))
        arrived = max(arrived, lines[end - 1][0] + dice.uniform(0.1, 2.0))
        batch = Batch(host, "mail.log", "e", sent, sent + len(text), text)
        events += [(arrived, batch)] * dice.choice([1, 1, 2])
        sent, begin = sent + len(text), end
    quiet = [n * 2.0 for n in range(int((lines[-1][0] if lines else 0) / 2) + 1) if dice.random() < 0.02]
    return events + [
        (at, Batch(host, ALL, "e", 0, 0, promise=maillog.START + _before(lines, events, at))) for at in quiet
    ]


def _before(lines: list[maillog.Timed], events: list[tuple[float, Batch]], at: float) -> float:
    """Up to when everything had been sent by a time."""
    sent = sum(batch.lines.count(b"\n") for batch in {b.at: b for t, b in events if t <= at and b.lines}.values())
    return min(lines[sent][0], at) if sent < len(lines) else at


relaxed = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(days())
def test_a_cluster_decides_as_a_replay_of_its_merged_log(day: Day) -> None:
    with tempfile.TemporaryDirectory() as directory:
        both = [Controller(Path(directory, f"{n}.sqlite")) for n in range(2)]
        published: list[Decision] = []
        holder = [0] * PARTITIONS
        for number, (begin, end) in enumerate(zip([0, *day.cuts], [*day.cuts, len(day.stream)], strict=True)):
            holder = day.holders.get(number, holder)
            if number in day.kills:
                both[day.kills[number]].kill(day.stream)
            for which, controller in enumerate(both):
                decided = controller.take(day.stream[begin:end])
                published += [d for d in decided if holder[partition(d.key, PARTITIONS)] == which]
        found = [controller.journal.decisions() for controller in both]
        for controller in both:
            controller.journal.close()
    log = both[0].log
    expected = at_once([log], both[0].effective)
    assert both[1].log == log
    assert found == [expected, expected]
    assert sorted(published, key=lambda decision: decision.seq) == expected


def test_everything_happens_in_such_days() -> None:
    """The log of the test above is one in which decisions are taken: a test that cannot fail is none."""
    dice = random.Random(5)
    traffic = Traffic(dice)
    for n in range(40):
        traffic.act(n * 60.0, ["flood", "guessing", "refusals"][n % 3], n)
    lines = sorted(traffic.lines, key=lambda line: line[0])
    stream = [(n, maillog.START + at, batch) for n, (at, batch) in enumerate(_sent("mx1", lines, dice), 1)]
    with tempfile.TemporaryDirectory() as directory:
        controller = Controller(Path(directory, "journal.sqlite"))
        decided = controller.take(sorted(stream, key=lambda message: message[1]))
        controller.journal.close()
    assert len({decision.rule for decision in decided}) > 5
