"""A gateway's own table, kept equal to the cluster's; its milter knows no difference.

The table is written only while the controllers live: with each sign of life in the bucket, leases are pushed out and
the table's heartbeat is set. A gateway that is cut off, or whose controllers are gone, keeps the last table until its
leases run out, as if its own controller had died. Leases are the gateway's own: they run by its milter's clock.

A sign of life names the partitions whose part of the bucket is as its controller wants it. Until a partition has been
named since the connection began, what the table has of it stays: a bucket that is just being filled takes nobody's
brakes off. So does a key's other name, until it has gone as well: names held the partition's number once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from enforce.table import Record, TableError, Unusable, Writer, decode
from logwatch.cluster.layout import BEAT
from logwatch.cluster.names import partition, plain

log = logging.getLogger("mailbrake.sync")
Change = tuple[str, bytes | None, int]  # name in the bucket, value or None, revision
Listed = list[tuple[str, Record]]


class Mirror:
    """The LMDB table at a path; `lease` in seconds, `exported` is told when the table may have changed."""

    def __init__(
        self, path: Path, lease: float, exported: Callable[[Callable[[], Listed], int, float], None] | None = None
    ) -> None:
        self.generation = 0
        self._path = path
        self._lease = lease
        self._exported = exported
        self._writer: Writer | None = None
        self._wanted: dict[str, dict[str, tuple[Record, ...]]] = {}  # by key, then by name in the bucket, latest last
        self._changed: set[str] | None = None  # keys; None: all may have
        self._whole: dict[int, set[int]] = {}  # by how many there are: partitions of which all is known
        self._problem = ""
        self._beaten = 0.0

    def begin(self, changes: Iterable[Change]) -> None:
        """A new connection: exactly this is in the bucket; whoever wrote it may be long dead."""
        self._wanted.clear()
        self._whole.clear()
        self._changed = None
        for name, value, revision in changes:
            self.generation = max(self.generation, _said(value).generation if name == BEAT else revision)
            if name != BEAT:
                self._note(name, value)

    def apply(self, changes: Iterable[Change], now: float) -> None:
        """What changed in the bucket; written once the controllers are known to live."""
        alive = False
        for name, value, revision in changes:
            if name == BEAT:
                alive = True
                self._hear(_said(value))
            else:
                self._note(name, value)
                self.generation = max(self.generation, revision)
        if alive:
            self._beat(now)
        elif self._changed is not None:
            self._write(now)

    def close(self) -> None:
        """Let go of the files; what is listed stands until its leases run out."""
        if self._writer:
            self._writer.close()
        self._writer = None

    def _note(self, name: str, value: bytes | None) -> None:
        key = plain(name)
        if key is None:
            return
        try:
            records = decode(value) if value is not None else ()
        except ValueError as error:
            self._say(f"the record of {key!r:.80} is broken: {error}")
            records = ()
        named = self._wanted.setdefault(key, {})
        named.pop(name, None)
        if records:
            named[name] = records
        elif not named:
            del self._wanted[key]
        if self._changed is not None:
            self._changed.add(key)

    def _hear(self, said: _SignOfLife) -> None:
        self.generation = max(self.generation, said.generation)
        whole = self._whole.setdefault(max(1, said.partitions), set())
        if not said.whole <= whole:
            whole |= said.whole
            self._changed = None

    def _beat(self, now: float) -> None:
        # after a cut leases may have run out of what still stands; after a step back of the clock they last too long
        away = not 0 <= now - self._beaten <= self._lease / 4
        if away or self._writer is None or not self._writer.in_place():
            self._changed = None
        self._beaten = now
        self._write(now)
        if self._writer:
            try:
                self._writer.beat(now, self._lease)
            except TableError as error:
                self._failed(error)

    def _write(self, now: float) -> None:
        """Bring the files up to what is wanted: all of it, or what changed."""
        try:
            if self._writer is None or self._changed is None:
                self.close()
                self._writer = Writer(self._path)
                wanted = {key: self._records(key, now) for key in self._wanted}
                self._writer.replace({**self._kept(), **wanted}, now, self.generation)
            elif self._changed:
                changes = {key: self._records(key, now) for key in self._changed}
                self._writer.publish(changes, now, alive=False, generation=self.generation)
            self._changed = set()
            if self._exported:
                self._exported(self._listed, self.generation, now)
        except (TableError, ValueError) as error:
            self._failed(error)

    def _kept(self) -> dict[str, tuple[Record, ...]]:
        """What the table has of partitions of which not all is known."""
        assert self._writer
        listed = ((key, found) for key, found in self._writer.records() if not isinstance(found, Unusable))
        return {key: found for key, found in listed if not self._is_known(key)}

    def _is_known(self, key: str) -> bool:
        return any(partition(key, number) in whole for number, whole in self._whole.items())

    def _records(self, key: str, now: float) -> tuple[Record, ...]:
        latest = next(reversed(self._wanted.get(key, {}).values()), ())
        return tuple(replace(record, lease=now + self._lease) for record in latest)

    def _listed(self) -> Listed:
        assert self._writer
        found = ((key, records) for key, records in self._writer.records() if not isinstance(records, Unusable))
        return [(key, record) for key, records in found for record in records]

    def _failed(self, error: Exception) -> None:
        self.close()
        self._changed = None
        self._say(f"{error}; tried again with the next sign of life")

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            log.warning("%s", problem)


class _SignOfLife(NamedTuple):
    """A sign of life: the newest change of the table, how many partitions there are, and those that are whole."""

    generation: int
    partitions: int
    whole: frozenset[int]


def _said(value: bytes | None) -> _SignOfLife:
    try:
        found = json.loads(value or b"{}")
        return _SignOfLife(int(found["generation"]), int(found["partitions"]), frozenset(map(int, found["whole"])))
    except (ValueError, LookupError, TypeError, OverflowError):
        return _SignOfLife(0, 1, frozenset())
