"""Run archives through the core at full speed: what a policy would have decided, by the log's own clock.

The same core as the live controller, so that the same lines give the same decisions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import tzinfo
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from logwatch import read_ahead
from logwatch.reading.merge import merged
from logwatch.reading.names import current_name, ordered
from logwatch.reading.source import CHUNK, STDIN, DamageError, Progress, SourceError, all_of, chunks, despite, stamps
from logwatch.reading.stamp import Stamps, first_year

if TYPE_CHECKING:  # whoever only wants to know when a log begins must not wait for numpy and the grammar
    from logwatch.core import Core, Step
    from logwatch.reading.reader import Reader
    from logwatch.schema import Columns


def start_of(paths: Iterable[str], zone: tzinfo | None, newest: float) -> float:
    """About when the first line of these logs was written; `newest`: no line is younger (epoch).

    Stamps may have no year: each log is looked through for the first that has, and where there is none the years go
    back from its last line. Standard input cannot be read twice: taken to have begun within half a year before
    `newest`.
    """
    return min((_start(log, zone, newest) for log in apart(paths)), default=newest)


def lines_of(
    paths: Iterable[str], zone: tzinfo | None, newest: float, seen: Progress = lambda _: None
) -> Iterator[bytes]:
    """All whole lines of logs, some megabytes at a time: a log's parts oldest first, several logs merged by stamp.

    `zone` and `newest` as for `start_of`; `seen` is told of bytes read (source.chunks). What is damaged is read as far
    as it can be, and then what comes after it; DamageError at the end.
    """
    logs, damage = apart(paths), list[DamageError]()
    size = max(_SMALLEST, CHUNK // max(1, len(logs)))
    lines = [chain.from_iterable(despite(damage, chunks(path, size, seen)) for path in log) for log in logs]
    if len(logs) == 1:
        yield from lines[0]
    else:
        starts = (Stamps(zone, _start(log, zone, newest)) for log in logs)
        yield from merged(list(zip(lines, starts, strict=True)))
    if damage:
        raise all_of(damage)


_SMALLEST = 1 << 16  # bytes of each of many logs that are held at a time


def apart(paths: Iterable[str]) -> list[list[str]]:
    """Files by the log that they are parts of, each log's oldest first."""
    return [list(log) for _, log in groupby(ordered(paths), key=current_name)]


def _start(log: Iterable[str], zone: tzinfo | None, newest: float) -> float:
    found = chain.from_iterable(_readable_stamps(path) for path in log)
    return first_year(_up_to_a_year(found), zone, newest)


def _readable_stamps(path: str) -> Iterator[bytes]:
    """Those up to where a log cannot be read, which is said when it is read itself."""
    with suppress(SourceError):
        if path != STDIN:
            yield from stamps(path)


def _up_to_a_year(found: Iterable[bytes]) -> Iterator[bytes]:
    """Stamps up to the first that names its year, which tells that of all before it."""
    for stamp in found:
        yield stamp
        if stamp[:1].isdigit():
            return


def events_of(
    reader: Reader, paths: Iterable[str], newest: float, seen: Progress = lambda _: None
) -> Iterator[tuple[float, Columns]]:
    """The events of these logs (`lines_of`), and the clock before each piece; much is read by another process."""
    logs = list(paths)
    lines = partial(lines_of, logs, reader.zone, newest)
    if len(os.sched_getaffinity(0)) > 1 and sum(map(_size, logs)) >= _MUCH:
        yield from read_ahead.read(reader, lines, seen)
        return
    for chunk in lines(seen):
        before = reader.clock
        yield before, reader.read(chunk)


def rerun(core: Core, paths: Iterable[str], newest: float, seen: Progress = lambda _: None) -> Iterator[Step]:
    """The core's steps over all lines of these logs."""
    return (_taken(core, events, before) for before, events in events_of(core.reader, paths, newest, seen))


def side_by_side(
    core: Core, other: Core, paths: Iterable[str], newest: float, seen: Progress = lambda _: None
) -> Iterator[tuple[Step, Step]]:
    """The steps of two cores over these logs, which are read once: only measuring and judging are done by each."""
    pieces = events_of(core.reader, paths, newest, seen)
    return ((_taken(core, events, before), _taken(other, events, before)) for before, events in pieces)


def _taken(core: Core, events: Columns, before: float) -> Step:
    """A step of which nothing will be written down: what changed would be noted for ever."""
    step = core.take(events, before)
    for memory in core.memories():
        memory.settle()
    return step


_MUCH = 16 << 20  # bytes of logs, as they are stored


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:  # standard input, or what will be told of when it is read
        return 0
