"""What Exim's main log says, 4.x: one row per kind of line, in its own file or through syslog.

Written after chapter 52 ("Log files") of its specification, `receive.c`, `deliver.c`, `smtp_in.c`, and the lines of a
4.96. What differs from Postfix:

- Its own file has neither host nor program: stamp, queue id (`1oYR3x-0003Ay-5k`, longer from 4.97 on), text.
- An arrival `<=` is acceptance and entry into the queue, and has the login (`A=authenticator:login`) where the
  authenticator sets `server_set_id`. Recipients are there only with `log_selector = +received_recipients`;
  otherwise, or where syslog has only a part of the line, `nrcpt` is 1, and each one more counts when it has been
  delivered, or has bounced.
- `=>` `->` `>>` are deliveries, `**` bounces, `==` deferrals: `translate` gives their status, and the dsn, which Exim
  does not log, from the next host's reply, or 5.1.1 where Exim itself found no such address.

"Only the final address in square brackets can be relied on": what precedes it (a name, and in parentheses the HELO) has
no blanks or parentheses of its own, unless `helo_accept_junk_hosts` lets them in, which then may forge addresses.
"""

from __future__ import annotations

import re

import pyparsing as pp

from logwatch.reading.grammar.parts import END, address, first, lit, many, opt, rest, rx, seq, until

NAME = "exim"

PROGRAM = rx(r"(?=e)", "prefix", "exim or exim4")

_STAMP = r"[0-9]{4}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:\.[0-9]{1,6})?(?: [+-][0-9]{4})?"
_TIME = "a time, such as 2026-11-25 03:27:47"
_PROCESS = r"(?:\[[0-9]{1,10}\] )?"  # log_selector = +pid

# a line of its own file, and not of Dovecot's
BARE = seq(rx(_STAMP, "stamp"), lit(" "), rx(rf"(?![a-z0-9]+-login: Info: ){_PROCESS}"))

_ID = r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})"
_QUOTED = r'"(?:[^"\\\r\n]|\\[^\r\n])*"'
_PATH = many(rf'[^"\s]++|{_QUOTED}', "+")
_IP = r"[0-9A-Fa-f:.]+"
_HOST = rf"(?:[^\s()\[\]=]+ )?(?:\([^\s()]*\) )?\[{_IP}\]"

# by syslog a line of more than 870 bytes, or one with line ends in it, comes in pieces: [1/3] or [1\3], [2/3], [3/3]
_SPLIT = opt(rx(r"\[1[/\\][0-9]{1,4}\] ", "split", "[1/3], the first of several pieces"))
# and there is a stamp of its own once more, unless syslog_timestamp is off
_AGAIN = seq(_SPLIT, opt(rx(_STAMP, words=_TIME), lit(" "), rx(_PROCESS)))
_QUEUE_ID = seq(_AGAIN, rx(_ID, "queue_id", "such as 1oYR3x-0003Ay-5k"), lit(" "))
_MAYBE_QUEUED = seq(_AGAIN, opt(rx(_ID, "queue_id", "such as 1oYR3x-0003Ay-5k"), lit(" ")))


def _client() -> pp.ParserElement:
    """NAME (HELO) [ADDRESS]:PORT, our own address, the user that ident gave."""
    return seq(
        opt(rx(r"[^\s()\[\]=]+", "client_name"), lit(" ")),
        opt(lit("("), rx(r"[^\s()]*", "helo"), lit(") ")),
        lit("["),
        rx(_IP, "client_ip"),
        lit("]"),
        opt(lit(":"), rx(r"[0-9]{1,5}", "client_port")),
        opt(lit(" I=["), rx(r"[^\s\]]*\](?::[0-9]+)?", words="an address up to ']'")),
        opt(lit(" U="), rx(r"[^\s]*")),
    )


def _tls() -> pp.ParserElement:
    return seq(
        opt(lit(" X="), rx(r"[^\s]*")),
        opt(lit(" CV="), rx(r"[a-z:]*")),
        opt(lit(" DN="), rx(_QUOTED, words="text in quotes")),
        opt(lit(" SNI="), rx(rf"{_QUOTED}|[^\s]*")),
    )


def _login(after: str, words: str) -> pp.ParserElement:
    """A=AUTHENTICATOR:LOGIN; the login ends where what Exim writes next begins."""
    return opt(
        lit(" A="),
        rx(r"[^\s:]*", "sasl_method"),
        opt(lit(":"), rx(rf"[^\r\n]*?(?={after})", "sasl_username", f"a login up to {words}")),
    )


