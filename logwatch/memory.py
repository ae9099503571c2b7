"""A bounded dictionary that knows what changed since it was last asked: what a room of the core remembers.

Every piece of state in the core is one of these, so that all of it has a bound and an expiry, and the checkpoint is
one mechanism: what changed is written in the same transaction as the log position.

Entries are ordered by the event time at which they were last put; the oldest go first when the bound is reached, and
`expire` drops those last put before a time.

What any stranger can have remembered (a login that nobody has, an address that connects and does nothing else) is put
as unproven, and has a quarter of the room at most: so nobody who has proved nothing can have those forgotten who have.

Besides its key and its value, an entry takes 40 to 80 bytes in the dictionary, and 96 for its time: a tuple, a float.
Memories of a million keys lay down something smaller (`_laid`; `_taken` and `get` read it), such as `Packed`.
"""

from __future__ import annotations

import json
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, takewhile
from typing import Any, Generic, TypeVar

V = TypeVar("V")
_PLACE = 8  # bytes in front of a written value: its place in the order, as many were put at the same time
_FRONT = 512  # of the oldest keys, found at once
_UNPROVEN = 1 << 63  # in a place: the entry is unproven
_SHARE = 4  # part of the bound for what is unproven
_TIME = struct.Struct("<d")


class Memory(Generic[V]):
    """Values by key, at most `bound` of them, each with the event time when it was last put.

    A key is a str, or something else that `names` can write as one and read again: what is looked up for every line of
    a log need not become text for it.
    """

    layout = ""  # what written values look like; what was written under another one cannot be taken up

    def __init__(
        self,
        name: str,
        bound: int,
        dump: Callable[[V], bytes] = lambda value: json.dumps(value).encode(),
        load: Callable[[bytes], V] = json.loads,
        names: tuple[Callable[[Any], str], Callable[[str], Any]] = (str, str),
    ) -> None:
        self.name = name
        self.bound = bound
        self.overflowed = 0  # entries dropped for want of room: evidence lost
        self._dump = dump
        self._load = load
        self._write_key, self._read_key = names
        self._entries: dict[Any, Any] = {}  # as `_laid` gives them, in the order in which they were put
        self._changed: dict[Any, bool] = {}  # since `settle`, and whether anything of it is kept elsewhere
        self._front: dict[Any, None] = {}  # some of the oldest, in order; empty while nobody asks
        self._unproven: OrderedDict[Any, Any] = OrderedDict()  # in the order in which they were put
        self._places = 0  # given to what is kept elsewhere

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Any) -> bool:
        return key in self._entries

    def get(self, key: Any, since: float = float("-inf")) -> V | None:
        """The value of a key; None where there is none, or where it was last put before `since`.

        What must not depend on when `expire` was last called passes `since`.
        """
        entry = self._entries.get(key)
        return None if entry is None or entry[0] < since else entry[1]

    def last(self, key: Any) -> tuple[float, V | None]:
        """When a key was last put, and its value; where there is none, longer ago than any time."""
        entry = self._entries.get(key)
        return (float("-inf"), None) if entry is None else self._taken(entry)

    def put(self, key: Any, value: V, time: float, *, proven: bool = True) -> None:
        """Set a value; it is now the youngest. What was proven once stays so."""
        entries, strangers = self._entries, self._unproven
        known = entries.pop(key, None)
        if strangers or not proven:
            stranger = strangers.pop(key, False) is None
            if not proven and (stranger or known is None):
                strangers[key] = None
        self._changed.setdefault(key, known is not None)
        entries[key] = self._laid(value, time)
        if self._front:
            self._front.pop(key, None)
        if len(entries) > self.bound or (strangers and self._has_too_many_strangers()):
            self._make_room()

    def put_all(self, entries: Iterable[tuple[Any, V, float]], unproven: Sequence[Any] = ()) -> None:
        """Put one after the other: key, value, time; `unproven`: keys of those that are, in their order."""
        known, changed, ranked = self._entries, self._changed, self._unproven
        self._front = {}
        strangers = [key for key in unproven if key not in known or key in ranked]
        for key, value, time in entries:
            before = known.pop(key, None)
            if ranked:
                ranked.pop(key, None)
            changed.setdefault(key, before is not None)
            known[key] = self._laid(value, time)
        for key in strangers:
            ranked[key] = None
        while len(known) > self.bound or self._has_too_many_strangers():
            self._make_room()

    def _has_too_many_strangers(self) -> bool:
        return len(self._unproven) > (self.bound // _SHARE or 1)

    def _make_room(self) -> None:
        self.overflowed += 1
        if self._has_too_many_strangers():
            self.drop(next(iter(self._unproven)))
            return
        # the beginning of a dict that has lost many of its first entries is slow to find: some hundred at a time
        if not self._front:
            proven = (key for key in self._entries if key not in self._unproven)
            self._front = dict.fromkeys(islice(proven, _FRONT))
        self.drop(next(iter(self._front)))

    def drop(self, key: Any) -> None:
        """Forget a key, if it is known."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        if self._front:
            self._front.pop(key, None)
        self._unproven.pop(key, None)
        if self._changed.pop(key, True):  # otherwise it came and went, and nobody else knows
            self._changed[key] = True
        self.forgotten(entry)

    def forgotten(self, entry: Any) -> None:
        """What was laid down is no longer remembered: for memories whose values only stand for what lies elsewhere."""

    def clear(self) -> None:
        """Forget everything."""
        for key in [*self._entries]:
            self.drop(key)

    def expire(self, before: float) -> None:
        """Forget what was last put before a time."""
        if not self._entries:
            return
        # in one pass: the beginning of a dict that has lost many of its first entries is slow to find
        old = takewhile(lambda item: self._taken(item[1])[0] < before, self._entries.items())
        for key in [key for key, _ in old]:
            self.drop(key)

    def items(self) -> Iterator[tuple[Any, V]]:
        """All keys and values, oldest first."""
        return ((key, self._taken(entry)[1]) for key, entry in self._entries.items())

    def changes(self) -> list[tuple[str, float, bytes | None]]:
        """Key, time and written value of all that changed since the last `settle`; None for what was dropped."""
        gone = [(self._write_key(key), 0.0, None) for key in self._changed if key not in self._entries]
        # whatever was put since is younger than all that was not
        put = [*islice(reversed(self._entries.items()), len(self._changed) - len(gone))]
        taken = ((key, *self._taken(entry)) for key, entry in reversed(put))
        return gone + [
            (self._write_key(key), time, self._written_place(key, place) + self._dump(value))
            for place, (key, time, value) in enumerate(taken, self._places + 1)
        ]

    def _written_place(self, key: Any, place: int) -> bytes:
        return (place | (_UNPROVEN if key in self._unproven else 0)).to_bytes(_PLACE)

    def settle(self) -> None:
        """What changed so far has been kept elsewhere."""
        self._places += len(self._changed)
        self._changed.clear()

    def restore(self, rows: Iterable[tuple[str, float, bytes]]) -> None:
        """Take up what `changes` once gave, in any order."""
        read = (
            (self._read_key(key), time, int.from_bytes(value[:_PLACE]), self._load(value[_PLACE:]))
            for key, time, value in rows
        )
        ordered = sorted(read, key=lambda entry: entry[2] & ~_UNPROVEN)
        self._entries = {key: self._laid(value, time) for key, time, _, value in ordered}
        self._unproven = OrderedDict.fromkeys(key for key, _, place, _ in ordered if place & _UNPROVEN)
        self._places = ordered[-1][2] & ~_UNPROVEN if ordered else 0
        self._changed.clear()
        self._front = {}

    def _laid(self, value: V, time: float) -> Any:
        """What lies in the dictionary for a value and its time."""
        return time, value

    def _taken(self, entry: Any) -> tuple[float, V]:
        """The time and the value for which it lies there."""
        return entry  # type: ignore[no-any-return]

    def give_up(self, rows: Iterable[tuple[str, float, bytes]]) -> None:
        """Begin anew, though these rows are kept elsewhere: with the next `changes` they go."""
        self.clear()
        self._changed = {self._read_key(key): True for key, _, _ in rows}


def unplaced(written: bytes) -> bytes:
    """A value as `changes` gives it, as its memory's own `dump` wrote it."""
    return written[_PLACE:]


class Packed(Memory[Any]):
    """A memory of bytes, each behind its time in one object, for which an entry costs 8 bytes instead of 96.

    What is no bytes lies as it does elsewhere.
    """

    def get(self, key: Any, since: float = float("-inf")) -> Any:
        """The value of a key; None where there is none, or where it was last put before `since`."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        time, value = self._taken(entry)
        return None if time < since else value

    def _laid(self, value: Any, time: float) -> Any:
        return _TIME.pack(time) + value if isinstance(value, bytes) else (time, value)

    def _taken(self, entry: Any) -> tuple[float, Any]:
        return (_TIME.unpack_from(entry)[0], entry[_TIME.size :]) if isinstance(entry, bytes) else entry
