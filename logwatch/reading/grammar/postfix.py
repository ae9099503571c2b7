"""What Postfix logs, 3.x and most of 2.x: one row per kind of line.

Written after `smtpd.c`, `smtpd_sasl_glue.c`, `qmgr_active.c`, `log_adhoc.c`, `cleanup_milter.c` and `bounce_*.c`. A
line is the work of the daemon that signed it: each daemon has its own kinds, so that text which one of them quotes is
never taken for the line of another. HELO names cannot hold `<>()\\";:@` or blanks (smtpd replaces them), logins can
hold anything printable.
"""

from __future__ import annotations

import pyparsing as pp

from logwatch.reading.grammar.cyrus import UNCHECKED
from logwatch.reading.grammar.parts import END, IPV4_OR_6, QUOTED, address, lit, many, opt, rest, rx, seq, until

NAME = "postfix"

# "postfix/", "postfix/submission/", "postfix-10.20.30.40/": syslog_name, then the name of the service if it has one
PROGRAM = rx(r"[^ \[\]\r\n]*/", "prefix", "postfix/DAEMON")

# One object each, so that the frame can put it in front of all kinds that begin with it.
QUEUE_ID = seq(
    rx(r"[0-9A-Za-z]{5,24}", "queue_id", "5 to 24 letters and digits"), lit(": ")
)  # short or long (enable_long_queue_ids)
NUMBERED = pp.MatchFirst([lit("NOQUEUE: "), QUEUE_ID])
WARNING = lit("warning: ")


def _peer(named: bool = True) -> pp.ParserElement:
    """NAME[ADDRESS], with :PORT where smtpd_client_port_logging is on; the name comes from a verified look-up."""
    return seq(
        *([rx(r"[^ \[\]\r\n]*", "client_name")] if named else []),
        lit("["),
        rx(r"[^ \[\]\r\n]*", "client_ip"),
        lit("]"),
        opt(lit(":"), rx(r"[0-9]{1,5}", "client_port")),
    )


_AFTER_LOGIN = r", (?:sasl_sender=|orig_queue_id=|orig_client=)"

# Who has logged in is that login, whatever mail it says to forward. And what a client said in AUTH= may be anything,
# the names of the fields after it too: after a login, the original of a forwarded message is not looked for.
_LOGGED_IN = seq(
    lit(", sasl_method="),
    rx(r"[^ ,\r\n]*", "sasl_method"),
    opt(lit(", sasl_username="), until(_AFTER_LOGIN, "sasl_username")),
    opt(lit(", sasl_sender="), rest("sasl_sender")),
    rx(r"(?:, orig_[^\r\n]*)?"),
)
_FORWARDED = seq(
    opt(lit(", orig_queue_id="), rx(r"[0-9A-Za-z]+", "orig_queue_id")),
    # by whom it was handed to a filter before the queue: NAME[ADDRESS]
    opt(
        lit(", orig_client="),
        rx(r"[^ \[\]\r\n]*"),
        opt(lit("["), rx(IPV4_OR_6, "orig_client_ip", "an address"), lit("]")),
        rest(),
    ),
)
ACCEPT = seq(_peer(), pp.MatchFirst([_LOGGED_IN, _FORWARDED]))

QUEUED = seq(
    address(rf", size=[0-9]+, nrcpt=[0-9]+ \(queue active\){END}", "sender"),
    lit(">, size="),
    rx(r"[0-9]{1,18}", "size"),
    lit(", nrcpt="),
    rx(r"[0-9]{1,9}", "nrcpt"),
    lit(" (queue active)"),
)

EXPIRED = seq(
    address(r", status=(?:force-)?expired, returned to sender", "sender"),
    lit(">, status="),
    rx(r"(?:force-)?expired", "status"),
    lit(", returned to sender"),
)

