"""What attribution looks at of each event, in the order in which a row has it: the scanner makes rows, it takes them.

A row is a tuple of raw fields, None where a line has no such field: those of COMMON, those of MORE for its event, then
whatever columns the scanner was asked for besides, and the stamp. Of most kinds that is a tenth of what a line could
have, and it is all that has to be gone through line by line.

Three fields are signs that the grammar gives, empty where they are given, and no columns: `peer` where Sendmail names
the client of a process, `unchecked` where a login failed although nobody looked at the password, `unnamed` where Exim
does not say to how many recipients a message goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from logwatch.schema import Columns

Row = tuple[Any, ...]

STAMP = "stamp"  # the last of a row
COMMON = ("host", "pid", "queue_id", "client_ip", "sasl_username")
MORE = {
    "disconnect": ("peer",),
    "lost_connection": ("peer",),
    "accept": ("orig_queue_id", "nrcpt", "peer", "orig_client_ip"),
    "reject": ("dsn", "peer"),
    "auth_ok": ("peer",),
    "auth_failure": ("unchecked",),
    "pickup": ("uid", "orig_queue_id"),
    "message_id": ("message_id",),
    "queued": ("uid", "nrcpt", "message_id", "peer", "unnamed"),
    "delivery": ("response", "relay_host", "relay_ip", "status"),
    "notification": ("response",),
    "verdict": ("ref", "mode", "verdict"),
    "milter_reject": ("ref",),
}
NEEDED = frozenset((*COMMON, *(name for names in MORE.values() for name in names)))


class Scanned(Columns):
    """The columns that were wanted of a chunk's events, and a row for each event, in order."""

    def __init__(self, columns: Columns, rows: Sequence[Row]) -> None:
        super().__init__(columns)
        self.rows = rows


def names_of(event: str, besides: Sequence[str]) -> tuple[str, ...]:
    """The fields of an event's row; `besides` those wanted for their column's sake."""
    return tuple(dict.fromkeys((*COMMON, *MORE.get(event, ()), *besides)))
