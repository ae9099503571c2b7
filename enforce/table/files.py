"""What both sides see in the table's files: the meta record, the shape of an LMDB file, the way through the records."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from enforce.errors import ReportedError
from enforce.table.record import Record, decode, is_number

if TYPE_CHECKING:
    import lmdb

    Transaction = lmdb.Transaction[bytes]

FORMAT: Final = 1
META: Final = b"meta"
MAP_SIZE: Final = 1 << 32 if struct.calcsize("P") == 8 else 1 << 30  # address space only: the file grows as it needs
SILENT: Final = 30.0  # seconds without a heartbeat: six were missed
READERS: Final = 4096  # concurrent read transactions on the machine; 64 bytes of lock.mdb each

Identity = tuple[int, int]  # device, inode


class TableError(ReportedError):
    """The table cannot be used for what was asked: which one, why, and what to do."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


class BrokenError(Exception):
    """Why these files cannot be used as a table."""


class NewerError(BrokenError):
    """They are in a format of the future."""


@dataclass(frozen=True)
class Unusable:
    """The table gave no answer, and why."""

    reason: str


@dataclass(frozen=True)
class State:
    """Health of a table: why it is unusable ("" if it is not), commits, seconds since the heartbeat, keys listed."""

    reason: str
    generation: int = 0
    age: float = math.inf
    entries: int = 0

    @property
    def is_silent(self) -> bool:
        """Whether the controller has ceased to give signs of life; one that lives would have dated none ahead."""
        return abs(self.age) > SILENT

    @property
    def heard(self) -> str:
        """When its last one was, for people."""
        return f"{self.age:.0f} s old" if self.age >= 0 else f"{-self.age:.0f} s ahead of the clock, which was set back"


class Meta(NamedTuple):
    """The meta record."""

    generation: int
    heartbeat: float
    seed: str = ""
    capped: bool = False


def meta(txn: Transaction) -> Meta:
    """The meta record; BrokenError if there is none of our format."""
    raw = txn.get(META)
    if raw is None:
        raise BrokenError("it has no meta record: not written by mailbrake")
    try:
        record = json.loads(raw)
        found = record["format"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BrokenError("its meta record is broken") from None
    if found != FORMAT:
        kind = NewerError if isinstance(found, int) and found > FORMAT else BrokenError
        raise kind(f"it has format {found!r:.20}, this mailbrake knows {FORMAT}: use the same version on both sides")
    generation, heartbeat = record.get("generation"), record.get("heartbeat")
    if not (isinstance(generation, int) and is_number(generation, 1e18) and is_number(heartbeat, 1e12)):
        raise BrokenError("its meta record is broken")
    return Meta(generation, heartbeat, str(record.get("seed", ""))[:64], record.get("capped") is True)


def state(txn: Transaction, now: float) -> State:
    """Health of a table that can be read; BrokenError otherwise."""
    found = meta(txn)
    return State("", found.generation, now - found.heartbeat, txn.stat()["entries"] - 1)


def walk(txn: Transaction) -> Iterator[tuple[str, tuple[Record, ...] | Unusable]]:
    """Every key with its records, or with what is wrong with them."""
    for raw_key, raw in txn.cursor():
        if raw_key != META:
            key = raw_key.decode(errors="replace")
            yield key, records(key, raw)


def records(key: str, raw: bytes) -> tuple[Record, ...] | Unusable:
    """The records in the value of a key, or what is wrong with them."""
    try:
        return decode(raw)
    except ValueError as error:
        return Unusable(f"the record of {key} is broken: {error}")


def identity(path: Path) -> Identity:
    """Device and inode: another one, another file."""
    found = path.stat()
    return found.st_dev, found.st_ino


def check_shape(path: str) -> None:
    """Raise BrokenError unless both meta pages are LMDB's and no page is missing at the end.

    Looked at with plain reads: through the memory map, a page beyond the end would kill the process.
    Layout (lmdb, mdb.c, data version 1 on 64 bits): magic at 16, version 20, page size 40, last page 136, transaction
    144; the second meta page is the file's second page.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  a raw file of 300 bytes read, in the look-up's path
        size = os.fstat(file.fileno()).st_size
        first = _meta_page(file.read(152))
        second = _meta_page(os.pread(file.fileno(), 152, first.page_size))
    if size < (max(first, second).last_page + 1) * first.page_size:
        raise BrokenError("data.mdb was cut short")


class _MetaPage(NamedTuple):
    transaction: int
    last_page: int
    page_size: int


def _meta_page(head: bytes) -> _MetaPage:
    if len(head) < 152 or struct.unpack_from("=I", head, 16) != (0xBEEFC0DE,):
        raise BrokenError("data.mdb is not an LMDB file")
    if struct.unpack_from("=I", head, 20) != (1,) or struct.calcsize("P") != 8:
        return _MetaPage(0, 0, 4096)  # laid out otherwise: left to LMDB
    (page_size,), (last_page, transaction) = struct.unpack_from("=I", head, 40), struct.unpack_from("=QQ", head, 136)
    return _MetaPage(transaction, last_page, page_size)
