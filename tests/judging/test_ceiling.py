"""The cap for everybody: who gets which number, from when, for how long."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

import pytest

from enforce.key import EVERYBODY
from logwatch.core import Core, Step
from logwatch.judging.ceiling import DAY, LONG, NO_LIMIT, reference
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.judging.pending_reviews import Release
from logwatch.schema import Decision
from tests import maillog

POLICY = "cap per account: 25 recipients, or 2 * largest mode enforce"
BOB = "account:bob@example.com"


def core(policy: str = POLICY, mode: str = "enforce") -> Core:
    return Core(Judge(parse(policy), mode), zone=UTC, start=maillog.START, default_realm="example.com")


class Log:
    """Feeds messages, a line after the other; times in days after the start."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._messages = 0

    def send(self, day: float, recipients: int, login: str = "bob@example.com") -> Step:
        self._messages += 1
        to = [f"r{n}@example.net" for n in range(recipients)]
        texts = maillog.submission(f"4cX{self._messages:06d}", login, to)
        return self.core.feed(b"".join(maillog.log([(day * DAY, text) for text in texts])))


def caps(step: Step) -> dict[str, int | None]:
    return {decision.key: decision.max_recipients for decision in step.caps}


def stand(core: Core) -> dict[str, Decision]:
    return {decision.key: decision for decision in core.judge.ceilings.standing(core.judge.policy)}


def test_everybody_has_the_default_from_the_first_event_on() -> None:
    """With an end of its own, which every event may push out after a tenth of a day."""
    log = Log(core())
    (cap,) = log.send(0, 1).caps
    assert (cap.key, cap.action, cap.mode, cap.max_recipients) == (EVERYBODY, "cap", "enforce", 25)
    assert (cap.until - cap.time, cap.rule, cap.ref) == (DAY, "default-cap", reference(EVERYBODY))
    assert log.send(0.09, 1).caps == []
    (again,) = log.send(0.11, 1).caps
    assert again.until == cap.until + 0.11 * DAY


def test_who_has_sent_larger_messages_gets_a_larger_number_the_day_after() -> None:
    """A multiple of the largest message of any of its days; a day that was small changes nothing."""
    log = Log(core())
    assert BOB not in caps(log.send(0, 40))
    assert caps(log.send(1, 1))[BOB] == 80
    assert log.send(1.01, 1).caps == []
    assert BOB not in caps(log.send(2, 1))
    assert stand(log.core)[BOB].until == maillog.START + DAY + LONG
    log.send(1 + 183, 1, "carol@example.com")
    assert set(stand(log.core)) == {EVERYBODY}


def test_who_has_not_needs_none() -> None:
    """Twice twelve is less than everybody may."""
    log = Log(core())
    log.send(0, 12)
    assert set(caps(log.send(1, 12))) == {EVERYBODY}


def test_without_a_multiple_everybody_has_the_same() -> None:
    log = Log(core("cap per account: 25 recipients mode enforce"))
    log.send(0, 400)
    assert set(caps(log.send(1, 400))) == {EVERYBODY}
    assert log.core.judge.needs() == {}


def test_an_attack_teaches_nothing() -> None:
    """After the first days, one on which a rule decided against the account does not count."""
    log = Log(core(f"{POLICY} rule flood per account: when recipients in 10m > 300 block for 1h"))
    for day in range(6):
        log.send(day, 5)
    log.send(6, 400)
    assert BOB not in caps(log.send(7, 5))


@pytest.mark.parametrize("exempt", ["bob@example.com", "@example.com"])
def test_who_is_exempt_has_no_limit(exempt: str) -> None:
    """From the beginning where it is named; a domain's accounts from when they are seen."""
    log = Log(core(f"exempt account in {exempt} {POLICY}"))
    login = "bob@example.com" if exempt.startswith("@") else "alice@example.com"
    assert caps(log.send(0, 1, login)) == {EVERYBODY: 25, BOB: NO_LIMIT}
    assert caps(log.send(0.2, 1, login)) == {EVERYBODY: 25}
    assert caps(log.send(18, 1, login)) == {EVERYBODY: 25}
    assert caps(log.send(18.3, 1, login)) == {EVERYBODY: 25, BOB: NO_LIMIT}


