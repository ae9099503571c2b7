"""What Sendmail logs, 8.12 to 8.18, at its usual LogLevel of 9 and above: one row per kind of line.

Written after `deliver.c` (logdelivery), `envelope.c` (logsender), `srvrsmtp.c` and `milter.c`, and the lines of an
8.17.1. What differs from Postfix:

- One line `from=` is both acceptance and entry into the queue: `queued`; or only `accept`, where no recipient was left
  or no message came (a refusal, a lost connection). A retry does not bring it again. Of a message of which only a part
  came, it follows a line `collect: premature EOM`, a `lost_connection`; Sendmail drops that message.
- The login stands in a line of its own before it (`AUTH=server`, an `auth_ok`), joined by process id.
- A `to=` line may name several recipients: it is a delivery to each of them. Of a list too long for a line it names
  some, and says `[more]`; the others stand in further such lines.
- A connection has a line at a higher LogLevel only: the first of a process that names its client (`peer`) tells of it.
- A bounce's new queue id is the `response` of the notification; the bounce itself has no `from=` line.
- Mail from a program of this machine names its user, not a number: that stands in `uid`.
- Words stand where Postfix has codes; `translate` gives what they mean.

Sender, recipients, message id, login, and a remote host's reply may hold anything, `, relay=[192.0.2.1]` too. What
precedes them is fixed; what follows them begins outside of quotes, or is anchored to the end of the line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyparsing as pp

from logwatch.reading.grammar.cyrus import UNCHECKED
from logwatch.reading.grammar.parts import END, address, first, lit, opt, rest, rx, seq, until

NAME = "sendmail"

PROGRAM = rx(r"(?=s)", "prefix", "sendmail or sm-mta")

_ID = r"[0-9A-Za-z]{8,24}"
_IP = r"[0-9A-Fa-f:.]+"
_TWICE = r"\[[^\s\[\]]*\] (?=\[)"  # the address in place of the name, and once more
_PEER = rf"(?:IDENT:[^\s,\[\]]*@)?(?:{_TWICE}|[^\s,\[\]@]* )?\[(?:IPv6:)?{_IP}\](?: \(may be forged\))?"
_IN_BRACKETS = "an address in brackets, twice"
_RELAY = "', relay=CLIENT' at the end of the line"
_USER = r"[^\s,@\[\]]+@localhost"
_QUOTED = r'"(?:[^"\\\r\n]|\\[^\r\n])*"'
_TIME = "a time, such as 00:00:01"
_DELAY = r"(?:[0-9]+\+)?[0-9]{2}:[0-9]{2}:[0-9]{2}"

_QUEUE_ID = seq(rx(_ID, "queue_id", "8 to 24 letters and digits"), lit(": "))
_NUMBERED = opt(first(lit("NOQUEUE: "), _QUEUE_ID))


def _peer() -> pp.ParserElement:
    """NAME [ADDRESS]; before it the user that ident gave, behind it a doubt about the name."""
    return seq(
        rx(r"(?=.)", "peer"),
        opt(rx(r"IDENT:[^\s,\[\]]*@", words="'IDENT:USER@'")),
        opt(first(rx(_TWICE, words=_IN_BRACKETS), seq(opt(rx(r"[^\s,\[\]@]+", "client_name")), lit(" ")))),
        lit("["),
        opt(lit("IPv6:")),
        rx(_IP, "client_ip"),
        lit("]"),
        opt(lit(" (may be forged)")),
    )


def _relay() -> pp.ParserElement:
    """The next host: NAME. [ADDRESS], either of them, or the address twice."""
    return seq(
        lit(", relay="),
        opt(rx(_TWICE, words=_IN_BRACKETS)),
        opt(rx(r"[^\s,\[\]]*[^\s,\[\].]", "relay_host"), opt(lit("."))),
        opt(lit(" ")),
        opt(lit("["), opt(lit("IPv6:")), rx(_IP, "relay_ip"), lit("]")),
    )


def _path(column: str) -> pp.ParserElement:
    """An address as the client gave it, with brackets or without, commas and blanks in quotes only."""
    return seq(opt(lit("<")), rx(rf'(?:{_QUOTED}|[^"<>, \r\n]|,(?! ))*', column), opt(lit(">")))


def _text() -> pp.ParserElement:
    """TEXT (case REF), to the end of the line."""
    case = rf" \(case [0-9A-Z]{{6}}\){END}"
    return seq(until(case, "reject_reason"), opt(lit(" (case "), rx(r"[0-9A-Z]{6}", "ref"), lit(")")))


def _refusal() -> pp.ParserElement:
    """CODE DSN <WHAT>... TEXT (case REF)."""
    code = rx(r"[245][0-9]{2}", "smtp_code")
    dsn = rx(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", "dsn")
    return seq(
        opt(code, lit(" ")),
        opt(dsn, lit(" ")),
        opt(rx(rf'<(?:{_QUOTED}|[^"<>\r\n])*>\.\.\. ', words="what was refused, such as <user@example.com>... ")),
        _text(),
    )


# Proofpoint's commercial Sendmail says of both sides how the connection was encrypted.
_TLS = r"(?:, tls_verify=[^\s,]*)?(?:, tls_version=[^\s,]*)?(?:, cipher=[^\s,]*)?"


def _from(sender: pp.ParserElement, relay: str, peer: pp.ParserElement) -> pp.ParserElement:
    """A sender's line. The message id may hold anything, what follows it may not."""
    protocol = rf"(?:, bodytype=[^\s,]*)?(?:, proto=[^\s,]*)?(?:, daemon=[^,\r\n]*)?{_TLS}(?:, auth=[^\s,]*)?"
    tail = rf"{protocol}, relay={relay}{END}"
    message_id = rx(rf"[^\r\n]*?(?=>?{tail})", "message_id", f"an id up to {_RELAY}")
    return seq(
        sender,
        lit(", size="),
        rx(r"[0-9]{1,18}", "size"),
        lit(", class="),
        rx(r"-?[0-9]+", words="a number"),
        opt(lit(", pri="), rx(r"[0-9]+", words="a number")),
        lit(", nrcpts="),
        rx(r"[0-9]{1,9}", "nrcpt"),
        opt(lit(", msgid="), opt(lit("<")), message_id, opt(lit(">"))),
        rx(rf"(?={tail})[^\r\n]*, relay=", words=_RELAY),
        peer,
    )


