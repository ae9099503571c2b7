"""Log lines described once per dialect: pyparsing expressions, and the one regular expression made of them.

A dialect is a module with NAME, PROGRAM (how its programs are named, up to the daemon) and KINDS (daemon -> kinds of
line: event, how it starts, what follows). Where its words are not those of our events, `translate` puts ours in their
place, fields of a line in, None out. One more dialect is one more module and one more entry in DIALECTS.

A line that starts like one of the kinds and then does not go on like it is *unreadable*: it gives no event, but is
counted, since evidence may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType

import pyparsing as pp

from logwatch.reading.grammar import postfix, sendmail, verdict
from logwatch.reading.grammar.compile import Pattern, compile_lines
from logwatch.reading.grammar.parts import end, first, header, lit, pid, rest, seq

DIALECTS: tuple[ModuleType, ...] = (postfix, verdict, sendmail)
UNREADABLE = "unreadable "  # prefix of a tag: the rest is the event that the line should have been


def line(dialects: Sequence[ModuleType] = DIALECTS) -> pp.ParserElement:
    """The grammar of one whole line, its newline excepted; results are columns, `event` tells the kind.

    The text to parse must hold the newline, for lines must match to their end.
    """
    whole = seq(header(), first(*(_dialect(dialect) for dialect in dialects)))
    return whole.leave_whitespace(recursive=True).parse_with_tabs()


def _dialect(dialect: ModuleType) -> pp.ParserElement:
    return seq(dialect.PROGRAM, first(*(_daemon(name, kinds) for name, kinds in dialect.KINDS.items())))


Kinds = tuple[tuple[str, pp.ParserElement, pp.ParserElement], ...]


def _daemon(name: str, kinds: Kinds) -> pp.ParserElement:
    whole = [seq(start, body, end(), pp.Tag("event", f"{event} {name}")) for event, start, body in kinds]
    broken = [seq(start, rest(), pp.Tag("event", f"{UNREADABLE}{event} {name}")) for event, start, _ in kinds]
    return seq(lit(name), pid(), first(*whole, *broken))


@cache
def compiled() -> Pattern:
    """The pattern of every known dialect."""
    return compile_lines(line())


def translators() -> dict[str, Callable[[str, dict[str, bytes | None]], None]]:
    """By daemon, what puts our words in place of a dialect's, for the dialects that have it."""
    having = (dialect for dialect in DIALECTS if hasattr(dialect, "translate"))
    return {daemon: dialect.translate for dialect in having for daemon in dialect.KINDS}
