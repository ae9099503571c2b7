"""For whom events count. Lines are a real Postfix 3.7.11's, if not said otherwise, with shorter queue ids and names."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.reading.attribute import Attribution
from logwatch.schema import ATTRIBUTED

from .samples import samples, scanner

SCANNER = scanner()  # stamps with a zone: one line's does not depend on another's
ALICE, BOB, LOOPBACK = "account:alice", "account:bob@example.com", "client:127.0.0.1"

CONNECT = "postfix/submission/smtpd[13612]: connect from unknown[127.0.0.1]"
DISCONNECT = "postfix/submission/smtpd[13612]: disconnect from unknown[127.0.0.1] ehlo=1 auth=1 quit=1 commands=3"
REJECT = (
    "postfix/submission/smtpd[13612]: NOQUEUE: reject: RCPT from unknown[127.0.0.1]: 550 5.1.1 <no@reject.example>: "
    "Recipient address rejected: User unknown; from=<a@example.org> to=<no@reject.example> proto=ESMTP helo=<c.example>"
)
FAILURE = (
    "postfix/submission/smtpd[13612]: warning: unknown[127.0.0.1]: SASL PLAIN authentication failed: "
    "(reason unavailable), sasl_username=nobody"
)
VERDICT = (
    "mailbrake[77]: verdict: tempfail, mode=enforce, stage=MAIL, ref=ABC123, rule=hijacked, key=account, "
    "client_ip=127.0.0.1, sasl_username=alice"
)
ECHO = (
    "postfix/submission/smtpd[13612]: NOQUEUE: milter-reject: MAIL from unknown[127.0.0.1]: 450 4.7.1 slow down "
    "(case ABC123); from=<a@example.org> proto=ESMTP helo=<client.example> sasl_username=<alice>"
)


def accept(queue_id: str, login: str | None = "alice", more: str = "") -> str:
    """A message is begun, with or without a login."""
    auth = f", sasl_method=PLAIN, sasl_username={login}" if login else ""
    return f"postfix/submission/smtpd[13612]: {queue_id}: client=unknown[127.0.0.1]{auth}{more}"


def queued(queue_id: str) -> str:
    """It is in the active queue, for the first time or again."""
    return f"postfix/qmgr[13610]: {queue_id}: from=<alice@example.org>, size=333, nrcpt=2 (queue active)"


def delivery(
    queue_id: str, status: str = "sent (250 2.0.0 Ok: taken)", relay: str = "127.0.0.1[127.0.0.1]:37043"
) -> str:
    """One recipient's fate."""
    return (
        f"postfix/smtp[13617]: {queue_id}: to=<x@sink.example>, relay={relay}, delay=0.03, delays=0/0.01/0/0.01, "
        f"dsn=2.0.0, status={status}"
    )


def removed(queue_id: str) -> str:
    """It has left the queue."""
    return f"postfix/qmgr[13610]: {queue_id}: removed"


def log(*lines: str, start: datetime = datetime(2026, 11, 25, 3, 27, 47, tzinfo=UTC), step: float = 1.0) -> bytes:
    """Lines with stamps `step` seconds apart."""
    stamps = (start + timedelta(seconds=step * number) for number in range(len(lines)))
    return b"".join(f"{stamp.isoformat()} mx1 {line}\n".encode() for stamp, line in zip(stamps, lines, strict=True))


Row = tuple[str | None, str | None, str | None, bool]


def attributed(text: bytes, by: Attribution | None = None) -> list[Row]:
    """Account, client and local key of each event, and whether it counts."""
    columns = (by or Attribution()).attribute(SCANNER.scan(text))
    return list(zip(*(columns[name].tolist() for name in ATTRIBUTED), strict=True))


def accounts(*lines: str) -> list[str | None]:
    """The account alone."""
    return [row[0] for row in attributed(log(*lines))]


def counts(*lines: str) -> list[bool]:
    """Whether each event counts."""
    return [row[3] for row in attributed(log(*lines))]


# ---- a message's life


def test_every_line_of_a_message_counts_for_its_login() -> None:
    """From client= to removed, though only the first line names it; removed closes the account."""
    lines = [accept("4jZ1"), queued("4jZ1"), delivery("4jZ1"), removed("4jZ1"), delivery("4jZ1")]
    assert attributed(log(*[line.replace("4jZ1", "4jZ4r31mvlzJ9bM") for line in lines])) == [
        *[(ALICE, LOOPBACK, None, True)] * 4,
        (None, None, None, True),
    ]


def test_messages_of_one_queue_side_by_side() -> None:
    """Lines of two messages may alternate."""
    lines = [
        accept("AAAAA1"),
        accept("BBBBB2", "bob@example.com"),
        queued("AAAAA1"),
        queued("BBBBB2"),
        removed("AAAAA1"),
    ]
    assert accounts(*lines) == [ALICE, BOB, ALICE, BOB, ALICE]


