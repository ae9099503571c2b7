"""The law: the same lines give the same decisions, from an archive at once or followed in pieces, across kills.

A generated log goes through one core in one piece, and through a chain of cores in random pieces. Each core of the
chain begins where the journal on disk says; each piece ends in a transaction like the controller's, or in a kill before
or after it. What the journal holds in the end must be what the one core said: decisions, evidence, numbers, references.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logwatch.core import Core, Step
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.judging.pending_reviews import Confirmation, Release, Word
from logwatch.schema import Decision, Listing
from logwatch.telling.journal import Journal

from . import maillog
from .maillog import Timed

POLICY = """
guard 3
exempt account in newsletter@example.com
rule flood per account: when recipients in 10m > 12 or recipients in 1h > 30 tempfail for 20m mode enforce
rule bounces per account:
    when unknown_recipients in 1h > 3 and unknown_recipients / recipients in 1h > 0.1
    block for 1h mode enforce
rule hammering per account: when attempts in 10m > 9 tempfail for 15m
rule guessing per client: when auth_failures in 10m > 4 block for 30m mode enforce
rule guessing-net per net: when auth_failures in 10m > 8 block for 30m mode enforce
rule harvest per client: when unknown_recipients in 5m > 3 block for 1h
rule busy per site: when messages in 10m > 9 tempfail for 10m
rule strangers per account: when new_recipients in 24h > 6 and networks in 24h >= 2 tempfail for 2h mode enforce
rule botnet per account: when countries in 1h >= 3 or clients in 10m > 4 block for 1h mode enforce
rule roaming per account: when new_networks in 1h > 2 or odd_countries in 1h > 1 tempfail for 10m
rule many per client: when accounts in 1h > 3 or guessed in 1h > 2 tempfail for 1h
rule forged per account: when senders in 1h > 2 or odd_senders in 1h > 0 block for 20m
rule slow per account: when attempts in 10m > 3 while attempts in 10m > 1
    throttle to 12 per 1h for 30m, doubling to 4h mode enforce 60%
rule slow-recipients per client: when recipients in 10m > 5 throttle to 20 recipients per 1h for 20m mode enforce
rule unusual per account in "@example.com": when recipients in 10m > 1.2 * usual block for 10m
cap per account: 3 recipients, or 1.5 * largest mode enforce
score 5 for dnsbl "bl.example"
rule listed per account: when reputation >= 5 and messages in 10m > 0 or messages in 10m > 8 block for 10m
rule votes per account not in "user3@example.com":
    when 2 of (recipients in 1h > 3, hour >= 4, weekday > 3, age > 1, clients in 1h > 1) cap 3 recipients for 1h
