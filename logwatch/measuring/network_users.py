"""Which accounts first used a network or neighbourhood, and when: where several have long been, it is new to nobody.

Of each place the first `WATCHED` accounts are kept, by their short names. A user costs 14 bytes here; in a dictionary,
which is what is written down, it would be ten times as much.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

from logwatch.measuring.condemned_days import DAY
from logwatch.memory import Packed

WATCHED = 8
_MEMORY = 182 * DAY
_USER = struct.Struct("<6sd")  # short name, first use


class Users:
    """The first users of each place (a network or neighbourhood), for half a year after it was last in use."""

    def __init__(self) -> None:
        self.memory = Packed("networks", 200_000, _dump, _load)

    def note(self, place: str, user: bytes, first: float, time: float) -> None:
        """Somebody uses a place, since `first`. That it is in use is noted once a day, so that it is not forgotten."""
        last, known = self.memory.last(place)
        if known is None or last < time - _MEMORY:
            known = b""
        joins = len(known) < WATCHED * _USER.size and not _has(known, user)
        if joins or last < time - DAY:
            self.memory.put(place, known + _USER.pack(user, first) if joins else known, time)

    def of(self, place: str, time: float) -> Mapping[str, float]:
        """First uses of a place, by user."""
        return _read(self.memory.get(place, time - _MEMORY) or b"")

    def expire(self, clock: float) -> None:
        """Forget places that nobody has used for half a year."""
        self.memory.expire(clock - _MEMORY)


def _has(known: bytes, name: bytes) -> bool:
    at = known.find(name)
    while at > 0 and at % _USER.size:  # the end of one and the beginning of the next
        at = known.find(name, at + 1)
    return at >= 0


def _read(known: bytes) -> dict[str, float]:
    return {name.hex(): first for name, first in _USER.iter_unpack(known)}


def _dump(known: bytes) -> bytes:
    return json.dumps(_read(known)).encode()


def _load(written: bytes) -> bytes:
    return b"".join(_USER.pack(bytes.fromhex(user), first) for user, first in json.loads(written).items())
