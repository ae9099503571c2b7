"""A gateway's log into the stream: log ─▶ spool ─▶ stream, in order, each line once.

Lines go into the spool with what the log is to be read on from after them, and out of it once the stream has
acknowledged them. A new process reads on after what the spool holds, or else after what was acknowledged. What is read
twice, after a kill or a power cut, is sent under the same place in the log, and dropped. Where a log cannot be read on
from where that was, as after a backup was put back, places are counted anew: what is new there must not be dropped.

Batches have `LINES` lines at most and are `EVERY` seconds apart. While there is nothing to send, a promise is: that all
lines up to `SETTLED` seconds ago are sent, for a logger writes a line a moment after its stamp.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from enforce.config import Config
from enforce.table import peek
from logwatch.cluster import wire
from logwatch.cluster.names import VERSION, name_of
from logwatch.cluster.spool import Spool
from logwatch.cluster.wire import Batch
from logwatch.wall_clock import lately

LINES = 100
EVERY = 0.1
SETTLED = 0.1
PROMISE = 0.1  # seconds between two promises
_OF_EXIM = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}")  # its own file, without a host's name
_LARGEST = 256 << 10  # bytes of lines in a batch; a single line may be longer
_NOTE = 2.0  # seconds between two looks at the table
_SAVE = 1.0
_QUIET = 60.0  # seconds before the same trouble is said again

log = logging.getLogger("mailbrake.ship")


class Log(Protocol):
    """What follows the log: `reading.follow.Follower`, `reading.journald.Journald`."""

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Whole lines that have not been read yet, with the log's name."""

    def positions(self) -> dict[str, dict[str, Any]]:
        """Where to read on after a restart, by log."""

    def losses(self) -> Counter[str]:
        """What could not be read for good, counted by kind: `gaps` where it was not read on from where that was."""

    def problems(self) -> list[str]:
        """Why some cannot be read just now."""

    def close(self) -> None:
        """Give all back."""


Send = Callable[[bytes, str], None]  # a message and its identity, "" if it has none; it raises if that was not taken


@dataclass(frozen=True)
class _Read:
    """What a log is to be read on from: its follower's position, and how many bytes of lines there were by then."""

    at: int = 0
    position: Any = None


