"""Which paths some patterns name just now; looked for again only where a directory has changed since."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from logwatch.reading.log_file import SETTLED

_ANEW = 5.0  # seconds after which it is looked all the same: a file server's clock may be behind ours

_Stamps = dict[str, tuple[int, int, int] | None]  # device, inode and time of change of directories


class PathPatterns:
    """The paths that patterns name; a pattern without `*`, `?` or `[` is a path itself, whether it is there or not."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        self._magic = tuple(filter(glob.has_magic, self._patterns))
        self.directories: tuple[str, ...] = ()  # whose entries say what the patterns with a magic character name
        self._seen: _Stamps = {}
        self._looked = float("-inf")
        self._settled = False  # whether a later change would show

    def look(self) -> list[tuple[str, bool]] | None:
        """Paths, each with whether a pattern of several names it, in order; None if they are those of the last look."""
        if self._is_as_it_was():
            return None
        self.directories = tuple(dict.fromkeys(place for pattern in self._magic for place in _places(pattern)))
        self._seen, self._looked = _stamps(self.directories), time.monotonic()
        now = time.time_ns()
        self._settled = all(found is None or now - found[2] > SETTLED * 1e9 for found in self._seen.values())
        return [*self._named()]

    def _is_as_it_was(self) -> bool:
        lately = time.monotonic() - self._looked < (_ANEW if self._magic else float("inf"))
        return lately and self._settled and _stamps(self.directories) == self._seen

    def _named(self) -> Iterator[tuple[str, bool]]:
        for pattern in self._patterns:
            if pattern in self._magic:
                yield from ((path, True) for path in sorted(glob.glob(pattern)) if not os.path.isdir(path))  # noqa: PTH112
            else:
                yield pattern, False


def _places(pattern: str) -> Iterator[str]:
    """The directories whose entries say what a pattern names."""
    parts = Path(pattern).parts
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    for place in range(first, len(parts)):
        yield from glob.glob(str(Path(*parts[:place]))) if place else [os.curdir]


def _stamps(directories: Iterable[str]) -> _Stamps:
    return {name: _stamp(name) for name in directories}


def _stamp(name: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - at each wake, and to make a Path of it takes longer
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
