"""Dovecot's lines beyond single ones: its logins, beside what an SMTP server logs."""

from datetime import UTC

from logwatch.reading.attribute import Attribution
from logwatch.reading.scan import Scanner
from logwatch.reading.stamp import Stamps

ALICE, CLIENT = "account:alice", "client:192.0.2.7"


def test_dovecots_logins_are_evidence_and_open_no_session() -> None:
    """They count for account and client; what an SMTP server logs next is not theirs."""
    login = "dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, mpid=7, session=<a>"
    reject = (
        "postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 550 5.1.1 <n@example.com>: Recipient address "
        "rejected: User unknown; from=<a@example.org> to=<n@example.com> proto=ESMTP helo=<c.example>"
    )
    text = "".join(f"Nov 25 04:26:34 mx1 {line}\n" for line in (login, reject)).encode()
    by = Attribution()
    columns = by.attribute(Scanner(Stamps(UTC, 1795600000.0)).scan(text))
    assert columns["account"].tolist() == [ALICE, None]
    assert columns["client"].tolist() == [CLIENT, CLIENT]
    assert len(by.sessions.memory) == 0
