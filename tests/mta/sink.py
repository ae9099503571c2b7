"""Where mail from the tests' Postfix goes to: a server that answers each recipient by its domain.

A thread of the test process in place of an `smtp-sink` per answer, so nothing outlives a test, and an answer
can be changed while Postfix runs: `replies["defer.example"] = "250 2.1.5 Ok"` lets deferred mail through.
"""

from collections.abc import Iterator, Mapping

from .serving import LineServer

REPLIES = {
    "sink.example": "250 2.1.5 Ok",
    "bounce.example": "550 5.1.1 User unknown",
    "policy.example": "550 5.7.1 Message refused by policy",
    "defer.example": "450 4.2.1 mailbox busy",
}
"""Answer to RCPT by recipient domain; a domain that is missing is accepted."""

ANSWERS = {"DATA": "354 End data with <CR><LF>.<CR><LF>", "QUIT": "221 2.0.0 Bye"}
"""Answer by command; all others are accepted."""


class SinkServer(LineServer):
    """Listens on a port of the kernel's choice, and keeps no mail."""

    def __init__(self, replies: Mapping[str, str]) -> None:
        super().__init__(lambda lines: converse(replies, lines))


def converse(replies: Mapping[str, str], lines: Iterator[str]) -> Iterator[str]:
    """The server's side of one connection. It offers no extension, so commands come one by one."""
    yield "220 sink.example ESMTP\r\n"
    for line in lines:
        command = line[:4].upper()
        if command == "RCPT":
            yield recipient_reply(replies, line) + "\r\n"
            continue
        yield ANSWERS.get(command, "250 2.0.0 Ok") + "\r\n"
        if command == "QUIT":
            return
        if command == "DATA":
            while next(lines, ".") != ".":
                pass
            yield "250 2.0.0 Ok: taken\r\n"


def recipient_reply(replies: Mapping[str, str], line: str) -> str:
    """The answer to `RCPT TO:<local@domain> …`."""
    domain = line.partition(">")[0].rpartition("@")[2].lower()
    return replies.get(domain, "250 2.1.5 Ok")
