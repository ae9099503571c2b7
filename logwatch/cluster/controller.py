"""A controller in a cluster: the same controller as on one machine, on the stream's ports.

All controllers of a cluster must have the same memory, or they would not decide alike. A fresh one may begin where the
others began, if the stream still has all since then; otherwise it takes a copy of another's state directory. Which
memory it is has a name, `lineage`, that stands in the journal and in the bucket. When the servers have lost the lines,
or the latest of them (an image of their disk was put back), the first controller to come gives it a new one, for all
that had read the old stream as far as itself. What else they lose, every controller puts back on its next connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from nats.aio.client import Client
from nats.js import api

from enforce.config import Config
from enforce.errors import ReportedError
from logwatch.cluster import bucket, layout
from logwatch.cluster.bucket_table import Shared
from logwatch.cluster.layout import LINES, REVIEWS, SHARES
from logwatch.cluster.link import BROKEN, PATIENCE, Link, LinkError
from logwatch.cluster.merging import Limits, Merger
from logwatch.cluster.names import VERSION, speaks
from logwatch.cluster.partition_leases import RENEW, Shares
from logwatch.cluster.stream import Stream, anew, identity, is_another, which
from logwatch.judging.language import SHIPPED
from logwatch.policy_files import content_of
from logwatch.ports import Ports, Say, Standing, Written
from logwatch.settings import STREAM, zone_of
from logwatch.telling.journal import Journal, Review

Value = TypeVar("Value")
_LINEAGE = "lineage"
log = logging.getLogger("mailbrake.cluster")
_OURS = ("effective", "latest")  # of a review: each controller has its own
_FIRST = 15.0  # seconds to wait for the first connection
_ATTEMPTS = 5
_PAUSE = 1.0


class LineageError(ReportedError):
    """This controller's memory is not that of the others: what to do."""


class Brain:
    """Gives a controller its ports in a cluster: the stream, the shared table, and reviews; `open` makes it."""

    def __init__(self, config: Config, origin: str, lineage: str) -> None:
        """LinkError if the credentials cannot be used."""
        cluster = config.cluster
        self.link = Link(config)
        place = f"{socket.gethostname()}:{Path(config.state.directory).resolve()}"
        self.shares = Shares(self.link.name, cluster.partitions, place)
        self._config = config
        self._origin = f"{self.link.name} {origin}"  # a copy of a state directory has the same
        self._lineage = lineage
        self._rules = _fingerprint(config)
        self._sent: set[int] = set()
        self._say: Say = lambda *_: None
        self._stream: Stream | None = None
        self._shared: Shared | None = None

    @classmethod
    def open(cls, config: Config, *, learns: bool = False) -> Brain:
        """Connect, make what is missing in the stream; LinkError, LineageError or JournalError if that cannot be.

        `learns`: the controller will learn from older logs before it reads a line of the stream.
        """
        link = Link(config)
        link.start()
        try:
            _insist(link, lambda client: layout.prepare(client, config.cluster))
            with Journal.open(config.journal) as journal:
                origin = str(journal.noted("origin") or secrets.token_hex(8))
                journal.note("origin", origin)
                lineage = _join(link, journal, _Memory.of(journal, learns=learns))
        finally:
            link.close()
        return cls(config, origin, lineage)

    def ports(self) -> Ports:
        """For the controller."""
        return Ports(self._source, self._table, self._reviews, content_of)

    def start(self) -> None:
        """Connect for good, once the controller has been made."""
        self.link.begin(self._put_back)
        self.link.serve(self._hold)
        self.link.start()

    def close(self) -> None:
        """Say that this controller is gone, so that others need not wait to find out."""
        with suppress(LinkError):
            self.link.call(self._leave, 1.0)
        self.link.close()

    def stream(self) -> Stream:
        """The source, once the controller has it."""
        assert self._stream
        return self._stream

    def over(self) -> str:
        """Why this life must end; the next one sees what is to be done."""
        if self.link.broken:
            return BROKEN
        return "the stream that was read is gone, was made anew, or has lost its end" if self.stream().anew else ""

    # The ports.

    def _source(self, config: Config, positions: Mapping[str, Mapping[str, Any]]) -> Stream:
        limits = Limits(config.cluster.hold, config.cluster.late)

        def merger(state: Mapping[str, Any]) -> Merger:
            return Merger(limits, zone_of(config), lambda gateway, host: speaks(config, gateway, host), state)

        self._stream = Stream(self.link, positions.get(STREAM, {}), merger, self._origin)
        return self._stream

    def _table(self, config: Config, standing: Standing, say: Say, written: Written) -> Shared:  # noqa: ARG002 - the port's
        self._say = say
        self._shared = Shared(self.link, self.shares, self.stream(), standing, say)
        return self._shared

    def _reviews(self, journal: Journal) -> list[Review]:
        """Send what was said here into the stream; what comes out of it is in effect, for all controllers alike."""
        if others := self._differing():
            self._say(
                "table",
                f"of another version or configured differently, and so deciding differently: {', '.join(others)}",
            )
        for review in journal.unseen():
            if review.id not in self._sent and not (self.link.connected and self._send(review)):
                break  # an operator's later word may take an earlier one back
        return self.stream().reviews()

    def _send(self, review: Review) -> bool:
        """Whether it is in the stream now."""
        said = {name: value for name, value in vars(review).items() if name not in _OURS}
        message = json.dumps({**said, "origin": self._origin}).encode()
        headers = {"Nats-Msg-Id": identity(message)}
        try:
            self.link.call(lambda client: client.jetstream().publish(REVIEWS, message, headers=headers))
        except LinkError as error:
            self._say("table", f"a review of {review.key} could not be sent: {error}; it is tried again")
            return False
        self._sent.add(review.id)
        return True

    def _differing(self) -> list[str]:
        """Controllers that are configured otherwise, and so decide otherwise."""
        return sorted(name for name, said in self.shares.controllers.items() if said.get("rules") != self._rules)

    # What the link's thread does.

    async def _put_back(self, client: Client) -> None:
        """What the servers have lost beside the lines."""
        await layout.prepare_buckets(client, self._config.cluster)
        found = await bucket.get(client, SHARES, _LINEAGE)
        if found is None or found.value is None:
            value = _Memory(self._lineage).as_another(self._lineage)
            await bucket.put(client, SHARES, _LINEAGE, value, found.revision if found else 0)

    async def _hold(self, client: Client) -> None:
        """Renew the lease once a second, and see to partitions without a holder."""
        assert self._shared
        while True:
            asked = time.monotonic()
            entries = await bucket.snapshot(client, SHARES)
            fit = self.stream().current() and self._shared.known() and self._shared.lives(asked)
            said = {"fit": fit, "seq": self.stream().judged(), "rules": self._rules, "version": VERSION}
            sign = self.shares.renew(entries, said, asked)
            if sign and await bucket.put(client, SHARES, *sign) is not None:
                self.shares.renewed(asked)
                for change in self.shares.plan(entries, fit=fit):
                    if await bucket.put(client, SHARES, *change) is not None:
                        self.shares.done(change)
                self._shared.shares_changed()
            await asyncio.sleep(RENEW)

    async def _leave(self, client: Client) -> None:
        entries = {entry.key: entry for entry in await bucket.snapshot(client, SHARES)}
        mine = entries.get(f"c.{self.link.name}")
        if mine and mine.said().get("instance") == self.shares.instance:
            await bucket.put(client, SHARES, mine.key, None, mine.revision)


