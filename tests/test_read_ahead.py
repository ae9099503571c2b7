"""What is read ahead by a process of its own is what would have been read here."""

import gzip
import os
import signal
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reading_log import START, lines
from logwatch import read_ahead
from logwatch.core import COLUMNS
from logwatch.reading.reader import Reader
from logwatch.reading.source import Progress, SourceError, chunks


def reader() -> Reader:
    return Reader(COLUMNS, zone=UTC, start=START)


def listed(events: Any) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in events.items()}


def test_events_clock_and_counts_are_those_of_reading_here(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(b"".join(lines(3000)) + b"Oct  1 09:00:00 mx postfix/smtpd[1]: NOQUEUE: reject: cut\n")
    size = 1 << 16
    here, there, sizes = reader(), reader(), list[int]()
    expected = []
    for chunk in chunks(log, size):
        before = here.clock
        expected.append((before, listed(here.read(chunk))))
    found = read_ahead.read(there, lambda seen: chunks(log, size, seen), sizes.append)
    assert [(before, listed(events)) for before, events in found] == expected
    assert len(expected) > 3
    assert there.facts() == here.facts()
    assert sum(sizes) == log.stat().st_size


def test_a_damaged_archive_is_said_after_what_stands_before(tmp_path: Path) -> None:
    packed = tmp_path / "mail.log.1.gz"
    packed.write_bytes(gzip.compress(b"".join(lines(3000)))[:-50])
    whole, told = reader(), reader()
    with pytest.raises(SourceError) as here:
        for chunk in chunks(packed, 1 << 16):
            whole.read(chunk)
    with pytest.raises(SourceError) as there:
        list(read_ahead.read(told, lambda seen: chunks(packed, 1 << 16, seen)))
    assert str(there.value) == str(here.value)
    assert told.lines == whole.lines > 1000


def test_that_the_other_process_was_killed_is_said() -> None:
    def killed(_: Progress) -> Iterator[bytes]:
        yield b"".join(lines(10))
        os.kill(os.getpid(), signal.SIGKILL)

    found = read_ahead.read(reader(), killed)
    next(found)
    with pytest.raises(SourceError, match="ended early"):
        next(found)


def test_whoever_wants_no_more_ends_the_other_process() -> None:
    def endless(_: Progress) -> Iterator[bytes]:
        while True:
            yield b"".join(lines(1000))

    found = read_ahead.read(reader(), endless)
    next(found)
    found.close()  # returns only once it has ended
