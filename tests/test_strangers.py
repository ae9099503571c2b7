"""Whoever has no login can fill memories, but has nobody forgotten who has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC
from itertools import count

import pytest

from logwatch.core import Core, Step
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.schema import Decision

from . import maillog

POLICY = """
rule loud per account: when messages in 1h > 10 and messages in 1h > 2 * usual tempfail for 1d mode enforce
rule slow per account: when recipients in 7d > 60 throttle to 20 per 1h for 1d, doubling to 7d mode enforce
rule dead per account: when unknown_recipients in 24h > 2 tempfail for 1d, doubling to 7d mode enforce
rule harvest per client: when unknown_recipients in 5m > 2 block for 1d, doubling to 7d mode enforce
rule guessing per client: when auth_failures in 10m > 2 * usual block for 1d mode enforce
rule harvest-net per net: when unknown_recipients in 5m > 2 block for 1d, doubling to 7d mode enforce
cap per account: 25 recipients, or 2 * largest mode enforce
"""
FORWARDER = """
rule harvest per client: when unknown_recipients in 5m > 2 and unknown_recipients in 5m > recipients in 24h
    block for 1h mode enforce
"""
DAY, ROOM, MANY = 86400.0, 24, 30  # MANY strangers, more than there is room for

Lines = Iterable[str]


def logins(number: int) -> Lines:
    yield maillog.wrong_password(f"2001:db8:{number:x}::1", f"nobody{number}@example.com")


def connections(number: int) -> Lines:
    yield f"postfix/smtpd[{20000 + number}]: connect from unknown[2001:db8:{number:x}::2]"


def harvesters(number: int) -> Lines:
    for guess in range(4):
        yield maillog.refused(f"2001:db8:{number:x}::3", f"guess{guess}@example.com")


def begun(number: int) -> Lines:
    """A message that ends with RSET: Postfix has given it a queue id."""
    yield f"postfix/smtpd[20000]: 4zZ{number:09d}: client=unknown[192.0.2.99]"


def hung_up(number: int) -> Lines:
    """A process of Sendmail's that refused somebody, and says nothing more."""
    yield f"sendmail[{20000 + number}]: 6AP44et{number:07d}: <guess@example.com>... User unknown"


@pytest.mark.parametrize("strangers", [logins, harvesters, begun])
def test_they_change_nothing_for_accounts(strangers: Callable[[int], Lines]) -> None:
    """What is usual, counts of a week, standing cases, and queued messages are remembered, however many come."""
    alone, among = _decided(lambda _: ()), _decided(strangers)
    assert {rule for *_, rule in alone} == {"loud", "slow", "dead", "default-cap"}
    assert among == alone


@pytest.mark.parametrize("strangers", [connections, hung_up, harvesters])
def test_a_session_stays_its_logins(strangers: Callable[[int], Lines]) -> None:
    """Sendmail names the login once, when it begins."""
    core = _core(POLICY)
    _feed(core, 0, ["sendmail[7]: AUTH=server, relay=pc [192.0.2.7], authid=alice, mech=PLAIN, bits=256"])
    _feed(core, 1, (text for number in range(MANY) for text in strangers(number)))
    sent = "from=<a@example.com>, size=15, class=0, nrcpts=2, proto=ESMTP, daemon=MTA, relay=pc [192.0.2.7]"
    step = _feed(core, 2, [f"sendmail[7]: 6AP44et4009086: {sent}"])
    assert step.events["account"].tolist() == ["account:alice@example.com"]


@pytest.mark.parametrize("strangers", [connections, harvesters])
def test_they_make_no_server_look_new(strangers: Callable[[int], Lines]) -> None:
    """Of a client that sends mail it is remembered that it does."""
    core = _core(FORWARDER)
    for number in range(5):
        handed_in = f"postfix/smtpd[7]: 4zY{number:09d}: client=mail.example.org[192.0.2.25]"
        taken = f"postfix/qmgr[8]: 4zY{number:09d}: from=<a@example.org>, size=15, nrcpt=1 (queue active)"
        _feed(core, number, [handed_in, taken])
    _feed(core, 10, (text for number in range(MANY) for text in strangers(number)))
    step = _feed(core, 20, [maillog.refused("192.0.2.25", f"left{number}@example.com", pid=7) for number in range(4)])
    assert step.decisions == []


def test_a_login_that_nobody_has_gets_no_record() -> None:
    """Where a whole domain is exempt from the cap, each of its accounts has one in the table; but not made-up ones."""
    core = _core(POLICY + "exempt account in @example.com")
    assert [cap.key for cap in _feed(core, 0, logins(1)).caps] == ["account:*"]
    mailed = _feed(core, 1, maillog.submission("4jZ4r000001J9bM", "alice", ["a@example.net"]))
    assert [cap.key for cap in mailed.caps] == ["account:alice@example.com"]


def _core(policy: str) -> Core:
    core = Core(Judge(parse(policy)), zone=UTC, start=maillog.START, default_realm="example.com")
    for memory in core.memories():
        if memory.name != "contacts":  # pages
            memory.bound = ROOM
    return core


def _feed(core: Core, at: float, texts: Lines) -> Step:
    return core.feed(b"".join(maillog.log((at, text) for text in texts)))


def _decided(strangers: Callable[[int], Lines]) -> list[tuple[float, float, str, str, str]]:
    """What is decided on accounts in a week; strangers come between messages and what comes of them."""
    core = _core(POLICY)
    found: list[Decision] = []
    numbers, ids = count(), count()

    def feed(at: float, texts: Lines) -> None:
        step = _feed(core, at, texts)
        found.extend([*step.decisions, *step.caps])

    for day in range(6):
        for hour, (login, messages) in enumerate((("alice", 22), ("bob", 4), ("carol", 12))):
            at = day * DAY + hour * 3600.0
            queued = [f"4jZ4r{next(ids):06d}J9bM" for _ in range(messages)]
            feed(at, (text for one in queued for text in maillog.submission(one, login, ["a@example.net"], pid=99)))
            feed(at, (text for _ in range(MANY) for text in strangers(next(numbers))))
            feed(at, (maillog.bounced(queue_id, "a@example.net") for queue_id in queued if login == "bob"))
            feed(at, map(maillog.removed, queued))
    return [(d.time, d.until, d.action, d.key, d.rule) for d in found if d.key.startswith("account:")]