def test_the_same_queue_id_on_two_hosts_is_two_messages() -> None:
    """Short queue ids are the same on every machine sooner or later."""
    lines = log(accept("AAAAA1"), accept("AAAAA1", "bob@example.com"), queued("AAAAA1"), queued("AAAAA1"))
    both = b"".join(
        line.replace(b" mx1 ", (b" mx1 ", b" mx2 ")[number % 2]) + b"\n"
        for number, line in enumerate(lines.splitlines())
    )
    assert [row[0] for row in attributed(both)] == [ALICE, BOB, ALICE, BOB]
    assert [row[3] for row in attributed(both)] == [True] * 4


def test_a_queue_id_may_come_again() -> None:
    """A new client= line makes it a new message, even where the line with removed was lost."""
    lines = [accept("AAAAA1"), queued("AAAAA1"), accept("AAAAA1", "bob@example.com"), queued("AAAAA1")]
    assert accounts(*lines) == [ALICE, ALICE, BOB, BOB]
    assert counts(*lines) == [True] * 4


def test_retries_of_a_deferred_message_count_once() -> None:
    """The queue manager prints from= at every attempt; the deliveries are new ones each time."""
    deferred = delivery("AAAAA1", "deferred (host sink.example[127.0.0.1] said: 450 4.2.1 mailbox busy)")
    lines = [
        accept("AAAAA1"),
        queued("AAAAA1"),
        deferred,
        queued("AAAAA1"),
        deferred,
        queued("AAAAA1"),
        removed("AAAAA1"),
    ]
    assert counts(*lines) == [True, True, True, False, True, False, True]


def test_what_was_accepted_before_the_log_begins_counts_for_nobody_once() -> None:
    """It is known to be there from its first queued line on, and is no orphan."""
    by = Attribution()
    rows = attributed(log(queued("AAAAA1"), delivery("AAAAA1"), queued("AAAAA1")), by)
    assert rows == [(None, None, None, True), (None, None, None, True), (None, None, None, False)]
    assert by.orphans == 0


def test_deliveries_without_acceptance_are_counted_as_orphans() -> None:
    """Lines were lost, or the log begins in mid-life."""
    by = Attribution()
    attributed(log(delivery("AAAAA1"), delivery("BBBBB2"), accept("CCCCC3"), delivery("CCCCC3")), by)
    assert by.orphans == 2


def test_mail_from_a_local_program_counts_for_its_user() -> None:
    """pickup names a uid; there is neither login nor client."""
    lines = ["postfix/pickup[9]: AAAAA1: uid=33 from=<www-data@example.org>", queued("AAAAA1"), delivery("AAAAA1")]
    assert attributed(log(*lines)) == [(None, None, "local:33", True)] * 3


def test_a_requeued_message_is_the_same() -> None:
    """postsuper -r: pickup takes it in again, under another queue id, and names the old one."""
    again = "postfix/pickup[9]: BBBBB2: uid=102 from=<a@example.org> orig_id=AAAAA1"
    lines = [accept("AAAAA1"), queued("AAAAA1"), again, queued("BBBBB2"), delivery("BBBBB2")]
    mine = (ALICE, LOOPBACK, None, True)
    assert attributed(log(*lines)) == [*[mine] * 3, (*mine[:3], False), mine]
    assert attributed(log(again, queued("BBBBB2"))) == [(None, None, None, True), (None, None, None, False)]


def test_one_account_however_it_is_written() -> None:
    """Case and the site's own domain make no difference, and a domain may be added."""
    by = Attribution("example.com")
    lines = [accept("AAAAA1", "Bob"), accept("AAAAA2", "bob@EXAMPLE.com")]
    assert [row[0] for row in attributed(log(*lines), by)] == [BOB, BOB]


@pytest.mark.parametrize(("keep_case", "account"), [(False, "account:alice"), (True, "account:Alice")])
def test_an_account_is_what_the_milter_looks_up(keep_case: bool, account: str) -> None:
    found = attributed(log(accept("4jZ4r31", "Alice")), Attribution(keep_case=keep_case))
    assert found[0][0] == account


# ---- sessions


def test_refusals_count_for_the_login_of_their_session() -> None:
    """Before Postfix 3.10 a refusal does not name the login: after the first accepted message the session does."""
    lines = [CONNECT, REJECT, accept("AAAAA1"), REJECT, DISCONNECT]
    assert accounts(*lines) == [None, None, ALICE, ALICE, ALICE]
    assert {row[1] for row in attributed(log(*lines))} == {LOOPBACK}


