"""Log lines described once per dialect: pyparsing expressions, and the one regular expression made of them.

A dialect is a module with

    NAME     what it is, and what its samples' folder is called
    PROGRAM  how its programs are named, up to the daemon
    KINDS    daemon -> its kinds of line: event, how the text starts, what follows; daemons may share one tuple
    SILENT   how texts start that are known and say nothing about mail (optional)
    BARE     what stands before the text in a file of its own, without syslog's header; NAME is the program (optional)
    PID      the process id after the program's name, where it is not as usual (optional)
    translate  puts our words in place of the dialect's: event and fields of a line in, the recipients that the line
             names after the first out, or None (optional)
    TRANSLATED  the events in whose lines it has anything to do (optional; otherwise all)

One more dialect is one more module, one more entry in DIALECTS, and samples.

A line that starts like one of the kinds and then does not go on like it is *unreadable*: it gives no event, but is
counted, since evidence may be missing. A line of a known daemon that starts like none of its kinds is counted too, as
*other*. The first look finds only that a line is one of these; which of them, and what the line should have been, is
found by a second (`compiled`), so that the first has fewer groups. For the same reason it may know the kinds of some
dialects only: of lines of the others it says that they are *foreign*, and they are looked at again, by the expression
of their dialect alone. `re` copies all groups before a place to which it may come back, so that the groups of all
dialects in one made a long line cost gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from types import ModuleType

import pyparsing as pp

from logwatch.reading.grammar import dovecot, exim, postfix, sendmail, syslog, verdict
from logwatch.reading.grammar.compile import Pattern, compile_lines
from logwatch.reading.grammar.parts import end, first, header, keep_all, nothing_of, pid, rest, rx, seq

DIALECTS: tuple[ModuleType, ...] = (postfix, verdict, sendmail, exim, dovecot, syslog)
ALL = frozenset(dialect.NAME for dialect in DIALECTS)
# A tag is a dialect's name and an event, or one of these words in its place. UNREADABLE is followed by the event that
# the line should have been.
UNREAD = "unread"
UNREADABLE = "unreadable"
OTHER = "other"
FOREIGN = "foreign"

Kind = tuple[str, pp.ParserElement, pp.ParserElement]
Kinds = tuple[Kind, ...]
Translate = Callable[[str, dict[str, bytes | None]], Sequence[bytes] | None]


def line(dialects: Sequence[ModuleType] = DIALECTS) -> pp.ParserElement:
    """The grammar of one whole line, its newline excepted; results are columns, and `event` is the tag.

    The text to parse must hold the newline, for lines must match to their end.
    """
    return _told_apart(dialects).leave_whitespace(recursive=True).parse_with_tabs()


def _told_apart(dialects: Iterable[ModuleType]) -> pp.ParserElement:
    return _whole_line(*((_dialect(dialect, False), _bare(dialect, False)) for dialect in dialects))


def _whole_line(*dialects: tuple[pp.ParserElement, pp.ParserElement | None]) -> pp.ParserElement:
    """Of each dialect what follows the header of syslog's, and what lines are like that have none, if it has such."""
    logged = seq(header(), first(*(after_header for after_header, _ in dialects)))
    bare = (whole for _, whole in dialects if whole is not None)
    return first(logged, *bare)


def _dialect(dialect: ModuleType, first_look: bool) -> pp.ParserElement:
    alike: dict[tuple[int, ...], list[str]] = {}  # daemons that share their kinds
    for name, kinds in dialect.KINDS.items():
        alike.setdefault(tuple(map(id, kinds)), []).append(name)
    daemons = (
        seq(*_signed(dialect, names), _texts(dialect, dialect.KINDS[names[0]], first_look)) for names in alike.values()
    )
    whole = seq(dialect.PROGRAM, first(*daemons))
    return keep_all(whole) if _is_translated(dialect) else whole


def _bare(dialect: ModuleType, first_look: bool) -> pp.ParserElement | None:
    if not hasattr(dialect, "BARE"):
        return None
    whole = seq(dialect.BARE, _texts(dialect, next(iter(dialect.KINDS.values())), first_look))
    return keep_all(whole) if _is_translated(dialect) else whole


