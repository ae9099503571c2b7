"""An auth server that Postfix takes for Dovecot's: no package, no files, the accounts are a dict.

It speaks version 1.1 of Dovecot's auth *client* protocol, as far as smtpd uses it. A line is a command and
its fields, separated by tabs; a tab, line end, NUL or \\x01 in a field is \\x01 and a letter or digit.

    server  VERSION 1 1 / MECH PLAIN plaintext / SPID <pid> / CUID <connection> / COOKIE <32 hex> / DONE
    client  VERSION 1 1 / CPID <pid>                            no answer
    client  AUTH <id> PLAIN service=smtp … [resp=<base64>]      resp comes last, if it comes at all
    server  CONT <id> <nothing>                                 there was no resp: go on
    client  CONT <id> <base64>
    server  OK <id> user=<login>  or  FAIL <id> user=<login>

PLAIN only, because a client such as smtplib tries every mechanism it is offered: with two of them one wrong
password makes two failure lines in the log. FAIL gives no reason for a wrong password, as Dovecot gives none,
and smtpd logs `SASL PLAIN authentication failed: (reason unavailable)`.
"""

import os
import secrets
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

from .serving import UnixLineServer

Accounts = Mapping[str, str]
"""Login to password. It is looked into at every attempt, so a change counts from the next one on."""

ESCAPES = str.maketrans({"\x01": "\x011", "\t": "\x01t", "\n": "\x01n", "\r": "\x01r", "\0": "\x010"})

_connections = count(1)


class AuthServer(UnixLineServer):
    """Answers smtpd on the unix socket `path`, which exists from construction on.

    It must exist before the first client of smtpd does: smtpd ends with `no SASL authentication mechanisms`
    otherwise, and master then waits up to a minute before it starts another.
    """

    def __init__(self, path: Path, accounts: Accounts) -> None:
        super().__init__(lambda lines: converse(accounts, lines), str(path))


def converse(accounts: Accounts, lines: Iterator[str]) -> Iterator[str]:
    """The server's side of one connection; commands that need no answer, known or not, get none."""
    yield from greeting()
    for line in lines:
        command, *fields = line.split("\t")
        if command in ANSWERS:
            yield ANSWERS[command](accounts, fields)


def greeting() -> Iterator[str]:
    """What the server says before it is asked."""
    yield sentence("VERSION", "1", "1")
    yield sentence("MECH", "PLAIN", "plaintext")
    yield sentence("SPID", str(os.getpid()))
    yield sentence("CUID", str(next(_connections)))
    yield sentence("COOKIE", secrets.token_hex(16))
    yield sentence("DONE")


def sentence(*fields: str) -> str:
    """One line of the protocol."""
    return "\t".join(field.translate(ESCAPES) for field in fields) + "\n"


def _auth(accounts: Accounts, fields: list[str]) -> str:
    request, mechanism, *parameters = fields
    if mechanism != "PLAIN":
        return sentence("FAIL", request, "reason=mechanism not offered")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "resp":
            return verdict(accounts, request, value)
    return sentence("CONT", request, "")


def _continue(accounts: Accounts, fields: list[str]) -> str:
    request, response = fields
    return verdict(accounts, request, response)


ANSWERS: dict[str, Callable[[Accounts, list[str]], str]] = {"AUTH": _auth, "CONT": _continue}


def verdict(accounts: Accounts, request: str, response: str) -> str:
    """OK or FAIL for a PLAIN response: base64 of authorisation name (ignored), NUL, login, NUL, password."""
    try:
        _, login, password = b64decode(response).decode().split("\0")
    except ValueError:  # not base64, not UTF-8, not three parts
        return sentence("FAIL", request, "reason=malformed response")
    accepted = accounts.get(login) == password
    return sentence("OK" if accepted else "FAIL", request, f"user={login}")
