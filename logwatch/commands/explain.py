"""Show what each part of a log line is, or where its reading stops and what was expected there."""

from __future__ import annotations

import argparse
import os
import sys

from enforce.printable import printable
from logwatch.commands import UsageError
from logwatch.reading.grammar.explain import PROGRAM, Explanation, Piece, explain
from logwatch.reading.journald_json import plain
from logwatch.reading.scan import unfolded

_MOST_EXPECTED = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """The line."""
    parser.add_argument(
        "line", metavar="LINE", nargs="+", help="a log line, in quotes; - for the first line of standard input"
    )


def run(args: argparse.Namespace) -> int:
    """Print the pieces; 1 if the line gives no event."""
    line, *more = args.line
    if more:
        raise UsageError("put the line in single quotes, as the shell takes it apart; or say -, and paste it")
    raw = sys.stdin.buffer.readline() if line == "-" else os.fsencode(line)
    text, times = unfolded(plain(raw.rstrip(b"\n").replace(b"\n", b"#012") + b"\n"))
    found = explain(text.rstrip(b"\n").decode("latin-1"))
    for piece in joined(found.pieces):
        print(f"{piece.column or '·':16}{shown(found.text[piece.begin : piece.end])}")
    print(verdict(found, times))
    return 0 if found.event else 1


def joined(pieces: list[Piece]) -> list[Piece]:
    """Pieces of fixed text that follow each other, in one."""
    done: list[Piece] = []
    for piece in pieces:
        follows = done and not piece.column and not done[-1].column
        done.append(Piece("", done.pop().begin, piece.end) if follows else piece)
    return done


def shown(text: str) -> str:
    """A part of a line on a terminal."""
    return printable(text.encode("latin-1").decode("utf-8", "backslashreplace"))


def in_short(expected: list[str]) -> list[str]:
    """What was expected, with all programs in one row, the last."""
    programs = [words.removeprefix(PROGRAM) for words in expected if words.startswith(PROGRAM)]
    others = [words for words in expected if not words.startswith(PROGRAM)]
    return [*others, PROGRAM + ", ".join(programs)] if programs else others


def verdict(found: Explanation, times: int) -> str:
    """What the line is, in a sentence or a few."""
    if found.event:
        repeated = f", {times} times more" if times > 1 else ""
        return f"event: {found.event} ({found.dialect}){repeated}"
    rest = shown(found.text[found.stop : found.stop + 60])
    stops = f"it stops at column {found.stop + 1}, before {rest!r}"
    wanted = in_short(found.expected)
    expected = "\n".join(f"  {words}" for words in wanted[:_MOST_EXPECTED])
    more = len(wanted) - _MOST_EXPECTED
    others = "one other" if more == 1 else f"{more} others"
    alternatives = f"expected there:\n{expected}" + (f"\n  or {others}" if more > 0 else "")
    if not found.dialect:
        return f"no event: no program that is known here; {stops}\n{alternatives}"
    if found.meant:
        return (
            f"no event: it begins like {found.meant} ({found.dialect}) but does not go on so; {stops}\n{alternatives}"
        )
    return f"no event: a line of {found.dialect} that tells nothing of mail; {stops}\n{alternatives}"