def test_whoever_only_makes_up_a_login_has_no_record_written() -> None:
    """Of an exempt domain, say: it would take another one's place."""
    tried = core(f"exempt account in @example.com {POLICY}")
    lines = maillog.log([(0.0, maillog.wrong_password("192.0.2.7", "made-up@example.com"))])
    assert set(caps(tried.feed(b"".join(lines)))) == {EVERYBODY}


def test_an_operators_exemption_lifts_it_for_as_long() -> None:
    log = Log(core())
    log.send(0, 1)
    log.core.hear(Release(BOB, maillog.START + 60, maillog.START + 2 * DAY))
    (cap,) = log.send(0.01, 1).caps
    assert (cap.key, cap.max_recipients, cap.until) == (BOB, NO_LIMIT, maillog.START + 2 * DAY)
    assert log.send(0.02, 40).cut == []
    step = log.send(2.5, 40)
    (again,) = (cap for cap in step.caps if cap.key == BOB)
    assert [(cut.recipients, cut.limit) for cut in step.cut] == [(40, 25)]
    assert (again.max_recipients, again.until) == (80, maillog.START + 2.5 * DAY + LONG)


def test_a_release_of_everybody_holds_for_a_day() -> None:
    """A release of one account leaves its own number in place: that is no denial."""
    log = Log(core())
    log.send(0, 40)
    log.send(1, 1)
    log.core.hear(Release(BOB, maillog.START + DAY + 60))
    log.core.hear(Release(EVERYBODY, maillog.START + DAY + 60))
    log.send(1.01, 1)
    assert set(stand(log.core)) == {BOB}
    assert EVERYBODY not in caps(log.send(1.9, 1))
    assert EVERYBODY in caps(log.send(2.1, 1))


@pytest.mark.parametrize(
    ("policy", "mode", "expected"),
    [
        (POLICY, "observe", "observe"),
        (f"mode observe {POLICY}", "enforce", "observe"),
        (POLICY.replace("mode enforce", ""), "enforce", "observe"),
        (POLICY, "enforce", "enforce"),
    ],
)
def test_it_does_no_more_than_rule_policy_and_site_allow(policy: str, mode: str, expected: str) -> None:
    (cap,) = Log(core(policy, mode)).send(0, 1).caps
    assert cap.mode == expected


def test_it_makes_no_cases() -> None:
    """No decision, no number in their order, nothing held against anybody; what it would have cut is told."""
    log = Log(core())
    steps = [log.send(0, 40), log.send(0.1, 20), log.send(1, 60), log.send(1.1, 90), log.send(1.2, 80)]
    assert [decision for step in steps for decision in step.decisions] == []
    assert log.core.judge.seq == 0
    cut = [(c.key, c.recipients, c.limit) for step in steps for c in step.cut]
    assert cut == [(BOB, 40, 25), (BOB, 60, 25), (BOB, 90, 80)]


def test_what_was_written_under_a_wrong_clock_ends() -> None:
    """The log's clock is put back by hours: the default is written anew, an own number ends."""
    log = Log(core())
    log.send(0, 40)
    log.send(1.5, 1)
    step = log.send(1, 1)
    ended = {decision.key: decision.max_recipients for decision in step.caps if decision.action == "release"}
    assert ended == {EVERYBODY: None, BOB: None}
    assert stand(log.core)[EVERYBODY].until == maillog.START + 2 * DAY


def test_another_number_in_the_policy_holds_for_what_stands() -> None:
    """After a restart with a new text: the default, and own numbers where they are still larger."""
    log = Log(core())
    log.send(0, 40)
    log.send(1, 1)
    judge = log.core.judge
    own = {EVERYBODY: 79, BOB: 80}
    for number, expected in ((100, {EVERYBODY: 100}), (80, {EVERYBODY: 80}), (79, own), (0, {})):
        policy = POLICY.replace("25", str(number)) if number else ""
        found: Iterable[Decision] = judge.ceilings.standing(parse(policy))
        assert {decision.key: decision.max_recipients for decision in found} == expected
