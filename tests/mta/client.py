"""A mail client that takes any answer as an answer: what the server says is returned, never raised.

`submit` sends many messages in one session, which is also the quick way to make traffic.
"""

import smtplib
from base64 import b64encode
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

TIMEOUT_SECONDS = 60
SERVICE_CLOSING = 421
BODY = "Subject: test\r\n\r\ntest\r\n"


@dataclass(frozen=True)
class Reply:
    """What became of one message: the first refusal it met, or the 250 after its end.

    `stage` is connect, helo, auth, mail, rcpt, data or end. `accepted` is the number of recipients the server
    took the message for: a message of which one recipient was refused still goes to the others.
    Code 0 stands for a connection that broke without an answer.
    """

    code: int
    text: str
    stage: str
    accepted: int = 0

    @property
    def refused(self) -> bool:
        """Whether this is anything but a go-ahead."""
        return not 200 <= self.code < 400

    @property
    def queue_id(self) -> str:
        """From Postfix's `250 2.0.0 Ok: queued as ID`, Sendmail's `250 2.0.0 ID Message accepted`; else empty."""
        _, sendmail, _ = self.text.rpartition(" Message accepted for delivery")
        return self.text.split()[1] if sendmail else self.text.partition("queued as ")[2]


def submit(
    port: int,
    sender: str,
    recipients: Sequence[str],
    login: str | None = None,
    *,
    password: str = "secret",
    messages: int = 1,
    helo: str = "client.example",
    body: str = BODY,
) -> list[Reply]:
    """Send the message `messages` times in one session, and return a reply for each.

    AUTH PLAIN is used with `login` only. A session that does not get as far as MAIL gives the one reply that
    ended it; one that the server ends (421, or no answer) gives none for the messages that were not begun.
    """
    with closing(smtplib.SMTP(local_hostname=helo, timeout=TIMEOUT_SECONDS)) as smtp:
        opening = _open(smtp, port, helo, login, password)
        replies = [opening] if opening.refused else []
        while not opening.refused and len(replies) < messages and smtp.sock is not None:
            replies.append(_send(smtp, sender, recipients, body))
            if replies[-1].code == SERVICE_CLOSING:
                break
        _ask(smtp, "quit", "QUIT")
        return replies


def _open(smtp: smtplib.SMTP, port: int, helo: str, login: str | None, password: str) -> Reply:
    reply = Reply(*_text(smtp.connect("127.0.0.1", port)), "connect")
    if not reply.refused:
        reply = _ask(smtp, "helo", f"EHLO {helo}")
    if login is not None and not reply.refused:
        response = b64encode(f"\0{login}\0{password}".encode(errors="surrogateescape")).decode()
        reply = _ask(smtp, "auth", f"AUTH PLAIN {response}")
    return reply


def _send(smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], body: str) -> Reply:
    mail = _ask(smtp, "mail", f"MAIL FROM:<{sender}>")
    if mail.refused:
        return mail
    answers = [_ask(smtp, "rcpt", f"RCPT TO:<{recipient}>") for recipient in recipients]
    refusals = [answer for answer in answers if answer.refused]
    if len(refusals) == len(answers):
        _ask(smtp, "rset", "RSET")
        return refusals[0]
    end = _finish(smtp, body)
    reply = refusals[0] if refusals else end
    return replace(reply, accepted=0 if end.refused else len(answers) - len(refusals))


def _finish(smtp: smtplib.SMTP, body: str) -> Reply:
    data = _ask(smtp, "data", "DATA")
    return data if data.refused else _ask(smtp, "end", f"{body}.")


def _ask(smtp: smtplib.SMTP, stage: str, command: str) -> Reply:
    # Not docmd, which refuses line ends (a message has them) and all but ASCII (a hostile HELO may have it).
    with suppress(smtplib.SMTPServerDisconnected):
        smtp.send(f"{command}\r\n".encode())
        return Reply(*_text(smtp.getreply()), stage)
    return Reply(0, "connection lost", stage)


def _text(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], answer[1].decode(errors="replace")
