"""What Sendmail logs, 8.12 to 8.18, at its usual LogLevel of 9: one row per kind of line.

Written after `deliver.c` (logdelivery), `queue.c`/`envelope.c` (logsender), `srvrsmtp.c` and `milter.c`, and the lines
of an 8.17.1. What differs from Postfix:

- One line `from=` is both acceptance and entry into the queue: `queued`, or, where there were no recipients or no
  message came (a refusal, a lost connection), only `accept`. It does not come again with a retry.
- The login stands in a line of its own before it (`AUTH=server`, an `auth_ok`), joined by process id.
- A `to=` line may name several recipients: `recipient` is the first, `nrcpt` how many they are, if more than one.
- Words stand where Postfix has codes: `stat=User unknown` is the status `bounced`, and a refusal with these words the
  dsn 5.1.1. `VALUES` says what stands for what.
- Mail from a local program names its user, not a uid.

Sender, recipients, message id, login, and a remote host's reply may hold anything, `, relay=[192.0.2.1]` too: what
precedes them is fixed, and what follows them is anchored to the end of the line or begins outside of quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyparsing as pp

from logwatch.reading.grammar.parts import END, first, lit, opt, rest, rx, seq, until

NAME = "sendmail"

DAEMONS = ("sendmail", "sm-mta", "sm-msp-queue")

PROGRAM = rx(rf"(?=(?:{'|'.join(DAEMONS)})\[)", "prefix")

_QUEUE_ID = rx(r"[0-9A-Za-z]{8,24}(?=: )", "queue_id")
_HOST = r"(?:IDENT:[^\s,\[\]]*@)?[^\s,\[\]@]*"
_PEER = rf"{_HOST} ?\[(?:IPv6:)?[^\s\[\]]*\](?: \(may be forged\))?"
_ADDRESS = r'(?:"(?:[^"\\\r\n]|\\[^\r\n])*"|[^">\r\n])*'  # up to the `>` that no quotes enclose


def _numbered() -> pp.ParserElement:
    """The queue id, or NOQUEUE; some lines of some versions have neither."""
    return opt(first(lit("NOQUEUE"), _QUEUE_ID), lit(": "))


def _peer() -> pp.ParserElement:
    """NAME [ADDRESS], with the user that ident gave in front, and what a look-up of the name back and forth found."""
    return seq(
        opt(rx(r"IDENT:[^\s,\[\]]*@")),
        rx(r"[^\s,\[\]@]*", "client_name"),
        opt(lit(" ")),
        lit("["),
        opt(lit("IPv6:")),
        rx(r"[^\s\[\]]*", "client_ip"),
        lit("]"),
        opt(lit(" (may be forged)")),
    )


def _refusal() -> pp.ParserElement:
    """CODE DSN TEXT (case REF), the text to the end of the line."""
    return seq(
        opt(rx(r"[245][0-9]{2}", "smtp_code"), lit(" ")),
        opt(rx(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", "dsn"), lit(" ")),
        rx(rf"[^ \r\n]*(?: (?!\(case [0-9A-Z]{{6}}\){END})[^ \r\n]*)*", "reject_reason"),
        opt(lit(" (case "), rx(r"[0-9A-Z]{6}", "ref"), lit(")")),
    )


_LOCAL = r"[^\s,@\[\]]+@localhost"
_FROM_END = rf"(?:, bodytype=[^\s,]*)?(?:, proto=[^\s,]*)?(?:, daemon=[^,\r\n]*)?(?:, auth=[^\s,]*)?, relay=(?:{_LOCAL}|{_PEER}){END}"


def _from(recipients: str) -> pp.ParserElement:
    return seq(
        first(
            seq(lit("<"), rx(_ADDRESS, "sender"), lit(">")),
        ),
        lit(", size="),
        rx(r"[0-9]{1,18}", "size"),
        lit(", class="),
        rx(r"-?[0-9]+"),
        opt(lit(", pri="), rx(r"[0-9]+")),
        lit(", nrcpts="),
        rx(recipients, "nrcpt"),
        opt(lit(", msgid="), opt(lit("<")), until(rf">?{_FROM_END}", "message_id")),
        rest(),
    )