DELIVERY = seq(
    address(r", (?:orig_to=<|relay=)", "recipient"),
    lit(">, "),
    opt(lit("orig_to=<"), address(r", relay=", "orig_to"), lit(">, ")),
    lit("relay="),
    rx(r"[^ ,\[\r\n]+", "relay_host"),
    # in brackets the address, or the path of a socket
    opt(lit("["), opt(rx(rf"{IPV4_OR_6}(?=\])", "relay_ip", "an address up to ']'")), rx(r"[^\]\r\n]*"), lit("]")),
    opt(lit(":"), rx(r"[0-9]{1,5}", "relay_port")),
    opt(lit(", conn_use="), rx(r"[0-9]+", words="a number")),
    lit(", delay="),
    rx(r"[0-9.]+", "delay"),
    opt(lit(", delays="), rx(r"[0-9./]+", words="seconds, such as 0.1/0/0.2/1")),
    opt(lit(", tls="), rx(r"[^ ,\r\n]*")),
    opt(lit(", dsn="), rx(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", "dsn")),  # since 2.3
    lit(", status="),
    rx(r"[a-z-]+", "status"),
    # syslog may have cut a long reply, and its closing parenthesis with it
    opt(lit(" ("), until(rf"\){END}", "response"), opt(lit(")"))),
)

_STAGE = r"[A-Z][A-Z-]*"
_ADDRESS = many(r'[^"<>\\ \r\n]++|' + QUOTED)  # with its quotes, since 3.5
_WHAT = rf"<{_ADDRESS}>: "  # what smtpd refused: address, client, HELO name
_CASE = r"\(case [0-9A-Z]{6}\)"


def _envelope(comma: str) -> str:
    """`; from=<> to=<> proto= helo=<>`, without a login; postscreen has commas between its parts."""
    address = rf"=<{_ADDRESS}>{comma} "
    return rf"; (?:from{address})?(?:to{address})?proto=[A-Za-z]+(?:{comma} helo=<[^<> \r\n]*>)?"


def _login(milter: bool) -> pp.ParserElement:
    """The login after a refusal: in angle brackets where a milter refused (3.2), bare where smtpd did (3.10)."""
    if milter:
        login = rx(rf"[^\r\n]*(?=>{END})", "sasl_username", "a login up to '>' at the end of the line")
        return opt(lit(" sasl_username=<"), login, lit(">"))
    return seq(
        opt(lit(" sasl_method="), rx(r"[^ \r\n]*", "sasl_method")),
        opt(lit(" sasl_username="), until(r" sasl_sender=", "sasl_username")),
        opt(lit(" sasl_sender="), rest("sasl_sender")),
    )


def _refusal(milter: bool = False, comma: str = "", named: bool = True, peer: bool = True) -> pp.ParserElement:
    """STAGE from PEER: CODE DSN TEXT; from=<> to=<> proto= helo=<> login.

    A milter's refusal in cleanup has no code, and a hold neither; that of a filter before the queue has no PEER. TEXT
    may be a stranger's words (of the host that was asked whether it takes the address, of a block list), and so may
    what follows `sasl_sender=`: where a line has more than one envelope, nobody can say which is the true one, and none
    is read; all the rest is TEXT then.
    """
    envelope = _envelope(comma)
    login = r"(?: sasl_(?:(?!; (?:from=<|to=<|proto=))[^\r\n])*)?"
    whole = rf"{envelope}{login}{END}"
    ahead = rf"(?={END}|{whole})"
    text = many(rf"[^;(\r\n]++|;(?!{envelope[1:]})|\((?!{_CASE[2:]})") + ahead
    before_case = many(rf"[^; \r\n]++|;(?!{envelope[1:]})| (?!{_CASE}{ahead})") + rf"(?= {_CASE})"
    return seq(
        rx(_STAGE, "stage"),
        *([lit(" from "), _peer(named)] if peer else []),
        lit(": "),
        opt(rx(r"[245][0-9]{2}", "smtp_code"), lit(" ")),
        opt(rx(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", "dsn"), lit(" ")),
        opt(rx(_WHAT, words="what was refused, such as <user@example.com>: ")),
        rx(rf"{text}|{before_case}|[^\r\n]*", "reject_reason"),
        opt(lit(" (case "), rx(r"[0-9A-Z]{6}", "ref"), lit(")")),
        opt(
            lit("; "),
            opt(lit("from=<"), rx(_ADDRESS, "sender"), lit(f">{comma} ")),
            opt(lit("to=<"), rx(_ADDRESS, "recipient"), lit(f">{comma} ")),
            lit("proto="),
            rx(r"[A-Za-z]+", words="ESMTP or SMTP"),
            opt(lit(f"{comma} helo=<"), rx(r"[^<> \r\n]*", "helo"), lit(">")),
            _login(milter),
        ),
    )


# What smtpd says itself where Dovecot could not be asked, or was not, and what Dovecot has it say.
_NOT_ASKED = (
    r"(?:Connection lost|Can't connect) to authentication server|Authentication backend error"
    r"|Invalid authentication mechanism"
)
_UNCHECKED = rf"(?=(?:{_NOT_ASKED}|{UNCHECKED})(?:, sasl_username=|{END})|Temporary authentication failure\b)"

_UNAVAILABLE = rx(rf"\(unavailable\)(?={END})", words="'(unavailable)'")

AUTH_FAILURE = seq(
    _peer(),
    lit(": SASL "),
    rx(r"[^ \r\n]+", "sasl_method"),
    lit(" authentication failed:"),
    opt(lit(" ")),
    opt(rx(_UNCHECKED, "unchecked")),
    until(r", sasl_username=", "reject_reason"),
    opt(lit(", sasl_username="), pp.MatchFirst([_UNAVAILABLE, rest("sasl_username")])),
)

# cut lines lack the closing bracket, ids of broken software both
MESSAGE_ID = seq(opt(lit("<")), until(f">{END}", "message_id"), opt(lit(">")))

ABORTED = seq(
    rx(r"(?:lost connection|timeout|too many errors) after ", words="'lost connection after '"),
    rx(r"[A-Z][A-Z-]*|unknown", "stage"),
    opt(lit(" ("), rx(r"[^)\r\n]*"), lit(")")),
    lit(" from "),
    _peer(),
)

RATE_LIMIT = seq(
    rx(r"[A-Z][A-Za-z ]*(?= rate)", "reject_reason", "words before ' rate'"),
    lit(" rate limit exceeded: "),
    rx(r"[0-9]+", words="a number"),
    lit(" from "),
    _peer(),
    opt(lit(" for service "), rest()),
)

PICKUP = seq(
    rx(r"[0-9]{1,10}", "uid"),
    lit(" from=<"),
    address(rf"(?: orig_id=[0-9A-Za-z]+)?{END}", "sender"),
    lit(">"),
    opt(lit(" orig_id="), rx(r"[0-9A-Za-z]+", "orig_queue_id")),  # requeued by postsuper
)

# header_checks and their like quote the sender's header before anything else: nothing after it can be told from it
CONTENT_REFUSAL = seq(rx(r"[a-z]+", "stage"), lit(" "), rest("reject_reason"))

REMOVED = opt(lit(" ("), rx(r"[a-z]+", words="canceled or discarded"), lit(")"))  # canceled, discarded: since 3.10

Kind = tuple[str, pp.ParserElement, pp.ParserElement]

_ABORTED = rx(r"(?=(?:lost connection|timeout|too many errors) after )")
_DROPPED: Kind = ("removed", seq(QUEUE_ID, lit("removed")), REMOVED)
_QMGR: tuple[Kind, ...] = (
    ("queued", seq(QUEUE_ID, rx(rf"from=<(?=[^\r\n]*\(queue active\){END})")), QUEUED),
    ("expired", seq(QUEUE_ID, lit("from=<")), EXPIRED),
    _DROPPED,
    ("delivery", seq(QUEUE_ID, lit("to=<")), DELIVERY),  # before 2.3 what error and retry do now
)
_DELIVERY: tuple[Kind, ...] = (("delivery", seq(QUEUE_ID, lit("to=<")), DELIVERY),)

# daemon (the last part of the program's name) -> kinds: event, what it starts with, what follows
KINDS: dict[str, tuple[Kind, ...]] = {
    "smtpd": (
        ("connect", lit("connect from "), _peer()),
        ("disconnect", lit("disconnect from "), seq(_peer(), rest())),
        ("accept", seq(NUMBERED, lit("client=")), ACCEPT),
        ("reject", seq(NUMBERED, lit("reject: ")), _refusal()),
        ("reject", lit("proxy-reject: "), _refusal(milter=True, peer=False)),
        ("milter_reject", seq(NUMBERED, lit("milter-reject: ")), _refusal(milter=True)),
        ("milter_hold", seq(NUMBERED, lit("milter-hold: ")), _refusal(milter=True)),
        ("lost_connection", seq(NUMBERED, _ABORTED), ABORTED),  # since 3.10
        ("removed", seq(NUMBERED, lit("removed")), REMOVED),
        ("lost_connection", _ABORTED, ABORTED),
        ("auth_failure", seq(WARNING, rx(r"(?=[^ \[\]\r\n]*\[[^ \[\]\r\n]*\](?::[0-9]+)?: SASL )")), AUTH_FAILURE),
        ("rate_limit", seq(WARNING, rx(r"(?=[A-Z][A-Za-z ]* rate limit exceeded: )")), RATE_LIMIT),
    ),
    "cleanup": (
        ("message_id", seq(QUEUE_ID, rx(r"(?:resent-)?message-id=")), MESSAGE_ID),
        ("milter_reject", seq(QUEUE_ID, lit("milter-reject: ")), _refusal(milter=True)),
        ("milter_hold", seq(QUEUE_ID, lit("milter-hold: ")), _refusal(milter=True)),
        ("reject", seq(QUEUE_ID, lit("reject: ")), CONTENT_REFUSAL),
        _DROPPED,
    ),
    "qmgr": _QMGR,
    "nqmgr": _QMGR,
    **dict.fromkeys(("smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard"), _DELIVERY),
    "pickup": (("pickup", seq(QUEUE_ID, lit("uid=")), PICKUP),),
    "bounce": (
        (
            "notification",
            seq(QUEUE_ID, rx(r"(?=(?:sender|postmaster) (?:non-delivery|delivery status|delay) notification: )")),
            seq(rx(r"[^:\r\n]*"), lit(": "), rest()),
        ),
    ),
    "postscreen": (("reject", lit("NOQUEUE: reject: "), _refusal(comma=",", named=False)),),
    "postsuper": (_DROPPED,),
    # they take no mail: only counted, where they say what is not known
    **dict.fromkeys(
        ("anvil", "dnsblog", "flush", "master", "postfix-script", "postlogd", "postmap", "proxymap", "scache"), ()
    ),
    **dict.fromkeys(("sendmail", "showq", "spawn", "tlsmgr", "tlsproxy", "trivial-rewrite", "verify"), ()),
}

SILENT = rx(
    r"(?:Anonymous|Trusted|Untrusted|Verified) TLS connection |setting up TLS connection |statistics: |cache "
    r"|connect to [^ \[\]\r\n]*\[|(?:starting|stopping|refreshing) the Postfix mail system|daemon started|reload "
    r"|proxy-accept: "
    r"|(?:CONNECT|PASS|DISCONNECT|PREGREET|HANGUP|DNSBL|ALLOWLISTED|DENYLISTED|WHITELISTED|BLACKLISTED) "
)
