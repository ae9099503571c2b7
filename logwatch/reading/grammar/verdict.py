"""The line that our own milter writes for every answer that is not a plain accept (`enforce.verdict.line`)."""

from __future__ import annotations

import pyparsing as pp

from logwatch.reading.grammar.parts import lit, opt, rest, rx, seq

NAME = "mailbrake"

PROGRAM = rx(r"(?=mailbrake\[)", "prefix", "mailbrake[PID]")

_VERDICT = seq(
    rx(r"(?:would-)?[a-z]+", "verdict"),
    lit(", mode="),
    rx(r"enforce|observe", "mode"),
    lit(", stage="),
    rx(r"[A-Z]+", "stage"),
    lit(", ref="),
    rx(r"[0-9A-Z]+", "ref"),
    lit(", rule="),
    rx(r"[^\s,]+", "rule"),
    lit(", key="),
    rx(r"[a-z]+", words="account, client or net"),
    opt(lit(", count="), rx(r"[0-9]{1,9}", "count")),
    lit(", client_ip="),
    rx(r"[^\s,]*", "client_ip"),
    opt(lit(", sasl_username="), rest("sasl_username")),
)

KINDS: dict[str, tuple[tuple[str, pp.ParserElement, pp.ParserElement], ...]] = {
    "mailbrake": (("verdict", lit("verdict: "), _VERDICT),),
}

SILENT = rx("(?!verdict: )")  # it also says that it has started and stopped