_SIZE = rf" S=[0-9]+(?: (?:M8S|RT|DKIM|id|T)=| from <| for |{END})"

_ARRIVAL = seq(
    rx(_PATH, "sender"),
    opt(rx(rf" R={_ID} U=[^\s]*", words="' R=QUEUEID U=USER'")),  # a bounce: its user is Exim's
    opt(lit(" H="), _client()),
    opt(lit(" U="), rx(r"[^\s]*", "uid")),
    opt(lit(" P="), rx(r"[a-z0-9-]+", words="a protocol, such as esmtpsa")),
    opt(lit(" L")),
    opt(lit(" K")),
    _tls(),
    _login(rf"(?: PRX=[^\s]*)?(?: PRDR)?(?: L)?(?: K)?{_SIZE}", "' S=SIZE'"),
    rx(r"(?: PRX=[^\s]*)?(?: PRDR)?(?: L)?(?: K)? S=", words="' S='"),
    rx(r"[0-9]{1,18}", "size"),
    opt(lit(" M8S="), rx(r"[0-9]", words="a digit")),
    opt(lit(" RT="), rx(r"[^\s]*")),
    opt(lit(" DKIM="), rx(r"[^\s]*")),
    opt(lit(" id="), rx(r"[^\s]*(?: (?!T=|from <|for |(?:M8S|DKIM|RT)=)[^\s]*)*", "message_id")),
    opt(rx(rf"[^\r\n]* for (?={_PATH}(?: {_PATH})*{END})", words="' for RECIPIENTS'"), rest("nrcpt")),
    rest(),
)

_NEXT_HOST = seq(
    opt(rx(r"[^\s()\[\]=]+", "relay_host"), lit(" ")),
    lit("["),
    rx(_IP, "relay_ip"),
    lit("]"),
    opt(lit(":"), rx(r"[0-9]{1,5}", "relay_port")),
)

_DELIVERY = seq(
    # logged without the quotes that it needs
    rx(rf"[^<>\r\n]+?(?= <| F=<| P=<| R=| T=|: |{END})", "recipient", "an address"),
    opt(lit(" <"), rx(rf'(?:{_QUOTED}|[^">\r\n])*', "orig_to"), lit(">")),
    opt(lit(" F=<"), rx(rf'(?:{_QUOTED}|[^">\r\n])*'), lit(">")),
    opt(lit(" P=<"), rx(rf'(?:{_QUOTED}|[^">\r\n])*'), lit(">")),
    opt(lit(" R="), rx(r"[^\s:]*")),
    opt(lit(" T="), rx(r"[^\s:]*")),
    opt(lit(" defer ("), rx(r"-?[0-9]+", words="a number"), lit(")")),
    opt(lit(" S="), rx(r"[0-9]+", words="a number")),
    opt(lit(" H="), _NEXT_HOST),
    rest("response"),
)

_REFUSAL = seq(
    lit("H="),
    _client(),
    _tls(),
    opt(lit(" F=<"), address(r" (?:A=|temporarily rejected |rejected )", "sender"), lit(">")),
    _login(r" (?:temporarily )?rejected ", "' rejected '"),
    rx(r" (?:temporarily )?rejected (?:connection in |after |by |during )?", words="' rejected '"),
    rx(r"[A-Za-z\"]+", "stage"),
    opt(lit(" <"), address(rf"(?:: |{END})", "recipient"), lit(">")),
    opt(rx(r"[^:\r\n]*: ", words="': '")),
    rest("reject_reason"),
)

_SET_ID = rf"(?<=at present \(set_id=)[^\r\n]*?(?=\): )|[^\r\n]*(?=\){END})|[^\r\n]*?(?=\): )"

_AUTH_FAILURE = seq(
    opt(lit("H=")),  # newer ones write it here too
    _client(),
    lit(": "),
    opt(rx(r"(?=435 )", "unchecked")),  # it could not be checked: what went wrong follows the login
    until(r" \(set_id=", "reject_reason"),
    opt(lit(" (set_id="), rx(_SET_ID, "sasl_username", "a login up to ')'"), lit(")"), rest()),
)

_GREETING = rf"(?:EHLO|HELO)(?= from {_HOST})"
_AUTHENTICATOR = rx(
    r"[^\s]+(?= authenticator failed for )", "sasl_method", "an authenticator and ' authenticator failed for '"
)
_REFUSED_GREETING = seq(_client(), lit(": "), rest("reject_reason"))

Kind = tuple[str, pp.ParserElement, pp.ParserElement]

