"""What a report counts: traffic, senders, the milter's own lines, cases out of decisions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

import pytest

from logwatch.core import Core, Step
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.judging.policy import Policy
from logwatch.schema import Decision
from logwatch.telling.journal import Effect, Review
from logwatch.telling.published import DECIDED, Change
from logwatch.telling.report.findings import Hour, MilterWrote
from logwatch.telling.report.tally import Tally, cases, put_by_rule
from logwatch.telling.verdicts import found_out
from tests import maillog
from tests.telling.decisions import NOW
from tests.telling.decisions import decision as decided

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


def test_another_share_is_no_extension() -> None:
    """A throttle is steered every few minutes."""
    (case,) = cases([decision(1, 10), decision(2, 20, share=0.5, until=110), decision(3, 50)], {})
    assert (case.until, case.extended) == (150, 1)


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
    assert case.verdict == found_out(reviews, decision(1, 10))


def test_the_delay_of_a_case_that_is_enforced_later_counts_from_then() -> None:
    """As one that the guard held back, and somebody confirmed after three hours: the table had it within a second."""
    made = [decided(1, mode="observe"), decided(2, time=NOW + 10800), decided(3, time=NOW + 14400)]
    put = [
        Change(one.time + 1, one.key, "add", one.action, one.mode, one.until, None, None, one.rule, one.ref, DECIDED)
        for one in made[:2]
    ]
    (found,) = put_by_rule(put, made)
    assert found.delays == [1.0, 1.0]
