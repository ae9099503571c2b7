"""The live controller: follow the log, decide, write the journal, publish.

For every piece of log, in this order: judge it; write decisions, log position and memory to the journal in one
transaction; publish. Killed between any two steps, the next start reads on from the journal and makes the table equal
to it, so nothing is lost and nothing counted twice.

What cannot be written does not stop it: while the journal fails, decisions are kept in memory (the latest `_PENDING`)
and published all the same; while the table fails, it is tried again at every beat. Both are said once a minute.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from enforce.config import Config
from enforce.table import TableError, Writer
from logwatch.core import Release, Step
from logwatch.reading.follow import Wake
from logwatch.rerun import start_of
from logwatch.schema import Decision, iso
from logwatch.settings import core_of, follower_of, policy_of, zone_of
from logwatch.telling.evidence import Recent
from logwatch.telling.journal import Journal, Review
from logwatch.telling.publish import Publisher

BEAT = 5.0  # seconds between signs of life in the table
POLL = 1.0  # seconds after which files are looked at though nothing woke us
_PENDING = 10_000
_QUIET = 60.0  # seconds before the same trouble is said again

log = logging.getLogger("mailbrake.watch")


class BusyError(Exception):
    """Another controller runs on the same state directory."""


class Controller:
    """One controller on one state directory; `now` is the wall clock, for leases and ends."""

    def __init__(self, config: Config, now: Callable[[], float]) -> None:
        self._config = config
        self._now = now
        policy = policy_of(config)
        self.journal = Journal.open(config.journal)
        self._lock = _alone(Path(config.state.directory))
        positions = self.journal.noted("positions") or {}
        self.follower = follower_of(config, positions)
        self.core = core_of(config, policy, self._start())
        self._take_up()
        self._recent = Recent()
        self._pending: list[tuple[Decision, list[str]]] = []
        self._troubles: dict[str, float] = {}
        self._writer: Writer | None = None
        self._publisher: Publisher | None = None
        self._beaten = float("-inf")

    def run(self, wake: Wake, stopped: Callable[[], bool]) -> None:
        """Until `stopped`."""
        self._open_table()
        while not stopped():
            self.once(stopped)
            wake.wait(POLL)
        self.close()

    def once(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Take in all that there is."""
        self._reviews()
        for _, chunk in self.follower.read():
            self._step(chunk)
            self._reviews()
            self._beat()
            if stopped():
                break
        self._beat()
        for problem in self.follower.problems():
            self._say("log", problem)

    def close(self) -> None:
        """Write the last position; the table keeps what stands until its leases run out."""
        self._save()
        self._close_table()
        self.follower.close()
        self.journal.close()
        os.close(self._lock)

    def _start(self) -> float:
        """About when the first line that will be read was written."""
        facts = self.journal.noted("facts")
        return (
            float(facts["stamp"])
            if facts
            else start_of(self.follower.paths(), zone_of(self._config), self._now())
        )

    def _take_up(self) -> None:
        facts = self.journal.noted("facts")
        if facts and not self.core.restore(facts, self.journal.remembered()):
            log.warning("the policy's windows changed: rates start anew; what stands, stands")

    # One piece of log.

    def _step(self, chunk: bytes) -> None:
        step = self.core.feed(chunk)
        self._recent.add(chunk, step.events)
        self._pending += [(decision, self._recent.lines(decision)) for decision in step.decisions]
        self._save()
        self._publish(step)

    def _save(self) -> None:
        """Decisions, position and memory, all or nothing."""
        try:
            with self.journal.transaction():
                self.journal.record((d for d, _ in self._pending), {d.seq: lines for d, lines in self._pending})
                self.journal.remember(self.core.memories())
                self.journal.note("facts", self.core.facts())
                self.journal.note("positions", self.follower.positions())
                self.journal.note("saved", self._now())
        except sqlite3.Error as error:
            self._say("journal", f"{self._config.journal}: cannot be written: {error}; deciding goes on, unrecorded")
            del self._pending[:-_PENDING]
            return
        self._pending.clear()
        for memory in self.core.memories():
            memory.settle()

    def _publish(self, step: Step) -> None:
        for decision in step.decisions:
            log.info("%s", line(decision))
        effective = [decision for decision in step.decisions if not self._released(decision)]
        if effective:
            self._with_table(lambda publisher: publisher.publish(effective, self._now()))

    # What operators say.

    def _reviews(self) -> None:
        try:
            for review in self.journal.unseen():
                self._take(review)
        except sqlite3.Error as error:
            self._say("journal", f"{self._config.journal}: reviews cannot be read: {error}")

    def _take(self, review: Review) -> None:
        effective = self.core.release(Release(review.key, review.time))
        with self.journal.transaction():
            self.journal.seen(review, effective)
            self.journal.note("facts", self.core.facts())
        log.info("%s released by %s: what came up to %s no longer counts", review.key, review.by, iso(effective))
        self._with_table(lambda publisher: publisher.forget(review.key, self._now()))

    # The table.

    def _open_table(self) -> None:
        """Open the table and make it hold what stands by journal, policy and reviews as they are now."""
        self._close_table()
        try:
            self._writer = Writer(self._config.table)
            if self._writer.afresh:
                log.warning("%s: made from the journal (%s)", self._config.table, self._writer.afresh)
            self._publisher = Publisher(self._writer, self._config.state.lease)
            self._publisher.restart(self._standing(), self._now())
        except (TableError, sqlite3.Error) as error:
            self._close_table()
            self._say("table", f"{error}; decisions are journalled, and published when it can be written")

    def _close_table(self) -> None:
        if self._writer:
            self._writer.close()
        self._writer = self._publisher = None

    def _standing(self) -> list[Decision]:
        unwritten = [decision for decision, _ in self._pending]
        found = (self.core.judge.still(d) for d in (*self.journal.standing(self._now()), *unwritten))
        return [decision for decision in found if decision and not self._released(decision)]

    def _released(self, decision: Decision) -> bool:
        """Whether a release that the log's clock has not passed yet takes this decision back."""
        return any(r.key == decision.key and decision.time <= r.time for r in self.core.releases)

    def _with_table(self, act: Callable[[Publisher], None]) -> None:
        """Do something with the table; if it fails, it is opened anew at the next beat."""
        if self._publisher is None:
            return
        try:
            act(self._publisher)
        except TableError as error:
            self._close_table()
            self._say("table", str(error))

    def _beat(self) -> None:
        now = self._now()
        if now - self._beaten < BEAT:
            return
        self._beaten = now
        if self._writer is None or not self._writer.in_place():
            self._open_table()
        self._with_table(lambda publisher: publisher.beat(now))

    def _say(self, about: str, problem: str) -> None:
        now = self._now()
        if now - self._troubles.get(about, float("-inf")) >= _QUIET:
            self._troubles[about] = now
            log.warning("%s", problem)


def line(decision: Decision) -> str:
    """A decision in one line, for the log."""
    why = ", ".join(f"{what} {e['value']:g}, limit {e['threshold']:g}" for what, e in decision.evidence.items())
    verb = decision.action if decision.mode == "enforce" else f"would-{decision.action}"
    return f"{verb} {decision.key} until {iso(decision.until)} (rule {decision.rule}, case {decision.ref}): {why}"


def _alone(directory: Path) -> int:
    """A lock on the state directory, held while its descriptor is open; BusyError if another controller has it."""
    descriptor = os.open(directory / "controller.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(f"{directory}: another `mailbrake watch` is running on this state directory") from None
    return descriptor
