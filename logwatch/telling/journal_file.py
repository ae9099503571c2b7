"""The file that the journal is kept in: SQLite with a write-ahead log, its schema, and what may happen to it.

A file of an older version is brought up to date when it is opened for writing. One that is removed while it is in use
is put back: all that it held is there for as long as it is open.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from enforce.errors import ReportedError

_WAL = 16_000  # pages: at 64 MB the write-ahead log is moved into the file, whatever the moment
_PATIENCE = 1.0  # seconds for another writer to finish; the controller must not stand still
_DAMAGED = (
    "it is damaged; stop `mailbrake watch`, move it and its -wal and -shm away, and start with --learn LOG…; "
    "`sqlite3 FILE .recover` may save some of it"
)
_REMEDIES = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: "another process is writing it; try again, or have `fuser -v FILE` say which one",
}
# What each version of the schema adds to the one before; a journal is brought up to the last when it is opened.
_VERSIONS = (
    """
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL, mode TEXT NOT NULL,
    until REAL NOT NULL, share REAL, max_recipients INTEGER, rule TEXT NOT NULL, ref TEXT NOT NULL, queue_id TEXT,
    evidence TEXT NOT NULL);
CREATE INDEX decisions_key ON decisions (key);
CREATE INDEX decisions_ref ON decisions (ref);
CREATE INDEX decisions_until ON decisions (until);
CREATE TABLE lines (seq INTEGER NOT NULL, place INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (seq, place));
CREATE TABLE effects (
    ref TEXT NOT NULL, key TEXT NOT NULL, rule TEXT NOT NULL, messages INTEGER NOT NULL, recipients INTEGER NOT NULL,
    refused INTEGER NOT NULL, PRIMARY KEY (ref, key, rule)) WITHOUT ROWID;
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, verdict TEXT NOT NULL, by TEXT NOT NULL,
    note TEXT NOT NULL, until REAL, effective REAL);
CREATE TABLE memory (room TEXT NOT NULL, key TEXT NOT NULL, time REAL NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (room, key)) WITHOUT ROWID;
CREATE TABLE checkpoint (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    """
CREATE TABLE answers (
    time REAL NOT NULL, until REAL NOT NULL, client TEXT NOT NULL, zone TEXT NOT NULL, codes TEXT NOT NULL);
CREATE INDEX answers_time ON answers (time);
""",
    "CREATE TABLE guarded (seq INTEGER PRIMARY KEY);",
    """
CREATE TABLE published (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, key TEXT NOT NULL, change TEXT NOT NULL, action TEXT NOT NULL,
    mode TEXT NOT NULL, until REAL NOT NULL, share REAL, max_recipients INTEGER, rule TEXT NOT NULL, ref TEXT NOT NULL,
    why TEXT NOT NULL);
CREATE INDEX published_key ON published (key);
CREATE INDEX published_time ON published (time);
""",
    # floors were kept by rule and key
    """
INSERT OR REPLACE INTO memory SELECT room, substr(key, instr(key, ' ') + 1), time, value FROM memory
    WHERE room = 'floors' AND instr(substr(key, 1, instr(key, ' ')), ':') = 0;
DELETE FROM memory WHERE room = 'floors' AND instr(key, ' ') > 0 AND instr(substr(key, 1, instr(key, ' ')), ':') = 0;
""",
    "",  # positions have marks, which no mailbrake before can read
    "ALTER TABLE reviews ADD COLUMN latest INTEGER;",
    # a number that was given to a review is given to no other, though the review be forgotten
    """
CREATE TABLE numbered (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, key TEXT NOT NULL, verdict TEXT NOT NULL,
    by TEXT NOT NULL, note TEXT NOT NULL, until REAL, effective REAL,
    latest INTEGER);
INSERT INTO numbered SELECT * FROM reviews;
DROP TABLE reviews;
ALTER TABLE numbered RENAME TO reviews;
""",
)


class JournalError(ReportedError):
    """The journal cannot be used: which file, why, and what to do."""


