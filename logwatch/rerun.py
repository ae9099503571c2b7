"""Run archives through the core at full speed: what a policy would have decided, by the log's own clock.

The same core as the live controller, so that the same lines give the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import tzinfo
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from logwatch.reading.names import ordered
from logwatch.reading.source import STDIN, chunks, stamps
from logwatch.reading.stamp import first_year

if TYPE_CHECKING:  # whoever only wants to know when a log begins must not wait for pandas
    from logwatch.core import Core, Step


def start_of(paths: Iterable[str], zone: tzinfo | None, newest: float) -> float:
    """About when the first line of these logs was written, in their order; `newest`: no line is younger (epoch).

    Reads them once for it, as stamps may have no year. Standard input cannot be read twice: taken to have begun within
    half a year before `newest`.
    """
    found = chain.from_iterable(stamps(path) for path in paths if path != STDIN and Path(path).exists())
    return first_year(found, zone, newest)


def rerun(core: Core, paths: Iterable[str], seen: Callable[[int], None] = lambda _: None) -> Iterator[Step]:
    """The core's steps over all lines of these logs, oldest log first; `seen` is told of bytes read (source.chunks)."""
    for path in ordered(paths):
        for chunk in chunks(path, seen=seen):
            yield core.feed(chunk)
