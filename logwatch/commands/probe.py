"""Whether a milter is needed, and answers: asked by who looks after it, and by who gives an order that needs it."""

from __future__ import annotations

import socket

from enforce.config import Config

_FOR_PROGRAMS = {"text", "json"}  # exports that no MTA looks into


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


def has_maps(config: Config) -> bool:
    """Whether `watch` exports what an MTA looks into, which may then do without a milter."""
    return not config.export.files.keys() <= _FOR_PROGRAMS