def _insist(link: Link, ask: Callable[[Client], Awaitable[Value]]) -> Value:
    """What is asked of servers that may just have started, and then need a while to agree on who leads."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            link.wait(_FIRST)
            return link.call(ask, 3 * PATIENCE)
        except LinkError:
            if not left:
                raise
            time.sleep(_PAUSE)
    raise AssertionError


class _Memory(NamedTuple):
    """Whose memory a journal has: its lineage ("": none yet), whether it has any, and what it has read."""

    lineage: str
    remembers: bool = True
    position: Mapping[str, Any] = MappingProxyType({})
    lines: int = 0
    clock: float = 0.0

    @classmethod
    def of(cls, journal: Journal, *, learns: bool) -> _Memory:
        """`learns`: it soon will remember something."""
        position = (journal.noted("positions") or {}).get(STREAM, {})
        facts = journal.facts()
        lines, clock = (facts["lines"], facts["clock"]) if facts else (0, 0.0)
        return cls(str(journal.noted(_LINEAGE) or ""), learns or facts is not None, position, lines, clock)

    @property
    def read(self) -> list[Any]:
        """Which stream, how many of its lines, and the time that the last had."""
        return [which(self.position), self.lines, self.clock]

    def as_another(self, lineage: str) -> bytes:
        """What to put down of a lineage that begins with this memory."""
        said = {"lineage": lineage, "before": self.lineage, "fresh": not self.remembers, "read": self.read}
        return json.dumps(said).encode()

    def is_of_another(self, found: api.StreamInfo) -> bool:
        """Whether the stream that was read is another than this one."""
        return bool(self.position) and is_another(self.position, found)


def _join(link: Link, journal: Journal, memory: _Memory) -> str:
    """Become one of the controllers whose memory is the same, and its name; LineageError if it is not."""
    lineage, found = _insist(link, lambda client: _lineage(client, memory))
    if lineage != memory.lineage:
        with journal.transaction():
            journal.note(_LINEAGE, lineage)
            if memory.position:
                log.warning("the servers have lost the stream, or its end; lines that had not been read are lost")
                journal.note("positions", {STREAM: anew(memory.position, found)})
    return lineage


async def _lineage(client: Client, memory: _Memory) -> tuple[str, api.StreamInfo]:
    """The lineage of the cluster, which is ours as well, and its stream."""
    info = await client.jetstream().stream_info(LINES)
    found = await bucket.get(client, SHARES, _LINEAGE)
    said = found.said() if found else {}
    ours = said.get("lineage") == memory.lineage
    if not said or (ours and memory.is_of_another(info)):
        lineage = secrets.token_hex(8)
        value = memory.as_another(lineage)
        if await bucket.put(client, SHARES, _LINEAGE, value, found.revision if found else 0) is None:
            return await _lineage(client, memory)
        return lineage, info
    followed = memory.lineage != "" and said["before"] == memory.lineage and said["read"] == memory.read
    whole = not memory.lineage and not memory.remembers and said["fresh"] and info.state.first_seq <= 1
    if ours or followed or whole:
        return str(said["lineage"]), info
    raise LineageError(
        "this controller does not remember what the others of the cluster do, and would decide otherwise: "
        "stop it, copy the state directory of one that is stopped too or has been backed up, and start both"
    )


def _fingerprint(config: Config) -> str:
    """Of all that decisions hang on beside the lines."""
    cluster = config.cluster
    policy = Path(config.policy.file or SHIPPED)
    facts = [
        VERSION,
        policy.read_bytes().hex() if policy.exists() else "",
        config.policy.mode,
        *(getattr(config.log, name) for name in ("zone", "default_realm", "keep_case")),
        sorted(cluster.hosts.items()),
        *(cluster.hold, cluster.late, cluster.partitions),
    ]
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()
