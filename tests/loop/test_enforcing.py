"""Every verdict on a real Postfix and a real Sendmail, side by side: same table, same milter, same answers."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from enforce import key
from tests.enforce.gate import LOGINS, Gate
from tests.enforce.records import record
from tests.mta.client import Reply
from tests.mta.waiting import wait_for


@pytest.fixture(scope="module", params=["postfix", "sendmail"])
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    with Gate(request.param) as gate:
        yield gate


def only(replies: list[Reply]) -> tuple[int, str, str]:
    """Code, stage and text of the one reply; Sendmail names the sender in it."""
    (reply,) = replies
    return reply.code, reply.stage, reply.text.replace("<a@example.org>... ", "")


def test_who_is_not_listed_is_accepted_with_a_login_and_without(gate: Gate) -> None:
    gate.deny(bob=record("block"))
    assert only(gate.send("free"))[:2] == (250, "end")
    assert only(gate.send(None))[:2] == (250, "end")


@pytest.mark.parametrize(
    ("action", "code", "text"),
    [
        ("tempfail", 450, "4.7.1 Too much mail from this account, try again later (case TEMP1)"),
        ("block", 550, "5.7.1 Sending is blocked for this account (case TEMP1)"),
    ],
)
def test_a_listed_login_is_refused_at_mail(gate: Gate, action: str, code: int, text: str) -> None:
    gate.deny(bob=record(action, ref="TEMP1"))
    assert only(gate.send("bob")) == (code, "mail", text)
    assert only(gate.send("free"))[0] == 250
    assert gate.verdicts(f"verdict: {action}, ", "stage=MAIL", "ref=TEMP1", "client_ip=127.0.0.1")


def test_a_throttled_login_gets_its_share_through(gate: Gate) -> None:
    """Of 1,000 attempts in ten sessions at a share of 0.3: 300, give or take four standard deviations."""
    gate.deny(bob=record("throttle", share=0.3))
    with ThreadPoolExecutor(10) as sessions:
        replies = [
            reply for sent in sessions.map(lambda _: gate.send("bob", messages=100), range(10)) for reply in sent
        ]
    codes = Counter(reply.code for reply in replies)
    assert set(codes) == {250, 450}
    assert codes.total() == 1000
    assert abs(codes[250] - 300) <= 4 * (1000 * 0.3 * 0.7) ** 0.5


def test_a_capped_login_reaches_its_number_of_recipients_and_no_more(gate: Gate) -> None:
    """The others are refused one by one, and the message goes to the first ones."""
    gate.deny_keys({key.EVERYBODY: [record("cap", max_recipients=3, ref="CAP1")]})
    (reply,) = gate.send("bob", recipients=5)
    assert (reply.code, reply.stage, reply.accepted) == (452, "rcpt", 3)
    assert reply.text.startswith("4.5.3 Too many recipients for this account in one message")
    assert reply.text.endswith("(case CAP1)")
    assert only(gate.send("free", recipients=3))[0] == 250
    assert only(gate.send(None, recipients=5))[0] == 250
    assert gate.verdicts("verdict: cap, ", "stage=RCPT", "ref=CAP1")


def test_a_held_message_is_accepted_waits_and_is_released(gate: Gate) -> None:
    gate.deny(bob=record("hold", ref="HOLD1"))
    (reply,) = gate.send("bob")
    assert reply.code == 250
    wait_for(lambda: gate.held() == [reply.queue_id], 60, "the message on hold", gate.mta.log_path)
    assert only(gate.send("free"))[0] == 250
    gate.release(reply.queue_id)
    gate.wait_for_delivery(reply.queue_id)
    assert gate.held() == []
    assert gate.verdicts("verdict: hold, ", "stage=EOM", "ref=HOLD1")


def test_a_held_message_may_be_deleted(gate: Gate) -> None:
    """Whole: what is left of it would be tried for days, or told to the postmaster."""
    gate.deny(bob=record("hold"))
    (reply,) = gate.send("bob")
    wait_for(lambda: gate.held() == [reply.queue_id], 60, "the message on hold", gate.mta.log_path)
    gate.delete(reply.queue_id)
    assert gate.held() == []
    assert not list(gate.mta.directory.rglob(f"*{reply.queue_id}"))


@pytest.mark.parametrize("action", ["cap", "throttle", "tempfail", "hold", "block"])
def test_an_observed_login_is_accepted_whatever_the_action(gate: Gate, action: str) -> None:
    gate.deny(bob=record(action, "observe", ref=f"OBS{action}", share=0.0, max_recipients=1))
    assert only(gate.send("bob", recipients=3))[:2] == (250, "end")
    assert gate.held() == []
    assert gate.verdicts(f"verdict: would-{action}, mode=observe", f"ref=OBS{action}")


@pytest.mark.parametrize("whom", ["client:127.0.0.1", "net:127.0.0.0/24"])
@pytest.mark.parametrize(("action", "code"), [("tempfail", 450), ("block", 550)])
def test_a_listed_client_or_network_is_refused(gate: Gate, whom: str, action: str, code: int) -> None:
    """At connect; the MTAs tell the client at different commands, none of which is later than RCPT."""
    gate.deny_keys({whom: [record(action, ref="CLIENT1")]})
    for login in ("bob", None):
        reply = gate.send(login)[0]
        assert reply.refused
        assert reply.stage in ("connect", "helo", "auth", "mail", "rcpt")
        assert str(reply.code)[0] == str(code)[0]
    assert gate.verdicts(f"verdict: {action}, ", "stage=CONNECT", f"key={whom.partition(':')[0]}, ", "client_ip=127.")


@pytest.mark.parametrize("login", [login for login in LOGINS if login != "free"])
def test_a_login_is_the_same_account_on_either_mta(gate: Gate, login: str) -> None:
    """With +, blank, UTF-8, capitals, or the domain of somebody else."""
    gate.deny(**{login: record("block")})
    assert only(gate.send(login))[:2] == (550, "mail")
    assert only(gate.send("free"))[0] == 250
    assert gate.verdicts("verdict: block, ", f"sasl_username={login}")


def test_an_exempt_client_is_accepted_and_its_logins_are_judged() -> None:
    """Loopback is exempt unless told otherwise: content filters re-inject from there."""
    with Gate("postfix", more="") as gate:
        gate.deny(record("block"), bob=record("block"))
        assert only(gate.send(None))[0] == 250
        assert only(gate.send("bob"))[0] == 550
        assert only(gate.send("free"))[0] == 250


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
def test_a_reply_of_several_lines_and_in_another_language_reaches_the_client(mta: str) -> None:
    more = 'texts = { block = "Zu viel Post,\\nbitte später: 100 %" }\nhelp = "siehe https://help.example"\n'
    with Gate(mta, more) as gate:
        gate.deny(bob=record("block"))
        code, stage, text = only(gate.send("bob"))
        assert (code, stage) == (550, "mail")
        first, last = text.splitlines()
        assert first == "5.7.1 Zu viel Post,"
        assert last == "5.7.1 bitte spater: 100 %; siehe https://help.example (case 4F7K2A)"


def more(replies: list[Reply], what: str) -> None:
    """Until twenty more replies have come in."""
    sent = len(replies)
    wait_for(lambda: len(replies) > sent + 20, 60, what)


@pytest.mark.parametrize("mta", ["postfix", "sendmail"])
def test_a_milter_stopped_and_killed_under_load_costs_no_message(mta: str) -> None:
    """Who is not listed is accepted throughout, each message once, and who is listed is refused again at the end."""
    with Gate(mta) as gate:
        gate.deny(bob=record("block"))
        replies: list[Reply] = []
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                replies.extend(gate.send("free", messages=3))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for end in (gate.milter.kill, gate.milter.stop, gate.milter.kill, lambda: gate.milter.stop(signal.SIGINT)):
            gate.milter.wait_for("listening on")  # before, whoever ignores SIGINT lets it ignore it, too
            more(replies, "load with the milter")
            end()
            more(replies, "load without the milter")
            gate.milter.start()
        gate.milter.wait_for("listening on")
        over.set()
        for thread in threads:
            thread.join()
        assert {reply.code for reply in replies} == {250}
        assert len({reply.queue_id for reply in replies}) == len(replies)
        wait_for(lambda: gate.send("bob")[0].code == 550, 60, "bob to be refused again")
