"""Lines as a real Postfix 3.7.11 and Sendmail 8.17.1 wrote them, shortened, and for whom they count."""

from datetime import UTC, datetime, timedelta

from logwatch.reading.attribute import Attribution
from logwatch.schema import ATTRIBUTED

from .samples import scanner

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


PEER = "mx1.example.com [127.0.0.1]"
LOGIN = f"sendmail[30580]: AUTH=server, relay={PEER}, authid=alice, mech=PLAIN, bits=0"
CUT = "sendmail[30580]: 6AP3si0p030580: collect: premature EOM: unexpected close"
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


LATER = "6AQ1b20a030580"  # of a process that got the number the next day
