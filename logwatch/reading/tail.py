"""One path looks like one perpetual source of lines, whatever rotates beneath it.

    appended        read on from where it was; half a line waits for its newline
    renamed         the old file is read until the new one has something in it, since until then the logger may still
                    write to the old one; then once more to its end
    truncated       (copytruncate) the rest is read from the copy, if there is one; then the file from its start
    replaced        a file that begins like the one before is the same log: read on from the same offset
    cut short       (a crash of the machine, while nobody looked) read on from a place shortly before its end
    not there       waited for; so is one that may not be read (`problem` says which)

A position is an offset and what tells the file from others: its first bytes, its inode, when it was last written to,
and what a symbolic link pointed to. After a restart the file is found again by it, under its own name or a rotated one,
packed or not, and what came after it is read in order: rotated files, then the current one. A position stays at the old
file's end until the first whole line of the next has been given out, so no file is skipped. Lines are never read
twice; where the file is gone, what was written later is read from its start, and a gap is counted.

Known limits: two files whose first lines are the same are told apart by inode alone; what was written between the last
look and a truncation without copy cannot be known; half a line at a file's end counts as a line.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from logwatch.reading.journald_json import plain
from logwatch.reading.log_file import READ, SETTLED, File, Part, Position, Stat, found, rotated, shortened, stat
from logwatch.reading.source import Log, SourceError


class Tail:
    """One path, read on from `position`."""

    def __init__(self, path: str, position: Position | None = None) -> None:
        self.path = path
        self.problem = ""  # why nothing can be read just now
        self.losses: Counter[str] = Counter()  # gaps, damaged files, overlong lines
        self.notice = ""  # the latest of them, in words
        self._position = position or Position()
        self._part: Part | None = None
        self._ending = False  # a next file has been seen, after which the part is read once more
        self._idle: Stat | None = None  # the file as it was when all of it had been read, some time after the last line

    def read(self, size: int = READ) -> bytes:
        """Whole lines that have not been read yet, about `size` bytes at most; b"" if there are none now.

        A log that is as it was costs no more than asking for that: a loghost may have hundreds, a few of them busy.
        """
        now = stat(self.path)
        return b"" if now and now == self._idle else self._read(size, now)

    def _read(self, size: int, now: Stat | None) -> bytes:
        """The same, whatever the path's file looked like before; `now` is how it does."""
        while self._part or self._start():
            part = self._part
            assert part is not None
            piece = self._piece(part, size)
            if part.overwritten():
                if rest := self._overwritten(part):
                    return rest
            elif piece:
                if whole := self._taken(part, piece):
                    return self._given(part, whole)
            elif not self._ending:
                self._ending = self._successor(part) is not None
                if not self._ending:
                    self._idle = now if now and _is_all(part, now) else None
                    return b""
            elif rest := self._next(part):
                return rest
            elif self._part is part:
                return b""
        return b""

    def give_back(self, lines: bytes) -> bool:
        """Have the last lines that `read` gave come once more; False if they cannot."""
        if self._part is None or not self._part.give_back(lines):
            return False
        self._position, self._ending, self._idle = self._part.position(), False, None
        return True

    def position(self) -> Position:
        """Where to read on after a restart."""
        return self._position

    def behind(self) -> int:
        """Bytes of the current file that have not been read."""
        current = stat(self.path)
        if current is None:
            return 0
        return max(0, current.size - self._part.offset) if self._part and self._part.is_at(current) else current.size

    def gone(self) -> bool:
        """Whether all was read and the path does not exist any more."""
        return self._part is not None and not self._part.lines.held and not Path(self.path).exists()

    def close(self) -> None:
        """Give the file back."""
        if self._part:
            self._part.log.close()
            self._part = None

    def _given(self, part: Part, whole: bytes) -> bytes:
        part.mark()
        self._position = part.position()
        return plain(whole)

    def _taken(self, part: Part, piece: bytes) -> bytes:
        whole = part.take(piece)
        if part.lines.overlong:
            self.losses["overlong"] += part.lines.overlong
            part.lines.overlong = 0
        return whole

    def _piece(self, part: Part, size: int) -> bytes:
        try:
            return part.read(size)
        except SourceError as error:
            if not part.damaged:
                part.damaged = True
                self._lost("damaged", str(error))
            return b""

    def _lost(self, kind: str, words: str) -> None:
        self.losses[kind] += 1
        self.notice = words

    # From one file to the next.

    def _start(self) -> bool:
        """Take up where the position says."""
        if self._position.known and (part := self._find(self._position)):
            self._part, self.problem = part, ""
            if part.offset < self._position.offset:
                self._lost("gaps", _cut_short(part, self._position))
            return True
        log = self._open(self._first())
        if log is None:
            return False
        if self._position.offset:
            self._lost("gaps", f"{self.path}: the file read before is gone; reading {log.path} from its start")
        self._part = Part(log)
        if not self._position.known:
            self._position = self._part.position()
        return True

    def _first(self) -> str:
        """What to open where the position's file is not found.

        That very file, if it may only not be read; else what was written after it; else the current one.
        """
        if not self._position.known:  # nothing was read yet
            return self.path
        since = self._position.modified
        groups = rotated(self.path)
        same = (file.name for group in groups for file in group if self._position.names(file.at))
        blocked = (name for name in same if not self._readable(name))
        later = (group[0].name for group in groups if since and group[0].at.modified > since)
        return next(blocked, None) or next(later, self.path)

    def _open(self, name: str) -> Log | None:
        try:
            log = Log(name)
        except SourceError as error:
            self.problem = str(error)
            return None
        self.problem = ""
        return log

    def _readable(self, name: str) -> bool:
        log = self._open(name)
        if log:
            log.close()
        return log is not None

    def _find(self, position: Position) -> Part | None:
        """The file that was read, under whatever name it has now; looked for twice, as it may just be renamed."""
        for _ in range(2):
            files = [file for group in rotated(self.path) for file in group]
            files += [File(name, at) for name in (self.path, position.real) if name and (at := stat(name))]
            if part := found(files, position):
                return part
        return shortened(files, position)

    def _successor(self, part: Part) -> File | None:
        """The file after this one, if there is one and something stands in it."""
        current = stat(self.path)
        if current and part.is_at(current):
            return None
        after = [group[0] for group in self._later(part)]
        if current:
            after.append(File(self.path, current))
        return next((file for file in after if file.at.size), None)

    def _later(self, part: Part) -> list[list[File]]:
        """Rotated files that were written after this one."""
        groups = rotated(self.path)
        here = found((file for group in groups for file in group), part.position(whole=False))
        if here is None:  # it was deleted
            return [group for group in groups if group[0].at.modified > part.modified()]
        here.log.close()
        places = [place for place, group in enumerate(groups) if any(file.name == here.log.path for file in group)]
        return groups[places[-1] + 1 :]

    def _next(self, part: Part) -> bytes:
        """Go on to the next file; what is left of this one's last line."""
        self._ending = False
        successor = self._successor(part)
        log = self._open(successor.name) if successor else None
        if log is None or successor is None:
            return b""
        following = part.continued(log) or Part(log)
        if not following.is_at(successor.at):  # renamed at this very moment
            log.close()
            return b""
        self._part, rest = following, b""
        if not following.offset and (rest := part.lines.finish()):
            rest = self._given(part, rest)
        part.log.close()
        return rest

    def _overwritten(self, part: Part) -> bytes:
        """Go on in the copy that was made before the file was truncated, else at the file's start."""
        self._ending = False
        position = part.position(whole=False)
        if copy := found((file for group in rotated(self.path) for file in group), position):
            part.log.close()
            self._part = copy
            return b""
        self._lost("gaps", f"{self.path}: was truncated when {part.offset} bytes had been read; there is no copy of it")
        if rest := part.lines.finish():
            rest = self._given(part, rest)
        self._part = part.again()
        return rest


def _cut_short(part: Part, position: Position) -> str:
    return (
        f"{part.log.path}: ends before byte {position.offset}, up to which it had been read, as after a crash of the "
        f"machine; reading on from byte {part.offset}, and what stands there may count twice"
    )


def _is_all(part: Part, now: Stat) -> bool:
    """Whether a file as it is now has been read to its end, and will look otherwise after any change."""
    return part.is_at(now) and part.offset == now.size and time.time() - now.modified > SETTLED
