"""Sends log lines to syslog, from a thread of its own, so that a stalled reader of the log never holds up mail."""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Callable
from logging.handlers import SysLogHandler

_ROOM = 4096  # lines waiting


class Outlet:
    """Passes lines to `write` in order; what does not fit, or cannot be written, is lost and counted.

    After a loss the next line that gets through is preceded by one that says how many were lost; `lost` counts
    them all.
    `trouble` is told an OSError of `write` once, until it works again.
    """

    def __init__(self, write: Callable[[str], None], trouble: Callable[[str], None] = lambda _: None) -> None:
        self.lost = 0
        self._said = 0  # of the lost ones
        self._write = write
        self._trouble = trouble
        self._troubled = False
        self._lines: queue.Queue[str | None] = queue.Queue(_ROOM)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Hand over a line; returns at once."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.lost += 1

    def close(self, patience: float) -> None:
        """Write what waits, for at most `patience` seconds."""
        try:
            self._lines.put(None, timeout=patience)
            self._thread.join(patience)
        except queue.Full:
            pass  # stalled to the end

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._pass_on(line)
                self._troubled = False
            except OSError as error:
                self.lost += 1
                if not self._troubled:
                    self._trouble(str(error))
                self._troubled = True

    def _pass_on(self, line: str) -> None:
        if (lost := self.lost) > self._said:
            self._write(f"log lines lost: {lost - self._said}")
            self._said = lost
        self._write(line)


class Syslog:
    """Writes lines to the syslog socket at `path`; OSError while there is none."""

    def __init__(self, path: str, ident: str, facility: int = SysLogHandler.LOG_MAIL) -> None:
        self._path = path
        self._ident = ident
        self._facility = facility
        self._handler: _Handler | None = None

    def __call__(self, line: str, level: int = logging.INFO) -> None:
        """Write one line; `level` is one of logging's."""
        if self._handler is None:
            self._handler = _Handler(self._path, facility=self._facility)
            self._handler.ident = self._ident
            self._handler.append_nul = self._handler.socktype == socket.SOCK_STREAM  # a datagram needs no end mark
        text = line.encode(errors="backslashreplace").decode()  # a file may be called what is no UTF-8
        self._handler.emit(logging.LogRecord("", level, "", 0, text, None, None))

    def close(self) -> None:
        """Close the connection; the next line opens it again."""
        if self._handler is not None:
            self._handler.close()
            self._handler = None


class _Handler(SysLogHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  logging's own name
        raise  # noqa: PLE0704  called by emit in its except clause: the error is Outlet's to count
