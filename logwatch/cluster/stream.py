"""The stream as a controller's source: messages ─▶ one log of all gateways, and what operators say in its place.

What a controller decides hangs on the stream alone, so that all of them decide alike; a review is no exception, and
takes effect where it stands between the lines. A position is that of the merger: after a restart, what still waits
there is read from the stream once more. An image of the servers' disk that was put back has other messages under the
numbers of those that were read since: so the one that was read last is looked at again on each connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api
from nats.js.errors import NotFoundError

from logwatch.cluster import wire
from logwatch.cluster.layout import LINES, REVIEWS
from logwatch.cluster.link import Link
from logwatch.cluster.merging import LOST, Merger
from logwatch.cluster.names import lines_of
from logwatch.settings import STREAM
from logwatch.telling.journal import Review

_WAITING = 2000  # messages that may wait to be read, and their bytes; then the server waits
_BYTES = 64 << 20
_ANSWER = 2.0  # seconds for one
_SILENCE = 1.0  # seconds after which the server says that it is there
_PIECE = 1 << 20  # bytes of lines after which a piece is given out
_NOTE = 5.0  # seconds after which a position is given out though no lines came
_HEARD = 500  # reviews that are known if they come again
_MOMENT = 0.02  # seconds
_NOTHING = (
    "the stream: connected, but nothing has come out of it for a while: has the server room on its disk (it must be "
    "started again once it has), and does `mailbrake ship` run on the gateways?"
)
_QUIET = 30.0  # seconds; gateways say something ten times a second
_CUT = ", whose end is lost"  # what follows in a position on when a stream was made


class _Begun(NamedTuple):
    """A connection to a stream: which one it is (when it was made), and its first and last message."""

    number: int
    created: str
    first: int
    last: int


class _Message(NamedTuple):
    seq: int
    time: float
    host: str  # "" for a review
    data: bytes


class Gateway(NamedTuple):
    """How a gateway fares: seconds that its log is behind, and since it was heard of; what it says, what was lost."""

    lag: float
    silent: float
    state: Mapping[str, float]
    lost: Mapping[str, int]
    version: str

    def missing(self) -> dict[str, int]:
        """All that did not come, or not in time, by kind; `spool`: lines that did not fit into its spool."""
        return {**self.lost, "spool": int(self.state.get("lost", 0))}


def gateways(state: Mapping[str, Any]) -> dict[str, Gateway]:
    """All gateways, by a merger's state."""
    newest, lows = state.get("time", 0.0), dict[str, float]()
    now = state.get("now", newest)
    for host, _, _, _, low, *_ in state.get("logs", []):
        lows[host] = min(low, lows.get(host, low))
    return {
        host: Gateway(
            max(0.0, newest - lows.get(host, newest)),
            max(0.0, now - heard),
            dict(state["states"].get(host, {})),
            dict(state["counts"].get(host, {})),
            str(state.get("versions", {}).get(host, "")),
        )
        for host, heard in state.get("seen", {}).items()
    }


