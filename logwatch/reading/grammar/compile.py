"""Compile a pyparsing grammar of log lines into one regular expression that scans whole chunks at C speed.

pyparsing's And and MatchFirst never go back once a part has matched. Atomic groups (Python >= 3.11) say the same
to `re`, so that both engines accept the same lines and find the same fields; a differential test holds them equal.
Only what log lines need is compiled: Literal, Regex, And, MatchFirst, Opt, NotAny, and Tag, which marks the kind of
line. White space is never skipped, and no part may match a newline: one line is one match.

    match.lastindex     names the kind of line: the empty group that a Tag leaves is the last one to close
    match.group(*some)  gives columns, None where a line has no such field
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyparsing as pp


@dataclass(frozen=True)
class Pattern:
    """A compiled grammar: the expression over bytes, and where each kind of line keeps each column."""

    regex: re.Pattern[bytes]
    kinds: dict[int, str]  # number of the tag's group -> kind
    groups: dict[int, dict[str, int]]  # number of the tag's group -> column -> number of its group


@dataclass
class _Walk:
    """What one walk over the grammar collects; `open` holds the columns seen on the way to the next tag.

    Only what is `wanted` becomes a group (None: everything): groups are what costs `re` most.
    """

    wanted: frozenset[str] | None = None
    tags: bool = True
    number: int = 0
    kinds: dict[int, str] = field(default_factory=dict)
    groups: dict[int, dict[str, int]] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)

    def source(self, element: pp.ParserElement) -> str:
        """The regular expression of one element."""
        name = element.resultsName
        if hasattr(element, "keep_all") and self.wanted:
            wanted, self.wanted = self.wanted, None
            written = self._bare(element)
            self.wanted = wanted
            return written
        if name and (self.wanted is None or name in self.wanted):
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
        """Each alternative starts from the columns seen so far; what it adds stays its own.

        A column that more than one of them has cannot be told by one group after them: it is an error to use it there.
        """
        before = self.open
        written: list[str] = []
        after = dict(before)
        for element in elements:
            self.open = before
            if isinstance(element, pp.Regex) and not element.resultsName:
                written.append(str(element.pattern))  # atomic already, being an alternative
            else:
                written.append(self.source(element))
            after.update(
                {
                    name: _AMBIGUOUS if name in after and name not in before else group
                    for name, group in self.open.items()
                }
            )
        self.open = after
        return "|".join(written)

    def nothing(self, element: pp.ParserElement) -> str:
        """What must not stand here has no groups."""
        return f"(?!{_Walk(frozenset(), tags=False).source(element)})"

    def tag(self, element: pp.ParserElement) -> str:
        """An empty group, whose number names the kind."""
        assert isinstance(element, pp.Tag)
        if not self.tags:
            return ""
        if twice := [name for name, group in self.open.items() if group == _AMBIGUOUS]:
            raise ValueError(f"two alternatives before {element.tag_value} have a part called {twice[0]}")
        self.number += 1
        self.kinds[self.number] = str(element.tag_value)
        self.groups[self.number] = self.open
        return "()"


_AMBIGUOUS = -1
_CLASS = re.compile(rb"\\.|(?P<all>\[\^?(?:[^\]\\]|\\.)+\])", re.DOTALL)
# one character, or a class of them, or so many of it: what needs no group to be atomic
_RUN = re.compile(r"(?:\[(?:[^\]\\]|\\.)+\]|\\.|[^\\\[\](){}|?*+.^$])(?P<times>[*+?]|\{[0-9]+(?:,[0-9]*)?\})?")


def _atomic(pattern: str) -> str:
    """The pattern, never to be matched in another way once it has matched."""
    if pattern == re.escape(pattern):
        return pattern
    run = _RUN.fullmatch(pattern)
    if run is None:
        return f"(?>{pattern})"
    return pattern + ("+" if run["times"] else "")


def _with_fast_classes(source: bytes) -> bytes:
    """The same expression, its classes written as ranges of what they hold, never of what they do not.

    `re` looks a character up in a bitmap where a class has three ranges or more; otherwise, and for `[^…]`, it compares
    one after the other.
    """
    return _CLASS.sub(lambda found: _ranges(found["all"]) if found["all"] else found[0], source)


@cache
def _ranges(written: bytes) -> bytes:
    inside = re.compile(written).fullmatch
    held = [code for code in range(256) if inside(bytes([code]))]
    first = [code for code in held if code - 1 not in held]
    last = [code for code in held if code + 1 not in held]
    if len(first) < _FEW:
        return written
    return b"[%b]" % b"".join(b"\\x%02x-\\x%02x" % pair for pair in zip(first, last, strict=True))


_FEW = 3


def _sequence(walk: _Walk, element: pp.ParserElement) -> str:
    return "".join(walk.source(part) for part in getattr(element, "exprs"))  # noqa: B009 - not in pyparsing's stubs


_WRITERS: tuple[tuple[type[pp.ParserElement], Callable[[_Walk, Any], str]], ...] = (
    (pp.Tag, _Walk.tag),
    (pp.Opt, lambda walk, element: f"(?>{walk.alternatives([element.expr])}|)"),
    (pp.NotAny, lambda walk, element: walk.nothing(element.expr)),
    (pp.And, _sequence),
    (pp.MatchFirst, lambda walk, element: f"(?>{walk.alternatives(element.exprs)})"),
    (pp.Regex, lambda _, element: _atomic(element.pattern)),
    (pp.Literal, lambda _, element: re.escape(element.match)),
)


def compile_lines(line: pp.ParserElement, columns: Iterable[str] | None = None) -> Pattern:
    """The pattern of a grammar whose every alternative ends in a Tag; it wants a newline before each line.

    `columns`: those that are wanted, of which alone the pattern has groups; default: all.
    """
    walk = _Walk(None if columns is None else frozenset(columns))
    source = walk.source(line)
    return Pattern(re.compile(_with_fast_classes(rb"\n" + source.encode())), walk.kinds, walk.groups)
