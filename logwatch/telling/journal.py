"""The journal: every decision with its evidence, every review, and where the controller was. One SQLite file (WAL).

Decisions, the log position and all that the core remembers change in one transaction, so that a controller killed at
any moment goes on exactly where this file says, with nothing counted twice or lost. Readers (`why`, `status`) do not
wait for it.

    decisions   one row per decision; times are epoch seconds
    lines       the log lines behind a decision
    reviews     what operators said; `effective` is the event time from which it holds, empty until the controller saw
    it memory      what the core remembers by key, one row each checkpoint  named JSON values: log positions, facts,
    when they were written
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logwatch.memory import Memory
from logwatch.schema import Decision

VERSION = 1
_PATIENCE = 1.0  # seconds for another writer to finish; the controller must not stand still
_SCHEMA = """
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL, mode TEXT NOT NULL,
    until REAL NOT NULL, share REAL, max_recipients INTEGER, rule TEXT NOT NULL, ref TEXT NOT NULL, queue_id TEXT,
    evidence TEXT NOT NULL);
CREATE INDEX decisions_key ON decisions (key);
CREATE INDEX decisions_ref ON decisions (ref);
CREATE INDEX decisions_until ON decisions (until);
CREATE TABLE lines (seq INTEGER NOT NULL, place INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (seq, place));
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, verdict TEXT NOT NULL, by TEXT NOT NULL,
    note TEXT NOT NULL, effective REAL);