def test_one_process_serves_many_sessions() -> None:
    """A login ends with its session, whether the line of its end was lost or that of the next one's beginning."""
    for between in ([DISCONNECT, CONNECT], [DISCONNECT], [CONNECT]):
        lines = [CONNECT, accept("AAAAA1"), *between, REJECT]
        assert accounts(*lines)[-1] is None, between


def test_a_session_of_another_client_is_not_that_of_the_line() -> None:
    """Where both ends of a session were lost, the address still tells that this is another client."""
    lines = [CONNECT, accept("AAAAA1"), REJECT.replace("unknown[127.0.0.1]", "unknown[192.0.2.9]")]
    assert attributed(log(*lines))[-1] == (None, "client:192.0.2.9", None, True)


def test_a_failed_login_counts_for_the_login_that_was_tried() -> None:
    """Not for the one under which the session sent before, and it changes nothing for what comes after it."""
    lines = [CONNECT, accept("AAAAA1"), FAILURE, REJECT]
    assert accounts(*lines) == [None, ALICE, "account:nobody", ALICE]


def test_a_refusal_that_names_a_login_counts_for_that() -> None:
    """Postfix from 3.10 on (line written after its source)."""
    assert accounts(CONNECT, f"{REJECT} sasl_method=PLAIN sasl_username=bob@example.com") == [None, BOB]


# ---- our own refusals


def test_the_echo_of_our_verdict_does_not_count_again() -> None:
    """The milter-reject line has the same case reference; it names the same account."""
    lines = [CONNECT, VERDICT, ECHO, VERDICT, ECHO]
    assert counts(*lines) == [True, True, False, True, False]
    assert accounts(*lines)[1:] == [ALICE] * 4


def test_a_milter_reject_alone_counts() -> None:
    """Verdict lines do not reach this log, or another milter refused."""
    assert counts(CONNECT, ECHO, ECHO) == [True] * 3
    assert counts(CONNECT, VERDICT, ECHO.replace("ABC123", "XYZ999")) == [True] * 3
    assert counts(CONNECT, VERDICT, ECHO.replace(" (case ABC123)", "")) == [True] * 3


@pytest.mark.parametrize("action", ["throttle", "tempfail", "block", "hold", "cap"])
def test_a_verdict_counts_where_the_message_was_not_accepted(action: str) -> None:
    """What is held, or capped, is queued as well, and counts then; the MTA's line for it is an echo all the same."""
    assert counts(CONNECT, VERDICT.replace("tempfail", action), ECHO) == [
        True,
        action in ("throttle", "tempfail", "block"),
        False,
    ]


def test_an_observed_verdict_is_no_attempt() -> None:
    """Nothing was refused: the message is counted when it is queued, and a real refusal is nobody's echo."""
    observed = VERDICT.replace("verdict: tempfail, mode=enforce", "verdict: would-tempfail, mode=observe")
    assert counts(CONNECT, observed, ECHO) == [True, False, True]


# ---- content filters


def test_mail_back_from_a_content_filter_is_the_same_message() -> None:
    """With XFORWARD it names the queue id that it had before: same owner, not counted again."""
    again = accept("BBBBB2", None, ", orig_queue_id=AAAAA1, orig_client=unknown[192.0.2.7]")
    lines = [accept("AAAAA1"), queued("AAAAA1"), again, queued("BBBBB2"), removed("AAAAA1"), delivery("BBBBB2")]
    assert accounts(*lines) == [ALICE] * 6
    assert counts(*lines) == [True, True, True, False, True, True]


def test_mail_back_from_a_filter_counts_where_its_origin_is_unknown() -> None:
    """It must count somewhere: for the client that brought it."""
    again = accept("BBBBB2", None, ", orig_queue_id=AAAAA1, orig_client=unknown[192.0.2.7]")
    assert attributed(log(again, queued("BBBBB2"))) == [(None, LOOPBACK, None, True)] * 2


def message_id(queue_id: str, name: str = "one@example.org") -> str:
    """cleanup has the message."""
    return f"postfix/cleanup[13615]: {queue_id}: message-id=<{name}>"


def back(queue_id: str, name: str = "one@example.org") -> list[str]:
    """A message that comes from a program of this machine by SMTP, without a login."""
    lines = [accept(queue_id, None), message_id(queue_id, name), queued(queue_id)]
    return [line.replace("submission/smtpd[13612]", "smtpd[77]") for line in lines]


AMAVIS = "sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as BBBBB2)"
RELAY = "127.0.0.1[127.0.0.1]:10024"
AGAIN = (ALICE, LOOPBACK, None, False)
FIRST = [accept("AAAAA1"), message_id("AAAAA1"), queued("AAAAA1")]


