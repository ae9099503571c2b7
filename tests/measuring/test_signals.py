"""What one line adds to each signal: lines as a real Postfix 3.7 wrote them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.judging.policy import Policy
from logwatch.measuring.habits import Habits
from logwatch.measuring.origin import Site
from logwatch.measuring.rates import Rates
from logwatch.measuring.signals import EventChunk, amounts, shown
from logwatch.schema import ADDITIVE, DISTINCT
from tests.judging.bench import message
from tests.measuring.table import events

HABITS = {
    "new_recipients",
    "fresh_recipients",
    "far_strangers",
    "new_networks",
    "odd_countries",
    "far_recipients",
    "away_recipients",
    "odd_senders",
}
OPEN = (
    b"Nov 25 03:27:47 mx1 postfix/submission/smtpd[13612]: connect from unknown[192.0.2.1]\n"
    b"Nov 25 03:27:47 mx1 postfix/submission/smtpd[13612]: 4jZ4r31mvlzJ9bM: client=unknown[192.0.2.1], "
    b"sasl_method=PLAIN, sasl_username=alice\n"
)
LINES: dict[bytes, dict[str, int]] = {
    b"postfix/submission/smtpd[13626]: connect from unknown[192.0.2.1]": {"connections": 1},
    b"sm-mta[30580]: 6AP3si0p030580: c.example [192.0.2.1] did not issue MAIL/EXPN/VRFY/ETRN during connection to "
    b"MTA": {"connections": 1},
    b"postfix/qmgr[13610]: 4jZ4r31mvlzJ9bM: from=<alice@example.org>, size=333, nrcpt=3 (queue active)": {
        "messages": 1, "recipients": 3, "bytes": 333, "cost": 3, "attempts": 1,
    },
    b"postfix/discard[13616]: 4jZ4r31mvlzJ9bM: to=<x@ok.example>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, "
    b"status=sent (ok.example)": {},
    b"postfix/smtp[13621]: 4jZ4r31mvlzJ9bM: to=<x@evil.sink.example>, relay=127.0.0.1[127.0.0.1]:37043, delay=0.01, "
    b"delays=0/0/0/0, dsn=5.1.1, status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.1.1 nope)": {
        "unknown_recipients": 1, "bounces": 1,
    },
    b"postfix/smtp[13621]: 4jZ4r31mvlzJ9bM: to=<spam@policy.example>, relay=127.0.0.1[127.0.0.1]:37043, delay=0.02, "
    b"delays=0/0/0/0.02, dsn=5.7.1, status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.7.1 spam)": {
        "bounces": 1, "policy_rejections": 1,
    },
    b"postfix/smtp[13621]: 4jZ4r31mvlzJ9bM: to=<x@busy.example>, relay=none, delay=0.02, delays=0/0/0/0.02, "
    b"dsn=4.4.1, status=deferred (connect to 127.0.0.1[127.0.0.1]:25: Connection refused)": {"deferrals": 1},
    b"sm-mta[30596]: 4jZ4r31mvlzJ9bM: to=<a@x.example>,<b@x.example>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, "
    b"pri=30020, relay=mx.x.example. [198.51.100.5], dsn=5.1.1, stat=User unknown": {
        "unknown_recipients": 2, "bounces": 2,
    },
    b"postfix/submission/smtpd[13612]: warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: (reason "
    b"unavailable), sasl_username=alice": {"auth_failures": 1},
    b"postfix/smtpd[13629]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <n1@reject.example>: Recipient "
    b"address rejected: User unknown; from=<harvest@example.net> to=<n1@reject.example> proto=ESMTP helo=<h>": {
        "unknown_recipients": 1,
    },
    b"postfix/smtpd[13629]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <x@other.example>: Relay access "
    b"denied; from=<a@example.net> to=<x@other.example> proto=ESMTP helo=<h>": {},
    b"mailbrake[77]: verdict: block, mode=enforce, stage=MAIL, ref=ABC123, rule=flood, key=account, "
    b"client_ip=192.0.2.1, sasl_username=alice": {"attempts": 1},
    b"mailbrake[77]: verdict: block, mode=enforce, stage=MAIL, ref=ABC123, rule=flood, key=account, count=7, "
    b"client_ip=192.0.2.1, sasl_username=alice": {"attempts": 7},
    b"mailbrake[77]: verdict: hold, mode=enforce, stage=EOM, ref=ABC123, rule=flood, key=account, "
    b"client_ip=192.0.2.1, sasl_username=alice": {},
    b"mailbrake[77]: verdict: would-block, mode=observe, stage=MAIL, ref=ABC123, rule=flood, key=account, "
    b"client_ip=192.0.2.1, sasl_username=alice": {},
    b"postfix/submission/smtpd[13612]: NOQUEUE: milter-reject: MAIL from unknown[192.0.2.1]: 450 4.7.1 too much mail "
    b"(case ABC789); from=<alice@example.org> proto=ESMTP helo=<client.example.org>": {"attempts": 1},
}  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LINES.items())
def test_a_line_adds_to_the_signals_that_it_should_and_no_others(line: bytes, expected: dict[str, int]) -> None:
    events = _core().feed(OPEN + b"Nov 25 03:27:48 mx1 " + line + b"\n").events
    added = amounts(EventChunk(Habits().observe(events)))[2:].sum(axis=0)
    assert {name: n for name, n in zip(ADDITIVE, added.tolist(), strict=True) if n} == expected


SENDMAIL_MAIL = """\
{0} m sm-mta[7]: AUTH=server, relay=[{1}], authid=alice, mech=PLAIN, bits=0
{0} m sm-mta[7]: 6AP3si0p{2:06}: from=<a@x.example>, size=9, class=0, nrcpts={3}, msgid=<{2}>, proto=ESMTP, relay=[{1}]
{0} m sm-mta[8]: 6AP3si0p{2:06}: to={4}, delay=00:00:00, mailer=relay, dsn={5}, stat={6}
"""
STRANGERS = ",".join(f"<r{number}@y.example>" for number in range(10))
LEARNT, ABROAD = ("Nov 10 12:00:00", "192.0.2.1", 1, 1, "<friend@y.example>", "2.0.0", "Sent"), "8.8.8.8"


def _added_by(*mails: tuple[object, ...]) -> dict[str, int]:
    """What the last of these messages adds, with its deliveries."""
    core, habits = _core(), Habits()
    for mail in mails:
        found = habits.observe(core.feed(SENDMAIL_MAIL.format(*mail).encode()).events)
    return dict(zip(ADDITIVE, amounts(EventChunk(found)).sum(axis=0).tolist(), strict=True))


def test_each_of_the_recipients_in_a_line_of_sendmails_is_somebody_new() -> None:
    """Who was written to before is not, and none of them is the second time."""
    mail = ("Nov 25 12:00:00", ABROAD, 2, 11, f"{STRANGERS},<friend@y.example>", "2.0.0", "Sent")
    again = ("Nov 25 12:00:01", ABROAD, 3, 11, *mail[4:])
    new = ("new_recipients", "fresh_recipients", "far_strangers", "far_recipients")
    added = _added_by(LEARNT, mail)
    assert [added[name] for name in new] == [10, 10, 10, 11]
    added = _added_by(LEARNT, mail, again)
    assert [added[name] for name in new] == [0, 10, 0, 11]


def test_each_of_the_recipients_in_a_line_of_sendmails_bounces() -> None:
    mail = ("Nov 25 12:00:00", ABROAD, 2, 10, STRANGERS, "5.1.1", "User unknown")
    added = _added_by(LEARNT, mail)
    assert (added["bounces"], added["unknown_recipients"], added["new_recipients"]) == (10, 10, 10)
    late = ("Nov 25 12:00:00", ABROAD, 2, 10, STRANGERS, "4.2.1", "Deferred: busy")
    assert _added_by(LEARNT, late)["deferrals"] == 10


EXIM_FATES = (
    "== c@x.example R=dnslookup T=remote_smtp defer (-44): 450 4.2.0 come again",
    '=> a@x.example R=dnslookup T=remote_smtp H=mx.x.example [198.51.100.5] C="250 2.0.0 ok"',
    '-> b@x.example R=dnslookup T=remote_smtp H=mx.x.example [198.51.100.5] C="250 2.0.0 ok"',
    "** n@x.example R=dnslookup T=remote_smtp H=mx.x.example [198.51.100.5]: SMTP error from remote mail server "
    "after RCPT TO:<n@x.example>: 550 5.1.1 nobody",
    "== c@x.example R=dnslookup T=remote_smtp defer (-44): 450 4.2.0 come again",
    '=> c@x.example R=dnslookup T=remote_smtp H=mx.x.example [198.51.100.5] C="250 2.0.0 ok"',
    "Completed",
)


@pytest.mark.parametrize("named", ["", " for a@x.example b@x.example n@x.example c@x.example"])
@pytest.mark.parametrize("at_once", [True, False])
def test_recipients_that_exim_names_only_when_it_delivers_count_once_each(named: str, at_once: bool) -> None:
    """With or without `log_selector = +received_recipients`, however often one of them has to wait."""
    arrived = f"<= alice@example.org H=(c) [192.0.2.1] P=esmtpsa A=plain:alice S=333 id=1@example.org{named}"
    lines = [f"2026-11-25 03:27:{48 + n} 1xW4Y4-00043P-2H {x}\n".encode() for n, x in enumerate((arrived, *EXIM_FATES))]
    core, habits, total = _core(), Habits(), np.zeros(len(ADDITIVE), dtype=np.int64)
    for chunk in [b"".join(lines)] if at_once else lines:
        total += amounts(EventChunk(habits.observe(core.feed(chunk).events))).sum(axis=0)
    added = dict(zip(ADDITIVE, total.tolist(), strict=True))
    assert {name: added[name] for name in ("messages", "recipients", "cost", "attempts")} == {
        "messages": 1, "recipients": 4, "cost": 4, "attempts": 1,
    }  # fmt: skip
    assert (added["unknown_recipients"], added["bounces"], added["deferrals"]) == (1, 1, 2)


POSTFIX = "postfix/smtpd[7]: warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: {}"
SENDMAIL = "sm-mta[7]: 6AP3si0p000007: AUTH failure (LOGIN): {}, user=alice, relay=[192.0.2.1]"
EXIM = "exim[7]: login authenticator failed for (c) [192.0.2.1]: {}"
DOVECOT = "dovecot: imap-login: Disconnected: Connection closed ({}): user=<a>, method=PLAIN, rip=192.0.2.1, lip=::1"
UNCHECKED = [
    (POSTFIX, "Connection lost to authentication server"),
    (POSTFIX, "Connection lost to authentication server, sasl_username=alice"),
    (POSTFIX, "Can't connect to authentication server, sasl_username=(unavailable)"),
    (POSTFIX, "Temporary authentication failure"),
    (POSTFIX, "Temporary authentication failure. [mx1:2026-11-25 03:27:47], sasl_username=alice"),
    (POSTFIX, "Authentication backend error"),
    (POSTFIX, "Invalid authentication mechanism"),
    (POSTFIX, "generic failure, sasl_username=alice"),
    (POSTFIX, "no mechanism available"),
    (POSTFIX, "remote authentication server unavailable"),
    (SENDMAIL, "generic failure (-1) SASL(-1): generic failure: checkpass failed"),
    (SENDMAIL, "no mechanism available (-4) SASL(-4): no mechanism available: No worthy mechs found"),
    (SENDMAIL, "transient failure (e.g., weak key) (-8)"),
    (SENDMAIL, "encryption needed to use mechanism (-16) SASL(-16): encryption needed to use mechanism: "),
    (SENDMAIL, "remote authentication server unavailable (-24) SASL(-24): "),
    (EXIM, "435 Unable to authenticate at present (set_id=alice): failed to bind (timed out)"),
    (EXIM, "435 Unable to authenticate at present: lookup deferred"),
    (EXIM, "435 Internal error"),
    (DOVECOT, "auth service reported temporary failure"),
    (DOVECOT, "auth process communication failure"),
]
CHECKED = [
    (POSTFIX, ""),
    (POSTFIX, "UGFzc3dvcmQ6"),
    (POSTFIX, "(reason unavailable), sasl_username=generic failure"),
    (POSTFIX, "authentication failure, sasl_username=Temporary authentication failure"),
    (POSTFIX, "user exists, but no verifier for user"),
    (POSTFIX, "bad protocol / cancel"),
    (SENDMAIL, "authentication failure (-13) SASL(-13): authentication failure: checkpass failed"),
    (SENDMAIL, "authentication failure (-13) SASL(-1): generic failure (-1)"),
    (SENDMAIL, "user not found (-20) SASL(-13): user not found: no secret in database"),
    (EXIM, "535 Incorrect authentication data (set_id=435 Unable to authenticate at present)"),
    (DOVECOT, "auth failed, 1 attempts in 2 secs"),
]


@pytest.mark.parametrize(
    ("line", "failures"),
    [(of.format(why), number) for number, lines in enumerate((UNCHECKED, CHECKED)) for of, why in lines],
)
def test_a_login_that_nobody_could_check_is_no_guess(line: str, failures: int) -> None:
    """It is an event, but adds nothing; whatever login was tried, only what the server says of it decides."""
    core = _core()
    events = EventChunk(Habits().observe(core.feed(f"Nov 25 03:27:48 mx1 {line}\n".encode()).events))
    assert core.reader.scanner.unreadable.total() == 0
    assert events["event"].tolist() == ([] if "dovecot" in line and not failures else ["auth_failure"])
    assert amounts(events).sum() == failures
    assert shown(["guessed"], events)["guessed"][1].sum() == failures * bool(re.search("user=|username=|set_id=", line))


def test_every_signal_has_a_line_that_adds_to_it() -> None:
    assert set().union(*LINES.values()) == set(ADDITIVE) - HABITS


def test_a_number_of_any_length_is_counted() -> None:
    """Up to a bound, so that totals cannot overflow; longer ones are no numbers to the grammar."""
    line = next(line for line in LINES if b"qmgr" in line).replace(b"size=333", b"size=" + b"9" * 15)
    events = _core().feed(OPEN + b"Nov 25 03:27:48 mx1 " + line + b"\n").events
    added = dict(zip(ADDITIVE, amounts(EventChunk(Habits().observe(events)))[2:].sum(axis=0).tolist(), strict=True))
    assert (added["messages"], added["bytes"]) == (1, 1 << 40)


def test_a_retry_and_an_echo_add_nothing() -> None:
    """The second `queued` line of a message, and the MTA's line about a refusal that the milter has logged itself."""
    lines = [line for line in LINES if b"qmgr" in line or b"mode=enforce" in line]
    echo = next(line for line in LINES if b"milter-reject" in line).replace(b"ABC789", b"ABC123")
    text = b"".join(b"Nov 25 03:27:48 mx1 " + line + b"\n" for line in [*lines, echo, *lines[:1]])
    added = amounts(EventChunk(Habits().observe(_core().feed(OPEN + text).events)))
    expected = sum(LINES[line].get("attempts", 0) for line in lines)
    assert dict(zip(ADDITIVE, np.sum(added, axis=0).tolist(), strict=True))["attempts"] == expected


