"""Compile a pyparsing grammar of log lines into one regular expression that scans whole chunks at C speed.

pyparsing's And and MatchFirst never go back once a part has matched. Atomic groups (Python >= 3.11) say the same
to `re`, so that both engines accept the same lines and find the same fields; a differential test holds them equal.
Only what log lines need is compiled: Literal, Regex, And, MatchFirst, Opt, and Tag, which marks the kind of line.
White space is never skipped, and no part may match a newline: one line is one match.

    match.lastindex     names the kind of line: the empty group that a Tag leaves is the last one to close
    match.group(*pick)  gives the wanted columns, as many for every kind, None where a line has no such field
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pyparsing as pp


@dataclass(frozen=True)
class Pattern:
    """A compiled grammar: the expression over bytes, and where each kind of line keeps each column."""

    regex: re.Pattern[bytes]
    kinds: dict[int, str]  # number of the tag's group -> kind
    groups: dict[int, dict[str, int]]  # number of the tag's group -> column -> number of its group
    absent: int  # a group that never takes part

    def picks(self, columns: Sequence[str]) -> dict[int, tuple[int, ...]]:
        """Per kind, the groups that hold `columns`, in their order."""
        return {
            tag: tuple(groups.get(column, self.absent) for column in columns) for tag, groups in self.groups.items()
        }


@dataclass
class _Walk:
    """What one walk over the grammar collects; `open` holds the columns seen on the way to the next tag."""

    number: int = 0
    kinds: dict[int, str] = field(default_factory=dict)
    groups: dict[int, dict[str, int]] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)

    def source(self, element: pp.ParserElement) -> str:
        """The regular expression of one element."""
        name = element.resultsName
        if name:
            if name in self.open:
                raise ValueError(f"two parts of one line are called {name}")
            self.number += 1
            self.open = {**self.open, str(name): self.number}
            return f"({self._bare(element)})"
        return self._bare(element)

    def _bare(self, element: pp.ParserElement) -> str:
        for kind, write in _WRITERS:
            if isinstance(element, kind):
                return write(self, element)
        raise TypeError(f"a log grammar cannot use {type(element).__name__}: {element}")

    def alternatives(self, elements: Iterable[pp.ParserElement]) -> str:
        """Each alternative starts from the columns seen so far; what it adds stays its own."""
        before, written = self.open, []
        after = dict(before)
        for element in elements:
            self.open = before
            written.append(self.source(element))
            after.update(self.open)
        self.open = after
        return "|".join(written)

    def tag(self, element: pp.ParserElement) -> str:
        assert isinstance(element, pp.Tag)
        self.number += 1
        self.kinds[self.number] = str(element.tag_value)
        self.groups[self.number] = self.open
        return "()"


def _sequence(walk: _Walk, element: pp.ParserElement) -> str:
    return "".join(walk.source(part) for part in getattr(element, "exprs"))  # noqa: B009 - not in pyparsing's stubs


_WRITERS: tuple[tuple[type[pp.ParserElement], Callable[[_Walk, pp.ParserElement], str]], ...] = (
    (pp.Tag, _Walk.tag),
    (pp.Opt, lambda walk, element: f"(?>{walk.alternatives([element.expr])})?+"),  # type: ignore[attr-defined]
    (pp.And, _sequence),
    (pp.MatchFirst, lambda walk, element: f"(?>{walk.alternatives(element.exprs)})"),  # type: ignore[attr-defined]
    (pp.Regex, lambda _, element: f"(?>{element.pattern})"),  # type: ignore[attr-defined]
    (pp.Literal, lambda _, element: re.escape(element.match)),  # type: ignore[attr-defined]
)


def compile_lines(line: pp.ParserElement) -> Pattern:
    """The pattern of a grammar whose every alternative ends in a Tag; it wants a newline before each line."""
    walk = _Walk()
    source = walk.source(line)
    # A group that cannot match gives every kind a place for the columns that it lacks.
    regex = re.compile(rb"\n" + source.encode() + rb"(?:|(?!)())")
    return Pattern(regex, walk.kinds, walk.groups, walk.number + 1)
