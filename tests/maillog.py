"""Writes mail logs: the lines of a real Postfix 3.7, with other names and times.

Every function gives lines without their header; `log` puts times and host in front.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

START = 1_764_039_600.0  # Nov 25 2025, 03:00 UTC

Timed = tuple[float, str]


def log(lines: Iterable[Timed], host: str = "mx1") -> list[bytes]:
    """Whole lines with traditional stamps in UTC; the times are seconds after START."""
    return [f"{stamp(at)} {host} {text}\n".encode() for at, text in lines]


def stamp(at: float) -> str:
    """`Nov 25 03:27:47`."""
    moment = datetime.fromtimestamp(START + at, UTC)
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S}"


def submission(  # a message has that many properties
    queue_id: str,
    login: str,
    recipients: Iterable[str],
    *,
    client: str = "192.0.2.7",
    sender: str = "",
    pid: int = 13612,
) -> Iterator[str]:
    """A message is handed in by an authenticated client and taken."""
    listed = list(recipients)
    smtpd = f"postfix/submission/smtpd[{pid}]"
    yield f"{smtpd}: connect from unknown[{client}]"
    yield f"{smtpd}: {queue_id}: client=unknown[{client}], sasl_method=PLAIN, sasl_username={login}"
    yield f"postfix/cleanup[13615]: {queue_id}: message-id=<{queue_id}@mx1.example.com>"
    yield (f"postfix/qmgr[13610]: {queue_id}: from=<{sender or login}>, size=352, nrcpt={len(listed)} (queue active)")
    yield f"{smtpd}: disconnect from unknown[{client}] ehlo=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=6"


def sent(queue_id: str, recipient: str) -> str:
    """A recipient's mail is on its way."""
    return (
        f"postfix/smtp[13617]: {queue_id}: to=<{recipient}>, relay=127.0.0.1[127.0.0.1]:37043, delay=0.03, "
        "delays=0/0.01/0/0.01, dsn=2.0.0, status=sent (250 2.0.0 Ok: taken)"
    )


def bounced(queue_id: str, recipient: str, dsn: str = "5.1.1") -> str:
    """A recipient's site refused for good."""
    return (
        f"postfix/smtp[13621]: {queue_id}: to=<{recipient}>, relay=127.0.0.1[127.0.0.1]:37043, conn_use=2, "
        f"delay=0.02, delays=0/0/0/0.02, dsn={dsn}, status=bounced (host 127.0.0.1[127.0.0.1] said: 550 {dsn} no)"
    )


def removed(queue_id: str) -> str:
    """The message has left the queue."""
    return f"postfix/qmgr[13610]: {queue_id}: removed"


def refused(client: str, recipient: str, pid: int = 13629) -> str:
    """A recipient is not known here."""
    return (
        f"postfix/smtpd[{pid}]: NOQUEUE: reject: RCPT from unknown[{client}]: 550 5.1.1 <{recipient}>: Recipient "
        f"address rejected: User unknown; from=<harvest@example.net> to=<{recipient}> proto=ESMTP helo=<h.example.net>"
    )


def wrong_password(client: str, login: str, pid: int = 13626) -> str:
    """A login failed."""
    return (
        f"postfix/submission/smtpd[{pid}]: warning: unknown[{client}]: SASL PLAIN authentication failed: "
        f"(reason unavailable), sasl_username={login}"
    )


def verdict(login: str, ref: str, rule: str, client: str = "192.0.2.7", mode: str = "enforce") -> str:
    """Our own milter refused an attempt."""
    return (
        f"mailbrake[77]: verdict: tempfail, mode={mode}, stage=MAIL, ref={ref}, rule={rule}, key=account, "
        f"client_ip={client}, sasl_username={login}"
    )
