"""Moves what the journal's write-ahead log holds into its file, in a thread of its own, for it waits for the disk.

SQLite would do it within the transaction that makes the log too long, and deciding would stand still for as long as the
disk takes: 40 ms for 64 MB on a disk that does nothing else. Readers and the writer are not held up by this
(`wal_checkpoint(PASSIVE)`); what the writer adds meanwhile stays for the next time.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Thread


class Mover:
    """The thread that does so for the journal at `path`, which somebody else has open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: Thread | None = None
        self._problem: sqlite3.Error | None = None

    def move(self) -> None:
        """Begin, unless it is still at it; sqlite3.Error if it could not be done the last time."""
        if self._thread and self._thread.is_alive():
            return
        problem, self._problem = self._problem, None
        self._thread = Thread(target=self._move, name="mover", daemon=True)
        self._thread.start()
        if problem:
            raise problem

    def close(self) -> None:
        """Wait until it is done."""
        if self._thread:
            self._thread.join()

    def _move(self) -> None:
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            self._problem = error
