"""Whether a milter answers: asked by who looks after it, and by who gives an order that needs it."""

from __future__ import annotations

import socket


def connect(where: str) -> None:
    """Connect to a milter's socket and hang up; OSError where nobody answers, or where this user may not ask."""
    kind, _, rest = where.partition(":")
    if kind == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(2)
            probe.connect(rest)
        return
    port, _, host = rest.partition("@")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
        return