ATTEMPT = {
    "clients": "client:192.0.2.1",
    "networks": "net:192.0.2.0/24",
    "neighbourhoods": "near:192.0.0.0/16",
    "accounts": "account:alice",
}
MINUTE = b"%d" % (datetime(2025, 11, 25, 3, 27).astimezone().timestamp() // 60)  # of what was refused at once
SHOWN: dict[bytes, dict[str, object]] = {
    b"postfix/qmgr[13610]: 4jZ4r31mvlzJ9bM: from=<alice@example.org>, size=333, nrcpt=3 (queue active)": {
        **ATTEMPT,
        "senders": b"alice@example.org",
    },
    b"mailbrake[77]: verdict: block, mode=enforce, stage=MAIL, ref=ABC123, rule=flood, key=account, "
    b"client_ip=8.8.8.8, sasl_username=bob": {
        "clients": "client:8.8.8.8",
        "networks": "net:8.8.8.0/24",
        "neighbourhoods": "near:8.8.0.0/16",
        "countries": "US",
        "accounts": "account:bob",
    },
    b"postfix/submission/smtpd[13612]: warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: (reason "
    b"unavailable), sasl_username=carol": {"guessed": "account:carol", "guessers": "near:192.0.0.0/16"},
    b"postfix/submission/smtpd[13612]: warning: unknown[8.8.8.8]: SASL PLAIN authentication failed: (reason "
    b"unavailable), sasl_username=carol": {
        "guessed": "account:carol",
        "guessers": "near:8.8.0.0/16",
        "guesser_countries": "US",
    },
    b"postfix/smtp[13621]: 4jZ4r31mvlzJ9bM: to=<x@evil.sink.example>, relay=127.0.0.1[127.0.0.1]:37043, delay=0.01, "
    b"delays=0/0/0/0, dsn=5.1.1, status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.1.1 nope)": {
        "misaddressed": b"4jZ4r31mvlzJ9bM",
    },
    b"postfix/smtpd[13629]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <n1@reject.example>: Recipient "
    b"address rejected: User unknown; from=<a@example.net> to=<n1@reject.example> proto=ESMTP helo=<h>": {
        "misaddressed": MINUTE,
    },
    b"postfix/submission/smtpd[13626]: connect from unknown[192.0.2.1]": {},
}


@pytest.mark.parametrize(("line", "expected"), SHOWN.items())
def test_a_line_shows_the_values_that_it_should_and_no_others(line: bytes, expected: dict[str, object]) -> None:
    events = Habits().observe(_core().feed(OPEN + b"Nov 25 03:27:48 mx1 " + line + b"\n").events)
    found = shown(DISTINCT, EventChunk(events))
    assert {signal: events[name][-1] for signal, (name, shows) in found.items() if shows[-1]} == expected


def test_every_distinct_signal_has_a_line_that_shows_a_value() -> None:
    assert set().union(*SHOWN.values()) == set(DISTINCT)


def test_recipients_cost_what_their_messages_country_does() -> None:
    """Google's address is American; documentation's belongs to nobody."""
    policy = parse("price 2 for DE, AT price 30 for others")
    rates = Rates([3600], ["account"], site=Site(UTC, price=policy.price))
    rows = [message(0, 3, client="client:8.8.8.8"), message(1, 5, client="client:192.0.2.1"), message(2, 1)]
    history = rates.add(events(rows), {"account": [("cost", 3600)]})["account"]
    assert history.values["cost", 3600].tolist() == [90, 95, 96]


def _core() -> Core:
    return Core(Judge(Policy()), start=1_764_000_000.0)
