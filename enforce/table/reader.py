"""Looks keys up in a table, whatever happens to its files meanwhile; one of three answers, never an exception."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import lmdb

from enforce.table import files
from enforce.table.files import BrokenError, Identity, Meta, State, TableError, Unusable
from enforce.table.record import Record

_LOOK = 0.05  # seconds between two looks at which file is there
_RECHECK = 1.0  # and at what else is looked at
_SCRATCH = 1 << 16  # bytes


@dataclass(frozen=True)
class Denied:
    """Records that count now, each with its key, in the order of the keys asked for; and of which table they are."""

    records: tuple[tuple[str, Record], ...]
    generation: int = field(default=0, compare=False)
    seed: str = field(default="", compare=False)


@dataclass(frozen=True)
class NotListed:
    """No record that counts now."""


Answer = Denied | NotListed | Unusable
NOT_LISTED: Final = NotListed()


class _File:
    """data.mdb, open until nobody has it any more: lmdb does not tell its own descriptor."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        os.close(self._descriptor)

    def size(self) -> int:
        """Where it ends, which is the cheapest to ask of a file."""
        return os.lseek(self._descriptor, 0, os.SEEK_END)


class _KnownFiles(NamedTuple):
    """What a reader knows of the files: valid for this `stamp` of data.mdb, until `recheck` (monotonic).

    Without an environment each look-up looks at the files; with one, it is open on a file of `size`, and they are
    looked at from `look` on.
    """

    stamp: tuple[int, int, int, int] | None = None  # device, inode, size, time
    recheck: float = 0.0
    env: lmdb.Environment | None = None
    lock: Identity | None = None
    look: float = 0.0
    file: _File | None = None
    size: int = 0
    reason: str = ""


def import_all() -> None:
    """Have lmdb import what it imports only when an environment is opened (since 3.0).

    For whoever becomes another user afterwards: that one may not be allowed to read where packages are installed.
    """
    with suppress(OSError, lmdb.Error), TemporaryDirectory() as scratch:
        lmdb.open(scratch, map_size=_SCRATCH).close()


