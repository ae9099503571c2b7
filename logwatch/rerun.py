"""Run archives through the core at full speed: what a policy would have decided, by the log's own clock.

The same core as the live controller, so that the same lines give the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import tzinfo
from itertools import chain
from typing import TYPE_CHECKING

from logwatch.reading.names import ordered
from logwatch.reading.source import STDIN, SourceError, chunks, stamps
from logwatch.reading.stamp import first_year

if TYPE_CHECKING:  # whoever only wants to know when a log begins must not wait for pandas
    from logwatch.core import Core, Step


def start_of(paths: Iterable[str], zone: tzinfo | None, newest: float) -> float:
    """About when the first line of these logs was written, oldest log first; `newest`: no line is younger (epoch).

    Stamps may have no year: looks through the logs for the first one that has, and where there is none goes back from
    the last. Standard input cannot be read twice: taken to have begun within half a year before `newest`.
    """
    found = chain.from_iterable(_readable_stamps(path) for path in ordered(paths))
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


def rerun(core: Core, paths: Iterable[str], seen: Callable[[int], None] = lambda _: None) -> Iterator[Step]:
    """The core's steps over all lines of these logs, oldest log first; `seen` is told of bytes read (source.chunks)."""
    for path in ordered(paths):
        for chunk in chunks(path, seen=seen):
            yield core.feed(chunk)