def test_a_content_filter_without_xforward_is_seen_through() -> None:
    """The lines of the returned message come before the answer that names it (its form is that of amavisd-new)."""
    lines = [*FIRST, *back("BBBBB2"), delivery("AAAAA1", AMAVIS, RELAY), removed("AAAAA1"), delivery("BBBBB2")]
    rows = attributed(log(*lines))
    assert [row[0] for row in rows] == [*[ALICE] * 3, None, *[ALICE] * 5]
    assert [row[3] for row in rows] == [True, True, True, True, True, False, True, True, True]


def grown(queue_id: str, recipients: int) -> str:
    """Its line in the queue, with another number of recipients."""
    return re.sub(r"nrcpt=[0-9]+", f"nrcpt={recipients}", queued(queue_id))


def test_a_copy_with_more_recipients_is_a_message_of_its_own() -> None:
    """A web form that forges the id of alice's message: it counts, for the form, and so does what comes of it."""
    form = ["postfix/pickup[13614]: BBBBB2: uid=33 from=<www>", message_id("BBBBB2"), grown("BBBBB2", 500)]
    rows = attributed(log(*FIRST, *form, grown("BBBBB2", 500), delivery("BBBBB2")))
    www = (None, None, "local:33")
    assert rows[5:] == [(*www, True), (*www, False), (*www, True)]


def test_a_copy_may_have_less_recipients_or_a_blind_one() -> None:
    """A filter splits a message, or its way back adds `always_bcc`: it is the same message, and alice's."""
    first = [*FIRST[:2], grown("AAAAA1", 10)]
    for parts in ((1, 9), (10,), (11,), (12, 12)):
        again = [
            line
            for number, part in enumerate(parts)
            for line in [*back(f"BBBBB{number}")[:2], grown(f"BBBBB{number}", part)]
        ]
        rows = attributed(log(*first, *again))[3:]
        assert [(row[0], row[3]) for row in rows[2::3]] == [(ALICE, False)] * len(parts), parts


def test_the_filters_answer_alone_tells_the_owner() -> None:
    """A filter that gave the message another id: it was counted for its client, but what becomes of it is alice's."""
    lines = [*FIRST, *back("BBBBB2", "other"), delivery("AAAAA1", AMAVIS, RELAY), delivery("BBBBB2"), queued("BBBBB2")]
    assert attributed(log(*lines))[5:] == [(None, LOOPBACK, None, True), *[(ALICE, LOOPBACK, None, True)] * 2, AGAIN]


def test_what_an_outside_host_answers_proves_nothing() -> None:
    """It may name any queue id; only a loopback address, and a message from here, make a filter's return."""
    outside = delivery("AAAAA1", AMAVIS, "mx.evil.example[198.51.100.6]:25")
    forwarded = delivery("AAAAA1", "sent (forwarded as BBBBB2)", "mx.evil.example[198.51.100.6]:25")
    for answer in (outside, forwarded):
        lines = [*FIRST, *back("BBBBB2", "other"), answer, delivery("BBBBB2")]
        assert accounts(*lines)[-1] is None
    logged_in = [*FIRST, accept("BBBBB2", "bob@example.com"), delivery("AAAAA1", AMAVIS, RELAY), delivery("BBBBB2")]
    assert accounts(*logged_in)[-1] == BOB
    stranger = [line.replace("[127.0.0.1]", "[192.0.2.9]") for line in back("BBBBB2")]
    rows = attributed(log(*FIRST, *stranger, delivery("AAAAA1", AMAVIS, RELAY), delivery("BBBBB2")))
    assert [row[:2] for row in rows[3:6]] == [(None, "client:192.0.2.9")] * 3
    assert rows[5][3] and rows[-1][0] is None


def test_mail_from_this_machine_is_new_unless_it_is_in_the_queue_already() -> None:
    """Webmail without AUTH counts for loopback; so does a list server's copy, once the original has left."""
    assert attributed(log(*back("BBBBB2")))[-1] == (None, LOOPBACK, None, True)
    assert attributed(log(*FIRST, removed("AAAAA1"), *back("BBBBB2")))[-1] == (None, LOOPBACK, None, True)
    assert attributed(log(*FIRST[:2], *back("BBBBB2")))[-1] == (None, LOOPBACK, None, True)
    assert attributed(log(*FIRST, *back("BBBBB2", "other")))[-1] == (None, LOOPBACK, None, True)


def test_filters_may_follow_each_other_but_not_without_end() -> None:
    """Three returns are believed; a program that goes on with the same message id, once or twice each, is counted."""
    returns = [line for number in range(5) for line in back(f"BBBBB{number}")]
    twice = [line for line in returns for _ in range(1 + ("message-id" in line))]
    for lines, last in ((returns, 3), (twice, 4)):
        counted = counts(*FIRST, *lines)[3:]
        assert [counted[number * last + last - 1] for number in range(5)] == [False, False, False, True, True]