def _outcome() -> pp.ParserElement:
    """What follows a delivery's recipients. The next host's words come after all that is read by its place."""
    return seq(
        opt(lit(", [more]")),
        opt(lit(", ctladdr="), rx(rf'(?:{_QUOTED}|[^"\r\n])*?(?=, delay=)', words="an address up to ', delay='")),
        lit(", delay="),
        rx(_DELAY, "delay", _TIME),
        opt(lit(", xdelay="), rx(_DELAY, words=_TIME)),
        lit(", mailer="),
        rx(r"[^\s,]*"),
        rx(_TLS, words="', tls_verify=' and so on"),
        opt(lit(", pri="), rx(r"[0-9]+", words="a number")),
        opt(_relay()),
        opt(lit(", quarantine="), until(r", stat=")),
        opt(lit(", dsn="), rx(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", "dsn")),
        opt(lit(", reply="), until(r", stat=", "response")),
        lit(", stat="),
        rest("status"),
    )


_BRACKETS = seq(lit("<"), address(r", size=[0-9]+, class=", "sender"), lit(">"))
_CLASS = r", class=-?[0-9]+(?:, pri=[0-9]+)?, nrcpts="
_NO_MESSAGE = rx(
    rf"(?=, size=[0-9]+{_CLASS}0,|, size=0{_CLASS}[0-9]+, (?!msgid=))", words="', nrcpts=0,', or size=0 without an id"
)
_BARE = rf'(?:{_QUOTED}|[^",<>\r\n])+'
_NAME = rf'(?:{_QUOTED}|[^",<>\r\n])*<'  # in front of the address, as local programs give it
_NAMED = rf'{_NAME}(?:{_QUOTED}|[^"<>, \r\n]|,(?! ))*>'
_MAILED = r"(?=[^\r\n]*, mailer=)"  # without one it is the end of a message that a milter refused
# What follows is only looked at where the recipient ends: at each `>` of a long line it would be a search of its own.
_STOP = rf"(?:,<|, \[more\], |, ctladdr=|, delay={_DELAY}, )"

_AUTH_OK = seq(
    # cut, with the address, where the name is long
    first(_peer(), rx(r"[^,\r\n]{100}", words="a name of 100 letters")),
    lit(", authid="),
    until(rf", mech=[^\s,]*, bits=[0-9]+{END}", "sasl_username"),
    lit(", mech="),
    rx(r"[^\s,]*", "sasl_method"),
    lit(", bits="),
    rx(r"[0-9]+", words="a number"),
)

_AUTH_FAILURE = seq(
    rx(r"[^\s()]*", "sasl_method"),
    lit("): "),
    opt(rx(rf"(?=(?:{UNCHECKED}) \(-)", "unchecked")),
    rx(rf"[^\r\n]*?(?=, (?:user=[^\r\n]*, )?relay={_PEER}{END})", "reject_reason", f"words up to {_RELAY}"),
    opt(lit(", user="), rx(rf"[^\r\n]*(?=, relay={_PEER}{END})", "sasl_username", f"a login up to {_RELAY}")),
    lit(", relay="),
    _peer(),
)


def _ruleset(name: str, column: str = "") -> tuple[str, pp.ParserElement, pp.ParserElement]:
    """A refusal because of an address or a client (`arg1`); what has no client is from a program of this machine."""
    body = seq(
        _path(column),
        opt(lit(", arg2="), rx(r"[^\s,]*")),
        lit(", relay="),
        first(_peer(), rx(_USER, words="USER@localhost")),
        lit(", reject="),
        _refusal(),
    )
    return "reject", seq(_NUMBERED, lit("ruleset="), rx(name, "stage"), rx(r", arg1=(?=[^\r\n]*, reject=)")), body


def _milter(stage: str, address: pp.ParserElement) -> tuple[str, pp.ParserElement, pp.ParserElement]:
    start = seq(_NUMBERED, lit("Milter: "), rx(rf"{stage}(?=[^\r\n]*, reject=)", "stage"))
    return "milter_reject", start, seq(address, lit(", reject="), _refusal())


_HERE_IT_ENDS = rf"(?={END})"
_LOOKUP = "[Vv][Rr][Ff][Yy]|[Ee][Xx][Pp][Nn]"


def _about_client(
    event: str, before: str, after: str, *more: pp.ParserElement
) -> tuple[str, pp.ParserElement, pp.ParserElement]:
    """A line whose only field is the client, between fixed words."""
    words = "the end of the line" if after == _HERE_IT_ENDS else repr(after.replace("[^\\r\\n]*", "STAGE"))
    return event, seq(_NUMBERED, rx(rf"{before}(?={_PEER}{after})")), seq(_peer(), rx(after, words=words), *more)


Kind = tuple[str, pp.ParserElement, pp.ParserElement]

_ROWS: tuple[Kind, ...] = (
    ("accept", seq(_QUEUE_ID, rx(r"from=(?=<)")), _from(seq(_BRACKETS, _NO_MESSAGE), _PEER, _peer())),
    ("queued", seq(_QUEUE_ID, rx(r"from=(?=<)")), _from(_BRACKETS, _PEER, _peer())),
    (
        "queued",
        seq(_QUEUE_ID, lit("from=")),
        _from(_path("sender"), _USER, seq(rx(r"[^\s,@\[\]]+", "uid"), lit("@localhost"))),
    ),
    (
        "delivery",
        seq(_QUEUE_ID, rx(rf"to=<{_MAILED}")),
        seq(address(_STOP, "recipient"), lit(">"), opt(rx(rf'(?:,<(?:{_QUOTED}|[^">\r\n])*>)+', "others")), _outcome()),
    ),
    (
        "delivery",
        seq(_QUEUE_ID, rx(rf"to={_MAILED}")),
        seq(
            opt(rx(_NAME, words="a name and '<'")),
            rx(_BARE, "recipient"),
            opt(lit(">")),
            opt(rx(rf"(?:,(?! )(?:{_NAMED}|{_BARE}))+", "others")),
            _outcome(),
        ),
    ),
    ("reject", seq(_QUEUE_ID, lit("<")), seq(address(r"\.\.\. ", "recipient"), lit(">... "), _text())),
    ("milter_hold", seq(_QUEUE_ID, rx(r"milter=[^\s,]*, quarantine=")), _text()),
    (
        "notification",
        seq(_QUEUE_ID, rx(rf"(?={_ID}: (?:DSN|return to sender|sender notify|postmaster notify): )")),
        seq(rx(_ID, "response"), lit(": "), rest()),
    ),
    ("removed", seq(_QUEUE_ID, lit("done; ")), rest()),
    ("auth_ok", seq(_NUMBERED, lit("AUTH=server, relay=")), _AUTH_OK),
    ("auth_failure", seq(_NUMBERED, lit("AUTH failure (")), _AUTH_FAILURE),
    _ruleset("check_mail", "sender"),
    _ruleset("check_rcpt", "recipient"),
    _ruleset("check_relay"),
    (
        # here arg1 may be a header's text: nothing that stands behind it can be told from it
        "reject",
        seq(_NUMBERED, lit("ruleset="), rx(r"[A-Za-z_]+", "stage"), rx(r", arg1=(?=[^\r\n]*, reject=)")),
        rest("reject_reason"),
    ),
    _milter("from", seq(lit("="), _path("sender"))),
    _milter("to", seq(lit("="), _path("recipient"))),
    _milter("data", rx(r"(?=,)", words="','")),
    _about_client("reject", "rejecting commands from ", " due to pre-greeting traffic", rest()),
    (
        # where PrivacyOptions have novrfy, noexpn; what a client typed may hold anything
        "reject",
        seq(_NUMBERED, rx(rf"(?={_PEER}: [ \t]*(?:{_LOOKUP}) [^\r\n]*\[rejected\]{END})")),
        seq(
            _peer(),
            rx(r": [ \t]*", words="': '"),
            rx(_LOOKUP, "stage", "VRFY or EXPN"),
            lit(" "),
            rest("reject_reason"),
        ),
    ),
    _about_client("connect", "connect from ", _HERE_IT_ENDS),
    _about_client("disconnect", "", " did not issue ", rest()),
    _about_client("lost_connection", "lost input channel from ", " to [^\\r\\n]* after ", rx(r"[^\s]+", "stage")),
    _about_client("lost_connection", "timeout waiting for input from ", " during ", rest("stage")),
    (
        "lost_connection",
        seq(_QUEUE_ID, rx(r"(?=collect: premature EOM: )")),
        seq(rx("collect", "stage"), rest()),
    ),
    _about_client("rate_limit", "", ": possible SMTP attack: ", rest("reject_reason")),
)

_RUN = ("delivery", "notification", "removed")  # what is told of mail that another process has taken in

KINDS: dict[str, tuple[Kind, ...]] = {
    **dict.fromkeys(("sendmail", "sm-mta", "sm-acceptingconnections"), _ROWS),
    "sm-msp-queue": tuple(row for row in _ROWS if row[0] in _RUN),
}

SILENT = rx(
    rf"(?:{_ID}: |NOQUEUE: )?(?:to=(?![^\r\n]*, mailer=)|Milter|milter=|SMTP outgoing connect |STARTTLS|AUTH:"
    r"|AUTH=(?!server, relay=)|starting daemon"
    r"|started as|discarded|clone|alias database |gethostby|invalid domain name |connect from |engine=|done;"
    rf"|error: safesasl|{_PEER}: probable open proxy: )"
)

_STAGES = {
    **dict.fromkeys((b"check_mail", b"from"), b"MAIL"),
    **dict.fromkeys((b"check_rcpt", b"to"), b"RCPT"),
    b"check_relay": b"CONNECT",
    b"data": b"DATA",
    b"vrfy": b"VRFY",
    b"expn": b"EXPN",
}
_STATUS_BY_DSN = {b"2": b"sent", b"4": b"deferred", b"5": b"bounced"}
_STATUS_BY_WORD = {b"Sent": b"sent", b"Deferred": b"deferred", b"queued": b"queued", b"quarantined": b"held"}
_WORD = re.compile(rb"(Sent|Deferred|queued|quarantined)\b[:\s]*\(?(.*?)\)?\Z", re.DOTALL)
_POLICY = re.compile(rb"5[0-9]{2}[ -](5\.7\.[0-9]{1,3})\b")

Fields = dict[str, bytes | None]


def translate(event: str, fields: Fields) -> Sequence[bytes]:
    """Put the vocabulary of events in place of Sendmail's words; the recipients named after the first.

    A delivery's status is its dsn's class, as `stat=` may be the next host's words; old versions have no dsn.
    """
    _TRANSLATIONS[event](fields)
    others = fields.get("others")
    return [in_brackets or bare for in_brackets, bare in _OTHER.findall(others)] if others else ()


_OTHER = re.compile(
    rb',(?:(?:"(?:[^"\\]|\\.)*"|[^",<>])*<((?:"(?:[^"\\]|\\.)*"|[^">])*)>|((?:"(?:[^"\\]|\\.)*"|[^",<>])+))'
)


def _delivery(fields: Fields) -> None:
    stat, dsn = fields.get("status") or b"", fields.get("dsn")
    word = _WORD.match(stat)
    fields["status"] = _STATUS_BY_DSN[dsn[:1]] if dsn else _STATUS_BY_WORD[word[1]] if word else b"bounced"
    fields["response"] = fields.get("response") or (word[2] if word else stat) or None
    policy = _POLICY.match(fields["response"] or b"")
    if dsn == b"5.1.1" and policy:  # Sendmail's own dsn for any 550 to RCPT
        fields["dsn"] = policy[1]
    fields["delay"] = _seconds(fields.get("delay"))


_UNKNOWN = (b"User unknown", b"No such user here")  # Sendmail's own words; those that cf/README has for virtusertable


def _seconds(delay: bytes | None) -> bytes | None:
    """Seconds of [DAYS+]HH:MM:SS."""
    if delay is None:
        return None
    days, _, time = delay.rpartition(b"+")
    hours, minutes, seconds = map(int, time.split(b":"))
    return str(((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds).encode()


def _refused(fields: Fields) -> None:
    stage = fields.get("stage")
    if stage:
        fields["stage"] = _STAGES.get(stage.lower(), stage)
    if fields.get("reject_reason") in _UNKNOWN and not fields.get("dsn"):
        fields["dsn"] = b"5.1.1"


def _logged_in(fields: Fields) -> None:
    """The login without its xtext (RFC 3461: `user+2Btag`), as the milter reads the macro."""
    login = fields.get("sasl_username")
    if login and b"+" in login:
        fields["sasl_username"] = _XTEXT.sub(lambda found: bytes.fromhex(found[1].decode()), login)


_XTEXT = re.compile(rb"\+([0-9A-F]{2})")

_TRANSLATIONS = {
    "delivery": _delivery,
    "auth_ok": _logged_in,
    **dict.fromkeys(("reject", "milter_reject"), _refused),
}
TRANSLATED = frozenset(_TRANSLATIONS)
