"""What loggers say of lines that they dropped: evidence is missing, most of it when most is logged.

rsyslog (imjournal, imuxsock), journald and syslog-ng. Whose lines were lost is in the
text at most, so a loss is nobody's.
"""

from __future__ import annotations

import pyparsing as pp

from logwatch.reading.grammar.parts import rx, seq

NAME = "syslog"

PROGRAM = rx(r"(?=rsyslogd|systemd-journald|journal|syslog-ng)", "prefix", "rsyslogd, systemd-journald, syslog-ng")

# rsyslogd has a message number there at times, or nothing
PID = seq(rx(r"(?:-[0-9]{1,5})?\[?"), rx(r"[0-9]*", "pid"), rx(r"\]?: ", words="': ' after the program"))

_TEXT = seq(rx(r"[^\r\n]*", "response"))

_RSYSLOG = (
    (
        "log_loss",
        rx(
            r"(?=im(?:journal|uxsock)[^\r\n]*"
            r"(?:messages? lost due to rate-limiting|begins? to drop messages|lost [0-9]+ messages))"
        ),
        _TEXT,
    ),
)
_JOURNALD = (
    (
        "log_loss",
        rx(r"(?=Suppressed [0-9]+ messages from |Forwarding to syslog missed [0-9]+ messages)"),
        _TEXT,
    ),
)
_SYSLOG_NG = (("log_loss", rx(r"(?=Log statistics; [^\r\n]*dropped='[^'\r\n]*=[1-9])"), _TEXT),)

KINDS: dict[str, tuple[tuple[str, pp.ParserElement, pp.ParserElement], ...]] = {
    "rsyslogd": _RSYSLOG,
    "systemd-journald": _JOURNALD,
    "journal": _JOURNALD,
    "syslog-ng": _SYSLOG_NG,
}

SILENT = rx("(?=)")