def test_a_filter_that_comes_back_by_sendmail() -> None:
    """A pipe to a program that calls sendmail(1): the message is not the filter's user's."""
    again = ["postfix/pickup[9]: BBBBB2: uid=99 from=<alice@example.org>", message_id("BBBBB2"), queued("BBBBB2")]
    assert attributed(log(*FIRST, *again))[-2:] == [(ALICE, LOOPBACK, None, True), (ALICE, LOOPBACK, None, False)]


def test_what_is_forwarded_is_the_same_message() -> None:
    """local(8) makes a new queue file, whose lines come before the one that says so; it has the same message id."""
    local = delivery("AAAAA1", "sent (forwarded as BBBBB2)", "local")
    lines = [*FIRST, message_id("BBBBB2"), queued("BBBBB2"), local, delivery("BBBBB2")]
    assert attributed(log(*lines))[4:] == [AGAIN, *[(ALICE, LOOPBACK, None, True)] * 2]
    without_id = [accept("AAAAA1"), queued("AAAAA1"), queued("BBBBB2"), local, delivery("BBBBB2")]
    assert accounts(*without_id) == [ALICE, ALICE, None, ALICE, ALICE]


# ---- Sendmail (real lines of 8.17.1, shortened)

PEER = "mx1.example.com [127.0.0.1]"
LOGIN = f"sendmail[30580]: AUTH=server, relay={PEER}, authid=alice, mech=PLAIN, bits=0"
UNKNOWN = "sendmail[30580]: 6AP3si0p030580: <w@reject.example>... User unknown"


def sender(queue_id: str, more: str = "nrcpts=1, msgid=<1@example.org>", relay: str = PEER, pid: int = 30580) -> str:
    """Sendmail's line of acceptance."""
    start = f"sendmail[{pid}]: {queue_id}: from=<a@example.org>, size=20, class=0, {more}"
    return f"{start}, proto=ESMTPA, daemon=MSA, relay={relay}"


def recipient(queue_id: str, outcome: str = "dsn=2.0.0, stat=Sent (Ok)", pid: int = 30583) -> str:
    """What became of a recipient."""
    return (
        f"sendmail[{pid}]: {queue_id}: to=<x@sink.example>, delay=00:00:00, xdelay=00:00:00, mailer=relay, pri=30020, "
        f"relay=[127.0.0.1] [127.0.0.1], {outcome}"
    )


def test_sendmails_login_counts_for_the_messages_of_its_process() -> None:
    """However many; deliveries are another process's work, and known by queue id."""
    deferred = recipient("6AP3si0p030580", "dsn=4.2.0, stat=Deferred: 450 4.2.1 mailbox busy")
    lines = [LOGIN, UNKNOWN, sender("6AP3si0p030580"), deferred, sender("6AP3si0q030580"), recipient("6AP3si0p030580")]
    assert attributed(log(*lines)) == [(ALICE, LOOPBACK, None, True)] * 6


def test_sendmails_login_is_not_the_next_process_or_clients() -> None:
    """Numbers of processes come again; another client, or the end of the session, tell."""
    later = sender("6AP3si0q030580", relay="[192.0.2.9]")
    assert attributed(log(LOGIN, sender("6AP3si0p030580"), later))[-1] == (None, "client:192.0.2.9", None, True)
    end = f"sendmail[30580]: 6AP3si0p030580: {PEER} did not issue MAIL/EXPN/VRFY/ETRN during connection to MSA"
    assert accounts(LOGIN, end, sender("6AP3si0p030580")) == [ALICE, ALICE, None]
    assert accounts(LOGIN, sender("6AP3si0p030599", pid=30599)) == [ALICE, None]


def test_a_login_from_a_client_with_too_long_a_name_is_not_lost() -> None:
    """Sendmail cuts name and address at 100 characters."""
    assert accounts(LOGIN.replace(PEER, "x" * 100), sender("6AP3si0p030580")) == [ALICE, ALICE]


def test_sendmails_refusals_are_no_messages() -> None:
    """A line without recipients or without a message follows a refusal; only the refusal counts."""
    refused = "sendmail[30580]: 6AP3si0p030580: Milter: from=<a@example.org>, reject=450 4.7.1 slow down (case ABC123)"
    by = Attribution()
    rows = attributed(log(LOGIN, VERDICT, refused, sender("6AP3si0p030580", "nrcpts=0")), by)
    assert [row[0] for row in rows] == [ALICE] * 4
    assert [row[3] for row in rows] == [True, True, False, True]
    assert len(by.messages.queue) == 0