class Shipper:
    """Ships what `follow` gives from the positions that it is asked to begin at; `now` is the wall clock."""

    def __init__(
        self,
        config: Config,
        follow: Callable[[dict[str, Any]], Log],
        begun: dict[str, Any],
        now: Callable[[], float],
    ) -> None:
        """`begun`: positions to begin at, for a first start."""
        self.sent = 0  # messages
        self._now = now
        self._host = name_of(config)
        self._table = config.table
        self._spool = Spool(Path(config.state.directory) / "spool", config.cluster.spool)
        noted = self._spool.noted
        self._epoch: str = noted.get("epoch", "") or secrets.token_hex(8)
        self._acknowledged: dict[str, Any] = noted.get("logs", {})
        self._read = {name: _Read(*row) for name, row in self._acknowledged.items()}
        for head in map(_head, self._spool.records()):
            if head["log"] != wire.ALL:
                self._read[head["log"]] = _Read(*head["from"])
        positions = {name: read.position for name, read in self._read.items() if read.position}
        self._log = follow(positions or begun)
        self._told = self._spool.lost
        self._gaps = 0  # where a log was not read on from where that was
        self._said: dict[str, float] = {}
        self._state: dict[str, float] = {}
        self._looked = self._promised = float("-inf")
        self.save()

    def read(self, send: Send | None = None) -> bool:
        """Take in all that there is, and promise that it was all; whether there were lines.

        Sent piece by piece, where it can be, so that a long log needs no large spool.
        """
        started, found = self._now(), False
        try:
            for name, lines in self._log.read():
                found = True
                self._take(name, lines)
                if send:
                    self.send(send)
        finally:
            self._warn()
        due = not lately(self._promised, started, PROMISE)
        if due and not self._spool.waiting():
            self._promised = started
            self._put(wire.ALL, _Read(), b"", 0, started - SETTLED)
        return found

    def send(self, send: Send) -> None:
        """All that waits, in order; what `send` raises ends it."""
        try:
            while waiting := self._spool.first():
                head = _head(waiting.record)
                send(waiting.record.split(b"\n", 1)[1], head["identity"])
                self._spool.done(waiting)
                if head["log"] != wire.ALL:
                    self._acknowledged[head["log"]] = head["from"]
                self.sent += 1
        finally:
            if not lately(self._saved, self._now(), _SAVE):
                self.save()

    def save(self) -> None:
        """Write down what was acknowledged."""
        self._saved = self._now()
        followed = self._log.positions()
        self._acknowledged = {name: row for name, row in self._acknowledged.items() if name in followed}
        self._spool.save({"epoch": self._epoch, "logs": self._acknowledged})

    def waiting(self) -> int:
        """Bytes in the spool."""
        return self._spool.waiting()

    def close(self) -> None:
        """Give all back."""
        self.save()
        self._spool.close()
        self._log.close()

    def _take(self, name: str, lines: bytes) -> None:
        """The lines of a log: the position after them belongs to the last batch alone."""
        if _OF_EXIM.match(lines):
            self.say(
                f"headless {name}",
                f"{name}: its lines name no host, and will be left out: have Exim log through syslog "
                "(log_file_path = syslog), and name the file that syslog writes in [log] files",
            )
        if (gaps := self._log.losses()["gaps"]) != self._gaps:
            self._gaps, self._epoch = gaps, secrets.token_hex(8)
        before = self._read.get(name, _Read())
        at = before.at
        *others, last = _pieces(lines)
        for piece in others:
            at = self._put(name, before, piece, at)
        self._read[name] = _Read(at + len(last), self._log.positions()[name])
        self._put(name, self._read[name], last, at)

    def _put(self, name: str, read: _Read, lines: bytes, at: int, promise: float = 0.0) -> int:
        """Into the spool: lines that begin at a place, with what the log is to be read on from; where they end."""
        end, count = at + len(lines), lines.count(b"\n")
        batch = Batch(self._host, name, self._epoch, at, end, lines, count, promise, self._fares(), VERSION)
        head = {"log": name, "from": [read.at, read.position], "identity": wire.identity(batch) if lines else ""}
        self._spool.append(json.dumps(head).encode() + b"\n" + wire.encode(batch), count)
        return end

    def _fares(self) -> dict[str, float]:
        now = self._now()
        if not lately(self._looked, now, _NOTE):
            self._looked = now
            state = peek(self._table, now)
            self._state = {} if state.reason else {"table": state.generation, "age": max(0.0, state.age)}
        return {**self._state, "lost": self._spool.lost, "spooled": self._spool.waiting()}

    def _warn(self) -> None:
        for problem in self._log.problems():
            self.say(problem, problem)
        if self._spool.lost > self._told:
            self._told = self._spool.lost
            lost = f"the spool is full: {self._told} lines were never sent since it was made"
            self.say("spool", f"{lost}; raise [cluster] spool, or see why the stream is away")

    def say(self, about: str, problem: str) -> None:
        """Say what is wrong, once a minute."""
        if not lately(self._said.get(about, float("-inf")), self._now(), _QUIET):
            self._said[about] = self._now()
            log.warning("%s", problem)


def _head(record: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.partition(b"\n")[0])
    return found


def _pieces(lines: bytes) -> Iterator[bytes]:
    """At most LINES lines and _LARGEST bytes each, or one line."""
    begin = 0
    while begin < len(lines):
        end = begin
        for _ in range(LINES):
            following = lines.find(b"\n", end) + 1
            if not following or (following - begin > _LARGEST and end > begin):
                break
            end = following
        yield lines[begin:end]
        begin = end
