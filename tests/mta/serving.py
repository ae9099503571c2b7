"""A line server in a thread that ends for good: when `with` is left, no socket, no thread and no connection remains.

`socketserver` alone waits in `server_close` for handlers that still read from a client which keeps its connection
(an smtpd process keeps the one to its auth server for life), or, with daemon threads, leaves them behind.
So the connections are remembered, and shut down before the handlers are joined.
"""

import socket
import socketserver
from threading import Lock, Thread
from types import TracebackType
from typing import Self, cast


class LineHandler(socketserver.StreamRequestHandler):
    """One connection; a client that goes away in mid-sentence is no error."""

    def handle(self) -> None:
        try:
            self.talk()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def talk(self) -> None:
        """The conversation, to be written by the subclass; the connection closes when it returns."""
        raise NotImplementedError

    def finish(self) -> None:
        try:
            super().finish()
        except (BrokenPipeError, ConnectionResetError):
            pass


class ThreadedServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves from `__enter__` to `__exit__`, one thread a connection; listens from construction on."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int] | str, handler: type[LineHandler]) -> None:
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        # typeshed knows TCP addresses only; a path is right where address_family is AF_UNIX.
        super().__init__(cast("tuple[str, int]", address), handler)
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, name=type(self).__name__)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                self._hang_up(connection)
        self.server_close()  # joins the handlers, whose reads have just met the end

    def process_request(self, request: object, client_address: object) -> None:
        with self._lock:
            self._open.add(cast(socket.socket, request))
        super().process_request(request, client_address)  # type: ignore[arg-type]
