"""Two policies over the same events: who would be treated differently, when, and how much mail that is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logwatch.core import Core, Step
from logwatch.judging import language
from logwatch.judging.decide import Judge
from logwatch.schema import ALWAYS, Decision, Span
from logwatch.weighing.comparing import HARDER, HIT, MILDER, SPARED, Comparison, Difference
from tests import maillog
from tests.test_replay_equals_live import Traffic

OLD = """
rule flood per account: when recipients in 10m > 12 tempfail for 20m mode enforce
rule guessing per client: when auth_failures in 10m > 4 block for 30m
rule slow per account: when attempts in 10m > 3 throttle to 12 per 1h for 30m
rule busy per net: when messages in 10m > 5 block for 10m
"""
NEW = """
rule flood per account: when recipients in 10m > 20 block for 1h mode enforce
rule guessing per client: when auth_failures in 10m > 4 block for 30m mode enforce
rule slow per account: when attempts in 10m > 3 throttle to 40 per 1h for 30m
rule many per site: when messages in 10m > 9 tempfail for 10m
"""


def core(policy: str) -> Core:
    return Core(Judge(language.parse(policy)), zone=UTC, start=maillog.START)


def compared(chunks: Iterable[bytes], before: str, after: str, span: Span = ALWAYS) -> list[Difference]:
    old, new, comparison = core(before), core(after), Comparison(span)
    for chunk in chunks:
        clock = new.reader.clock
        step = new.feed(chunk)
        other = old.take(step.events, clock)
        comparison.take(step.events, other.decisions, step.decisions, (other.tips, step.tips))
    return comparison.differences()


def traffic(seed: int) -> list[bytes]:
    made = Traffic(random.Random(seed))
    deeds = ("flood", "mail", "guessing", "flood", "refusals")
    for number in range(60):
        made.act(number * 211.0 + (number > 40) * 9000, deeds[number % len(deeds)], made.dice.randint(0, 5))
    return maillog.log(sorted(made.lines, key=lambda line: line[0]))


def bursts(*minutes: int, recipients: int = 5) -> bytes:
    """Bob writes to five people in each of these minutes."""
    lines = [
        (60.0 * minute, text)
        for number, minute in enumerate(minutes)
        for text in maillog.submission(f"4cX{number:04d}bob", "bob", [f"r{i}@example.net" for i in range(recipients)])
    ]
    return b"".join(maillog.log(lines))


def one(minutes: Iterable[int], before: str, after: str) -> Difference:
    (found,) = compared([bursts(*minutes)], before, after)
    return found


RULE = "rule burst per account: when recipients in 10m > 6 {} mode {}"
NOTHING = "rule other per account: when recipients in 10m > 900 block for 1h"


class TestOneKey:
    def test_is_hit_by_the_new_policy_only(self) -> None:
        """The second message tips it; the third counts, and extends it to ten minutes later; the fourth is too late."""
        rule = RULE.format("tempfail for 10m", "enforce")
        found = one([0, 1, 2, 40], NOTHING, rule)
        assert found[:4] == ("account:bob", HIT, maillog.START + 60, maillog.START + 720)
        assert (found.before, found.messages, found.recipients) == (None, 1, 5)
        assert found.after is not None
        assert (found.after.rule, found.after.action) == ("burst", "tempfail")
        assert one([0, 1, 2, 40], rule, NOTHING)._replace(change=HIT, before=None, after=found.after) == found

    @pytest.mark.parametrize(
        ("before", "after", "change"),
        [
            (("tempfail for 1h", "enforce"), ("block for 1h", "enforce"), HARDER),
            (("block for 1h", "observe"), ("tempfail for 1h", "enforce"), HARDER),
            (("block for 1h", "enforce"), ("block for 1h", "observe"), MILDER),
            (("throttle to 5 per 1h for 1h", "enforce"), ("throttle to 2 per 1h for 1h", "enforce"), HARDER),
            (("cap 5 recipients for 1h", "observe"), ("cap 9 recipients for 1h", "observe"), MILDER),
        ],
    )
    def test_is_treated_otherwise_by_another_action_or_mode(
        self, before: tuple[str, str], after: tuple[str, str], change: str
    ) -> None:
        """By action, by mode, by how much gets through."""
        assert one([0, 1, 2], RULE.format(*before), RULE.format(*after)).change == change

    def test_is_spared_when_a_shorter_decision_has_ended(self) -> None:
        """Only the time beyond it."""
        found = one([0, 1], RULE.format("block for 1h", "enforce"), RULE.format("block for 20m", "enforce"))
        assert found.change == SPARED
        assert (found.begin - maillog.START, found.until - maillog.START) == (60 + 1200, 60 + 3600)

    def test_mail_at_the_very_end_is_not_counted(self) -> None:
        """The third message comes as the case ends: the milter would have taken it."""
        found = one([0, 1, 11], NOTHING, RULE.format("tempfail for 10m", "enforce"))
        assert (found.until - maillog.START, found.messages) == (11 * 60, 0)

    def test_what_has_ended_stays_so_where_the_clock_is_set_back(self) -> None:
        """The case ended after ten minutes, as alice's mail shows; then it is the fifth minute, and nothing stands."""
        rule = RULE.format("tempfail for 10m", "enforce")
        to = ["r@example.net"]
        later = b"".join(maillog.log((7200.0, text) for text in maillog.submission("4cX0001alice", "alice", to)))
        lines = bursts(0, 1) + later + bursts(5)
        (whole,) = compared([lines], NOTHING, rule)
        assert [whole] == compared(lines.splitlines(keepends=True), NOTHING, rule)
        assert (whole.until - maillog.START, whole.messages) == (660, 0)

    def test_the_most_severe_meanwhile_is_told(self) -> None:
        """One that began later and ended sooner."""
        block = "rule flood per account: when recipients in 10m > 11 block for 10m mode enforce"
        found = one([0, 1, 2], NOTHING, f"{RULE.format('tempfail for 1h', 'enforce')} {block}")
        assert found.until - maillog.START == 60 + 3600
        assert found.after is not None
        assert found.after.rule == "flood"

    def test_an_extension_does_not_interrupt_it(self) -> None:
        """One difference from the first to the last end, however often the case was extended."""
        found = one(range(0, 30, 2), NOTHING, RULE.format("tempfail for 10m", "enforce"))
        assert (found.begin - maillog.START, found.until - maillog.START) == (120, 28 * 60 + 600)
        assert (found.messages, found.recipients) == (13, 65)

    def test_only_a_span_is_told_of(self) -> None:
        """What stood before it is told from its beginning on."""
        rule, span = RULE.format("tempfail for 10m", "enforce"), Span(maillog.START + 121, maillog.START + 300)
        (found,) = compared([bursts(0, 1, 2, 3, 6)], NOTHING, rule, span)
        assert (found.begin, found.until, found.messages) == (*span, 1)
        assert compared([bursts(0, 1, 2)], NOTHING, rule, Span(maillog.START + 5000)) == []


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), cuts=st.sets(st.integers(0, 2000), max_size=12))
@example(seed=1552, cuts={358})  # a failed login tips, and a message of the same second is in the next chunk
def test_chunks_make_no_difference(seed: int, cuts: set[int]) -> None:
    lines = traffic(seed)
    places = [0, *sorted(cut for cut in cuts if 0 < cut < len(lines)), len(lines)]
    chunks = [b"".join(lines[begin:end]) for begin, end in pairwise(places)]
    assert compared(chunks, OLD, NEW) == compared([b"".join(lines)], OLD, NEW)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_the_other_way_round_is_the_mirror_image(seed: int) -> None:
    """And a policy differs from itself in nothing."""
    log = b"".join(traffic(seed))
    mirrored = {HIT: SPARED, SPARED: HIT, HARDER: MILDER, MILDER: HARDER}
    there, back = compared([log], OLD, NEW), compared([log], NEW, OLD)
    assert there
    turned = [d._replace(change=mirrored[d.change], before=d.after, after=d.before) for d in back]
    assert turned == there
    assert compared([log], NEW, NEW) == []


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_every_message_is_counted_where_it_was_treated_otherwise(seed: int) -> None:
    """Against an oracle that looks at each message of an account by itself: newly hit, or no longer."""
    log = b"".join(traffic(seed))
    step = core(NEW).feed(log)
    old = core(OLD).take(step.events, 0.0)
    expected: Counter[str] = Counter()
    for row in range(len(step.events["event"])):
        if step.events["event"][row] == "queued" and step.events["counts"][row] and step.events["account"][row]:
            stood = _stands(old, row), _stands(step, row)
            if stood[0] != stood[1]:
                expected[HIT if stood[1] else SPARED] += int(step.events["nrcpt"][row])
    found: Counter[str] = Counter()
    for difference in compared([log], OLD, NEW):
        if difference.key.startswith("account:") and difference.change in (HIT, SPARED):
            found[difference.change] += difference.recipients
    assert +found == +expected


def _stands(step: Step, row: int) -> bool:
    """Whether anything stood on the account of a message when it came."""
    key, time = step.events["account"][row], step.events["clock"][row]

    def before(decision: Decision) -> bool:
        """Tipped by an earlier message, or at an earlier time."""
        queue_id = (decision.queue_id or "").encode()
        of = zip(step.events["event"][:row], step.events["clock"][:row], step.events["queue_id"][:row], strict=True)
        return decision.time < time or ("queued", decision.time, queue_id) in of

    return any(d.key == key and before(d) and time < d.until for d in step.decisions)
