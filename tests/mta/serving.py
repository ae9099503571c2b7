"""A line server in a thread that ends for good: when `with` is left, no socket, thread or connection remains.

A conversation is a generator from the lines the client says to the texts the server answers, so what is said
can be read, and tested, without a socket. `socketserver` alone waits at its end for handlers whose client
keeps the connection (smtpd keeps the one to its auth server for life), or with daemon threads leaves them
behind; so the connections are remembered here, and hung up before their handlers are joined.
"""

import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

POLL_SECONDS = 0.02
"""How long the end of a server may take."""

Conversation = Callable[[Iterator[str]], Iterator[str]]
"""Takes lines without their ends; gives texts with them. The connection closes where the generator ends."""


class _Handler(socketserver.StreamRequestHandler):
    server: "LineServer"

    def handle(self) -> None:
        lines = (line.decode(errors="surrogateescape").rstrip("\r\n") for line in self.rfile)
        with suppress(ConnectionError):  # a client may leave in mid-sentence, and smtpd does
            for answer in self.server.conversation(lines):
                self.wfile.write(answer.encode(errors="surrogateescape"))


class LineServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on 127.0.0.1 from construction on; serves while in `with`, a thread per connection."""

    allow_reuse_address = True
    request_queue_size = 128
    handler: type[socketserver.BaseRequestHandler] = _Handler  # another, where a protocol does not go by lines

    def __init__(self, conversation: Conversation, address: Any = ("127.0.0.1", 0)) -> None:
        self.conversation = conversation
        self._connections: set[Any] = set()
        self._lock = Lock()
        super().__init__(address, self.handler)
        self._thread = Thread(target=self.serve_forever, args=(POLL_SECONDS,), name=type(self).__name__)

    @property
    def port(self) -> int:
        """The port the kernel chose."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().close_request(request)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # its client was faster
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()  # joins the handlers, whose reads have just met the end


class UnixLineServer(LineServer):
    """The same on the path of a unix socket, which any user may connect to, as smtpd does not run as root."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        super().server_bind()
        Path(str(self.server_address)).chmod(0o666)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        Path(str(self.server_address)).unlink(missing_ok=True)
