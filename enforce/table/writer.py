"""Writes the table: for its controller, and for the commands by which an operator blocks and releases.

LMDB lets one process write at a time; the others wait. Each method is one transaction, so readers see all of it or
nothing; `beat` is the exception, whose order no one can see.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import lmdb

from enforce.table import files
from enforce.table.files import META, BrokenError, Identity, Meta, NewerError, State, TableError, Unusable
from enforce.table.record import Record, decode, encode

if TYPE_CHECKING:
    from enforce.table.files import Transaction

_KINDS = ("account:", "client:", "net:")
_BATCH = 20_000  # records visited in one transaction, so that another writer gets its turn
_AT_LEAST = 200  # records visited in a beat: 1 ms
_AHEAD = 128  # pages that the file is longer than needed after a beat: some thousand records

OnChange = Callable[[str, Sequence[Record], Sequence[Record]], None]  # a key, its records before and after


class Swept(NamedTuple):
    """What a beat did: keys whose lease was pushed out, ended ones taken off, broken ones taken off."""

    renewed: int = 0
    ended: int = 0
    broken: int = 0


class Writer:
    """The table at `path`, made if it is missing.

    Broken, its data.mdb is set aside as data.mdb.broken-TIME (the last one is kept), and the table starts empty.
    `afresh` then says why, so that the caller can publish again what still stands; it is "" otherwise.
    Every method raises TableError when the table cannot be written. A context manager: closed at the end.
    """

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time, seen: OnChange | None = None) -> None:
        """`seen` is told of every key whose value was replaced, once that is committed; not of mere renewals."""
        self._path = Path(path)
        self._seen = seen
        self._replaced: list[tuple[bytes, bytes | None, bytes | None]] = []  # in this transaction
        self._data = self._path / "data.mdb"
        self._position = b""  # where the sweep goes on
        self._last = -math.inf  # when it was last there
        with self._told():
            self._make_directory()
            self._env, self.afresh = self._open_or_restart(clock())
            self._belong()
            self._files = self._identities()
            self._env.reader_check()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def publish(
        self, changes: Mapping[str, Sequence[Record]], now: float, *, alive: bool = True, generation: int | None = None
    ) -> int:
        """Commit all changes at once, a key without records being taken off; the new generation.

        `alive` sets the heartbeat. It is the controller's: commands of the operator leave it as it is. `generation`
        is that of the table of which this one is a copy.
        """
        values = {_raw_key(key): encode(records) if records else None for key, records in changes.items()}
        with self._writing() as txn:
            for key, value in values.items():
                self._set(txn, key, value)
            old = files.meta(txn)
            heartbeat = now if alive else old.heartbeat
            return _step(txn, old._replace(heartbeat=heartbeat, capped=old.capped or _has_cap(changes)), generation)

    def replace(self, table: Mapping[str, Sequence[Record]], now: float, generation: int | None = None) -> int:
        """Commit exactly this table instead of what is there; the new generation (as of `publish`)."""
        values = {_raw_key(key): encode(records) for key, records in table.items() if records}
        with self._writing() as txn:
            for key in [raw for raw in txn.cursor().iternext(values=False) if raw != META and raw not in values]:
                self._set(txn, key, None)
            for key, value in values.items():
                self._set(txn, key, value)
            return _step(txn, files.meta(txn)._replace(heartbeat=now, capped=_has_cap(table)), generation)

    def remove(self, key: str) -> bool:
        """Take `key` off the table; False if it was not listed, as what has no SMTP session never is."""
        if not key.startswith(_KINDS):
            return False
        with self._writing() as txn:
            found = self._set(txn, _raw_key(key), None)
            if found:
                _step(txn, files.meta(txn))
            return found

    def beat(self, now: float, lease: float) -> Swept:
        """Say that the controller lives, and push out leases.

        Every record is visited once in a quarter of a lease, at each beat a share by the time since the last one: if
        it counts and less than half a lease remains, it gets a whole one; if it ended, or is broken, it is taken off.
        The cost is that share: with a million records, a lease of 1 h and a beat every 5 s, 5,600 records or 40 ms.
        And the file gets room for what comes until the next one.
        """
        swept = Swept()
        due = self._due(now, lease)
        while due > 0:
            with self._writing() as txn:
                did = self._sweep(txn, min(due, _BATCH), now, lease)
                _put_meta(txn, files.meta(txn)._replace(heartbeat=now))
            swept = Swept(*map(sum, zip(swept, did, strict=True)))
            due -= _BATCH
        with self._told():
            self._make_room()
        return swept

    def records(self) -> Iterator[tuple[str, tuple[Record, ...] | Unusable]]:
        """Every key with its records, counting or not, from one snapshot."""
        with self._told(), self._env.begin() as txn:
            yield from files.walk(txn)

    def state(self, now: float) -> State:
        """Health of the table."""
        with self._told(), self._env.begin() as txn:
            return files.state(txn, now)

    def in_place(self) -> bool:
        """False once the files were removed or replaced: what is written here no longer reaches any reader."""
        try:
            return self._identities() == self._files
        except OSError:
            return False

    def _make_directory(self) -> None:
        if not self._path.is_dir():
            self._path.mkdir(parents=True)
            self._grant(self._path, 0o750)

    def _grant(self, path: Path, mode: int) -> None:
        path.chmod(mode)  # whatever the umask is
        if os.geteuid() == 0:  # an operator's first command must not lock the controller's user out
            os.chown(path, self._path.parent.stat().st_uid, -1)

    def _belong(self) -> None:
        """Have the files belong to the state directory's group, which the milter is in, whichever group made them."""
        group = self._path.parent.stat().st_gid
        for path in (self._path, self._data, self._path / "lock.mdb"):
            if path.stat().st_gid != group:
                with contextlib.suppress(PermissionError):
                    os.chown(path, -1, group)

    def _open_or_restart(self, now: float) -> tuple[lmdb.Environment, str]:
        if not self._data.exists():
            return self._open(now, "there was none")
        try:
            if self._data.stat().st_size:  # an empty file is LMDB's to fill
                files.check_shape(str(self._data))
            return self._open(now, "")
        except NewerError:
            raise
        except (BrokenError, lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
            kept = self._set_aside(now)
            return self._open(now, f"{error}; kept as {kept}")

    def _open(self, now: float, afresh: str) -> tuple[lmdb.Environment, str]:
        env = lmdb.open(
            str(self._path),
            map_size=files.MAP_SIZE,
            mode=0o660,
            create=False,
            max_readers=files.READERS,
            metasync=False,  # a crash of the machine may undo the last commit; the journal has it
        )
        try:
            if afresh:
                self._grant(self._data, 0o640)  # the milter faces the network: it reads, and cannot write
                self._grant(self._path / "lock.mdb", 0o660)
            return env, _begin(env, now, afresh)
        except BaseException:
            env.close()
            raise

    def _set_aside(self, now: float) -> str:
        for old in self._path.glob("data.mdb.broken-*"):
            old.unlink()
        name = "data.mdb.broken-" + time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        self._data.rename(self._path / name)
        (self._path / "lock.mdb").unlink(missing_ok=True)  # it counts the transactions of the data it belongs to
        return name

    def _identities(self) -> tuple[Identity, Identity]:
        return files.identity(self._data), files.identity(self._path / "lock.mdb")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenError as error:
            raise TableError(self._path, str(error)) from error
        except (lmdb.Error, OSError) as error:
            raise TableError(self._path, _remedy(error)) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Transaction]:
        self._replaced.clear()
        with self._told():
            with self._env.begin(write=True) as txn:
                yield txn
            self._fill()
        for key, before, after in self._replaced:
            assert self._seen
            self._seen(key.decode(errors="replace"), _readable(before), _readable(after))

    def _fill(self) -> None:
        """Let the file reach to its last page: LMDB leaves out trailing pages that it freed before writing them.

        Readers would take the shorter file for one that was cut.
        """
        needed = self._needed()
        if self.in_place() and self._data.stat().st_size < needed:
            with self._data.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, needed)  # unlike truncate, it can never shorten

    def _make_room(self) -> None:
        """Let the file reach beyond its last page, if the disk has room for that.

        A commit that makes it longer waits for the file system's journal, and so for whatever else is being written: 3
        to 8 ms instead of half a one. And on a full disk there is still room for what is decided next.
        """
        if not self.in_place() or self._data.stat().st_size >= self._needed(_AHEAD // 2):
            return
        with self._env.begin(write=True), self._data.open("r+b", buffering=0) as file:  # nobody writes meanwhile
            end = file.seek(0, os.SEEK_END)
            with contextlib.suppress(OSError):
                file.write(bytes(max(0, self._needed(_AHEAD) - end)))  # what was only allocated is made longer, too
                os.fsync(file.fileno())

    def _needed(self, ahead: int = 0) -> int:
        """Bytes up to the last page, and some pages more."""
        return (self._env.info()["last_pgno"] + 1 + ahead) * self._env.stat()["psize"]

    def _due(self, now: float, lease: float) -> int:
        entries = self._env.stat()["entries"]
        elapsed, self._last = now - self._last, now
        if elapsed >= lease / 4:
            self._position = b""
            return entries
        return max(_AT_LEAST, math.ceil(entries * elapsed / (lease / 4)))

    def _sweep(self, txn: Transaction, number: int, now: float, lease: float) -> Swept:
        counts: Counter[str] = Counter()
        for key, raw in self._next(txn, number):
            if key != META:
                value, outcome = _renewed(raw, now, lease)
                self._set(txn, key, value, renewed=value is not None)
                counts[outcome] += 1
        return Swept(counts["renewed"], counts["ended"], counts["broken"])

    def _set(self, txn: Transaction, key: bytes, value: bytes | None, *, renewed: bool = False) -> bool:
        """Whether there was a value before."""
        before = txn.get(key)
        if before != value:  # unchanged values dirty no page
            if value is None:
                txn.delete(key)
            else:
                txn.put(key, value)
            if self._seen and not renewed:
                self._replaced.append((key, before, value))
        return before is not None

    def _next(self, txn: Transaction, number: int) -> list[tuple[bytes, bytes]]:
        visited: list[tuple[bytes, bytes]] = []
        cursor = txn.cursor()
        more = cursor.set_range(self._position) if self._position else cursor.first()
        while more and len(visited) < number:
            visited.append(cursor.item())
            more = cursor.next()
        self._position = cursor.key() if more else b""
        return visited


def _raw_key(key: str) -> bytes:
    raw = key.encode()
    if not key.startswith(_KINDS) or len(raw) > 511:
        raise ValueError(f"expected a key such as account:…, client:… or net:… of up to 511 bytes, found {key!r:.80}")
    return raw


def _begin(env: lmdb.Environment, now: float, afresh: str) -> str:
    with env.begin(write=True) as txn:
        if txn.stat()["entries"] == 0:
            afresh = afresh or "it was empty"
            _put_meta(txn, Meta(0, now, secrets.token_hex(16)))
        files.meta(txn)
    return afresh


def _readable(raw: bytes | None) -> tuple[Record, ...]:
    """The records of a value; none where it is missing or broken."""
    try:
        return decode(raw) if raw else ()
    except ValueError:
        return ()


def _step(txn: Transaction, meta: Meta, generation: int | None = None) -> int:
    following = meta.generation + 1 if generation is None else generation
    _put_meta(txn, meta._replace(generation=following))
    return following


def _has_cap(changes: Mapping[str, Sequence[Record]]) -> bool:
    return any(record.action == "cap" for records in changes.values() for record in records)


def _put_meta(txn: Transaction, meta: Meta) -> None:
    txn.put(META, json.dumps({"format": files.FORMAT, **meta._asdict()}).encode())


def _renewed(raw: bytes, now: float, lease: float) -> tuple[bytes | None, str]:
    try:
        records = decode(raw)
    except ValueError:
        return None, "broken"
    standing = [record for record in records if now < record.until]
    fresh = [_extended(record, now, lease) for record in standing]
    if not fresh:
        return None, "ended"
    if fresh == list(records):
        return raw, "kept"
    return encode(fresh), "renewed" if fresh != standing else "kept"


def _extended(record: Record, now: float, lease: float) -> Record:
    if record.counts(now) and record.lease - now < lease / 2:
        return replace(record, lease=now + lease)
    return record


_REMEDIES = {
    errno.EACCES: "permission denied: run this as the user of the controller, or as root",
    errno.EPERM: "permission denied: run this as the user of the controller, or as root",
    errno.ENOSPC: "the disk is full: make room; the table is as it was",
    errno.EDQUOT: "the disk quota is used up: make room; the table is as it was",
    errno.EEXIST: "something else stands in its place: move that away",
    errno.ENOTDIR: "something else stands in its place: move that away",
    errno.EROFS: "the file system is read-only: mount it writable, or configure another state directory",
}


def _remedy(error: Exception) -> str:
    if isinstance(error, lmdb.MapFullError):
        return f"the table has reached its largest size, {files.MAP_SIZE >> 20} MiB: release keys; it is as it was"
    code = error.code if isinstance(error, lmdb.Error) else getattr(error, "errno", None)
    return _REMEDIES.get(code or 0, str(error))
