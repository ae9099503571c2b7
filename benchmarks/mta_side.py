"""The MTA's side of the milter protocol, as much of it as asking for a verdict at MAIL takes."""

from __future__ import annotations

import contextlib
import socket

from tests.mta.waiting import wait_for

ACCEPT, REPLY = b"a", b"y"  # answers; SMFIR_ of libmilter's mfdef.h
_VERSION, _ACTIONS, _PROTOCOL = 6, 0x1FF, 0x1FFFFF


def opened(stack: contextlib.ExitStack, path: str) -> socket.socket:
    """A connection to the milter at `unix:PATH`, negotiated, with a client; closed by the stack."""
    connection = stack.enter_context(socket.socket(socket.AF_UNIX))
    where = path.removeprefix("unix:")
    wait_for(lambda: connection.connect_ex(where) == 0, 10, f"a milter at {where}")  # bound, it may not yet listen
    connection.sendall(_packet(b"O", b"".join(number.to_bytes(4, "big") for number in (_VERSION, _ACTIONS, _PROTOCOL))))
    connection.recv(4096)
    connection.sendall(_packet(b"D", b"Cv\0Postfix 3.7.11\0"))
    connection.sendall(_packet(b"C", b"mx.example\0" + b"4\x04\xd2192.0.2.1\0"))
    connection.recv(4096)
    return connection


def mail(login: str) -> bytes:
    """Macros and MAIL of a logged-in client."""
    macros = b"M{mail_addr}\0a@example.org\0{auth_authen}\0" + login.encode() + b"\0"
    return _packet(b"D", macros) + _packet(b"M", b"<a@example.org>\0")


def answer(connection: socket.socket, question: bytes) -> bytes:
    """The kind of answer that a question gets."""
    connection.sendall(question)
    return connection.recv(256)[4:5]


def _packet(command: bytes, body: bytes) -> bytes:
    return (len(body) + 1).to_bytes(4, "big") + command + body
