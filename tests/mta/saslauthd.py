"""A saslauthd for Sendmail's SASL library: no package, no files, the accounts are a dict.

A connection is one question, login, password, service and realm, each two bytes of length (most significant first)
and as many bytes; the answer, in the same form, begins with OK or NO. The library takes a login apart at its `@`.
"""

import socketserver
from pathlib import Path
from typing import BinaryIO, cast

from .sasl import Accounts
from .serving import UnixLineServer

FIELDS = 4


class _Handler(socketserver.StreamRequestHandler):
    server: "Saslauthd"

    def handle(self) -> None:
        login, password, _, realm = (_field(cast(BinaryIO, self.rfile)) for _ in range(FIELDS))
        name = f"{login}@{realm}" if realm else login
        accepted = self.server.accounts.get(name) == password
        self.wfile.write(sentence("OK" if accepted else "NO"))


class Saslauthd(UnixLineServer):
    """Answers on the unix socket `path`, which saslauthd and its clients call `mux`."""

    handler = _Handler

    def __init__(self, path: Path, accounts: Accounts) -> None:
        self.accounts = accounts
        super().__init__(lambda _: iter(()), str(path))


def sentence(text: str) -> bytes:
    """One field of the protocol."""
    raw = text.encode()
    return len(raw).to_bytes(2) + raw


def _field(stream: BinaryIO) -> str:
    return stream.read(int.from_bytes(stream.read(2))).decode(errors="surrogateescape")
