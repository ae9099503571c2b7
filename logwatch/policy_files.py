"""The files that a policy names (exemptions, scopes, scores), read again when one of them has changed.

A file counts as changed once it has looked the same for a second time since, so that one which is just being written is
left alone. What cannot be read or used leaves all lists as they were. The policy's own text is read once. A pipe or a
device is refused: whoever reads it waits for somebody to write, perhaps for ever.

Changed files are read in a thread, as a list of half a million takes most of a second, in which nothing would be
decided: until it has been read, the lists count as they were.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from enforce.config import Config
from logwatch.judging import language
from logwatch.judging.policy import Policy
from logwatch.settings import policy_of
from logwatch.wall_clock import lately

EVERY = 2.0  # seconds between two looks
THREAD = "lists"  # what the name of the thread that reads begins with

_Look = Mapping[Path, tuple[int, ...] | None]  # inode, size, time of change; None where there is no file


def content_of(path: Path) -> str:
    """What a file on disk holds; OSError or ValueError if it cannot be read."""
    if path.exists() and not path.is_file() and not path.samefile(os.devnull):
        raise OSError("it is no regular file")
    return language.from_disk(path)


class Lists:
    """A policy, and the lists that it names."""

    def __init__(self, config: Config, read: language.Reader = content_of) -> None:
        """Reads all; PolicyError if something cannot be used. `read` gives what a file holds."""
        self._config = config
        self._read_file = read
        self._path = Path(config.policy.file or language.SHIPPED)
        self._text: str | None = None
        self.policy = policy_of(config, self._content)
        self._paths = [self._path.parent / path for path in self.policy.files()]
        self._read = self._seen = self._look()
        self._looked = float("-inf")
        self._reading: Future[Policy] | None = None

    def anew(self, now: float) -> Policy | None:
        """The policy with its lists as they are now, once changed ones have been read; PolicyError if one is unusable.

        That is raised once for each change. `now` is seconds of any clock.
        """
        if self._reading:
            return self._taken(self._reading) if self._reading.done() else None
        if lately(self._looked, now, EVERY):
            return None
        self._looked = now
        seen, before = self._look(), self._seen
        self._seen = seen
        if seen == before and seen != self._read:
            self._read = seen
            reader = ThreadPoolExecutor(1, THREAD)
            self._reading = reader.submit(self._again)
            reader.shutdown(wait=False)
        return None

    def at_once(self) -> Policy | None:
        """The same, whether or not anything seems to have changed; None if there are no lists. It waits for them."""
        self._read = self._seen = self._look()
        self._reading = None
        if not self._paths:
            return None
        self.policy = self._again()
        return self.policy

    def edited(self) -> bool:
        """Whether the policy's own text is another one by now; PolicyError if it cannot be read."""
        try:
            return self._read_file(self._path) != self._text
        except (OSError, ValueError) as error:
            raise language.UnreadableError(str(self._path), str(error)) from None

    def _taken(self, reading: Future[Policy]) -> Policy:
        self._reading = None
        self.policy = reading.result()
        return self.policy

    def _again(self) -> Policy:
        return policy_of(self._config, self._content)

    def _content(self, path: Path) -> str:
        if path != self._path:
            return self._read_file(path)
        if self._text is None:
            self._text = self._read_file(path)
        return self._text

    def _look(self) -> _Look:
        return {path: _stamp(path) for path in self._paths}


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