def test_a_refusal_after_the_final_dot_is_no_second_attempt() -> None:
    """Sendmail has logged the message by then."""
    late = "sendmail[30580]: 6AP3si0p030580: Milter: data, reject=554 5.7.1 not this one"
    assert counts(LOGIN, sender("6AP3si0p030580"), late) == [True, True, False]


def told_late(*lines: str) -> list[bytes | None]:
    """The `count` of each event."""
    counted: list[bytes | None] = Attribution().attribute(SCANNER.scan(log(*lines)))["count"].tolist()
    return counted


def test_sendmails_refusals_count_when_their_client_is_known() -> None:
    """The lines themselves name nobody; the next one with a client has their number, once."""
    harvest = [UNKNOWN.replace("<w@", f"<{letter}@") for letter in "abc"]
    refused = sender("6AP3si0p030580", "nrcpts=0")
    end = f"sendmail[30580]: 6AP3si0p030580: {PEER} did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA"
    lost = f"sendmail[30580]: 6AP3si0p030580: lost input channel from {PEER} to MTA after rcpt"
    assert told_late(*harvest, refused) == [None, None, None, b"3"]
    assert attributed(log(*harvest, refused)) == [*[(None, None, None, False)] * 3, (None, LOOPBACK, None, True)]
    assert told_late(*harvest, end) == [None, None, None, b"3"]
    assert told_late(*harvest, lost, refused) == [None, None, None, b"3", None]
    assert told_late(*harvest, sender("6AP3si0p030580"), *harvest[:1], refused) == [None, None, None, b"3", None, None]
    assert told_late(LOGIN, *harvest, refused) == [None] * 5
    assert told_late(*harvest, sender("6AP3si0p030599", pid=30599)) == [None] * 4


LATER = "6AQ1b20a030580"  # of a process that got the number the next day


def test_sendmails_refusals_wait_where_another_process_had_the_number() -> None:
    """A message, or a login with one, of hours ago is not of the process that refuses under another queue id."""
    harvest = [UNKNOWN.replace("6AP3si0p030580: <w@", f"{LATER}: <{letter}@") for letter in "abc"]
    mine = ("account:alice", LOOPBACK, None, True)
    for before in ([sender("6AP3si0p030580")], [LOGIN, sender("6AP3si0p030580")]):
        lines = [*before, *harvest, sender(LATER, "nrcpts=0", "[192.0.2.9]")]
        rows = attributed(log(*lines))
        assert rows[-4:] == [*[(None, None, None, False)] * 3, (None, "client:192.0.2.9", None, True)]
        assert told_late(*lines)[-1] == b"3"
    again = UNKNOWN.replace("6AP3si0p", "6AP3si0q")  # the next message of the same connection
    assert attributed(log(LOGIN, sender("6AP3si0p030580"), again))[-1] == mine
    ended = UNKNOWN.replace("6AP3si0p", "6AP1aa0p")  # killed, before it could say by whom it was asked
    assert told_late(ended, *harvest, sender(LATER)) == [None, None, None, None, b"3"]
    assert told_late(ended, sender(LATER)) == [None, None]


def test_sendmails_milters_refusals_are_not_those_of_an_earlier_process() -> None:
    """Their lines name no client either."""
    refused = "sendmail[30580]: {}: Milter: to=<x@example.org>, reject=550 5.7.1 no"
    rows = attributed(log(LOGIN, sender("6AP3si0p030580"), refused.format("6AP3si0q030580"), refused.format(LATER)))
    assert rows[2:] == [(ALICE, LOOPBACK, None, True), (None, None, None, True)]


def test_a_number_that_a_local_program_had_does_not_make_a_client_its_user() -> None:
    """The program that handed in mail is gone when a client's process gets its number."""
    local = sender("6AP3si0p030580", "nrcpts=1").partition(", proto=")[0] + ", relay=www@localhost"
    check = f"sendmail[30580]: {LATER}: ruleset=check_rcpt, arg1=<x@example.org>, relay={PEER}, reject=550 5.7.1 no"
    assert attributed(log(local, check)) == [(None, None, "local:www", True), (None, LOOPBACK, None, True)]


def opens(*lines: str) -> list[bool]:
    """Whether each event tells of a connection without a line of its own."""
    told: list[bool] = Attribution().attribute(SCANNER.scan(log(*lines)))["opens"].tolist()
    return told


