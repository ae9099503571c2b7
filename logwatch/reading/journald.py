"""Follow the systemd journal: what `journalctl --follow` prints of facility mail, as lines that syslog would have.

journald drops what exceeds its rate limit (10,000 messages in 30 s per service by default), which on a mail gateway is
an attack: RateLimitIntervalSec=0 turns it off. What it says of that (`Suppressed … messages from …`) is read as well.

The position is the cursor of the last entry given out. After a restart journalctl begins *with* that entry, which
shows that it is still there, and is left out; where the journal was vacuumed meanwhile, the first entry is another one,
and that is a gap. journalctl is started again whenever it has ended, at most once for each call of `read`.

Known limit: whoever may not read the system's journal (group systemd-journal) sees nothing, and is not told.
"""

from __future__ import annotations

import os
import queue
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from logwatch.reading.journald_json import fields, plain
from logwatch.reading.source import Lines

NAME = "journald"  # as the position is called
JOURNALCTL = ("journalctl",)
_ARGUMENTS = (
    "--output=json",
    "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,_HOSTNAME",
    "--all",  # not null for what is longer than 4 kB
    "--quiet",
    "--no-pager",
    "--no-tail",
    "--follow",
)
_ENTRIES = ("SYSLOG_FACILITY=2", "+", "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e")  # mail, or: messages were dropped
_PIECE = 1 << 16
_WAITING = 64  # pieces that may wait to be read; then journalctl waits


class Journald:
    """The journal, read on from a position (`{"cursor": …}`; empty: from its beginning).

    `command` is how to call journalctl; its arguments are appended.
    """

    def __init__(self, position: Mapping[str, Any], command: Sequence[str] = JOURNALCTL) -> None:
        self._cursor = str(position.get("cursor", ""))
        self._expected = ""  # the cursor that the first entry must have
        self._command = tuple(command)
        self._run: _Run | None = None
        self._wake: Callable[[], None] = lambda: None
        self._losses: Counter[str] = Counter()
        self._problem = self._notice = ""

    def notify(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from another thread, whenever there is something to read; before the first `read`."""
        self._wake = wake

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Whole lines that have not been read yet; returns when there are none."""
        if self._run and self._run.ended():
            self._stop(self._run)
        if self._run or self._start():
            assert self._run is not None
            for whole in self._run.pieces():
                if lines := self._new(whole):
                    self._problem = ""
                    yield NAME, plain(lines)

    def lines(self) -> Iterator[bytes]:
        """The same without a name, as a log file's follower gives them."""
        return (lines for _, lines in self.read())

    def positions(self) -> dict[str, dict[str, Any]]:
        """Where to read on after a restart."""
        return {NAME: {"cursor": self._cursor}}

    def problems(self) -> list[str]:
        """Why the journal cannot be read just now."""
        return [self._problem] if self._problem else []

    def losses(self) -> Counter[str]:
        """What could not be read for good, counted by kind."""
        return self._losses

    def notices(self) -> list[str]:
        """The latest loss, in words."""
        return [self._notice] if self._notice else []

    def paths(self) -> list[str]:
        """No files."""
        return []

    def directories(self) -> list[str]:
        """Nowhere changes matter: a thread wakes."""
        return []

    def close(self) -> None:
        """End journalctl."""
        if self._run:
            self._run.close()
            self._run = None

    def _start(self) -> bool:
        self._expected = self._cursor
        place = [f"--cursor={self._cursor}"] if self._cursor else []
        try:
            self._run = _Run((*self._command, *_ARGUMENTS, *place, *_ENTRIES), self._wake)
        except OSError as error:
            self._problem = f"{self._command[0]}: cannot be started: {error.strerror}; needed for journald = true"
            return False
        return True

    def _stop(self, run: _Run) -> None:
        run.close()
        self._losses["overlong"] += run.overlong
        self._problem = f"{self._command[0]}: ended and was started again: {run.said() or 'without a word'}"
        self._run = None

    def _new(self, lines: bytes) -> bytes:
        """The lines that come after the position, which they move on."""
        if self._expected:
            first, _, rest = lines.partition(b"\n")
            if _same(_cursor(first), self._expected):
                lines = rest
            else:
                self._losses["gaps"] += 1
                self._notice = "the journal: the entry read last is gone; what came between may be lost"
            self._expected = ""
        self._cursor = next(filter(None, map(_cursor, reversed(lines.split(b"\n")))), self._cursor)
        return lines


def _cursor(line: bytes) -> str:
    return str(fields(line).get("__CURSOR", ""))


def _same(one: str, other: str) -> bool:
    """Whether two cursors mean one entry: the same sequence and number in it, or if they have none, the same text."""
    return one.split(";")[:2] == other.split(";")[:2]


class _Run:
    """One run of journalctl, with a thread that takes in what it prints."""

    def __init__(self, command: Sequence[str], wake: Callable[[], None]) -> None:
        """OSError if it cannot be started."""
        self.overlong = 0
        self._wake = wake
        self._pieces: queue.Queue[bytes] = queue.Queue(_WAITING)
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell, and the command is the administrator's
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors
            )
        except OSError:
            self._errors.close()
            raise
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def pieces(self) -> Iterator[bytes]:
        """Whole lines that are there."""
        while True:
            try:
                yield self._pieces.get_nowait()
            except queue.Empty:
                return

    def ended(self) -> bool:
        """Whether nothing more will come."""
        return not self._thread.is_alive() and self._pieces.empty()

    def said(self) -> str:
        """The last line on its standard error."""
        return self._said

    def close(self) -> None:
        """End it; what it printed and nobody read is dropped."""
        self._process.terminate()
        while self._thread.is_alive():
            list(self.pieces())  # it may wait for room
            self._thread.join(0.01)
        self._process.wait()
        self._errors.seek(0)
        self._said = self._errors.read(_PIECE).decode("utf-8", "replace").strip().rpartition("\n")[2]
        self._errors.close()

    def _take(self) -> None:
        lines = Lines()
        assert self._process.stdout
        with self._process.stdout as output:
            while piece := os.read(output.fileno(), _PIECE):
                if whole := lines.take(piece):
                    self._pieces.put(whole)
                    self._wake()
                self.overlong = lines.overlong