class Reader:
    """Look-ups in the table at `path`, from any number of threads.

    Nobody closes an environment under another thread: it closes when the last one that uses it lets go of it.
    """

    def __init__(self, path: str | Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._data = str(self._path / "data.mdb")
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen = _KnownFiles()

    def look_up(self, keys: Sequence[str], now: float) -> Answer:
        """The records of `keys` that count at `now`, all from one snapshot of the table."""
        try:
            with self._current().begin() as txn:
                values = [txn.get(key.encode(errors="replace")) for key in keys]
                if values.count(None) == len(values):  # nearly always
                    return NOT_LISTED
                meta = files.meta(txn)
        except (lmdb.Error, OSError, BrokenError) as error:
            return self._unusable(error)
        return _answer(zip(keys, values, strict=True), meta, now)

    def capped(self) -> bool:
        """Whether recipients may have to be counted; False where the table is unusable."""
        try:
            with self._current().begin() as txn:
                return files.meta(txn).capped
        except (lmdb.Error, OSError, BrokenError) as error:
            self._unusable(error)
            return False

    def state(self, now: float) -> State:
        """Health of the table, for people."""
        try:
            with self._current().begin() as txn:
                return files.state(txn, now)
        except (lmdb.Error, OSError, BrokenError) as error:
            return State(self._unusable(error).reason)

    def records(self) -> Iterator[tuple[str, tuple[Record, ...] | Unusable]]:
        """Every key with its records, counting or not, from one snapshot; TableError where there is no table."""
        try:
            with self._current().begin() as txn:
                yield from files.walk(txn)
        except (lmdb.Error, OSError, BrokenError) as error:
            denied = "permission denied: run this as the controller's user, as root, or in the state directory's group"
            raise TableError(self._path, denied if isinstance(error, PermissionError) else str(error)) from None

    def close(self) -> None:
        """Let go of the files; a later look-up opens them again."""
        self._seen = _KnownFiles()

    def _unusable(self, error: Exception) -> Unusable:
        if isinstance(error, lmdb.Error):  # in files that passed the checks: open anew, but not at every look-up
            self._seen = self._seen._replace(
                env=None, file=None, reason=str(error), recheck=self._monotonic() + _RECHECK
            )
        return Unusable(f"{self._path}: {_reason(error)}")

    def _current(self) -> lmdb.Environment:
        seen = self._seen
        # to touch a page that the file has lost would kill the process
        if seen.env and seen.file and self._monotonic() < seen.look and seen.file.size() == seen.size:
            return seen.env
        del seen  # it would keep an environment open that _refresh may have to open anew
        return self._looked_at()

    def _looked_at(self) -> lmdb.Environment:
        with self._lock:
            stamp, now = self._stamp(), self._monotonic()
            if stamp == self._seen.stamp and now < self._seen.recheck:
                self._seen = self._seen._replace(look=now + _LOOK)
            else:
                self._refresh(stamp, now)
            seen = self._seen
        if seen.env is None:
            raise BrokenError(seen.reason)
        return seen.env

    def _stamp(self) -> tuple[int, int, int, int]:
        try:
            found = os.stat(self._data)  # noqa: PTH116  half the price of Path.stat
        except (FileNotFoundError, NotADirectoryError):
            self._seen = _KnownFiles()  # so that a removed file's space is given back
            raise BrokenError("no table there; the controller (mailbrake watch) makes it") from None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _refresh(self, stamp: tuple[int, int, int, int], now: float) -> None:
        recheck = now + _RECHECK
        try:
            lock = self._checked()
            self._let_go_unless(stamp, lock)
            env = self._seen.env or self._open()
            file = self._seen.file or _File(self._data)
            with env.begin() as txn:
                files.meta(txn)
            self._seen = _KnownFiles(stamp, recheck, env, lock, now + _LOOK, file, stamp[2])
        except (lmdb.Error, OSError, BrokenError) as error:
            self._seen = _KnownFiles(stamp, recheck, reason=_reason(error))

    def _checked(self) -> Identity:
        files.check_shape(self._data)
        lock = self._path / "lock.mdb"
        if not os.access(lock, os.R_OK | os.W_OK):
            read_only = os.statvfs(self._path).f_flag & os.ST_RDONLY
            raise BrokenError(
                "the file system is read-only: mount it writable, or configure another state directory; under systemd "
                "restart the milter, for which only what was there when it started is writable"
                if read_only
                else "lock.mdb must be there and writable by the milter's user (it is by the directory's group)"
            )
        return files.identity(lock)

    def _let_go_unless(self, stamp: tuple[int, int, int, int], lock: Identity) -> None:
        seen = self._seen
        if seen.stamp is None or seen.stamp[:2] != stamp[:2] or seen.lock != lock:
            self._seen = _KnownFiles()

    def _open(self) -> lmdb.Environment:
        env = lmdb.open(
            str(self._path),
            map_size=files.MAP_SIZE,
            readonly=True,
            create=False,
            max_readers=files.READERS,
            max_spare_txns=1,
        )
        env.reader_check()  # frees the slots of readers that were killed
        return env


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return (
            "permission denied: the milter's user must be in the group of the state directory, to which the table must "
            "belong too"
        )
    return str(error)


def _answer(values: Iterable[tuple[str, bytes | None]], meta: Meta, now: float) -> Answer:
    found: list[tuple[str, Record]] = []
    for key, raw in values:
        if raw is not None:
            records = files.records(key, raw)
            if isinstance(records, Unusable):
                return records
            found += [(key, record) for record in records if record.counts(now)]
    return Denied(tuple(found), meta.generation, meta.seed) if found else NOT_LISTED


def peek(path: str | Path, now: float) -> State:
    """Health of the table at `path`, without keeping it open."""
    return Reader(path).state(now)
