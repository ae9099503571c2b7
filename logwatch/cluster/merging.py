"""The lines of many gateways as one log, in order of their stamps. No I/O, no clock.

What comes out depends on the messages and their order in the stream alone: not on how many are taken at a time, nor on
restarts. So every controller reads the same log, and a replay of that log decides the same.

* Order: (time, host, log, place in the log), as `reading.merge` has it. A line's time is its stamp, or the one before
  it in its log if that is later.
* A line waits until no host can have an older one: each log is known up to its latest line, or its host's latest
  promise (`wire.Batch.promise`), which a gateway gives several times a second while it has nothing to send.
* Nobody waits for a host from which nothing has come for PRESENCE seconds, and no line waits longer than `hold`
  seconds after it has come. Both are told by the stamps of the server, which are in the stream too, but only while it
  lives: gateways give a sign several times a second, so of a gap between two stamps GAP_AT_MOST seconds count at most,
  and of a step back none. After a gap of more than PRESENCE seconds it was the server that was away; hosts that were
  there before have RETURN seconds to come back.
* What comes after its turn is `late`: it is passed on at once and judged as of the core's clock. What is later than
  `late` seconds would tell of rates that never were, and is left out (`stale`).
* A host whose clock is ahead would pull that of all others: its lines are left out (`ahead`) as long as their stamps
  are more than AHEAD seconds after the server's.
* A gateway speaks for the hosts that `speaks` grants it: a line that names another is left out (`foreign`), and so is
  one that names none (`headless`; Exim's own file: have it log through syslog).
* What a log has lost on its way shows as a gap in its bytes (`unshipped`); what came before comes once (`duplicates`).

Bounds: HOSTS hosts, _OF_A_HOST logs of each; batches of lines of one more are `refused`, those of a host under no name.
For one host more, all are forgotten that have been silent for SILENCE seconds; what they lost counts under no name.
BYTES of waiting lines, beyond which the oldest stop waiting.

Known limit: traditional stamps have whole seconds, so a line of another host may wait until the second is over.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from math import floor
from typing import Any, NamedTuple

from logwatch.cluster import wire
from logwatch.cluster.wire import Batch
from logwatch.reading.stamp import SYSLOG_STAMP, Stamps

PRESENCE = 3.0
GAP_AT_MOST = 1.0
RETURN = 10.0
AHEAD = 60.0
HOSTS = 1000
SILENCE = 7 * 86400.0
BYTES = 64 << 20
_OF_A_HOST = 100  # logs; for one more, the one that has been silent for longest is forgotten

LOST = ("stale", "ahead", "foreign", "headless", "refused", "unshipped")  # counted by host: lines, of `unshipped` bytes
_LINE = re.compile(rf"(?:(?:<[0-9]{{1,3}}>(?:1 )?)?({SYSLOG_STAMP}) ([^ \r\n]+) [^\n]*)?[^\n]*\n".encode())

_NOBODY = ""  # in place of a host of which nothing is kept
Name = tuple[str, str]  # of a log: its host's, and its own


class Limits(NamedTuple):
    """Seconds: how long a line waits for others at most, and how late it may be."""

    hold: float = 10.0
    late: float = 900.0


class _Clock(NamedTuple):
    """The server's last stamp, and the seconds that have passed while the stream lived."""

    stamp: float
    time: float

    def after(self, stamp: float) -> _Clock:
        return _Clock(stamp, self.time + min(max(0.0, stamp - self.stamp), GAP_AT_MOST))


class _Known(NamedTuple):
    """What is known of a log before a message: how far it has come, and in time."""

    epoch: str
    end: int
    low: float  # no later line is older
    last: float  # of its stamps
    coarse: bool = True  # its stamps have whole seconds


class _Run(NamedTuple):
    """Lines of one time that follow each other: where in the piece they stand."""

    time: float
    begin: int
    end: int


@dataclass
class _Piece:
    """What is left of a message; `before`: what was known before it, and the clock then."""

    seq: int
    arrived: float
    before: _Known
    clock: _Clock
    lines: bytes
    runs: deque[_Run]


@dataclass
class _Log:
    """A log: what is known of it, and what waits."""

    known: _Known
    stamps: Stamps
    pieces: deque[_Piece] = field(default_factory=deque)
    since: int = 0  # messages from here on are to be taken in
    skip: int = 0  # of the first of them, so much was passed on in an earlier life


