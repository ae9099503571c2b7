"""Text becomes HTML here and nowhere else: whatever is not markup already is escaped.

Logins, addresses and replies of other servers are written by strangers. They are shown as they stand, but for
characters that cannot be seen (control characters, changes of direction): these become U+FFFD.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from enforce.printable import printable

_HIDDEN = "\N{REPLACEMENT CHARACTER}"
_VOID = frozenset({"meta", "rect", "line", "br", "wbr"})

Child = object  # a Markup, or anything else by its text, or an iterable of such, or None


class Markup(str):
    """HTML that may stand as it is."""

    __slots__ = ()


def shown(text: str) -> str:
    """The text without what cannot be seen."""
    return printable(text, _HIDDEN)


def escaped(child: Child) -> Markup:
    """A child of an element: markup as it is, text escaped, nothing for None, an iterable's members in their order."""
    if isinstance(child, Markup):
        return child
    if child is None:
        return Markup("")
    if isinstance(child, Iterable) and not isinstance(child, str):
        return Markup("".join(map(escaped, child)))
    return Markup(html.escape(shown(str(child))))


def named(key: str) -> Markup:
    """A key, which breaks, where it has to, before the domain of its login rather than at any letter.

    What is written from right to left in one of its parts changes the order of none: the domain comes last.
    """
    kind, colon, login = key.partition(":")
    name, at, domain = login.rpartition("@")
    return escaped((kind + colon, _apart(name), tag("wbr") if at else None, at, _apart(domain)))


def _apart(text: str) -> Child:
    return text if text.isascii() else tag("bdi", text)


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element; `class_` is the attribute class, `_` within a name stands for `-`, and None leaves one out."""
    given = "".join(
        f' {called.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for called, value in attributes.items()
        if value is not None
    )
    inside = escaped(children)
    return Markup(f"<{name}{given}/>") if name in _VOID else Markup(f"<{name}{given}>{inside}</{name}>")


def raw(name: str, text: str) -> Markup:
    """A `style` element, whose text HTML does not unescape; it must be ours."""
    return Markup(f"<{name}>{text}</{name}>")
