"""How cells are kept between chunks: as bytes, without the columns in which a key has nothing.

A key that only ever sent mail has five of sixteen totals; a million keys would need twice the memory with all of them.

    packed cells: four bytes whose bits say which totals there are, then int64 rows: microseconds and those totals
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_HEAD = 4


def pack(table: Ints, ends: Ints) -> list[bytes]:
    """The cells of several keys, key after key in one table; `ends` says where each key's end."""
    used = np.flatnonzero(table[:, 1:].any(axis=0))
    head = sum(1 << int(column) for column in used).to_bytes(_HEAD)
    raw = np.ascontiguousarray(table[:, np.append(0, used + 1)]).tobytes()
    width = 8 * (1 + len(used))
    edges = [0, *(width * ends).tolist()]
    return [head + raw[begin:end] for begin, end in pairwise(edges)]


def unpack(packed: Sequence[bytes | None], totals: int) -> tuple[list[int], Ints]:
    """How many rows each key has, and all rows with all `totals`, key after key; None has none."""
    alike: defaultdict[bytes, list[tuple[int, bytes]]] = defaultdict(list)
    for place, cells in enumerate(packed):
        if cells is not None:
            alike[cells[:_HEAD]].append((place, cells[_HEAD:]))
    lengths: Ints = np.zeros(len(packed), dtype=np.int64)
    parts = []
    for head, found in alike.items():
        columns = np.array([0, *(1 + bit for bit in range(totals) if int.from_bytes(head) >> bit & 1)])
        places = np.array([place for place, _ in found])
        lengths[places] = [len(rows) // (8 * len(columns)) for _, rows in found]
        rows = np.frombuffer(b"".join([rows for _, rows in found]), dtype=np.int64)
        parts.append((places, columns, rows.reshape(-1, len(columns))))
    table: Ints = np.zeros((int(lengths.sum()), 1 + totals), dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    for places, columns, rows in parts:
        table[np.ix_(_ranges(starts[places], lengths[places]), columns)] = rows
    return lengths.tolist(), table


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """All positions of several ranges, one range after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
