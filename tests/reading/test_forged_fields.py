"""What strangers write into a line of Sendmail, Exim or Dovecot never changes whom the line counts for.

Each template has the places that a stranger fills: what the MTA quotes in quotes, anything elsewhere. Whatever stands
there, a line that gives an event has the client, login, status and size that the program itself wrote; at worst it is
unreadable, and counted.
"""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .samples import scanner

SCANNER = scanner()
HEADER = "Nov 25 01:16:55 mx1 "

# pieces of lines: fields that the grammars look for, and what may end one
PIECES = (
    ", relay=victim.example.com [192.0.2.1]", ", relay=[192.0.2.1]", ", user=victim",
    ", authid=victim, mech=PLAIN, bits=0", ", size=1, class=0, nrcpts=900", ", msgid=<x@y>",
    ", proto=ESMTP, daemon=MTA", ", reject=550 5.1.1 no", ", stat=Sent (ok)", ", dsn=2.0.0", ", delay=00:00:00",
    ", xdelay=00:00:00, mailer=esmtp, pri=1", ", reply=250 2.0.0 ok", " A=plain:victim", " S=1", " H=[192.0.2.1]",
    " H=x (y) [192.0.2.1]:25", " P=esmtpa", " id=1@x", ' T="x"', " for a@b c@d", " from <a@b>",
    " rejected RCPT <x>: no", " F=<a@b>", ": 535 Incorrect authentication data", " (set_id=victim)", ")",
    ' C="250 ok"', " R=x T=y", ">, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2", ", rip=192.0.2.1", " [192.0.2.1]",
    "... User unknown", " (may be forged)", "]", "[", "<", ">", ",", " ", ":", "=", "a", "@", "(", "é", "\t", "\\x",
)  # fmt: skip
ANYTHING = st.lists(st.one_of(st.sampled_from(PIECES), st.text("ab ,;:<>()[]=@", max_size=4)), max_size=5).map("".join)
QUOTED = ANYTHING.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')  # as mail addresses are

