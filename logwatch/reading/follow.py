"""Follow log files as they grow: those named, those that match patterns now or later, and the logs in directories.

What is true is read from the files themselves (`tail`); watchdog is used here and nowhere else, only to be woken. A
poll once a second serves file systems that wake nobody, and directories that do not exist yet.
"""

from __future__ import annotations

import fnmatch
import os
import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any

from watchdog.events import (
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from logwatch.reading.duty_cycle import Rest
from logwatch.reading.log_file import READ, Position
from logwatch.reading.merge import Piece, in_turn
from logwatch.reading.names import current_name, dated_inside, is_rotated
from logwatch.reading.stamp import Stamps
from logwatch.reading.tail import Tail
from logwatch.reading.watched_paths import PathPatterns

_LOOK = 0.1  # seconds between two looks at directories, where nothing but lines comes
_SHARE = READ >> 2  # bytes of each log that are looked at together
_ABSENT = 100  # logs that patterns once named and that are gone: so many are remembered
_CHANGES: list[type[FileSystemEvent]] = [FileModifiedEvent, FileCreatedEvent, FileMovedEvent, FileDeletedEvent]


class Wake(FileSystemEventHandler):
    """Wakes whoever waits when something changes in the directories of the logs, or when `wake` is called."""

    def __init__(self, directories: Callable[[], Iterable[str]], observer: BaseObserver | None = None) -> None:
        """`directories` is asked now and then, as logs come and go; `observer` is watchdog's best by default."""
        self.problem = ""  # why some directory cannot be watched; it is looked at once a second all the same
        self._directories = directories
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._observer = observer or Observer()
        self._watches: dict[str, tuple[tuple[int, int], ObservedWatch | None]] = {}
        self._rest = Rest(time.monotonic(), time.thread_time())
        self._stale = True  # whether the directories may be others than those that are watched
        self._looked = float("-inf")  # when, by the clock that nobody sets
        self._observer.start()
        self._look()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Changes wake; that somebody opened or read a file (we do) is not even reported."""
        self._stale |= not isinstance(event, FileModifiedEvent)
        self.wake()

    def wake(self) -> None:
        """End the current or next `wait` at once; may be called from a signal handler or another thread.

        Not an Event: a handler that runs while the same thread holds the lock of one would wait for itself for ever.
        """
        if self._calls.empty():
            self._calls.put(None)

    def wait(self, seconds: float) -> bool:
        """Until something changes (True), `seconds` at most (False).

        A busy log costs half a core: it rests for as long as `Rest` says, in which lines gather.
        """
        now = time.monotonic()
        rested = now + self._rest.due(now, time.thread_time())
        if self._stale or now - self._looked >= _LOOK:
            self._stale, self._looked = False, now
            self._look()
        try:
            self._calls.get(timeout=seconds)
        except queue.Empty:
            self._stale = True
            return False
        time.sleep(max(0.0, rested - time.monotonic()))
        while not self._calls.empty():
            self._calls.get()
        return True

    def close(self) -> None:
        """Stop watching."""
        self._observer.stop()
        self._observer.join()

    def _look(self) -> None:
        """Watch the directories that are there now; one that was made anew is another."""
        present = {name: place for name in set(self._directories()) if (place := _place(name))}
        for name, (place, watch) in list(self._watches.items()):
            if present.get(name) != place:
                self._drop(name, watch)
        for name in sorted(present.keys() - self._watches.keys()):
            self._watches[name] = (present[name], self._watch(name))

    def _watch(self, name: str) -> ObservedWatch | None:
        try:
            return self._observer.schedule(self, name, recursive=False, event_filter=_CHANGES)
        except OSError as error:  # no more inotify watches, or a file system without
            self.problem = f"{name}: changes are not reported ({error.strerror}); it is looked at once a second"
            return None

    def _drop(self, name: str, watch: ObservedWatch | None) -> None:
        if watch:
            self._observer.unschedule(watch)
        del self._watches[name]


def _place(name: str) -> tuple[int, int] | None:
    try:
        found = Path(name).stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if Path(name).is_dir() else None


class Follower:
    """All files that `patterns` name, now or later: paths, patterns, directories (whose current logs are meant)."""

    def __init__(
        self,
        patterns: Iterable[str],
        positions: Mapping[str, Position],
        zone: tzinfo | None = None,
        begun: Callable[[str], float] = lambda _: time.time(),
    ) -> None:
        """`zone`: of stamps without one; `begun` says of a log about when it begins (epoch; see `stamp.first_year`)."""
        self._zone = zone
        self._begun = begun
        self._clocks: dict[str, float] = {}  # stamp of a log's next line, where several are read together
        self._patterns = tuple(_in_directory(pattern) for pattern in patterns)
        self._listing = PathPatterns(self._patterns)
        # logs that were followed, though their names may not be there just now
        self.tails = {path: Tail(path, position) for path, position in positions.items() if self._names(path)}
        self._losses: Counter[str] = Counter()  # of logs that are gone
        self.look()

    def look(self) -> None:
        """Take up files that have appeared, and forget some that are gone for good."""
        named = self._listing.look()
        if named is None:
            return
        for path, one_of_many in named:
            if path not in self.tails and (not one_of_many or self._is_log(path)):
                self.tails[path] = Tail(path)
        if len(self.tails) > _ABSENT:
            self._forget()

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Whole lines that have not been read yet, a piece of each file in turn; returns when there are none."""
        self.look()
        waiting = dict(self.tails)
        while waiting:
            for path, tail in list(waiting.items()):
                if piece := tail.read():
                    yield path, piece
                else:
                    del waiting[path]

    def lines(self) -> Iterator[bytes]:
        """Whole lines of all logs that have not been read yet, in order of their stamps, as `merge.merged` has them.

        Returns when every log has been read to its end, even if more has been written meanwhile. What was still being
        written when its turn came stands where it was found.
        """
        self.look()
        waiting = dict(self.tails)
        while pieces := {path: piece for path, tail in waiting.items() if (piece := tail.read(_SHARE))}:
            ends = {path for path in pieces if not self.tails[path].behind()}
            merged, left = self._in_turn(pieces, ends)
            waiting = {path: waiting[path] for path in pieces if path in left or path not in ends}
            yield merged

    def _in_turn(self, pieces: Mapping[str, bytes], ends: set[str]) -> tuple[bytes, set[str]]:
        """The lines of several logs that come first, and which logs have some left that they have been given back."""
        if len(pieces) == 1:
            return next(iter(pieces.values())), set()
        of = [Piece(lines, Stamps(self._zone, self._clock(path)), path in ends) for path, lines in pieces.items()]
        merged, left = in_turn(of)
        given_back = set()
        for path, (lines, at) in zip(pieces, left, strict=True):
            self._clocks[path] = at
            if lines and self.tails[path].give_back(lines):
                given_back.add(path)
            else:
                merged += lines
        return merged, given_back

    def _clock(self, path: str) -> float:
        if path not in self._clocks:
            self._clocks[path] = self._begun(path)
        return self._clocks[path]

    def positions(self) -> dict[str, dict[str, Any]]:
        """Where to read on after a restart, by path, as JSON values."""
        return {path: dict(vars(tail.position())) for path, tail in self.tails.items()}

    def problems(self) -> list[str]:
        """Why some files cannot be read just now."""
        return [tail.problem for tail in self.tails.values() if tail.problem]

    def losses(self) -> Counter[str]:
        """What could not be read for good, counted by kind."""
        return sum((tail.losses for tail in self.tails.values()), self._losses)

    def notices(self) -> list[str]:
        """The latest loss of each file, in words."""
        return [tail.notice for tail in self.tails.values() if tail.notice]

    def directories(self) -> list[str]:
        """Where changes matter: where the names are, and where the files are that symbolic links point to."""
        names = [os.path.abspath(name) for name in (*self._patterns, *self.tails)]  # noqa: PTH100
        links = [os.path.realpath(name) for name in names if os.path.islink(name)]  # noqa: PTH114
        places = dict.fromkeys(map(os.path.dirname, (*names, *links)))
        places |= dict.fromkeys(map(os.path.abspath, self._listing.directories))
        return [*dict.fromkeys((*places, *map(os.path.realpath, places)))]

    def paths(self) -> list[str]:
        """The logs that are followed."""
        return sorted(self.tails)

    def notify(self, _: Callable[[], None]) -> None:
        """Nothing to do: what changes in `directories` wakes."""

    def close(self) -> None:
        """Give all files back."""
        for tail in self.tails.values():
            tail.close()

    def _names(self, path: str) -> bool:
        return any(path == pattern or fnmatch.fnmatch(path, pattern) for pattern in self._patterns)

    def _is_log(self, path: str) -> bool:
        """Whether a file that a pattern names is a log's current file, and not an older part of another log."""
        if not is_rotated(path):
            return True
        current = current_name(path)
        return dated_inside(path) and current not in self.tails and not Path(current).exists()

    def _forget(self) -> None:
        gone = [path for path, tail in self.tails.items() if path not in self._patterns and tail.gone()]
        for path in gone[:-_ABSENT]:
            tail = self.tails.pop(path)
            self._clocks.pop(path, None)
            self._losses += tail.losses
            tail.close()


def _in_directory(pattern: str) -> str:
    return os.path.join(pattern, "*") if pattern.endswith("/") or Path(pattern).is_dir() else pattern  # noqa: PTH118
