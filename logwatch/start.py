"""Where `mailbrake` and `mailbrake-gateway` begin."""

from __future__ import annotations

from enforce import start


def mailbrake() -> int:
    """`mailbrake`; its exit status."""
    return start.program("logwatch.commands")


def gateway() -> int:
    """`mailbrake-gateway`; its exit status."""
    return start.program("logwatch.gateway")
