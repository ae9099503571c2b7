"""Records by key, JSON values: those that were put lately as they are, all others written, in a fifth of the room.

Whoever sends is likely to send again soon; reading and writing a record costs more than all that is done with it.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from logwatch.memory import Memory

_LATELY = 4096  # records kept as they are, at least; twice as many at most

_written = json.JSONEncoder(separators=(",", ":")).encode
_read = json.JSONDecoder().decode


def written(record: Any) -> bytes:
    """A record as it is kept."""
    return record if isinstance(record, bytes) else _written(record).encode()


def read(kept: Any) -> Any:
    """What `written` was given."""
    return _read(kept.decode()) if isinstance(kept, bytes) else kept


class Records(Memory[Any]):
    """A record that `get` gave may be changed in place, if it is put afterwards."""

    def __init__(self, name: str, bound: int) -> None:
        super().__init__(name, bound, written, bytes)
        self._lately: dict[str, None] = {}

    def get(self, key: str, since: float = float("-inf")) -> Any:
        """The record of a key; None where there is none, or where it was last put before `since`."""
        return read(super().get(key, since))

    def put(self, key: str, value: Any, time: float) -> None:
        """Set a record; it is now the youngest."""
        super().put(key, value, time)
        self._lately.pop(key, None)
        self._lately[key] = None
        if len(self._lately) > 2 * _LATELY:
            for old in [*islice(self._lately, _LATELY)]:
                del self._lately[old]
                if old in self._entries:
                    when, place, record = self._entries[old]
                    self._entries[old] = when, place, written(record)