"""

ACCOUNTS = [f"user{n}@example.com" for n in range(14)] + ["newsletter@example.com"]
CLIENTS = ["192.0.2.7", "192.0.2.8", "91.200.12.1", "8.8.8.8", "2a02:8109::1", "2001:db8:1:3::5", "1.0.16.1"]


@dataclass
class Traffic:
    """Lines of a made-up afternoon; everything random comes from `dice`."""

    dice: random.Random
    lines: list[Timed] = field(default_factory=list)
    messages: int = 0

    def act(self, at: float, deed: str, who: int) -> None:
        """One thing happens."""
        getattr(self, deed)(at, ACCOUNTS[who % len(ACCOUNTS)], CLIENTS[who % len(CLIENTS)])

    def mail(self, at: float, login: str, client: str) -> None:
        self._message(at, login, client, self.dice.randint(1, 3))

    def flood(self, at: float, login: str, client: str) -> None:
        for n in range(self.dice.randint(3, 12)):
            self._message(at + n * self.dice.choice([0, 1, 7, 40]), login, client, self.dice.randint(1, 4))

    def guessing(self, at: float, login: str, client: str) -> None:
        for n in range(self.dice.randint(2, 12)):
            self._add(at + n * 3, maillog.wrong_password(client, login))

    def harvest(self, at: float, login: str, client: str) -> None:  # noqa: ARG002  # deeds have one signature
        for n in range(self.dice.randint(2, 6)):
            self._add(at + n, maillog.refused(client, f"n{n}@reject.example"))

    def refusals(self, at: float, login: str, client: str) -> None:
        for n in range(self.dice.randint(2, 18)):
            self._add(
                at + n * 2, maillog.verdict(login, "ABC123", "flood", client, self.dice.choice(["enforce", "observe"]))
            )

    def _message(self, at: float, login: str, client: str, size: int) -> None:
        self.messages += 1
        queue_id = f"4jZ4r{self.messages:06d}J9bM"
        recipients = [f"r{self.dice.randint(0, 40)}@ok.example" for _ in range(size)]
        pid = 13000 + self.messages % 3
        roaming = self.dice.random() < 0.2
        client = self.dice.choice(CLIENTS) if roaming else client
        sender = f"s{self.dice.randint(0, 9)}@example.com" if roaming else ""
        for text in maillog.submission(queue_id, login, recipients, client=client, sender=sender, pid=pid):
            self._add(at, text)
        for recipient in recipients:
            later = at + self.dice.choice([0, 1, 30, 700, 5000])
            unlucky = self.dice.random() < 0.3
            self._add(later, (maillog.bounced if unlucky else maillog.sent)(queue_id, recipient))
        self._add(at + 5001, maillog.removed(queue_id))

    def _add(self, at: float, text: str) -> None:
        self.lines.append((at, text))


@dataclass
class Day:
    """A log and what happened while it was read."""

    lines: list[bytes]
    cuts: list[int]  # places where a piece ends
    kills: dict[int, bool]  # place of a piece -> whether its transaction had gone through
    words: dict[int, tuple[type[Word], str, float]]  # place of a piece -> before it, what of a key, with a clock ahead
    answers: dict[
        int, tuple[str, float]
    ]  # place of a piece -> before it, a DNS block list's about a client, for how long


@st.composite
def days(draw: st.DrawFn) -> Day:
    dice = random.Random(draw(st.integers(0, 2**32)))
    deeds = st.sampled_from(["mail", "flood", "flood", "guessing", "harvest", "refusals"])
    traffic = Traffic(dice)
    at = 0.0
    for deed, who, gap in draw(
        st.lists(
            st.tuples(deeds, st.integers(0, 29), st.sampled_from([0, 1, 20, 300, 900, 4000, 400_000])), max_size=25
        )
    ):
        at += gap
        traffic.act(at, deed, who)
    ordered = sorted(traffic.lines, key=lambda line: line[0])
    late = [_late(line, dice) for line in ordered]
    step = draw(st.none() | st.integers(0, len(late)))
    if step is not None:  # somebody sets the clock back by three hours
        late[step:] = [(at - 3 * 3600, text) for at, text in late[step:]]
    lines = maillog.log(late)
    cuts = sorted(draw(st.lists(st.integers(0, len(lines)), max_size=8)))
    pieces = st.integers(0, len(cuts))
    # which of two passes of a clock is meant, an event time alone does not say: words come with a steady clock
    what = st.sampled_from([Release, Confirmation])
    words = draw(
        st.dictionaries(pieces, st.tuples(what, st.sampled_from(_keys()), st.sampled_from([0.0, 0.0, 30.0, 2000.0])))
        if step is None
        else st.just({})
    )
    answers = draw(
        st.dictionaries(pieces, st.tuples(st.sampled_from(CLIENTS), st.sampled_from([1.0, 600.0, 90_000.0])))
        if step is None
        else st.just({})
    )
    return Day(lines, cuts, draw(st.dictionaries(pieces, st.booleans())), words, answers)


def _keys() -> list[str]:
    return [f"account:{login}" for login in ACCOUNTS] + [f"client:{client}" for client in CLIENTS]


def _late(line: Timed, dice: random.Random) -> Timed:
    """One line in ten was written by a slow host: its stamp is older than its place."""
    return (line[0] - dice.randint(1, 600), line[1]) if dice.random() < 0.1 else line


def new_core() -> Core:
    return Core(Judge(parse(POLICY)), zone=UTC, start=maillog.START)


def at_once(lines: Sequence[bytes], words: Sequence[Word] = (), answers: Sequence[Listing] = ()) -> list[Decision]:
    return whole(lines, words, answers)[0].decisions


def whole(
    lines: Sequence[bytes], words: Sequence[Word] = (), answers: Sequence[Listing] = ()
) -> tuple[Step, list[Decision]]:
    """The only step, and the caps that stand in the end."""
    core = new_core()
    core.answers = list(answers)
    for word in words:
        core.hear(word)
    return core.feed(b"".join(lines)), caps(core)


def caps(core: Core) -> list[Decision]:
    return sorted(core.judge.ceilings.standing(core.judge.policy), key=lambda cap: cap.key)


class Live:
    """Reads pieces of a log as the controller does: judge, then everything in one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.effective: list[Word] = []
        self.start()

    def start(self) -> None:
        """A new process takes up what the journal holds."""
        self.journal = Journal.open(self.path)
        self.core = new_core()
        facts = self.journal.facts()
        if facts:
            assert self.core.restore(facts, self.journal.remembered())

    def piece(self, lines: Sequence[bytes]) -> None:
        step = self.core.feed(b"".join(lines))
        with self.journal.transaction():
            self.journal.record(step.decisions, {})
            self.journal.remember(self.core.memories())
            self.journal.note("facts", self.core.facts())
        for memory in self.core.memories():
            memory.settle()

    def killed_before_its_transaction(self, lines: Sequence[bytes]) -> None:
        self.core.feed(b"".join(lines))
        self.kill()

    def kill(self) -> None:
        self.journal.close()
        self.start()

    def hear(self, what: type[Word], key: str, ahead: float) -> None:
        effective = self.core.hear(what(key, self.core.reader.clock + ahead))
        with self.journal.transaction():
            self.journal.note("facts", self.core.facts())
        self.effective.append(what(key, effective))

    def answer(self, client: str, seconds: float) -> None:
        clock = self.core.reader.clock
        answer = Listing(clock, clock + seconds, f"client:{client}", "bl.example", ("127.0.0.2",))
        with self.journal.transaction():
            self.journal.answered([self.core.answer(answer)])
            self.journal.note("facts", self.core.facts())

    def decisions(self) -> list[Decision]:
        return self.journal.decisions()


