"""Whom an event counts for, and under which names that is remembered.

An owner is the keys of an account, a client and a local user, each None where it is not known. What is remembered of
sessions and messages is plain tuples with an owner first: there are half a million, and the garbage collector need not
look at those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Owner = tuple[str | None, str | None, str | None]
NOBODY: Owner = (None, None, None)

Name = tuple[bytes | None, bytes | None]  # a host, and a queue id, process id or message id there

_CACHED = 100_000  # logins and addresses whose keys are kept ready


class Told:
    """What sessions and messages find out about the line at hand, beside its owner; attribution reads and resets it."""

    __slots__ = ("count", "opens")

    def __init__(self) -> None:
        self.count = 0  # what it has for its `count`, where the MTA wrote none
        self.opens = False  # whether it is the first of a connection that has no line of its own


class Keys(dict[bytes | None, str | None]):
    """The key that each login or address means, found out once."""

    def __init__(self, of: Callable[[bytes], str | None]) -> None:
        super().__init__({None: None, b"": None})
        self._of = of

    def __missing__(self, field: bytes) -> str | None:
        if len(self) > _CACHED:
            self.clear()
            self[None] = self[b""] = None
        found = self[field] = self._of(field)
        return found


def text(field: bytes | None) -> str:
    """A raw field byte by byte, as no error can come of."""
    return (field or b"").decode("latin-1")


def _name_as_text(name: Name) -> str:
    host, what = name
    return text((host or b"") + b" " + (what or b""))


def _name_from_text(written: str) -> Name:
    host, _, what = written.encode("latin-1").partition(b" ")
    return host or None, what


NAMES: tuple[Callable[[Any], str], Callable[[str], Any]] = (_name_as_text, _name_from_text)


def is_loopback(client: str | None) -> bool:
    """Whether a client's key is of this machine itself."""
    return client is not None and (client.startswith("client:127.") or client == "client:::1")
