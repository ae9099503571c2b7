"""What notifications go to, in the test's own process: a real SMTP server and a real HTTP server, on loopback."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.mta.postfix import free_ports


class Mailbox:
    """An SMTP server that keeps what it gets; its answers to DATA are taken from `answers` while there are any."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.refuses: dict[str, str] = {}  # recipient → answer
        self.letters: list[EmailMessage] = []
        self.envelopes: list[tuple[str | None, list[str]]] = []
        self._port = next(free_ports())
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def where(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._port}"

    async def handle_RCPT(self, _s: SMTP, _: Session, envelope: Envelope, address: str, _options: list[str]) -> str:  # noqa: N802  aiosmtpd's name
        """Take a recipient, or not."""
        if answer := self.refuses.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        """Take a message, or not."""
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 2.0.0 Ok"


class Hook:
    """An HTTP server that keeps the JSON posted to it; its answers are taken from `statuses` while there are any.

    While `gate` is cleared it does not answer.
    """

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.posted: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.take(self)

            def log_message(self, *_: object) -> None:
                """Tests say what they found themselves."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def where(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{self.where}/hook?token=secret"

    def take(self, request: BaseHTTPRequestHandler) -> None:
        """Take one request."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        assert self.gate.wait(20)
        self.paths.append(request.path)
        status = self.statuses.pop(0) if self.statuses else 204
        if status < 300:
            self.posted.append(json.loads(body))
        request.send_response(status)
        if 300 <= status < 400:
            request.send_header("Location", f"http://{self.where}/elsewhere")
        request.send_header("Content-Length", "0")
        request.end_headers()
