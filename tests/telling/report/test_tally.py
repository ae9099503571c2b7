"""What a report counts: traffic, senders, the milter's own lines, cases out of decisions; and who came near a rule."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

import pytest

from logwatch.core import Core, Step
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.judging.policy import Policy
from logwatch.schema import ALWAYS, Decision, Span
from logwatch.telling.journal import Effect, Review
from logwatch.telling.report.findings import Hour, MilterWrote
from logwatch.telling.report.tally import Tally, cases
from logwatch.telling.verdicts import found_out
from logwatch.weighing.nearest import Near, Nearest
from tests import maillog

POLICY = parse("rule burst per account: when recipients in 1h > 10 tempfail for 1h mode observe")
HOUR = int(maillog.START // 3600)


def steps(lines: Iterable[maillog.Timed], pieces: int = 1, policy: Policy = POLICY) -> list[Step]:
    """The core's steps over these lines, in so many pieces."""
    core = Core(Judge(policy), zone=UTC, start=maillog.START)
    whole = maillog.log(lines)
    size = -(-len(whole) // pieces)
    return [core.feed(b"".join(whole[begin : begin + size])) for begin in range(0, len(whole), size)]


def tallied(lines: Iterable[maillog.Timed], pieces: int = 1) -> Tally:
    tally = Tally(UTC)
    for step in steps(lines, pieces):
        tally.add(step.events, step.decisions, step.tips)
    return tally


def message(at: float, number: int, recipients: int, login: str = "bob") -> list[maillog.Timed]:
    """A message, and its first recipient's bounce."""
    queue_id = f"4cX{number:04d}Zz"
    to = [f"r{i}@example.net" for i in range(recipients)]
    lines = [*maillog.submission(queue_id, login, to), maillog.bounced(queue_id, to[0])]
    return [(at, line) for line in lines]


def test_traffic_is_counted_by_hour() -> None:
    """Messages and their recipients, and what the milter refused."""
    lines = [*message(10, 1, 3), *message(20, 2, 4, "eve"), *message(3700, 3, 1)]
    lines.append((3710, maillog.verdict("bob", "ABCDEF", "other")))
    assert tallied(lines, pieces=3).hours() == {HOUR: Hour(2, 7, 0), HOUR + 1: Hour(1, 1, 1)}


def test_senders_come_with_their_days() -> None:
    """Most recipients first; of each day what was sent on it; recipients that do not exist."""
    lines = [*message(10, 1, 3, "eve"), *message(20, 2, 4), *message(86410, 3, 5)]
    first, second = tallied(lines, pieces=2).senders()
    day = int(maillog.START // 86400)
    assert first == ("account:bob", 2, 9, 2, {day: 4, day + 1: 5})
    assert second == ("account:eve", 1, 3, 1, {day: 3})


def test_recipients_that_exim_names_only_when_it_delivers_are_counted() -> None:
    """By hour, and of their sender: three of a message that was taken for one."""
    fate = "R=dnslookup T=remote_smtp H=mx.x.example [198.51.100.5]"
    lines = ["<= bob@example.org H=(c) [192.0.2.1] P=esmtpsa A=plain:bob S=333"]
    lines += [f'=> r{number}@x.example {fate} C="250 ok"' for number in range(3)]
    core, tally = Core(Judge(POLICY), zone=UTC, start=maillog.START), Tally(UTC)
    step = core.feed("".join(f"2025-11-25 03:00:01 1xW4Y4-00043P-2H {line}\n" for line in lines).encode())
    tally.add(step.events, step.decisions, step.tips)
    assert list(tally.hours().values()) == [Hour(1, 3, 0)]
    assert tally.senders()[0][:4] == ("account:bob", 1, 3, 0)


def test_what_the_milter_wrote_is_told_by_rule() -> None:
    """Refused, or only would have been; a case that is not known here belongs to no rule."""
    ref = tallied(message(10, 1, 11)).decisions[0].ref
    lines = [*message(10, 1, 11), (20.0, maillog.verdict("bob", ref, "burst"))]
    lines.append((30.0, maillog.verdict("bob", ref, "burst", mode="observe").replace("tempfail", "would-tempfail")))
    lines.append((40.0, maillog.verdict("bob", "ZZZZZZ", "burst")))
    assert tallied(lines).said() == {"burst": MilterWrote(1, 1), "": MilterWrote(1, 0)}


def test_mail_for_which_several_cases_stand_counts_once() -> None:
    """By whatever number of rules."""
    twice = parse("\n".join(f"rule {name} per account: when recipients in 1h > 10 tempfail for 1h" for name in "ab"))
    core, tally = Core(Judge(twice), zone=UTC, start=maillog.START), Tally(UTC)
    step = core.feed(b"".join(maillog.log([*message(10, 1, 11), *message(20, 2, 5)])))
    tally.add(step.events, step.decisions, step.tips)
    assert [effect.recipients for effect in tally.effects.values()] == [5, 5]
    assert tally.while_cases_stood.recipients == 5


def decision(seq: int, time: float, **changes: object) -> Decision:
    fields = {"action": "tempfail", "mode": "observe", "until": time + 100, "rule": "burst", "ref": "R1"}
    return Decision(time=time, key="account:bob", seq=seq, **{**fields, **changes})  # type: ignore[arg-type]


def test_decisions_of_one_case_are_one() -> None:
    """From its beginning to the end of its last extension, with what came of it."""
    effect = Effect("R1", "account:bob", "burst", 2, 30, 4)
    (case,) = cases([decision(1, 10), decision(2, 50)], {effect[:3]: effect})
    assert (case.begun, case.until, case.extended, case.released) == (10, 150, 1, False)
    assert (case.messages, case.recipients, case.refused) == (2, 30, 4)


def test_a_release_ends_a_case() -> None:
    """Whether it was decided, or said by an operator while it stood."""
    (decided,) = cases([decision(1, 10), decision(2, 50, action="release", until=50)], {})
    (said,) = cases([decision(1, 10)], {}, [Review(50, "account:bob", "released", "eve")])
    assert (decided.until, decided.released) == (said.until, said.released) == (50, True)
    assert said.verdict == "released"


def test_a_word_after_its_end_does_not_end_a_case() -> None:
    """It is told all the same."""
    (case,) = cases([decision(1, 10)], {}, [Review(500, "account:bob", "confirmed", "eve")])
    assert (case.until, case.released, case.verdict) == (110, False, "confirmed")


def review(number: int, time: float, verdict: str, effective: float | None = None) -> Review:
    return Review(time, "account:bob", verdict, "eve", effective=effective, id=number)


@pytest.mark.parametrize(
    ("reviews", "verdict", "until"),
    [
        pytest.param(
            [review(1, 40, "released", 40), review(2, 60, "confirmed", 60)], "confirmed", 40, id="a release first"
        ),
        pytest.param(
            [review(1, 40, "confirmed", 40), review(2, 60, "released", 60)], "confirmed", 60, id="released after"
        ),
        pytest.param([review(1, 5, "released")], "released", 10, id="said before it, not heard of yet"),
        pytest.param([review(1, 5, "released", 5)], "", 110, id="heard of before it"),
        pytest.param(
            [review(1, 40, "ordered block", 40), review(2, 60, "confirmed", 60)], "confirmed", 110, id="an order"
        ),
    ],
)
def test_the_report_says_of_a_case_what_the_other_commands_do(
    reviews: list[Review], verdict: str, until: float
) -> None:
    """An order is no finding; who is confirmed and released was hijacked; what nobody heard of holds from now on."""
    (case,) = cases([decision(1, 10)], {}, reviews)
    assert (case.verdict, case.until) == (verdict, until)
    assert case.verdict == found_out(reviews, 10)


def nearest_of(policy: Policy, lines: Iterable[maillog.Timed], pieces: int = 1, span: Span = ALWAYS) -> Nearest:
    nearest = Nearest(policy, span)
    for step in steps(lines, pieces, policy):
        nearest.add(step)
    return nearest


def told(found: Iterable[tuple[str, str, Near]]) -> list[tuple[str, str, float, float]]:
    return [(rule, key[8:], round(near.near, 2), near.time - maillog.START) for rule, key, near in found]


def test_the_nearest_are_those_that_did_not_reach_a_limit() -> None:
    """Each key once, when it first came nearest, in whatever pieces; who was hit, later even, can be left out."""
    lines = [*message(10, 1, 8), *message(15, 5, 7, "eve"), *message(20, 2, 11, "eve"), *message(8000, 3, 6)]
    lines += [*message(16000, 6, 8), *message(86500, 4, 7, "joe")]
    others = [("burst", "bob", 0.8, 10), ("burst", "joe", 0.7, 86500)]
    for pieces in (1, 4):
        nearest = nearest_of(POLICY, lines, pieces)
        assert told(nearest.best([("burst", "account:eve")])) == others
        assert sorted(told(nearest.best())) == sorted([*others, ("burst", "eve", 0.7, 15)])


def test_the_nearest_are_of_a_span_and_of_whom_a_rule_is_for() -> None:
    """Its beginning is within it, its end is not."""
    policy = parse('exempt account in "eve" rule burst per account: when recipients in 10m > 10 block for 1h')
    lines = [*message(9, 1, 8, "ann"), *message(10, 2, 7), *message(11, 3, 7, "eve"), *message(20, 4, 8, "joe")]
    found = nearest_of(policy, lines, span=Span(maillog.START + 10, maillog.START + 20)).best()
    assert told(found) == [("burst", "bob", 0.7, 10)]


def test_a_rule_that_many_come_near_to_does_not_hide_the_others() -> None:
    """Three of each come first, however many are nearer; less than half way is not near."""
    policy = parse(
        "rule burst per account: when recipients in 10m > 10 block for 1h\n"
        "rule large per account: when recipients in 24h > 12 block for 1h\n"
    )
    nearest = nearest_of(policy, [line for n in range(6) for line in message(10 + n, n, 4 + n, f"u{n}")])
    assert [(rule, key, near) for rule, key, near, _ in told(nearest.best())] == [
        ("burst", "u5", 0.9),
        ("burst", "u4", 0.8),
        ("large", "u5", 0.75),
        ("burst", "u3", 0.7),
        ("large", "u4", 0.67),
        ("large", "u3", 0.58),
        ("burst", "u2", 0.6),
        ("burst", "u1", 0.5),
        ("large", "u2", 0.5),
    ]


def test_of_more_than_two_hundred_the_nearer_half_is_kept() -> None:
    lines = [line for n in range(201) for line in message(n, n, 9 if n < 100 else 6, f"u{n}")]
    found = told(nearest_of(POLICY, lines).best())
    assert (len(found), {near for _, _, near, _ in found}) == (100, {0.9})
