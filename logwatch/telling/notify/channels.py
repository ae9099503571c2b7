"""Ways to tell people: mail through the local MTA, webhooks, a command, and whatever Apprise reaches.

A channel is a name and a function of a message that raises `UnsentError`; it may take its time, but has an end. One
more channel is one more function and a row in `channels_of`.
"""

from __future__ import annotations

import re
import smtplib
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import partial
from http.client import HTTPException
from typing import IO, NamedTuple

from enforce.config import Notify
from enforce.printable import printable
from logwatch.telling.notify.message import Message

TIMEOUT = 20.0  # seconds for anything that is waited for
_HEADER = 998  # characters of a header's line (RFC 5322)
_NOT_A_DOMAIN = re.compile(r"[^A-Za-z0-9.-]")  # what a host may be called, and an address in a header may not
_TEMPFAIL = 75  # exit status: try again (sysexits.h)
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP answers after which trying again makes sense


class UnsentError(Exception):
    """A message could not be sent, and why; `again`: it may be tried again."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class Channel(NamedTuple):
    """One way to tell."""

    name: str
    send: Callable[[Message], None]


def channels_of(notify: Notify, host: str) -> tuple[list[Channel], list[str]]:
    """The channels that a configuration wants, and why some of them cannot be had."""
    problems, channels, host = [], [], printable(host)
    if notify.mail_to:
        sender = notify.mail_from or f"mailbrake@{_NOT_A_DOMAIN.sub('-', host)}"
        hand_over = partial(_by_command, notify.sendmail) if notify.sendmail else partial(_by_smtp, notify.smtp)
        channels.append(Channel("mail", partial(mail, hand_over, sender, notify.mail_to, host)))
    channels += [Channel("webhook", partial(webhook, url, host)) for url in notify.webhooks]
    if notify.command:
        channels.append(Channel("command", partial(command, notify.command, host)))
    for url in notify.apprise:
        try:
            channels.append(Channel("apprise", _apprise(url, host)))
        except UnsentError as error:
            problems.append(f"notifications: {error}")
    return channels, problems


# Mail.


def mail(
    hand_over: Callable[[EmailMessage, str, Sequence[str]], None],
    sender: str,
    recipients: Sequence[str],
    host: str,
    message: Message,
) -> None:
    """Send a message as mail that no auto-responder answers (RFC 3834)."""
    letter = EmailMessage()
    letter["From"] = f"mailbrake <{sender}>"
    letter["To"] = ", ".join(recipients)
    letter["Subject"] = message.subject(host)
    letter["Date"] = format_datetime(datetime.fromtimestamp(message.time).astimezone())
    letter["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text(), cte="quoted-printable")
    letter.policy = letter.policy.clone(max_line_length=_HEADER)  # else the subject would begin with a line of its own
    hand_over(letter, sender, recipients)


def _by_smtp(server: str, letter: EmailMessage, sender: str, recipients: Sequence[str]) -> None:
    host, _, port = server.rpartition(":")
    try:
        with smtplib.SMTP(host.strip("[]"), int(port), timeout=TIMEOUT) as client:
            refused = client.send_message(letter, sender, recipients)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise UnsentError(f"{server} refuses every recipient ({codes[0]})", again=min(codes) < 500) from None
    except smtplib.SMTPResponseException as error:
        raise UnsentError(f"{server} answers {error.smtp_code}", again=error.smtp_code < 500) from None
    except (smtplib.SMTPException, OSError, ValueError) as error:  # the latter of a name that is none
        raise UnsentError(f"{server}: {error}", again=True) from None
    if refused:
        raise UnsentError(f"{server} refuses {', '.join(refused)}; the others got it", again=False)


def _by_command(arguments: Sequence[str], letter: EmailMessage, sender: str, recipients: Sequence[str]) -> None:
    _run([*arguments, "-f", sender, *recipients], letter.as_bytes())


# Webhook.


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere would arrive as a GET without its body."""

    def redirect_request(self, *_: object) -> None:
        """There is none: the answer counts as an error."""


_opener = urllib.request.build_opener(_NoRedirects)


def webhook(url: str, host: str, message: Message) -> None:
    """Post a message as JSON; any 2xx is success. Only the server's name is said: the rest of a URL may be secret."""
    request = urllib.request.Request(  # noqa: S310  the configuration takes http and https alone
        url, message.as_json(host).encode(), {"Content-Type": "application/json", "User-Agent": "mailbrake"}
    )
    try:
        with _opener.open(request, timeout=TIMEOUT) as answer:
            _drain(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise UnsentError(f"{request.host} answers {error.code}", again=error.code in _AGAIN) from None
    except (OSError, ValueError, HTTPException) as error:
        raise UnsentError(f"{request.host}: {error}", again=True) from None


def _drain(answer: IO[bytes]) -> None:
    answer.read(65536)


# Command.


def command(arguments: Sequence[str], host: str, message: Message) -> None:
    """Run a command with a message as JSON on its standard input; exit status 75 asks to be called again."""
    _run(arguments, message.as_json(host).encode() + b"\n")


def _run(arguments: Sequence[str], body: bytes) -> None:
    try:
        done = subprocess.run(arguments, input=body, capture_output=True, timeout=TIMEOUT, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise UnsentError(f"{arguments[0]} took more than {TIMEOUT:g} s", again=False) from None
    except OSError as error:
        raise UnsentError(f"{arguments[0]}: {error.strerror}", again=False) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-200:]
        why = f"{arguments[0]} ended with status {done.returncode}{said and f': {said}'}"
        raise UnsentError(why, again=done.returncode == _TEMPFAIL)


# Apprise.


def _apprise(url: str, host: str) -> Callable[[Message], None]:
    service = url.partition("://")[0]
    try:
        import apprise
    except ImportError as error:
        raise UnsentError(
            f"{service}://… needs Apprise: pip install 'mailbrake[apprise]' ({error})", again=False
        ) from None
    reached = apprise.Apprise()
    if not reached.add(url):
        raise UnsentError(f"{service}://…: Apprise does not know what to do with this URL", again=False)

    def send(message: Message) -> None:
        if not reached.notify(body=message.text(), title=message.subject(host)):
            raise UnsentError(f"{service}://… did not take it", again=True)

    return send
