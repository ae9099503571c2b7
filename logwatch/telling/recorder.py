"""What a controller has to write down: decisions, their lines, what was published and came of them, answers, reviews.

All of it goes into the journal in one transaction, with the position in the log and what the core remembers: at once
where something was decided or published, else every `SAVE_EVERY` seconds. What was read and not written is read again
after a kill, and gives the same; so a busy log costs a transaction only now and then. While the journal cannot be
written, all waits here, the latest `_PENDING` of each kind; of reviews all, as one that is forgotten would be taken up
again: there are as many as people said.

It comes after the table, and takes longer than deciding. So it gives way (`sched_yield`) in between to whoever wants
this processor: the milter may, to look at that table. Linux would let it wait for some milliseconds.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from enforce.errors import ReportedError
from logwatch.memory import Memory
from logwatch.schema import Columns, Decision, Listing
from logwatch.telling.effects import Effects, Tips
from logwatch.telling.evidence import Recent
from logwatch.telling.journal import Effect, Journal, Review
from logwatch.telling.journal_file import JournalError, opened, reason
from logwatch.telling.keeper import BEAT
from logwatch.telling.published import Change
from logwatch.telling.wal_checkpoint import Mover
from logwatch.wall_clock import lately

SAVE_EVERY = 0.1  # seconds between two transactions while nothing is decided
_PENDING = 10_000
_TIDY = 5.0
_DAY = 86400.0
_JUMP = 3 * _DAY  # from one day's pruning to the next, by the clock

_LOCK = "controller.lock"


class BusyError(ReportedError):
    """Another controller runs on the same state directory."""


class Recorder:
    """The journal at `path`, held alone while it is open; decisions are kept for `keep` seconds.

    `now` is the wall clock; `say` takes what the disk refuses.
    """

    def __init__(self, path: Path, keep: float, now: Callable[[], float], say: Callable[[str], None]) -> None:
        self._path, self._keep, self._now, self._say = path, keep, now, say
        self.journal = Journal.open(path)
        try:
            self._lock = alone(path.parent)
        except (BusyError, JournalError):
            self.journal.close()
            raise
        self._mover = Mover(path)
        self._recent = Recent()
        self._pending: list[tuple[Decision, list[str]]] = []
        self._held: list[int] = []
        self._effects = Effects()
        self._came_of: list[Effect] = []
        self._changed: list[Change] = []
        self._answered: list[Listing] = []
        self._taken: list[tuple[Review, float, int]] = []  # reviews in effect, from when, and after which decision
        self.unwritten = False  # whether the log has been read further than the journal knows
        self._saved = self._stayed = self._tidied = float("-inf")

    def attend(self, cases: Iterable[Decision], ordered: Iterable[Decision]) -> None:
        """Cases and orders that stand where the controller reads on: what comes of them is counted from there."""
        self._effects = Effects(cases)
        for order in ordered:
            self._effects.order(order)

    def ordered(self, order: Decision) -> None:
        """An operator's order that has been taken up: what comes of it is counted, too."""
        self._effects.order(order)

    def stand(self, key: str, decisions: Iterable[Decision]) -> None:
        """Only these decisions stand on a key from now on: what comes of others is counted no more."""
        self._effects.stand(key, decisions)

    def released(self, key: str) -> None:
        """The orders on a key have been taken back."""
        self._effects.release(key)

    def take(
        self, chunk: bytes, events: Columns, decisions: Iterable[Decision], held: Iterable[int], tips: Tips
    ) -> None:
        """A piece of log, its attributed events, what was decided at which, and which of that the guard held back."""
        decisions = list(decisions)
        self.unwritten = True
        self._recent.add(chunk, events)
        for decision in decisions:
            self._pending.append((decision, self._recent.lines(decision, tips[decision.seq])))
            os.sched_yield()
        self._came_of += self._effects.take(events, decisions, tips)
        self._held += held
        os.sched_yield()

    def published(self, changes: Iterable[Change]) -> None:
        """Changes of the table, in their order."""
        self._changed += changes

    def answered(self, listings: Iterable[Listing]) -> None:
        """Answers of DNS block lists."""
        self._answered += listings

    def reviewed(self, review: Review, effective: float, latest: int) -> None:
        """A review that has been taken up, after the decision `latest`, and holds from an event time on."""
        self._taken.append((review, effective, latest))

    def new(self, reviews: Iterable[Review]) -> list[Review]:
        """Those that have not been taken up: one may be, and the journal not know it yet."""
        taken = {review for review, *_ in self._taken}
        return [review for review in reviews if review not in taken or not review.id]

    def standing(self, time: float) -> list[Decision]:
        """Decisions that have not ended by a time, and those that are not written yet, oldest first."""
        return self.journal.standing(time) + [decision for decision, _ in self._pending]

    def listed(self) -> list[Change]:
        """The changes after which the table is what it is, written or not."""
        return self.journal.listed() + self._changed

    def waiting(self) -> int:
        """Decisions that are not written yet."""
        return len(self._pending)

    def due(self) -> bool:
        """Whether to save now."""
        now = self._now()
        saved = now != self._saved and lately(self._saved, now, SAVE_EVERY)  # a clock that stands still tells nothing
        return bool(self._pending or self._changed) or (self.unwritten and not saved)

    def save(self, memories: Iterable[Memory[Any]], notes: Mapping[str, object]) -> bool:
        """All that waits, with what the core remembers and named values of the checkpoint: all or nothing."""
        memories = tuple(memories)
        self._saved = self._now()
        try:
            with self.journal.transaction():
                self._write(memories, {**notes, "saved": self._saved})
        except sqlite3.Error as error:
            self._say(f"{self._path}: cannot be written: {error}; deciding goes on, unrecorded")
            for waiting in (self._pending, self._held, self._changed, self._came_of, self._answered):
                del waiting[:-_PENDING]
            return False
        for written in (self._pending, self._held, self._changed, self._came_of, self._answered, self._taken):
            written.clear()
        self.unwritten = False
        for memory in memories:
            memory.settle()
        return True

    def _write(self, memories: Iterable[Memory[Any]], notes: Mapping[str, object]) -> None:
        self.journal.record((d for d, _ in self._pending), {d.seq: lines for d, lines in self._pending})
        os.sched_yield()
        self.journal.hold_back(self._held)
        self.journal.put_down(self._changed)
        self.journal.affect(self._came_of)
        self.journal.answered(self._answered)
        os.sched_yield()
        self.journal.remember(memories)
        os.sched_yield()
        for review, effective, latest in self._taken:
            self.journal.seen(review, effective, latest)
        for name, value in notes.items():
            self.journal.note(name, value)

    def hindered(self, problems: list[str]) -> bool:
        """Note why the log cannot be read just now, for `status`; whether that could be written."""
        try:
            self.journal.note("problems", problems)
        except sqlite3.Error:  # which is told when something is to be saved
            return False
        return True

    # The file itself.

    def stay(self) -> None:
        """Put the journal back if somebody has removed it, and take the lock again, before others begin anew.

        JournalError, BusyError where somebody else has taken over the state directory.
        """
        now = self._now()
        if lately(self._stayed, now, BEAT) or self.journal.in_place():
            return
        self._stayed = now
        self._mover.close()  # who closes the old file last removes what is called its log, which would be the new one's
        try:
            self.journal = self.journal.put_back()
        except JournalError as error:
            self._say(f"{error}; deciding goes on, unrecorded")
            return
        if not _is_held(self._path.parent, self._lock):
            lock = alone(self._path.parent)
            os.close(self._lock)
            self._lock = lock
        self._say(f"{self._path}: was removed while in use, and has been put back as it was")

    def tidy(self) -> None:
        """Once in a while tidy up the journal, and forget what it need not keep."""
        now = self._now()
        if lately(self._tidied, now, _TIDY):
            return
        self._tidied = now
        try:
            self._mover.move()
            self._prune(now)
        except sqlite3.Error as error:
            self._say(f"{self._path}: cannot be tidied up: {error}")

    def _prune(self, now: float) -> None:
        """Once a day, and by the last time within a day after a jump of the clock: it may be years ahead."""
        before = self.journal.noted("pruned")
        passed = _DAY if before is None else now - before
        if 0 <= passed < _DAY:
            return
        if before is not None and passed >= _DAY:
            self.journal.prune((now if passed < _JUMP else before) - self._keep)
        self.journal.note("pruned", now)

    def close(self) -> None:
        """Give file and lock back."""
        self._mover.close()
        self.journal.close()
        os.close(self._lock)


def _is_held(directory: Path, descriptor: int) -> bool:
    """Whether the lock is still the one that others find, so that it need not be taken again."""
    try:
        return os.path.samestat(os.fstat(descriptor), (directory / _LOCK).stat())
    except FileNotFoundError:
        return False


def alone(directory: Path) -> int:
    """A lock on the state directory, held while its descriptor is open; BusyError if another controller has it.

    JournalError if it cannot be had at all.
    """
    try:
        descriptor = opened(directory / _LOCK)
    except OSError as error:
        raise JournalError(f"{directory / _LOCK}: cannot be opened: {reason(error)}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(f"{directory}: another `mailbrake watch` is running on this state directory") from None
    return descriptor