# the line, and what the program itself wrote into it; {a} may be anything, {q} stands in quotes
TEMPLATES: dict[str, tuple[str, dict[str, Any]]] = {
    "sendmail, message id": (
        "sm-mta[7]: 6AP3si0p030580: from=<a@example.org>, size=20, class=0, nrcpts=3, msgid=<{a}>, "
        "proto=ESMTP, daemon=MTA, relay=mx.example.net [198.51.100.66]",
        {"event": b"queued", "client_ip": b"198.51.100.66", "size": b"20", "nrcpt": b"3", "sasl_username": None},
    ),
    "sendmail, sender": (
        "sm-mta[7]: 6AP3si0p030580: from=<{q}@example.org>, size=20, class=0, nrcpts=3, msgid=<{a}>, "
        "proto=ESMTP, daemon=MTA, relay=mx.example.net [198.51.100.66]",
        {"event": b"queued", "client_ip": b"198.51.100.66", "size": b"20", "nrcpt": b"3", "sasl_username": None},
    ),
    "sendmail, login that failed": (
        "sm-mta[7]: 6AP3si0p030580: AUTH failure (PLAIN): authentication failure (-13) SASL(-13): no, "
        "user=eve{a}, relay=mx.example.net [198.51.100.66]",
        {"event": b"auth_failure", "client_ip": b"198.51.100.66"},
    ),
    "sendmail, next host's reply": (
        "sm-mta[7]: 6AP3si0p030580: to=<x@example.net>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, "
        "pri=1, relay=mx.example.net. [198.51.100.7], dsn=5.1.1, reply=550 5.1.1 {a}, stat=User unknown",
        {"event": b"delivery", "status": b"bounced", "relay_ip": b"198.51.100.7", "client_ip": None},
    ),
    "sendmail, reply in stat=": (
        "sm-mta[7]: 6AP3si0p030580: to=<{q}@example.net>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, "
        "pri=1, relay=mx.example.net. [198.51.100.7], dsn=4.0.0, stat=Deferred: 450 {a}",
        {"event": b"delivery", "status": b"deferred", "relay_ip": b"198.51.100.7", "client_ip": None},
    ),
    "sendmail, refused address": (
        "sm-mta[7]: 6AP3si0p030580: ruleset=check_rcpt, arg1=<{q}@example.net>, relay=mx.example.net "
        "[198.51.100.66], reject=550 5.7.1 <{q}@example.net>... no",
        {"event": b"reject", "client_ip": b"198.51.100.66", "smtp_code": b"550"},
    ),
    "exim, sender and message id": (
        "exim[7]: 1xW4Y4-00043K-1b <= {q}@example.org H=mx.example.net (c.example) [198.51.100.66] P=esmtp S=20 id={a}",
        {"event": b"queued", "client_ip": b"198.51.100.66", "size": b"20", "sasl_username": None},
    ),
    "exim, subject": (
        "exim[7]: 1xW4Y4-00043K-1b <= a@example.org H=(c.example) [198.51.100.66] P=esmtpa A=plain:eve S=20 "
        "T={q} for a@b",
        {"event": b"queued", "client_ip": b"198.51.100.66", "size": b"20", "sasl_username": b"eve"},
    ),
    "exim, login that failed": (
        "exim[7]: plain authenticator failed for (c.example) [198.51.100.66]: 535 Incorrect authentication "
        "data (set_id=eve{a})",
        {"event": b"auth_failure", "client_ip": b"198.51.100.66"},
    ),
    "exim, next host's reply": (
        "exim[7]: 1xW4Y4-00043K-1b ** x@example.net R=out T=remote H=mx.example.net [198.51.100.7]: SMTP "
        "error from remote mail server after RCPT TO:<x@example.net>: 550 {a}",
        {"event": b"delivery", "status": b"bounced", "relay_ip": b"198.51.100.7", "client_ip": None},
    ),
    "exim, refused address": (
        "exim[7]: H=mx.example.net (c.example) [198.51.100.66] F=<{q}@example.org> rejected RCPT <{q}@example.net>: no",
        {"event": b"reject", "client_ip": b"198.51.100.66", "sasl_username": None},
    ),
    "dovecot, user": (
        "dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 1 secs): "
        "user=<eve{a}>, method=PLAIN, rip=198.51.100.66, lip=127.0.0.1, TLS, session=<a>",
        {"event": b"auth_failure", "client_ip": b"198.51.100.66"},
    ),
    "dovecot 2.4, user": (
        "dovecot: imap-login: Login aborted: Logged out (auth failed, 1 attempts in 1 secs) (auth_failed): "
        "user=<eve{a}>, method=PLAIN, rip=198.51.100.66, lip=127.0.0.1, TLS, session=<a>",
        {"event": b"auth_failure", "client_ip": b"198.51.100.66"},
    ),
    "sendmail, recipients of a local program": (
        "sendmail[7]: 6AP3si0p030580: to={q} <{q}@example.net>,{q} <a@b.example>, ctladdr=www-data (33/33), "
        "delay=00:00:01, xdelay=00:00:01, mailer=relay, pri=1, relay=[127.0.0.1] [127.0.0.1], dsn=4.0.0, "
        "stat=Deferred: 450 {a}",
        {"event": b"delivery", "status": b"deferred", "relay_ip": b"127.0.0.1", "client_ip": None},
    ),
}


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_programs_own_words_are_read_or_nothing(name: str, data: st.DataObject) -> None:
    """Client, login, status and size are those of the program, whatever stands between them."""
    template, own = TEMPLATES[name]
    text = re.sub(r"\{[aq]\}", lambda place: data.draw(ANYTHING if place[0] == "{a}" else QUOTED), template)
    unread = SCANNER.unreadable.total()
    columns = SCANNER.scan(f"{HEADER}{text}\n".encode())
    if not len(columns["event"]):
        assert SCANNER.unreadable.total() == unread + 1
        return
    found = {column: columns[column][0] for column in own}
    assert {**found, "event": found["event"].encode()} == own
    login = columns["sasl_username"][0]
    if "eve{a}" in template and login is not None:
        assert login.startswith(b"eve"), login


@pytest.mark.parametrize("name", TEMPLATES)
def test_without_a_strangers_words_every_template_is_read(name: str) -> None:
    """They are lines as the programs write them."""
    template, own = TEMPLATES[name]
    text = template.replace("{a}", "x").replace("{q}", '"x y"')
    columns = SCANNER.scan(f"{HEADER}{text}\n".encode())
    assert {column: columns[column][0] for column in own} == {**own, "event": own["event"].decode()}