def followed(day: Day, live: Live) -> list[Decision]:
    """What the journal holds after the whole day."""
    for number, (begin, end) in enumerate(pairwise([0, *day.cuts, len(day.lines)])):
        lines = day.lines[begin:end]
        if number in day.words:
            live.hear(*day.words[number])
        if number in day.answers:
            live.answer(*day.answers[number])
        if day.kills.get(number) is False:
            live.killed_before_its_transaction(lines)
        live.piece(lines)
        if day.kills.get(number):
            live.kill()
    return live.decisions()


relaxed = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(days())
def test_pieces_restarts_and_kills_change_nothing(day: Day) -> None:
    with tempfile.TemporaryDirectory() as directory:
        live = Live(Path(directory, "journal.sqlite"))
        found = followed(day, live)
        answers = live.journal.answers()
        live.journal.close()
    step, standing = whole(day.lines, live.effective, answers)
    assert found == step.decisions
    assert caps(live.core) == standing


def _busy(seed: int) -> list[bytes]:
    traffic = Traffic(random.Random(seed))
    deeds: list[Callable[[float, str, str], None]] = [
        traffic.flood,
        traffic.guessing,
        traffic.harvest,
        traffic.refusals,
    ]
    for n in range(70):
        deeds[n % len(deeds)](n * 97.0 + (n > 30) * 8 * 86400, ACCOUNTS[n % 7], CLIENTS[n % 5])
    return maillog.log(sorted(traffic.lines, key=lambda line: line[0]))


def test_one_line_at_a_time() -> None:
    """The smallest pieces there are; and the log used here is one in which everything happens."""
    lines = _busy(5)
    core = new_core()
    steps = [core.feed(line) for line in lines]
    found = [decision for step in steps for decision in step.decisions]
    step, standing = whole(lines)
    assert found == step.decisions
    assert [cap for one in steps for cap in one.caps] == step.caps
    assert [cut for one in steps for cut in one.cut] == step.cut != []
    assert caps(core) == standing
    assert len(standing) > 1  # somebody has a number of his own
    assert {decision.rule for decision in found} == {rule.name for rule in parse(POLICY).rules}
    assert len({d.ref for d in found}) < len(found)  # some were extended


def test_a_release_holds_in_the_replay_too() -> None:
    """The replay is told when the release took effect, and then says the same: end, no new case, later a new one."""
    lines = _busy(6)
    plain = at_once(lines)
    release = Release(plain[0].key, plain[0].time + 60)
    with tempfile.TemporaryDirectory() as directory:
        live = Live(Path(directory, "journal.sqlite"))
        live.core.hear(release)
        for line in _pieces(lines, 50):
            live.piece(line)
        found = live.decisions()
        live.journal.close()
    assert found == at_once(lines, [release])
    assert {d.time for d in found if d.action == "release"} == {release.time}
    assert found != plain


def test_a_confirmation_opens_the_guard_in_the_replay_too() -> None:
    """The replay is told whom operators confirmed, and when; and then lets the same cases in at the same event."""
    lines = _busy(6)
    plain = at_once(lines)
    held = next(decision for decision in plain if decision.mode == "observe" and decision.rule == "flood")
    confirmation = Confirmation(held.key, held.time + 60)
    with tempfile.TemporaryDirectory() as directory:
        live = Live(Path(directory, "journal.sqlite"))
        live.core.hear(confirmation)
        for piece in _pieces(lines, 50):
            live.piece(piece)
            live.kill()
        found = live.decisions()
        live.journal.close()
    assert found == at_once(lines, [confirmation])
    case = [(decision.mode, decision.time > confirmation.time) for decision in found if decision.ref == held.ref]
    assert ("enforce", True) in case
    assert ("observe", True) not in case
    assert found != plain


def test_answers_of_block_lists_count_in_the_replay_too() -> None:
    """The replay gets them from the journal, and then says the same; without them it says something else."""
    lines = _busy(6)
    with tempfile.TemporaryDirectory() as directory:
        live = Live(Path(directory, "journal.sqlite"))
        for number, piece in enumerate(_pieces(lines, 50)):
            live.answer(CLIENTS[number % 5], 1200.0)
            live.piece(piece)
        found, answers = live.decisions(), live.journal.answers()
        live.journal.close()
    assert found == at_once(lines, answers=answers)
    assert found != at_once(lines)


def _pieces(lines: list[bytes], size: int) -> Iterator[list[bytes]]:
    return (lines[begin : begin + size] for begin in range(0, len(lines), size))
