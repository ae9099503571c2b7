"""How what is counted of a key is written down: for each of its parts, rows of 64-bit numbers.

    written     number of parts (1 byte), rows of each (4 bytes), then the rows, part after part
    parts       first the running totals of GROUPS (microseconds, then a total for each signal of the group), then, of
                each distinct signal, which value was last shown when (microseconds, mark), then the pace
                (see `attempt_rate`)

Signals that come together lie together: whoever only ever sends mail has no room for failures.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from logwatch.schema import ADDITIVE

Ints = NDArray[np.int64]

_VERSION = 5
_MAIL = ("messages", "recipients", "bytes", "cost", "attempts")
_SESSIONS = ("connections", "auth_failures")
GROUPS = (_MAIL, _SESSIONS, tuple(signal for signal in ADDITIVE if signal not in {*_MAIL, *_SESSIONS}))
PLACES = {signal: (group, place) for group, names in enumerate(GROUPS) for place, signal in enumerate(names)}


def written(parts: Sequence[bytes], widths: Sequence[int]) -> bytes:
    """The record of a key; `widths` are the numbers in a row of each part."""
    counts = [len(part) // (8 * width) for part, width in zip(parts, widths, strict=True)]
    return b"".join((struct.pack(f"<B{len(parts)}I", len(parts), *counts), *parts))


def parts(record: bytes, widths: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """How many rows each part has, and the rows."""
    head = struct.Struct(f"<{record[0]}I")
    at = 1 + head.size
    for count, width in zip(head.unpack_from(record, 1), widths, strict=True):
        yield count, record[at : at + 8 * width * count]
        at += 8 * width * count


class Layout(NamedTuple):
    """The windows and signals of written records; kept beside them as text, so that no others are taken up."""

    windows: Sequence[int]  # seconds
    distincts: Mapping[str, Sequence[str]]  # by kind of key, the distinct signals that are counted

    def __str__(self) -> str:
        sets = ",".join(f"{kind} {signal}" for kind, signals in self.distincts.items() for signal in signals)
        return f"{_VERSION} {','.join(ADDITIVE)} {','.join(map(str, self.windows))} {sets}"

    @classmethod
    def read(cls, text: str) -> Layout | None:
        """What `str` gave; None if that was another version's."""
        if not text.startswith(f"{_VERSION} {','.join(ADDITIVE)} "):
            return None
        _, _, windows, sets = text.split(" ", 3)
        distincts = defaultdict[str, list[str]](list)
        for kind, signal in (one.split(" ") for one in sets.split(",") if one):
            distincts[kind].append(signal)
        return cls([*map(int, windows.split(","))], distincts)


class Cells(NamedTuple):
    """What is counted of a key: by group, rows of microseconds and running totals, oldest first; by distinct signal,
    rows of microseconds and marks."""

    groups: Sequence[Ints]
    shown: Mapping[str, Ints]


def cells_of(record: bytes, distincts: Sequence[str]) -> Cells:
    """The cells in a record, which was written with these distinct signals."""
    widths = [*(1 + len(group) for group in GROUPS), *(2 for _ in distincts), 2]
    read = zip(parts(record, widths), widths, strict=True)
    tables = [np.frombuffer(rows, dtype=np.int64).reshape(-1, width) for (_, rows), width in read]
    return Cells(tables[: len(GROUPS)], dict(zip(distincts, tables[len(GROUPS) : -1], strict=True)))
