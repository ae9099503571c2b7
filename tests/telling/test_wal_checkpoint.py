"""The write-ahead log of a journal, moved into its file by a thread."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from logwatch.telling.journal import Journal
from logwatch.telling.wal_checkpoint import Mover


def test_what_was_written_reaches_the_file(tmp_path: Path) -> None:
    """While the journal is open, and goes on being written."""
    path, alone = tmp_path / "journal.sqlite", tmp_path / "alone.sqlite"
    journal = Journal.open(path)
    journal.note("moved", 1)
    mover = Mover(path)
    mover.move()
    mover.close()
    journal.note("later", 2)
    shutil.copy(path, alone)
    copy = Journal.read(alone)
    assert (copy.noted("moved"), copy.noted("later")) == (1, None)
    copy.close()
    journal.close()


def test_a_journal_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """It is told the next time."""
    path = tmp_path / "journal.sqlite"
    mover = Mover(path)
    mover.move()
    mover.close()
    with pytest.raises(sqlite3.OperationalError):
        mover.move()
    mover.close()
    assert not path.exists()