class Merger:
    """Takes messages in the stream's order; `out` gives the lines whose turn has come."""

    def __init__(
        self,
        limits: Limits,
        zone: tzinfo | None,
        speaks: Callable[[str, str], bool],
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """`state` as `state()` gave it: then messages from `resume` on are to be taken once more."""
        state = state or {}
        self.seq: int = state.get("seq", 0)  # of the last message taken
        self.counts: dict[str, Counter[str]] = {
            host: Counter(counts) for host, counts in state.get("counts", {}).items()
        }
        self.states: dict[str, dict[str, float]] = dict(state.get("states", {}))
        self.versions: dict[str, str] = dict(state.get("versions", {}))
        self._limits = limits
        self._zone = zone
        self._speaks = speaks
        self._newest: float = state.get("time", 0.0)  # stamp of the server
        self._clock = _Clock(*state.get("clock", (self._newest, self._newest)))
        self._passed: float = state.get("passed", 0.0)  # the newest time that was given out
        self._seen: dict[str, float] = dict(state.get("seen", {}))
        self._logs = dict(self._restored(state.get("logs", [])))
        self._out: list[bytes] = []
        self._waiting = 0  # bytes
        self.resume = min((log.since for log in self._logs.values()), default=self.seq + 1)
        self._taken = self.resume - 1  # the last message, of those that are taken once more too

    def take(self, seq: int, stamp: float, batch: Batch | None) -> None:
        """One message; `stamp`: when the server got it (epoch), `batch`: None for one that is no batch of lines."""
        again = seq <= self.seq
        before, self._clock = self._clock, self._clock.after(stamp)
        if not again:
            self._newest, self.seq = max(self._newest, stamp), seq
            if stamp - before.stamp > PRESENCE:
                self._await_return(before.time)
        if batch is not None:
            self._add(seq, stamp, batch, again, before)
        self._taken = seq
        if not again:
            self._pass_on()

    def refuse(self, host: str) -> None:
        """A message of a host cannot be taken in."""
        self._count(host, "refused", 1)

    def out(self) -> bytes:
        """The lines that have been passed on since this was last asked."""
        lines, self._out = b"".join(self._out), []
        return lines

    def state(self) -> dict[str, Any]:
        """All that a later life needs, as JSON values; lines that wait are to be read from the stream again."""
        waiting = ((log.pieces[0].seq, log.pieces[0].clock) for log in self._logs.values() if log.pieces)
        return {
            "seq": self.seq,
            "time": self._newest,
            "now": self._clock.time,
            "clock": min(waiting, default=(0, self._clock))[1],
            "passed": self._passed,
            "seen": self._seen,
            "states": self.states,
            "versions": self.versions,
            "counts": {host: dict(counts) for host, counts in self.counts.items()},
            "logs": [[*name, *self._saved(log)] for name, log in self._logs.items()],
        }

    def _saved(self, log: _Log) -> tuple[Any, ...]:
        if not log.pieces and log.since > self._taken:  # what waits has not been taken once more yet
            return (*log.known, log.since, log.skip)
        if not log.pieces:
            return (*log.known, self._taken + 1, 0)
        first = log.pieces[0]
        return (*first.before, first.seq, first.runs[0].begin)

    def _restored(self, rows: list[Any]) -> Iterator[tuple[Name, _Log]]:
        for host, name, *known, since, skip in rows:
            found = _Known(*known)
            yield (host, name), _Log(found, Stamps(self._zone, found.last), since=since, skip=skip)

    # One message.

    def _await_return(self, then: float) -> None:
        """The stream was away: nobody who was there before is gone yet."""
        for host, seen in self._seen.items():
            if seen > then - PRESENCE:
                self._seen[host] = self._clock.time + RETURN - PRESENCE

    def _add(self, seq: int, stamp: float, batch: Batch, again: bool, before: _Clock) -> None:
        host = batch.host
        if host not in self._seen and len(self._seen) >= HOSTS and not again:
            self._forget_silent()
        if host not in self._seen and len(self._seen) >= HOSTS:
            if batch.lines and not again:
                self.refuse(_NOBODY)
            return
        if not again:
            self._seen[host] = self._clock.time
            self.states[host] = dict(batch.state)
            self.versions[host] = batch.version
        if batch.log == wire.ALL:
            self._promise(seq, batch, stamp, again)
            return
        log = self._log(batch, stamp, again)
        if log is None or seq < log.since:
            return
        known = log.known
        lines, begin = self._new(log, batch, again)
        runs = self._runs(log, host, lines, stamp, again)
        if begin:
            runs = deque(_Run(time, start + begin, end + begin) for time, start, end in runs)
        if seq == log.since and log.skip:
            runs = deque(run for run in runs if run.begin >= log.skip)
        if runs:
            log.pieces.append(_Piece(seq, self._clock.time, known, before, batch.lines, runs))
            self._waiting += len(batch.lines)  # with those that are left out, which are kept as long

    def _forget_silent(self) -> None:
        """Make room; hosts with lines that wait are kept."""
        waiting = {name[0] for name, log in self._logs.items() if log.pieces}
        before = self._clock.time - SILENCE
        for host in [host for host, seen in self._seen.items() if seen < before and host not in waiting]:
            del self._seen[host], self.states[host], self.versions[host]
            self._logs = {name: log for name, log in self._logs.items() if name[0] != host}
            if lost := self.counts.pop(host, None):
                self.counts.setdefault(_NOBODY, Counter()).update(lost)

    def _promise(self, seq: int, batch: Batch, stamp: float, again: bool) -> None:
        """What holds for all logs of a host; one that has none yet is known by it."""
        logs = [log for (host, _), log in self._logs.items() if host == batch.host]
        if not logs and not again:
            logs = [self._begun(batch, stamp)]
        promise = min(batch.promise, stamp)
        for log in logs:
            if seq >= log.since:
                low = floor(promise) if log.known.coarse else promise
                log.known = log.known._replace(low=max(log.known.low, low))

    def _log(self, batch: Batch, stamp: float, again: bool) -> _Log | None:
        found = self._logs.get((batch.host, batch.log))
        if found or again:
            return found
        self._logs.pop((batch.host, wire.ALL), None)
        mine = {name: log for name, log in self._logs.items() if name[0] == batch.host}
        if len(mine) >= _OF_A_HOST:
            idle = [name for name, log in mine.items() if not log.pieces]
            if not idle:
                if batch.lines:
                    self.refuse(batch.host)
                return None
            del self._logs[min(idle, key=lambda name: mine[name].known.low)]
        return self._begun(batch, stamp)

    def _begun(self, batch: Batch, stamp: float) -> _Log:
        log = _Log(_Known(batch.epoch, batch.at, 0.0, stamp), Stamps(self._zone, stamp))
        self._logs[batch.host, batch.log] = log
        return log

    def _new(self, log: _Log, batch: Batch, again: bool) -> tuple[bytes, int]:
        """The lines that have not come before, and where in the batch they begin."""
        if batch.epoch != log.known.epoch:
            log.known = log.known._replace(epoch=batch.epoch, end=batch.at)
        end, log.known = log.known.end, log.known._replace(end=max(log.known.end, batch.end))
        begin = max(0, end - batch.at)
        if not again and batch.at > end:
            self._count(batch.host, "unshipped", batch.at - end)
        if not again and begin and batch.lines:
            self._count(batch.host, "duplicates", 1)
        return batch.lines[begin:], begin if begin < len(batch.lines) else 0

    def _runs(self, log: _Log, host: str, lines: bytes, server: float, again: bool) -> deque[_Run]:
        """The lines that count, by their times."""
        runs: deque[_Run] = deque()
        time, text, newest = log.known.low, b"", server + AHEAD
        allowed: set[bytes] = set()
        left_out: Counter[str] = Counter()
        stamp: float | None = None
        begin = end = -1  # of the run
        for found in _LINE.finditer(lines):
            if found[2] is None:
                left_out["headless"] += 1
                continue
            if found[2] not in allowed:
                if not self._speaks(host, found[2].decode("latin-1")):
                    left_out["foreign"] += 1
                    continue
                allowed.add(found[2])
            if found[1] != text:
                text, stamp = found[1], log.stamps.read(found[1])
            if stamp is not None and stamp > newest:
                left_out["ahead"] += 1
                continue
            if found.start() != end or (stamp or 0.0) > time:
                if end > begin:
                    runs.append(_Run(time, begin, end))
                time, begin = max(time, stamp or 0.0), found.start()
            end = found.end()
        if end > begin:
            runs.append(_Run(time, begin, end))
        coarse = b"." not in text if text else log.known.coarse
        log.known = log.known._replace(low=time, last=log.stamps.last, coarse=coarse)
        if not again:
            for what, count in left_out.items():
                self._count(host, what, count)
        return runs

    def _count(self, host: str, what: str, number: int) -> None:
        self.counts.setdefault(host, Counter())[what] += number

    # Whose turn it is.

    def _pass_on(self) -> None:
        heads = [(log.pieces[0].runs[0].time, *name) for name, log in self._logs.items() if log.pieces]
        if not heads:
            return
        heapq.heapify(heads)
        absent = self._clock.time - PRESENCE
        idle = (
            (log.known.low, *name)
            for name, log in self._logs.items()
            if not log.pieces and self._seen[name[0]] > absent
        )
        bound = min(idle, default=_NEVER)
        due = max(map(self._due, self._logs.values()))
        while heads and (heads[0] < bound or heads[0][0] <= due or self._waiting > BYTES):
            _, host, name = heapq.heappop(heads)
            log = self._logs[host, name]
            self._give(host, log)
            if log.pieces:
                heapq.heappush(heads, (log.pieces[0].runs[0].time, host, name))
            elif self._seen[host] > absent:
                bound = min(bound, (log.known.low, host, name))

    def _due(self, log: _Log) -> float:
        """The newest time of lines that have waited for so long that they wait no longer."""
        newest = float("-inf")
        for piece in log.pieces:
            if piece.arrived > self._clock.time - self._limits.hold:
                break
            newest = piece.runs[-1].time
        return newest

    def _give(self, host: str, log: _Log) -> None:
        """Pass on the first lines of a log."""
        piece = log.pieces[0]
        time, begin, end = piece.runs.popleft()
        if not piece.runs:
            log.pieces.popleft()
            self._waiting -= len(piece.lines)
        if time < self._passed:
            lines = piece.lines.count(b"\n", begin, end)
            stale = time < self._passed - self._limits.late
            self._count(host, "stale" if stale else "late", lines)
            if stale:
                return
        self._passed = max(self._passed, time)
        self._out.append(piece.lines[begin:end])


_NEVER = (float("inf"), "", "")
