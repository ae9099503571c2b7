"""A syslogd that is a thread: what programs send to its socket stands in a file, each line with a host's name."""

import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

BUFFER = 8 << 20  # bytes that wait while nobody reads: a burst must not lose lines
STAMP = len("Nov 25 01:16:55 ")
STAMPED = re.compile(rb"[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} ")


class Syslog:
    """Listens on the unix socket `path` from construction on; writes to the file `log` while in `with`."""

    def __init__(self, path: Path, log: Path, host: str) -> None:
        self._path, self._log, self._host = path, log, host.encode()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._socket.bind(str(path))
        path.chmod(0o666)
        self._thread = Thread(target=self._serve, name="Syslog")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self._path))  # an empty datagram is the end
        self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            while message := self._socket.recv(65536):
                os.write(log, line(message, self._host))
        finally:
            os.close(log)


def line(message: bytes, host: bytes) -> bytes:
    """The line of a file for `<PRI>Mmm dd hh:mm:ss tag[pid]: text`, as syslog(3) sends it; some leave the stamp out."""
    text = message[message.find(b">") + 1 :].rstrip(b"\n\0")
    if not STAMPED.match(text):
        text = time.strftime("%b %e %H:%M:%S ").encode() + text
    return text[:STAMP] + host + b" " + text[STAMP:] + b"\n"