CREATE TABLE memory (room TEXT NOT NULL, key TEXT NOT NULL, time REAL NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (room, key)) WITHOUT ROWID;
CREATE TABLE checkpoint (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_DECISION = "seq, time, key, action, mode, until, share, max_recipients, rule, ref, queue_id, evidence"


class JournalError(Exception):
    """The journal cannot be used: which file, why, and what to do."""


@dataclass(frozen=True)
class Review:
    """What an operator said about a key; times are epoch seconds, `effective` None until the controller saw it."""

    id: int
    time: float
    key: str
    verdict: str
    by: str
    note: str
    effective: float | None


class Journal:
    """An open journal; sqlite3's errors on reading and writing pass through, for the caller decides what to do."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> Journal:
        """The journal at `path` for reading and writing, made (0600, directory 0750) if there is none."""
        try:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(
                "PRAGMA synchronous = NORMAL"
            )  # a power cut may cost the last moments, never consistency
            return cls(_at_version(connection, path))
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{path}: cannot be opened: {error}; check owner, permissions and free space") from None

    @classmethod
    def read(cls, path: Path) -> Journal:
        """A journal for reading only; JournalError if there is none."""
        if not path.exists():
            raise JournalError(f"{path}: there is no journal yet; is this the state directory of `mailbrake watch`?")
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
            return cls(_at_version(connection, path))
        except sqlite3.Error as error:
            raise JournalError(f"{path}: cannot be read: {error}") from None

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Decisions.

    def record(self, decisions: Iterable[Decision], lines: Mapping[int, Iterable[str]]) -> None:
        """Add decisions, and the log lines behind them by `seq`."""
        for decision in decisions:
            self._db.execute(f"INSERT INTO decisions ({_DECISION}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", _row(decision))  # noqa: S608 - a constant
            rows = ((decision.seq, place, line) for place, line in enumerate(lines.get(decision.seq, ())))
            self._db.executemany("INSERT INTO lines VALUES (?,?,?)", rows)

    def case(self, ref_or_key: str) -> list[Decision]:
        """Every decision with this reference or on this key, newest first."""
        return self._decisions("WHERE ref = ? OR key = ? ORDER BY seq DESC", ref_or_key, ref_or_key)

    def standing(self, now: float) -> list[Decision]:
        """Decisions that have neither ended nor been released, oldest first: the last word on each (rule, key)."""
        clause = """
            WHERE until > ? AND action != 'release' AND seq IN (SELECT max(seq) FROM decisions GROUP BY rule, key)
            AND NOT EXISTS (SELECT 1 FROM reviews WHERE reviews.key = decisions.key AND verdict = 'released'
                            AND coalesce(effective, reviews.time) >= decisions.time)
            ORDER BY seq"""
        return self._decisions(clause, now)

    def decisions(self) -> list[Decision]:
        """All of them, in order."""
        return self._decisions("ORDER BY seq")

    def lines(self, seq: int) -> list[str]:
        """The log lines behind a decision."""
        return [line for (line,) in self._db.execute("SELECT line FROM lines WHERE seq = ? ORDER BY place", (seq,))]

    def _decisions(self, clause: str, *values: object) -> list[Decision]:
        rows = self._db.execute(f"SELECT {_DECISION} FROM decisions {clause}", values)  # noqa: S608 - clauses are ours
        return [_decision(row) for row in rows]

    # Reviews.

    def review(self, key: str, verdict: str, by: str, note: str, time: float) -> None:
        """Write down what an operator says; the controller will see it."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO reviews (time, key, verdict, by, note) VALUES (?,?,?,?,?)", (time, key, verdict, by, note)
            )

    def unseen(self) -> list[Review]:
        """Reviews that the controller has not taken up yet, oldest first."""
        return self._reviews("WHERE effective IS NULL ORDER BY id")

    def reviews(self, key: str) -> list[Review]:
        """All reviews of a key, newest first."""
        return self._reviews("WHERE key = ? ORDER BY id DESC", key)

    def seen(self, review: Review, effective: float) -> None:
        """A review has been taken up and holds from an event time on."""
        self._db.execute("UPDATE reviews SET effective = ? WHERE id = ?", (effective, review.id))

    def _reviews(self, clause: str, *values: object) -> list[Review]:
        rows = self._db.execute(f"SELECT id, time, key, verdict, by, note, effective FROM reviews {clause}", values)  # noqa: S608
        return [Review(*row) for row in rows]

    # Checkpoint.

    def remember(self, memories: Iterable[Memory[Any]]) -> None:
        """Write what changed in the core's memories; the caller settles them once the transaction is through."""
        for memory in memories:
            for key, time, value in memory.changes():
                if value is None:
                    self._db.execute("DELETE FROM memory WHERE room = ? AND key = ?", (memory.name, key))
                else:
                    self._db.execute("INSERT OR REPLACE INTO memory VALUES (?,?,?,?)", (memory.name, key, time, value))

    def remembered(self) -> dict[str, list[tuple[str, float, bytes]]]:
        """All rows of all memories, by memory."""
        rooms: defaultdict[str, list[tuple[str, float, bytes]]] = defaultdict(list)
        for room, key, time, value in self._db.execute("SELECT room, key, time, value FROM memory"):
            rooms[room].append((key, time, value))
        return rooms

    def note(self, name: str, value: object) -> None:
        """Set a named value of the checkpoint, anything that JSON can say."""
        self._db.execute("INSERT OR REPLACE INTO checkpoint VALUES (?,?)", (name, json.dumps(value)))

    def noted(self, name: str) -> Any:
        """A named value of the checkpoint; None where there is none."""
        row = self._db.execute("SELECT value FROM checkpoint WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None


def _at_version(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == 0:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    elif found != VERSION:
        raise JournalError(
            f"{path}: written by another version of mailbrake (schema {found}, this one knows {VERSION}); "
            "use that version"
        )
    return connection


def _row(decision: Decision) -> tuple[object, ...]:
    fields = {**vars(decision), "evidence": json.dumps(decision.evidence)}
    return tuple(fields[name] for name in _DECISION.split(", "))


def _decision(row: tuple[Any, ...]) -> Decision:
    fields = dict(zip(_DECISION.split(", "), row, strict=True))
    return Decision(**{**fields, "evidence": json.loads(fields["evidence"])})