_ROWS: tuple[Kind, ...] = (
    ("queued", seq(_QUEUE_ID, lit("<= ")), _ARRIVAL),
    ("delivery", seq(_QUEUE_ID, rx(r"[=>-]>|\*\*|==", "status"), lit(" ")), _DELIVERY),
    ("removed", seq(_QUEUE_ID, lit("Completed")), rest()),
    ("reject", seq(_MAYBE_QUEUED, rx(rf"(?=H={_HOST}[^\r\n]* rejected )")), _REFUSAL),
    (
        "reject",
        seq(_AGAIN, lit("rejected "), rx(_GREETING, "stage", "EHLO, and ' from CLIENT'"), lit(" from ")),
        _REFUSED_GREETING,
    ),
    (
        "auth_failure",
        seq(_AGAIN, _AUTHENTICATOR, lit(" authenticator failed for ")),
        _AUTH_FAILURE,
    ),
    (
        "lost_connection",
        seq(_MAYBE_QUEUED, rx(rf"SMTP c(?:onnection|all) from (?={_HOST}[^\r\n]* (?:lost|dropped)\b)")),
        seq(_client(), lit(" "), rest("reject_reason")),
    ),
    (
        "lost_connection",
        seq(_AGAIN, rx(rf"unexpected disconnection while reading SMTP command from (?={_HOST})")),
        seq(_client(), rest()),
    ),
    (
        "disconnect",
        seq(_MAYBE_QUEUED, rx(rf"SMTP connection from (?={_HOST}[^\r\n]* closed by )")),
        seq(_client(), rest()),
    ),
    ("connect", seq(_AGAIN, lit("SMTP connection from ")), seq(_client(), rest())),
)

KINDS: dict[str, tuple[Kind, ...]] = dict.fromkeys(("exim", "exim4"), _ROWS)

SILENT = first(
    rx(r"\[(?!1[/\\])[0-9]{1,4}[/\\][0-9]{1,4}\] "),  # what follows a first piece
    seq(
        _MAYBE_QUEUED,
        rx(
            r"(?:Start queue run|End queue run|exim [0-9.]+ daemon started|no host name found for"
            r"|no IP address found for|Frozen|Message is frozen|Unfrozen|Spool file is locked|SMTP data timeout"
            r"|H=[^\r\n]* (?:Warning|sender verify fail)|SMTP error from |TLS error |DKIM: |cwd="
            r"|retry time not reached)"
        ),
    ),
)

_STATUS = {b"=>": b"sent", b"->": b"sent", b">>": b"sent", b"**": b"bounced", b"==": b"deferred"}
_STAGES = {b"connection": b"CONNECT", b'"connect"': b"CONNECT"}
_REPLY = re.compile(rb"(?:: |(?:\A|\s)C=\")[245][0-9]{2}[ -]([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")
_ACCEPTED = re.compile(rb'(?:\A|\s)C="(.*)"(?: [QD]T=[^ ]*)*\Z', re.DOTALL)
_UNKNOWN = (b"Unrouteable address", b"Unknown user")  # what Exim itself says of an address that it does not know
_RECIPIENTS = re.compile(_PATH.encode())

Fields = dict[str, bytes | None]


def translate(event: str, fields: Fields) -> None:
    """Put the vocabulary of events in place of Exim's signs and words."""
    change = _TRANSLATIONS.get(event)
    if change:
        change(fields)


def _arrived(fields: Fields) -> None:
    named = None if fields.get("split") else fields.get("nrcpt")
    fields["unnamed"] = b"" if named is None else None
    fields["nrcpt"] = str(len(_RECIPIENTS.findall(named or b"-"))).encode()
    fields["sender"] = b"" if fields.get("sender") == b"<>" else fields.get("sender")
    if fields.get("client_ip"):
        fields["uid"] = None


def _delivered(fields: Fields) -> None:
    response = (fields.get("response") or b"").lstrip(b" :")
    fields["status"] = _STATUS[fields.get("status") or b"=>"]
    found = _REPLY.search(response)
    fields["dsn"] = found[1] if found else b"5.1.1" if response.startswith(_UNKNOWN) else None
    accepted = _ACCEPTED.search(response)
    fields["response"] = accepted[1] if accepted else response or None


def _refused(fields: Fields) -> None:
    stage = fields.get("stage") or b""
    fields["stage"] = _STAGES.get(stage, stage)
    if (fields.get("reject_reason") or b"").startswith(_UNKNOWN):
        fields["dsn"] = b"5.1.1"


_TRANSLATIONS = {"queued": _arrived, "delivery": _delivered, "reject": _refused}
