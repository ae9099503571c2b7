"""The table that all gateways share, written by the controllers: each keeps the bucket equal for its own partitions.

Every controller knows what should be listed, for all partitions; what it holds, it compares with the bucket, and writes
what differs, over what it saw. So whoever takes a partition over makes its part right at once, and who wrongly believes
to hold one is stopped by the server.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from nats.aio.client import Client

from enforce.table import Record, decode, encode
from logwatch.cluster import bucket, names
from logwatch.cluster.layout import BEAT, TABLE
from logwatch.cluster.link import Link
from logwatch.cluster.partition_leases import RENEW, Shares
from logwatch.ports import Say, Standing
from logwatch.schema import Decision
from logwatch.telling.publish import Publisher
from logwatch.telling.published import DECIDED, ENDED, OPENED, OTHER, Change, changes

EVERY = 2.0  # seconds between two signs of life
_AT_ONCE = 64  # records written side by side
_UNTOLD = 15.0  # seconds for which a decision may be told by whoever takes its partition over
_MOST = 1000
_CHANGES = 100_000  # written and not yet asked for
_PAUSE = 0.2
_AHEAD = 30.0  # seconds
_STUCK = EVERY + RENEW * 5  # seconds after which a controller that gave no sign is not one that decides

log = logging.getLogger("mailbrake.shared")


class Wanted:
    """What should be in the bucket, as the controller says it; what writes it there asks from another thread."""

    def __init__(self) -> None:
        self.known = False  # all of it
        self.why = OPENED  # what is taken up now is wanted
        self._lock = threading.Lock()
        self._values: dict[str, bytes] = {}
        self._ends: dict[str, float] = {}
        self._changed: set[str] = set()
        self._whys: dict[str, str] = {}  # of those that have not been seen in the bucket since

    def publish(self, changes: Mapping[str, Sequence[Record]], now: float) -> int:  # noqa: ARG002 - as of a Writer
        """Take up changes, a key without records being taken off."""
        with self._lock:
            for key, records in changes.items():
                self._set(names.raw(key), records)
        return 0

    def replace(self, table: Mapping[str, Sequence[Record]], now: float) -> int:
        """Exactly this table is wanted."""
        with self._lock:
            self._changed |= self._values.keys()
            self._values.clear()
            self._ends.clear()
        self.publish({key: records for key, records in table.items() if records}, now)
        self.known = True
        return 0

    def beat(self, now: float, lease: float) -> None:  # noqa: ARG002 - leases are the gateways'
        """Take off what has ended."""
        with self._lock:
            for name in [name for name, end in self._ends.items() if end <= now]:
                self._set(name, ())

    def get(self, name: str) -> bytes | None:
        """The value that a key of the bucket should have."""
        return self._values.get(name)

    def changes(self) -> set[str]:
        """Keys of the bucket that changed since this was last asked."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return changed

    def reason(self, name: str) -> str:
        """Why the value of a key of the bucket has become what it should be; OTHER where that is not known here."""
        with self._lock:
            return self._whys.pop(name, OTHER)

    def names(self) -> set[str]:
        """All keys of the bucket that should have a value."""
        with self._lock:
            return set(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _set(self, name: str, records: Sequence[Record]) -> None:
        self._changed.add(name)
        self._whys[name] = self.why
        while len(self._whys) > _CHANGES:
            del self._whys[next(iter(self._whys))]
        if records:
            self._values[name] = encode([replace(record, lease=0.0) for record in records])
            self._ends[name] = max(record.until for record in records)
        else:
            self._values.pop(name, None)
            self._ends.pop(name, None)


class Clocked(Protocol):
    """What the stream says of time."""

    def now(self) -> float:
        """The time by its server's clock."""

    def current(self) -> bool:
        """Whether all has been read that there was."""

    def live(self) -> bool:
        """Whether something has come since, too, by which the time is known."""


class Shared:
    """The table port of a controller."""

    def __init__(self, link: Link, shares: Shares, stream: Clocked, standing: Standing, say: Say) -> None:
        self.generation = 0
        self._link = link
        self._shares = shares
        self._standing = standing
        self._say = say
        self._stream = stream
        self._wanted = Wanted()
        self._publisher = Publisher(self._wanted, 0.0)
        self._written_down: deque[Change] = deque(maxlen=_CHANGES)
        self._untold: deque[tuple[float, Decision]] = deque(maxlen=_MOST)
        self._seen: dict[str, bucket.Entry] = {}
        self._marks: dict[str, int] = {}  # revisions of deletions that were in the way
        self._current = False  # whether the bucket is known
        self._whole: frozenset[int] = frozenset()  # partitions that are in the bucket as they should be
        self._todo: set[str] = set()  # keys of the bucket that may not be as they should be
        self._work = asyncio.Event()
        self._beaten = float("-inf")  # when a sign of life was last written, monotonic
        self._living = float("-inf")  # when the controller last gave one
        link.serve(self._follow)
        link.serve(self._write)
        link.serve(self._beat)

    # The port, called by the controller's thread.

    def publish(self, decisions: Iterable[Decision], now: float, why: str = DECIDED) -> None:
        """Take up decisions, in their order."""
        self._wanted.why = why
        self._publisher.publish(decisions, self._by_all(now))
        self._wake()

    def forget(self, key: str, now: float, why: str) -> None:
        """Take a key off."""
        self._wanted.why = why
        self._publisher.forget(key, self._by_all(now))
        self._wake()

    def changes(self) -> list[Change]:
        """What was written to the bucket since this was last asked, in its order."""
        return [self._written_down.popleft() for _ in range(len(self._written_down))]

    def beat(self, now: float) -> None:
        """Say that the controller lives; at first, take up what stands."""
        now, ahead = self._by_all(now), now - self._by_all(now)
        if self._stream.current():
            if not self._wanted.known:
                self._publisher.restart(self._standing(now), now)
            if ahead > _AHEAD and self._stream.live():
                self._say(
                    "clock", f"this machine's clock is {ahead:.0f} s ahead of the stream's, which counts for the table"
                )
        if self._living + 1.0 < (moment := time.monotonic()):
            self._living = moment
            self._wanted.why = ENDED
            self._publisher.beat(now)
            self._wake()
        if self._shares.problem:
            self._say("table", self._shares.problem)

    def health(self, now: float) -> tuple[int, int, float] | None:  # noqa: ARG002 - by a clock that never steps
        """The bucket's generation, keys listed, and seconds since its last sign of life; None without a connection."""
        if not self._link.connected or not self._current:
            return None
        return self.generation, len(self._wanted), max(0.0, time.monotonic() - self._beaten)

    def _by_all(self, now: float) -> float:
        """A clock that is ahead takes nobody's brakes off before their end: gateways end them by their own."""
        return min(now, self._stream.now())

    def to_tell(self, decisions: Sequence[Decision], now: float) -> Sequence[Decision]:  # noqa: ARG002 - as `health`
        """Those of the partitions that are held here; and of one just taken over, what may not have been told."""
        moment = time.monotonic()
        self._untold.extend((moment, decision) for decision in decisions)
        told = [d for _, d in self._untold if self._shares.holds(d.key, moment)]
        rest = [(t, d) for t, d in self._untold if moment - t < _UNTOLD and not self._shares.holds(d.key, moment)]
        self._untold = deque(rest, maxlen=_MOST)
        return told

    def speaks_for_all(self) -> bool:
        """Whether the partition of what concerns everybody is held here."""
        return self._shares.holds(names.SITE, time.monotonic())

    def close(self) -> None:
        """Nothing to give back: the link is its maker's."""

    def known(self) -> bool:
        """Whether it is known what the table should hold."""
        return self._wanted.known

    def lives(self, moment: float) -> bool:
        """Whether the controller gives signs of life: its thread may wait for a disk, while the link's goes on."""
        return moment - self._living < _STUCK

    def shares_changed(self) -> None:
        """Look at what is held anew; called by the link's thread."""
        self._work.set()

    def _wake(self) -> None:
        self._link.soon(self._work.set)

    # What the link's thread does.

    async def _follow(self, client: Client) -> None:
        """Know what is in the bucket."""
        self._current = False
        async for entries in bucket.follow(client, TABLE):
            before = {} if self._current else dict(self._seen)
            if not self._current:
                self._seen.clear()
            for entry in entries:
                self._note(entry)
            for name in before.keys() | self._seen.keys() if before else ():  # what was missed while not connected
                self._put_down(name, before.get(name), self._seen.get(name))
            self._current = True
            self._todo |= {entry.key for entry in entries}  # who has taken a key off by hand finds it put back
            self._work.set()

    def _note(self, entry: bucket.Entry) -> None:
        if entry.key == BEAT:
            self._beaten = time.monotonic() if self._current else self._beaten
            found = entry.said().get("generation")
            self.generation = max(self.generation, found if isinstance(found, int) else 0)
            return
        self.generation = max(self.generation, entry.revision)
        before = self._seen.pop(entry.key, None)
        if entry.value is not None:
            self._seen[entry.key] = entry
        if self._current:
            self._put_down(entry.key, before, entry)

    async def _write(self, client: Client) -> None:
        """Make the bucket what it should be, where it is ours."""
        held = self._whole = frozenset[int]()
        while True:
            await self._work.wait()
            self._work.clear()
            before, held = held, self._shares.held(time.monotonic())
            self._todo |= self._wanted.changes()
            if held - before:
                self._todo |= self._wanted.names() | set(self._seen)
                self._whole = frozenset()
            if not (self._current and self._wanted.known):
                continue
            todo, self._todo = self._todo, set()
            if left := await self._written(client, todo, held):  # another was quicker; what it wrote is on its way here
                self._todo |= left
                await asyncio.sleep(_PAUSE)
                self._work.set()
            else:
                self._whole = held

    async def _written(self, client: Client, todo: set[str], held: frozenset[int]) -> set[str]:
        """Write what differs; what could not be written."""
        mine = [name for name in sorted(todo) if self._partition(name) in held and self._differs(name)]
        listed = [name for name in mine if self._wanted.get(name) is not None]
        left = await self._put_all(client, listed)
        gone = [name for name in mine if self._wanted.get(name) is None]
        # a key that is in the bucket under a name of before keeps that one until it has its own
        return left | (set(gone) if left else await self._put_all(client, gone))

    async def _put_all(self, client: Client, some: Sequence[str]) -> set[str]:
        """Write these; what could not be written."""
        left: set[str] = set()
        for begin in range(0, len(some), _AT_ONCE):
            batch = some[begin : begin + _AT_ONCE]
            done = await asyncio.gather(*(self._put(client, name) for name in batch))
            left |= {name for name, written in zip(batch, done, strict=True) if not written}
        return left

    def _partition(self, name: str) -> int | None:
        """Which a key of the bucket belongs to; None for a name that is none of ours."""
        key = names.plain(name)
        return None if key is None else names.partition(key, self._shares.partitions)

    def _differs(self, name: str) -> bool:
        seen = self._seen.get(name)
        return (seen.value if seen else None) != self._wanted.get(name)

    async def _put(self, client: Client, name: str) -> bool:
        seen, value = self._seen.get(name), self._wanted.get(name)
        over = seen.revision if seen else self._marks.pop(name, 0)
        revision = await bucket.put(client, TABLE, name, value, over)
        found = await bucket.get(client, TABLE, name) if revision is None else None
        if revision is not None:
            self._note(bucket.Entry(name, value, revision))
        elif found:
            self._marks[name] = found.revision
            self._note(found)
        return revision is not None

    def _put_down(self, name: str, before: bucket.Entry | None, after: bucket.Entry | None) -> None:
        """Take note of what was written, whoever wrote it: all controllers decide it, and know why."""
        key = names.plain(name)
        if key and name == names.raw(key) and (before and before.value) != (after and after.value):
            why = self._wanted.reason(name)
            self._written_down.extend(changes(key, _records(before), _records(after), time.time(), why))

    async def _beat(self, client: Client) -> None:
        """Signs of life for the gateways, as long as the controller itself gives some and holds anything."""
        while True:
            moment = time.monotonic()
            whole = sorted(self._whole & self._shares.held(moment))
            if whole and self.lives(moment):
                said = {"generation": self.generation, "partitions": self._shares.partitions, "whole": whole}
                value = json.dumps(said).encode()
                await client.jetstream().publish(f"$KV.table.{BEAT}", value, stream=TABLE)
            await asyncio.sleep(EVERY)


def _records(entry: bucket.Entry | None) -> list[Record]:
    """The records in an entry of the bucket; leases are the gateways'."""
    value = entry.value if entry else None
    try:
        return [replace(record, lease=math.inf) for record in decode(value)] if value else []
    except ValueError:
        return []
