"""A gateway's own table, kept equal to the cluster's; its milter knows no difference.

The table is written only while the controllers live: with each sign of life in the bucket, leases are pushed out and
the table's heartbeat is set. A gateway that is cut off, or whose controllers are gone, keeps the last table until its
leases run out, as if its own controller had died. Leases are the gateway's own: they run by its milter's clock.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from enforce.table import Record, TableError, Unusable, Writer, decode
from logwatch.cluster.layout import BEAT
from logwatch.cluster.names import plain

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
        self._wanted: dict[str, tuple[Record, ...]] = {}
        self._changed: set[str] | None = None  # keys; None: all may have
        self._problem = ""
        self._beaten = 0.0

    def begin(self, changes: Iterable[Change]) -> None:
        """A new connection: exactly this is in the bucket; whoever wrote it may be long dead."""
        self._wanted.clear()
        self._changed = None
        for name, value, revision in changes:
            self.generation = max(self.generation, _generation(value) if name == BEAT else revision)
            if name != BEAT:
                self._note(name, value)

    def apply(self, changes: Iterable[Change], now: float) -> None:
        """What changed in the bucket; written once the controllers are known to live."""
        alive = False
        for name, value, revision in changes:
            if name == BEAT:
                alive = alive or value is not None
                self.generation = max(self.generation, _generation(value))
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
        if records:
            self._wanted[key] = records
        else:
            self._wanted.pop(key, None)
        if self._changed is not None:
            self._changed.add(key)

    def _beat(self, now: float) -> None:
        away = now - self._beaten > self._lease / 4  # leases may have run out of what still stands
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
                self._writer.replace({key: self._records(key, now) for key in self._wanted}, now, self.generation)
            elif self._changed:
                changes = {key: self._records(key, now) for key in self._changed}
                self._writer.publish(changes, now, alive=False, generation=self.generation)
            self._changed = set()
            if self._exported:
                self._exported(self._listed, self.generation, now)
        except (TableError, ValueError) as error:
            self._failed(error)

    def _records(self, key: str, now: float) -> tuple[Record, ...]:
        return tuple(replace(record, lease=now + self._lease) for record in self._wanted.get(key, ()))

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


def _generation(value: bytes | None) -> int:
    try:
        found = json.loads(value or b"{}")
        return int(found.get("generation", 0))
    except (ValueError, AttributeError, TypeError):
        return 0
