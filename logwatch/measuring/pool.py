"""Rows of numbers of many keys in one array, each key's in a stretch of its own with some room to grow.

What a chunk brings is written behind what is there, for all its keys at once. A stretch that is full is squeezed: rows
that mean nothing any more go; if that leaves it too full, it moves to the end of the array, half as large again. What
such moves leave behind is swept up once it is a fifth of the array. So work grows with what is written, and room with
what is kept, not with the number of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.timeline import Ints, ranges

# Of the rows of several keys (`lengths` of each, key after key): which are still worth keeping.
Keep = Callable[[Ints, Ints], NDArray[np.bool_]]

_FIRST = 64
_SWEPT = 1 << 14  # stretches that are moved at once


class Pool:
    """Rows by slot, a small number that stands for a key; the first column is a time, ascending."""

    def __init__(self, width: int, keep: Keep) -> None:
        self.width = width
        self._keep = keep
        self._rows = np.zeros((_FIRST, width), dtype=np.int64)
        self._end = 0
        self._left_behind = 0
        self._at = np.zeros(_FIRST, dtype=np.int32)  # by slot: where its stretch begins, how much is used, how long
        self._used = np.zeros(_FIRST, dtype=np.int32)
        self._room = np.zeros(_FIRST, dtype=np.int32)

    def reach(self, slots: int) -> None:
        """There are so many slots from now on."""
        if slots > len(self._at):
            for column in (self._at, self._used, self._room):
                column.resize(max(slots, len(column) * 9 // 8), refcheck=False)

    @property
    def held(self) -> int:
        """Rows for which there is room."""
        return len(self._rows)

    def rows(self, slots: Ints) -> tuple[Ints, Ints]:
        """How many rows each slot has, and all of them, slot after slot, oldest first."""
        lengths = self._used[slots].astype(np.int64)
        return lengths, self._rows[ranges(self._at[slots], lengths)]

    def last(self, slots: Ints) -> Ints:
        """The last row of each slot; zeros where there is none."""
        found = np.zeros((len(slots), self.width), dtype=np.int64)
        has = np.flatnonzero(self._used[slots])
        found[has] = self._rows[(self._at[slots] + self._used[slots] - 1)[has]]
        return found

    def append(self, slots: Ints, counts: Ints, rows: Ints) -> None:
        """More rows for some slots, so many for each, slot after slot; no slot twice."""
        full = self._used[slots] + counts > self._room[slots]
        if full.any():
            self._make_room(slots[full], counts[full])
        self._rows[ranges(self._at[slots] + self._used[slots], counts)] = rows
        self._used[slots] += counts.astype(np.int32)
        if 5 * self._left_behind > self._end > _SWEPT:
            self._sweep()

    def put(self, slot: int, row: Sequence[int], *, instead: bool) -> None:
        """One more row for a slot, or one instead of its last."""
        if not instead and self._used[slot] == self._room[slot]:
            room = self._make_room if self._used[slot] else self._move
            room(np.array([slot]), np.array([1]))
        self._used[slot] += not instead
        self._rows[self._at[slot] + self._used[slot] - 1] = row
        if 5 * self._left_behind > self._end > _SWEPT:
            self._sweep()

    def newest(self, slot: int) -> list[int]:
        """The last row of a slot; empty where there is none."""
        used = self._used[slot]
        return self._rows[self._at[slot] + used - 1].tolist() if used else []

    def columns(self, slot: int) -> Ints:
        """All rows of a slot as they are now, column by column."""
        begin = self._at[slot]
        return self._rows[begin : begin + self._used[slot]].T.copy()

    def written(self, slot: int) -> bytes:
        """All rows of a slot."""
        begin = int(self._at[slot])
        return self._rows[begin : begin + int(self._used[slot])].tobytes()

    def free(self, slot: int) -> None:
        """Forget the rows of a slot."""
        self._left_behind += int(self._room[slot])
        self._used[slot] = self._room[slot] = 0

    def _make_room(self, slots: Ints, more: Ints) -> None:
        lengths, rows = self.rows(slots)
        kept = self._keep(lengths, rows) if len(rows) else np.zeros(0, dtype=bool)
        left = np.bincount(np.repeat(np.arange(len(slots)), lengths)[kept], minlength=len(slots))
        wanted = left + more
        room = self._room[slots]
        moving = wanted > room - room // 4
        self._move(slots[moving], wanted[moving] * 3 // 2)
        self._rows[ranges(self._at[slots], left)] = rows[kept]
        self._used[slots] = left

    def _move(self, slots: Ints, room: Ints) -> None:
        """Other stretches for some slots, at the end."""
        ends = self._end + np.cumsum(room)
        self._left_behind += int(self._room[slots].sum())
        self._at[slots], self._room[slots] = ends - room, room
        self._end = int(ends[-1]) if len(ends) else self._end
        if self._end > len(self._rows):
            self._rows.resize((self._end * 9 // 8, self.width), refcheck=False)

    def _sweep(self) -> None:
        """Close the gaps, without a copy of it all."""
        slots = np.flatnonzero(self._room)
        slots = slots[np.argsort(self._at[slots])]
        end = 0
        for begin in range(0, len(slots), _SWEPT):
            part = slots[begin : begin + _SWEPT]
            ends = end + np.cumsum(self._room[part], dtype=np.int64)
            to = ends - self._room[part]
            _, rows = self.rows(part)
            self._rows[ranges(to, self._used[part])] = rows
            self._at[part], end = to, int(ends[-1])
        self._end, self._left_behind = end, 0
