"""The log lines behind a decision: the latest ones that count for its key.

The last few megabytes of the log are kept as they came, with their events, and searched only when something is
decided; so lines cost nothing until they are wanted, and all keys together are bounded.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from enforce import key as keys
from logwatch.schema import Columns, Decision

_BOUND = 16 << 20  # bytes of log
_LINES = 12  # of evidence
_LONGEST = 1000  # characters of a line
_COLUMNS = ("start", "clock", "event", "status", "account", "client", "local")
_TELLS_NOTHING = ("message_id", "disconnect", "removed")  # beside the lines that count


class Recent:
    """The latest chunks of the log."""

    def __init__(self, bound: int = _BOUND) -> None:
        self._chunks: deque[tuple[bytes, Columns]] = deque()
        self._bytes = 0
        self._bound = bound

    def add(self, chunk: bytes, events: Columns) -> None:
        """Take in a chunk and its attributed events."""
        self._chunks.append((chunk, {name: events[name] for name in _COLUMNS}))
        self._bytes += len(chunk)
        while self._bytes > self._bound and len(self._chunks) > 1:
            self._bytes -= len(self._chunks.popleft()[0])

    def lines(self, decision: Decision) -> list[str]:
        """Lines that count for the decision's key, up to its event, oldest first."""
        found: deque[str] = deque()
        for chunk, events in reversed(self._chunks):
            wanted = _about(decision.key, events) & _telling(events) & (events["clock"] <= decision.time)
            rows = np.flatnonzero(wanted)
            for row in reversed(rows[-(_LINES - len(found)) :]):
                found.appendleft(_line(chunk, int(events["start"][row])))
            if len(found) >= _LINES:
                break
        return list(found)


def _telling(events: Columns) -> Any:
    """Not what only says that all went well."""
    return ~(np.isin(events["event"], _TELLS_NOTHING) | np.asarray(events["status"] == b"sent", dtype=bool))


def _about(key: str, events: Columns) -> Any:
    kind = key.partition(":")[0]
    if kind == "net":
        return np.fromiter((_within(key, client) for client in events["client"]), bool, len(events["client"]))
    if kind == keys.SITE:
        return np.ones(len(events["clock"]), dtype=bool)
    return np.asarray(events[kind] == key, dtype=bool)


def _within(network: str, client: str | None) -> bool:
    return client is not None and network in keys.networks(client.removeprefix("client:"))


def _line(chunk: bytes, start: int) -> str:
    end = chunk.find(b"\n", start)
    return chunk[start : min(end, start + _LONGEST)].decode("utf-8", "backslashreplace").rstrip("\r")
