"""What Dovecot's login processes log, 2.x: who logged in, and who failed to.

One more source of evidence about accounts: a login to IMAP or POP counts for the account and the client as an SMTP
login does. Written after `client-common.c` (client_get_log_str, client_get_extra_disconnect_reason) and lines of 2.2,
2.3 and 2.4. Passwords that the auth workers found wrong stand in lines of their own too (`auth-worker: pam(user,…)`):
they are left out, as the login process counts the same failure, and Postfix does where Dovecot is only its auth server.

The user comes before the client's address and may hold anything: the last `>, … rip=` of the line ends it, since what
follows that is Dovecot's own.
"""

from __future__ import annotations

import pyparsing as pp

from logwatch.reading.grammar.parts import END, lit, nothing_of, opt, rest, rx, seq
from logwatch.reading.stamp import BSD_STAMP, ISO_STAMP, SPACED_STAMP

NAME = "dovecot"

PROGRAM = rx(r"(?=d)", "prefix", "dovecot")

# a line of its own file (log_path), by its default log_timestamp, or with one such as `%F %T`
BARE = seq(
    rx(f"{BSD_STAMP}|{ISO_STAMP}|{SPACED_STAMP}", "stamp"),
    lit(" "),
    rx(r"(?=[a-z0-9]+-login: Info: )", words="a login process, such as imap-login: Info: "),
)

# all log through one process, whose number says nothing
PID = rx(r"(?:\[[0-9]{1,10}\])?: ", words="': ' after the program")

_IP = r"[0-9A-Fa-f:.]+"
_SERVICE = rx(
    r"(?:imap|pop3|submission|managesieve)-login: (?:Info: )?",
    words="a login process, such as imap-login: ",
)

_CLIENT = seq(
    # left out by 2.0 where no name was given
    opt(
        lit("user=<"),
        rx(
            rf"[^\r\n]*(?=>, (?:method=[^\s,]*, )?rip={_IP}(?:, |{END}))",
            "sasl_username",
            "a login up to '>, method=METHOD, rip=ADDRESS'",
        ),
        lit(">, "),
    ),
    opt(lit("method="), rx(r"[^\s,]*", "sasl_method"), lit(", ")),
    lit("rip="),
    rx(_IP, "client_ip"),
    rest(),
)

_LOGGED_IN = rx(r"(?:Login|Logged in): ", words="'Login: ' or 'Logged in: '")  # 2.3, 2.4

# The other server's no to a login that was passed on to it has words of its own from 2.4 on; those before stand for all
# that may have happened there.
_FAILED = (
    r"auth failed, [0-9]+ attempts?"
    r"|proxy dest authentication failure, (?:[0-9]+ attempts?|[0-9]+/[0-9]+ successful auths)"
)

Kind = tuple[str, pp.ParserElement, pp.ParserElement]

KINDS: dict[str, tuple[Kind, ...]] = {
    "dovecot": (
        ("auth_ok", seq(_SERVICE, _LOGGED_IN), _CLIENT),
        (
            "auth_failure",
            seq(_SERVICE, rx(rf"(?=[A-Z][^<\r\n]*\((?:{_FAILED}))")),
            seq(
                # how the connection ended, which may be an error of the system's or of TLS, in parentheses too
                rx(rf"[^<\r\n]*?\((?={_FAILED})", words="words before '(auth failed'"),
                rx(rf"(?:{_FAILED})(?: in [0-9]+ secs)?", "reject_reason"),
                rx(r"\)(?: \([a-z_]+\))?:? ", words="'): '"),  # 2.4 adds the reason's name
                _CLIENT,
            ),
        ),
    )
}


# everything else is about mailboxes, or says again what a login process says
SILENT = seq(*nothing_of([start for _, start, _ in KINDS["dovecot"]]), rx("(?=)"))