def test_a_connection_to_sendmail_is_told_by_the_first_line_that_names_the_client() -> None:
    """Sendmail logs none at its usual level; where it does, and where Postfix does, there is nothing to be told."""
    end = f"sendmail[30580]: 6AP3si0p030580: {PEER} did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA"
    lost = f"sendmail[30580]: 6AP3si0p030580: lost input channel from {PEER} to MTA after rcpt"
    relay = f"sendmail[30580]: NOQUEUE: ruleset=check_relay, arg1=[192.0.2.9], relay={PEER}, reject=550 5.7.1 no"
    connect = f"sendmail[30580]: NOQUEUE: connect from {PEER}"
    mail = [sender("6AP3si0p030580"), sender("6AP3si0q030580")]
    failed = f"sendmail[30580]: 6AP3si0p030580: AUTH failure (PLAIN): authentication failure (-13), relay={PEER}"
    assert opens(end, end.replace("30580", "30581"), end) == [True, True, True]
    assert opens(*mail) == [True, False]
    assert opens(LOGIN, *mail) == [True, False, False]
    assert opens(LOGIN.replace(PEER, "x" * 100), *mail) == [False, True, False]
    assert opens(failed, failed, end) == [False, False, True]
    assert opens(UNKNOWN, lost, sender("6AP3si0p030580", "nrcpts=0")) == [False, True, False]
    assert opens(relay, *mail) == [True, False, False]
    assert opens(*mail, sender(LATER, relay="[192.0.2.9]")) == [True, False, True]
    for later in ([end], [lost], [relay, end], [LOGIN, *mail]):
        assert not any(opens(connect, *later))
    assert not any(opens(REJECT, DISCONNECT, FAILURE, accept("AAAAA1"), queued("AAAAA1"), DISCONNECT))
    exim = "exim[7]: 1xW4Y4-00043P-2H <= a@example.org H=(c) [192.0.2.7] P=esmtpa A=plain:alice S=205"
    assert opens(exim, "exim[8]: SMTP connection from (c) [192.0.2.7] closed by QUIT") == [False, False]


def test_mail_from_a_local_program_to_sendmail_counts_once_for_its_user() -> None:
    """The submission program hands it on to the daemon, under another queue id."""
    handed_in = (
        sender("6AP3tIME030666", "nrcpts=1, msgid=<9@example.org>").partition(", proto=")[0] + ", relay=www@localhost"
    )
    passed_on = "dsn=2.0.0, stat=Sent (6AP3tIMF030667 Message accepted for delivery)"
    taken = sender("6AP3tIMF030667", "nrcpts=1, msgid=<9@example.org>", pid=30667)
    lines = [handed_in, taken, recipient("6AP3tIME030666", passed_on), recipient("6AP3tIMF030667")]
    rows = attributed(log(*lines))
    assert [row[2] for row in rows] == ["local:www"] * 4
    assert [row[3] for row in rows] == [True, False, True, True]


def test_sendmails_bounces_are_no_orphans() -> None:
    """They have no line of acceptance; the notification names them."""
    by = Attribution()
    bounce = "sendmail[30591]: 6AP3si0p030580: 6AP3sjaj030591: DSN: User unknown"
    rows = attributed(log(LOGIN, sender("6AP3si0p030580"), bounce, recipient("6AP3sjaj030591")), by)
    assert [row[0] for row in rows] == [ALICE, ALICE, ALICE, None]
    assert by.orphans == 0


# ---- time and bounds


START = datetime(2026, 11, 25, tzinfo=UTC)
AHEAD = ((accept("AAAAA1"), 0), (CONNECT, 7), (delivery("AAAAA1"), 1))  # line, day


def hours(number: float) -> timedelta:
    """How far apart lines are."""
    return timedelta(hours=number)


def test_late_lines_are_judged_as_of_the_newest() -> None:
    """A line that is some minutes late does not turn the clock back; one that is hours late does, and is counted."""
    by = Attribution()
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    clocks = [
        by.attribute(SCANNER.scan(log(CONNECT, start=noon + hours(late))))["clock"][0] - noon.timestamp()
        for late in (0, -0.5, 0.5, -3, -2.5)
    ]
    assert clocks == [0, 0, 1800, -3 * 3600, -2.5 * 3600]
    assert by.clocks.steps == 1


def test_an_open_message_is_forgotten_after_six_days() -> None:
    """Postfix gives a message up after five."""
    for days, owner in ((5.5, ALICE), (6.5, None)):
        text = log(accept("AAAAA1"), delivery("AAAAA1"), step=days * 86400)
        assert attributed(text)[-1][0] == owner, days


def test_a_clock_that_ran_ahead_forgets_the_same_in_any_chunks() -> None:
    """What was too old while the clock was wrong stays forgotten, whether or not a chunk ended just then."""
    text = [log(line, start=START + timedelta(days=days)) for line, days in AHEAD]
    for chunks in ([b"".join(text)], text):
        by = Attribution()
        assert [row[0] for chunk in chunks for row in attributed(chunk, by)] == [ALICE, None, None], len(chunks)