class Stream:
    """Reads on from `position`; `link` is not started yet, `merger` makes one from a state (see `merging`)."""

    def __init__(
        self,
        link: Link,
        position: Mapping[str, Any],
        merger: Callable[[Mapping[str, Any]], Merger],
        origin: str,
    ) -> None:
        """`origin` is put on this controller's own reviews, by which it knows them again."""
        self.anew = False  # whether the stream is another one than was read so far
        self.gateways: dict[str, Gateway] = {}  # as of a moment ago; never changed
        self._link = link
        self._taken_up = merger
        self._origin = origin
        self._connection = 0
        self._created: str = position.get("created", "")
        self._stamp: float | None = position.get("stamp")  # of the last message taken in
        self._heard = dict.fromkeys(position.get("heard", ()))  # the latest reviews, oldest first
        self._merger = self._taken_up(position.get("merger", {}))
        self._before = self._total()  # losses of earlier lives
        self._queue: queue.Queue[_Begun | _Message] = queue.Queue(_WAITING)
        self._handed = self._taken = 0  # bytes of messages, put in by the link's thread and got by the controller's
        self._wake: Callable[[], None] = lambda: None
        self._came = time.monotonic()  # when the latest message that is new did
        self._ahead: float | None = None  # of the server's clock, against the monotonic one
        self._said: list[tuple[_Message, Review]] = []
        self._given = time.monotonic()
        self._next = self._needed = self._merger.resume
        self._last = self._merger.seq, self._stamp  # handed to the controller
        self._cut = False  # whether the stream has lost what was read last
        self._end = -1  # the stream's last message when the connection began; -1: there is none
        self._losses: Counter[str] = Counter()
        self._notice = ""
        link.serve(self._consume)

    # The source.

    def notify(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from another thread, whenever there is something to read."""
        self._wake = wake

    def lines(self) -> Iterator[bytes]:
        """Lines whose turn has come; a piece ends before each review, which `reviews` gives then."""
        size = 0
        while not self._queue.empty():
            found = self._queue.get_nowait()
            if isinstance(found, _Begun):
                self._begin(found)
                continue
            self._taken += len(found.data)
            review = self._take(found)
            size += len(found.data)
            if review:
                yield self._piece()
                self._said.append((found, review))
                yield b""
                size = 0
            elif size > _PIECE:
                yield self._piece()
                size = 0
        if (piece := self._piece()) or time.monotonic() - self._given > _NOTE:
            self._given = time.monotonic()
            self.gateways = gateways(self._merger.state())
            yield piece

    def reviews(self) -> list[Review]:
        """What operators said, where it stands in the stream; it is passed with this call."""
        found = []
        for message, review in self._said:
            self._pass(message, None)
            self._hear(message.data)
            found.append(review)
        self._said.clear()
        return found

    def positions(self) -> dict[str, dict[str, Any]]:
        """Where to read on after a restart."""
        read = {"created": self._created + _CUT * self._cut, "stamp": self._stamp, "heard": list(self._heard)}
        return {STREAM: {**read, "merger": self._merger.state()}}

    def problems(self) -> list[str]:
        """Why the stream cannot be read just now."""
        if self._link.problem:
            self._came = time.monotonic()  # nothing can come meanwhile, nor in the first moments after
            return [f"the stream: {self._link.problem}"]
        quiet = self._link.connected and time.monotonic() - self._came > _QUIET
        return [_NOTHING] if quiet else []

    def losses(self) -> Counter[str]:
        """What could not be read for good, or came too late, counted by kind."""
        return self._total() - self._before + self._losses

    def notices(self) -> list[str]:
        """The latest loss, in words."""
        return [self._notice] if self._notice else []

    def paths(self) -> list[str]:
        """No files."""
        return []

    def directories(self) -> list[str]:
        """Nowhere changes matter: a thread wakes."""
        return []

    def close(self) -> None:
        """Nothing to give back: the link is its maker's."""

    # What there is to know of it.

    def current(self) -> bool:
        """Whether all that was in the stream when the connection began has been taken in."""
        return self._link.connected and 0 <= self._end <= self._merger.seq

    def live(self) -> bool:
        """Whether something has come since, too."""
        return self.current() and self._end < self._merger.seq

    def now(self) -> float:
        """What time it is by the server's clock, which all controllers have in common; inf while that is not known.

        A moment late, or as much as there was to read when it last said something.
        """
        return math.inf if self._ahead is None else time.monotonic() + self._ahead

    def judged(self) -> int:
        """The last message taken in."""
        return self._merger.seq

    # Messages, in the controller's thread.

    def _take(self, message: _Message) -> Review | None:
        """Take in a message, unless it is a review that has not been heard, which is given back."""
        if not message.host:
            if message.seq > self._merger.seq and (review := self._review(message.data)):
                return review
            self._pass(message, None)
            return None
        try:
            batch = wire.decode(message.data)
            if batch.host != message.host:
                raise ValueError("it names another host")
        except ValueError:
            batch = None
            if message.seq > self._merger.seq:
                self._merger.refuse(message.host)
        self._pass(message, batch)
        return None

    def _pass(self, message: _Message, batch: wire.Batch | None) -> None:
        self._merger.take(message.seq, message.time, batch)
        if message.seq == self._merger.seq:
            self._stamp = message.time

    def _review(self, data: bytes) -> Review | None:
        try:
            said = json.loads(data)
            origin, number = str(said.pop("origin")), int(said.pop("id"))
            review = Review(**said, id=number if origin == self._origin else 0)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return None if identity(data) in self._heard else review

    def _hear(self, data: bytes) -> None:
        self._heard[identity(data)] = None
        while len(self._heard) > _HEARD:
            del self._heard[next(iter(self._heard))]

    def _piece(self) -> bytes:
        return self._merger.out()

    def _begin(self, begun: _Begun) -> None:
        self._created = begun.created
        if begun.first > self._needed:
            missed = begun.first - self._needed
            self._losses["gaps"] += 1
            self._notice = f"the stream no longer has {missed} messages that were not read: [cluster] keep, size"
        self._needed = self._merger.seq + 1
        self._end = begun.last if begun.number == self._connection else -1

    def _total(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for counts in self._merger.counts.values():
            total.update({what: counts[what] for what in LOST if counts[what]})
        return total

    # Messages, in the link's thread.

    async def _consume(self, client: Client) -> None:
        """Have messages from where we are, in order, without a gap; whatever is wrong ends the connection."""
        self._connection += 1
        self._end = -1
        jetstream = client.jetstream(timeout=_ANSWER)
        try:
            info = await jetstream.stream_info(LINES)
        except NotFoundError:
            info = None
        self._cut = self._cut or (info is not None and self._last[0] > info.state.last_seq)
        self.anew = self._cut or info is None or self._created not in ("", str(info.created))
        if info is None or self.anew:
            raise _gone()
        await self._hand(_Begun(self._connection, str(info.created), info.state.first_seq, info.state.last_seq))
        inbox = client.new_inbox()
        messages = await client.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
        config = api.ConsumerConfig(
            deliver_subject=inbox,
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(1, min(self._next, self._last[0])),
            ack_policy=api.AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=_SILENCE,
            inactive_threshold=30.0,
            mem_storage=True,
            num_replicas=1,
        )
        await jetstream.add_consumer(LINES, config)
        delivered = 0
        while True:
            message = await messages.next_msg(timeout=3 * _SILENCE)
            if (message.headers or {}).get("Status"):
                await self._answer(client, message)
                continue
            place = message.metadata.sequence
            if place.consumer != delivered + 1:
                raise nats.errors.Error(f"{place.consumer - delivered - 1} messages of the stream were missed")
            delivered = place.consumer
            found = _received(message)
            if found.seq == self._last[0] and self._last[1] not in (None, found.time):
                self._cut = self.anew = True
                raise _gone()
            self._last = (found.seq, found.time) if found.seq > self._last[0] else self._last
            if found.seq >= self._next:
                self._came = time.monotonic()
                await self._hand(found)
                self._next = found.seq + 1

    async def _answer(self, client: Client, message: Msg) -> None:
        """The server asks how far we are, or says that it is there."""
        stalled = (message.headers or {}).get("Nats-Consumer-Stalled")
        if message.reply or stalled:
            await client.publish(message.reply or str(stalled))

    async def _hand(self, found: _Begun | _Message) -> None:
        """To the controller's thread; while it has enough to do, the server waits."""
        while self._queue.full() or self._handed - self._taken > _BYTES:
            await asyncio.sleep(_MOMENT)
        if isinstance(found, _Message):
            self._handed += len(found.data)
            ahead = found.time - time.monotonic()
            self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)
        self._queue.put_nowait(found)
        self._wake()


def identity(review: bytes) -> str:
    """The same for a review that is sent again, and for no other: a journal from a backup gives its numbers anew."""
    return hashlib.blake2b(review, digest_size=8).hexdigest()


def _received(message: Msg) -> _Message:
    host = "" if message.subject == REVIEWS else message.subject.removeprefix(lines_of(""))
    return _Message(message.metadata.sequence.stream, message.metadata.timestamp.timestamp(), host, message.data)


def _gone() -> nats.errors.Error:
    return nats.errors.Error(
        "the stream that was read is gone, made anew, or has lost its end: `mailbrake watch` starts again"
    )


def is_another(position: Mapping[str, Any], found: api.StreamInfo) -> bool:
    """Whether a stream is not the one that a position is in: the servers have lost that, or its end."""
    seq: int = position["merger"]["seq"]
    return position["created"] not in ("", str(found.created)) or seq > found.state.last_seq


def which(position: Mapping[str, Any]) -> str:
    """Which stream a position is in, whether its end is lost or not."""
    return str(position.get("created", "")).removesuffix(_CUT)


def anew(position: Mapping[str, Any], found: api.StreamInfo) -> dict[str, Any]:
    """A position in a stream that is gone, as one in another: what waited is lost, where each log is, is known."""
    state = position["merger"]
    logs = [[*row[:-2], 0, 0] for row in state["logs"]]
    return {**position, "created": str(found.created), "stamp": None, "merger": {**state, "seq": 0, "logs": logs}}