class Archive:
    """An open file; sqlite3's errors on reading and writing pass through, for the caller decides what to do.

    Out of a `with` they come as JournalError.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, use: str) -> None:
        """`use`: what it was opened for, "read" or "written"."""
        self._use = use
        self._db = connection
        self._path = path
        self._file = _file_at(path)
        self._beside: list[tuple[int, int] | None] = []  # its write-ahead log, once it is there, and that one's index

    @classmethod
    def open(cls, path: Path) -> Self:
        """The journal at `path` for reading and writing, made (0600, directory 0750) if there is none."""
        try:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            if not path.exists():
                os.close(opened(path))
            with _connected(str(path), isolation_level=None) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                # a power cut may cost the last moments, never consistency
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL}")
                _migrate(connection, path)
                return cls(connection, path, "written")
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{path}: cannot be opened: {reason(error)}") from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """A journal for reading only; JournalError if there is none."""
        try:
            path.stat()
            with _connected(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
                if _version(connection, path) < len(_VERSIONS):
                    raise JournalError(
                        f"{path}: of an older version; `mailbrake watch` brings it up to date when it starts"
                    )
                return cls(connection, path, "read")
        except FileNotFoundError:
            raise JournalError(
                f"{path}: there is no journal yet; is this the state directory of `mailbrake watch`?"
            ) from None
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{path}: cannot be read: {reason(error)}") from None

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        if isinstance(error, sqlite3.Error):
            raise JournalError(f"{self._path}: cannot be {self._use}: {reason(error)}") from None

    def in_place(self) -> bool:
        """Whether its files are there, as far as can be seen; JournalError where another journal is.

        Without the write-ahead log beside it, nobody else would see what is written from now on, nor the next start.
        """
        try:
            found = _file_at(self._path)
            beside = [_file_at(self._path.with_name(f"{self._path.name}-{part}")) for part in ("wal", "shm")]
        except OSError:
            return True
        if found not in (None, self._file):
            raise JournalError(f"{self._path}: was replaced while in use; what is there now counts from the next start")
        if not self._beside and None not in beside:
            self._beside = beside
        return found is not None and beside == (self._beside or beside)

    def put_back(self) -> Self:
        """A journal in place of this one, whose file was removed: all that it held, which is there while it is open."""
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            os.close(opened(new, os.O_EXCL))
            self._db.execute("VACUUM INTO ?", (str(new),))
            new.rename(self._path)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{self._path}: was removed while in use, and cannot be put back: {error}") from None
        self.close()
        return self.open(self._path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # where the disk is full SQLite has done it itself
                self._db.execute("ROLLBACK")
            raise


def opened(path: Path, flags: int = 0) -> int:
    """A descriptor of a file for its owner alone, made if it is missing.

    One that root makes belongs to the directory's owner: an operator's first command must not lock the controller out.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | flags, 0o600)
    if is_new and os.geteuid() == 0:
        directory = path.parent.stat()
        os.fchown(descriptor, directory.st_uid, directory.st_gid)
    return descriptor


def reason(error: OSError | sqlite3.Error) -> str:
    """What is wrong with a file of the state directory, and what to do."""
    if isinstance(error, PermissionError):
        return f"{error.strerror}; run this as the user of `mailbrake watch`, or as root"
    if remedy := _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF):
        return f"{error}: {remedy}"
    said = error.strerror if isinstance(error, OSError) else str(error)
    return f"{said}; check owner, permissions, free space, and whether the file system is writable"


@contextmanager
def _connected(where: str, **how: Any) -> Iterator[sqlite3.Connection]:
    """A connection that stays open unless what is done with it here fails."""
    connection = sqlite3.connect(where, timeout=_PATIENCE, **how)
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > len(_VERSIONS):
        raise JournalError(
            f"{path}: written by another version of mailbrake (schema {found}, this one knows {len(_VERSIONS)}); "
            "use that version"
        )
    if _columns(connection) != _columns_of(found):  # while nothing was released, a version could change
        raise JournalError(
            f"{path}: made by an early checkout, and cannot be brought up to date; move the state directory aside, "
            "and begin anew with `mailbrake watch --learn LOG…`; give orders, releases and exemptions again"
        )
    return int(found)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date, all or nothing; others may be about to do so, too."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found >= len(_VERSIONS):
        _version(connection, path)
        return
    connection.execute("BEGIN IMMEDIATE")
    _add(connection, range(_version(connection, path), len(_VERSIONS)))
    connection.commit()


def _add(connection: sqlite3.Connection, versions: Iterable[int]) -> None:
    for version in versions:
        for statement in _statements(_VERSIONS[version]):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version + 1}")


def _statements(script: str) -> Iterator[str]:
    """Those of a script, of which each ends with its line; sqlite3's own `executescript` commits before it begins."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Tables with their columns."""
    return connection.execute(
        """SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
           WHERE m.type = 'table' ORDER BY m.name, c.cid"""
    ).fetchall()


def _columns_of(version: int) -> list[tuple[str, str]]:
    """What a journal of that version has."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        _add(connection, range(version))
        return _columns(connection)


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file a path names; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