def test_the_oldest_messages_go_when_there_are_too_many() -> None:
    """Memory has a bound, and what was dropped for want of room is counted."""
    by = Attribution()
    by.messages.queue.bound = 2
    messages = [line for queue_id in ("AAAAA1", "AAAAA2", "AAAAA3") for line in (accept(queue_id), queued(queue_id))]
    lines = log(*messages, delivery("AAAAA1"), delivery("AAAAA3"))
    assert [row[0] for row in attributed(lines, by)][-2:] == [None, ALICE]
    assert (len(by.messages.queue), by.messages.queue.overflowed) == (2, 1)


@pytest.mark.parametrize(
    ("message", "session"),
    [
        pytest.param(b'["account:alice", null, null, true]', b'["account:alice", null, null]', id="short"),
        pytest.param(b'["account:alice", null, null, true, 2]', b'["account:alice", null, null, 0, null]', id="long"),
        pytest.param(
            b'["account:alice", null, null, true, 2, null, null, "local:33"]',
            b'["account:alice", null, null, 0, "6AP3si"]',
            id="came back, Sendmail's",
        ),
    ],
)
def test_what_earlier_versions_kept_is_taken_up(message: bytes, session: bytes) -> None:
    """Open messages and sessions stand in the journal as flat lists, some of them short."""
    by, time = Attribution(), datetime(2026, 11, 25, 3, 27, tzinfo=UTC).timestamp()
    by.messages.queue.restore([("mx1 AAAAA1", time, bytes(8) + message)])
    by.sessions.memory.restore([("mx1 13612", time, bytes(8) + session)])
    rows = attributed(log(delivery("AAAAA1"), queued("AAAAA1"), REJECT.replace("NOQUEUE", "6AP3si")), by)
    assert rows == [
        (ALICE, None, None, True),
        (ALICE, None, None, False),
        (ALICE, LOOPBACK, None, True),
    ]


# ---- the same in any chunks

CAPTURED = [sample.line.partition(" mx1 ")[2] for sample in samples() if sample.dialect in ("postfix", "sendmail")]
JUMPS = st.sampled_from([1.0, 1000.0, 4000.0, 90_000.0, 700_000.0]).flatmap(
    lambda seconds: st.sampled_from([seconds, -seconds])
)


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Captured lines: some run of them, some lost, some twice, and a clock that jumps now and then."""
    begin = draw(st.integers(0, max(0, len(CAPTURED) - 40)))
    lines = [line for line in CAPTURED[begin : begin + 40] for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2])))]
    jumps = draw(st.dictionaries(st.integers(0, len(lines)), JUMPS, max_size=4))
    time, stamped = datetime(2026, 11, 25, tzinfo=UTC), []
    for number, line in enumerate(lines):
        time += timedelta(seconds=jumps.get(number, 0.0))
        stamped.append(log(line, start=time))
    return stamped


def restarted(old: Attribution, kept: dict[str, dict[str, Any]]) -> Attribution:
    """Attribution as a checkpoint brings it back; `kept` is what the journal holds of each memory."""
    new = Attribution()
    new.clocks.restore(old.clocks.now, old.clocks.steps, json.loads(json.dumps(old.clocks.state())))
    new.orphans = old.orphans
    for memory, restored in zip(old.memories(), new.memories(), strict=True):
        rows = kept.setdefault(memory.name, {})
        rows.update((key, (time, value)) for key, time, value in memory.changes())
        restored.restore((key, time, value) for key, (time, value) in rows.items() if value is not None)
    return new


def table(parts: list[Any]) -> list[list[Any]]:
    """The columns of several chunks, one after the other."""
    names = (*ATTRIBUTED, "count", "opens", "clock")
    return [[value for part in parts for value in part[name].tolist()] for name in names]


@settings(max_examples=200, deadline=None)
@given(logs(), st.data())
def test_chunks_make_no_difference(lines: list[bytes], data: st.DataObject) -> None:
    """Any split into chunks of whole lines gives the same columns and counters, across restarts as well."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=6)))
    whole, parts = Attribution(), Attribution()
    together = [whole.attribute(SCANNER.scan(b"".join(lines)))]
    apart: list[Any] = []
    kept: dict[str, dict[str, Any]] = {}
    for begin, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        apart.append(parts.attribute(SCANNER.scan(b"".join(lines[begin:end]))))
        parts = restarted(parts, kept)
    assert table(apart) == table(together)
    assert (parts.orphans, parts.clocks.steps) == (whole.orphans, whole.clocks.steps)
    assert json.dumps(table(apart), default=bytes.decode)  # plain values, as they are printed