def _foreign(dialect: ModuleType) -> tuple[pp.ParserElement, pp.ParserElement | None]:
    """As much of a dialect's lines as tells that they are its."""
    tag = pp.Tag("event", f"{dialect.NAME} {FOREIGN}")
    signed = seq(dialect.PROGRAM, *_signed(dialect, dialect.KINDS), tag)
    return signed, seq(dialect.BARE, tag) if hasattr(dialect, "BARE") else None


def _signed(dialect: ModuleType, daemons: Iterable[str]) -> tuple[pp.ParserElement, pp.ParserElement]:
    """What stands between the beginning of the program's name and the text."""
    return rx("|".join(sorted(daemons, reverse=True)), "daemon"), getattr(dialect, "PID", pid())


def _texts(dialect: ModuleType, kinds: Kinds, first_look: bool) -> pp.ParserElement:
    silent = [dialect.SILENT] if hasattr(dialect, "SILENT") else []
    tag = pp.Tag("event", f"{dialect.NAME} {UNREAD if first_look else OTHER}")
    others = [] if first_look else _broken(dialect.NAME, kinds)
    return first(*_whole(dialect.NAME, kinds), *others, seq(*nothing_of(silent), rest(), tag))


def _whole(dialect: str, kinds: Sequence[Kind]) -> Iterator[pp.ParserElement]:
    tagged = ((start, seq(body, end(), pp.Tag("event", f"{dialect} {event}"))) for event, start, body in kinds)
    return _factored(tagged)


def _broken(dialect: str, kinds: Sequence[Kind]) -> Iterator[pp.ParserElement]:
    tagged = ((start, seq(rest(), pp.Tag("event", f"{dialect} {UNREADABLE} {event}"))) for event, start, _ in kinds)
    return _factored(tagged)


def _factored(alternatives: Iterable[tuple[pp.ParserElement, pp.ParserElement]]) -> Iterator[pp.ParserElement]:
    """Starts and what follows them; where several start with the very same part (the queue id), it comes once."""
    for _, group in groupby(alternatives, key=lambda alternative: id(_head(alternative[0]))):
        alike = list(group)
        head = _head(alike[0][0])
        if head is None or len(alike) == 1:
            yield from (seq(start, tail) for start, tail in alike)
        else:
            yield seq(head, first(*(seq(*start.exprs[1:], tail) for start, tail in alike)))  # type: ignore[attr-defined]


def _head(start: pp.ParserElement) -> pp.ParserElement | None:
    return start.exprs[0] if isinstance(start, pp.And) else None


@cache
def compiled(columns: frozenset[str] | None = None, dialects: frozenset[str] = ALL) -> Pattern:
    """The pattern of these dialects' lines: all kinds, and what unread lines should have been.

    It has groups for these columns; default: all.
    """
    return compile_lines(_told_apart(dialect for dialect in DIALECTS if dialect.NAME in dialects), columns)


@cache
def first_look(columns: frozenset[str], dialects: frozenset[str] = ALL) -> Pattern:
    """The pattern by which logs are scanned, with groups for these columns only.

    Lines of a known daemon that are of no kind, and not known to be silent, have the tag UNREAD, and those of a dialect
    that is not among the `dialects` named FOREIGN. The fewer, the faster.
    """
    whole = _whole_line(
        *(
            (_dialect(dialect, True), _bare(dialect, True)) if dialect.NAME in dialects else _foreign(dialect)
            for dialect in DIALECTS
        )
    )
    return compile_lines(whole, columns)


def translator(name: str, event: str) -> Translate | None:
    """What puts our words in place of a dialect's in lines of an event; None where they are ours."""
    dialect = next(dialect for dialect in DIALECTS if name == dialect.NAME)
    own: Translate | None = getattr(dialect, "translate", None)
    if event not in getattr(dialect, "TRANSLATED", (event,)):
        own = None
    return _named(dialect.NAME.encode(), own) if hasattr(dialect, "BARE") else own


def _is_translated(dialect: ModuleType) -> bool:
    return hasattr(dialect, "translate") or hasattr(dialect, "BARE")


def _named(program: bytes, own: Translate | None) -> Translate:
    """The program of a line of its own file, where it does not stand; then what the dialect has to translate."""

    def translate(event: str, fields: dict[str, bytes | None]) -> Sequence[bytes] | None:
        if fields.get("daemon") is None:
            fields["prefix"], fields["daemon"] = b"", program
        return own(event, fields) if own else None

    return translate
