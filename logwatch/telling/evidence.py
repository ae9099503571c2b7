"""The log lines behind a decision: the latest ones that count for its key, few of them refusals, which are all alike.

The last few megabytes of the log are kept as they came, with their events, and searched only when something is
decided; so lines cost nothing until they are wanted, and all keys together are bounded. A live log comes in pieces of a
line or two: they are joined to blocks, so that a search looks at dozens of blocks and not at ten thousand pieces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from enforce import key as keys
from logwatch.schema import Columns, Decision

_BOUND = 16 << 20  # bytes of log
_BLOCK = 256 << 10  # bytes of it that are looked at together
_LINES = 12  # of evidence
_REFUSALS = 3  # among them: a flood that is refused would hide what it was refused for
_LONGEST = 1000  # characters of a line
_COLUMNS = ("start", "clock", "event", "status", "account", "client", "local")
_REFUSED = ("verdict", "milter_reject")
_TELLS_NOTHING = ("message_id", "disconnect", "removed")  # beside the lines that count

_Piece = tuple[bytes, Columns]


class Recent:
    """The latest chunks of the log."""

    def __init__(self, bound: int = _BOUND) -> None:
        self._blocks: deque[_Piece] = deque()
        self._loose: deque[_Piece] = deque()  # not yet a block
        self._bytes = 0  # of blocks
        self._loose_bytes = 0
        self._latest = 0  # events of the chunk that was added last
        self._bound = bound

    def add(self, chunk: bytes, events: Columns) -> None:
        """Take in a chunk and its attributed events."""
        self._loose.append((chunk, {name: events[name] for name in _COLUMNS}))
        self._loose_bytes += len(chunk)
        self._latest = len(events["start"])
        if self._loose_bytes >= min(_BLOCK, self._bound):
            self._blocks.append(_joined(self._loose))
            self._bytes += self._loose_bytes
            self._loose.clear()
            self._loose_bytes = 0
        while self._bytes > self._bound and len(self._blocks) > 1:
            self._bytes -= len(self._blocks.popleft()[0])

    def lines(self, decision: Decision, tip: int | None = None) -> list[str]:
        """Lines that count for the decision's key, up to its event, oldest first.

        `tip`: which of the events of the latest chunk that was; a second may have thousands.
        """
        if len(self._loose) > 1:
            self._loose = deque([_joined(self._loose)])
        found: deque[str] = deque()
        refusals = _REFUSALS
        after = 0 if tip is None else self._latest - tip - 1  # events after it, at the end of the newest piece
        for text, events in (*self._loose, *reversed(self._blocks)):
            rows = np.flatnonzero(_about(decision.key, events) & (events["clock"] <= decision.time))
            rows, after = rows[rows < len(events["clock"]) - after], 0
            rows = rows[_telling(events, rows)]
            rows = rows[np.diff(events["start"][rows], prepend=-1) != 0]  # a line may hold several events
            refused = np.isin(events["event"][rows], _REFUSED)
            rows = np.union1d(rows[~refused], rows[refused][max(0, refused.sum() - refusals) :])[
                -(_LINES - len(found)) :
            ]
            refusals -= int(np.isin(events["event"][rows], _REFUSED).sum())
            for row in reversed(rows):
                found.appendleft(_line(text, int(events["start"][row])))
            if len(found) >= _LINES:
                break
        return list(found)


def _joined(pieces: Sequence[_Piece]) -> _Piece:
    """One piece of several."""
    begins = accumulate((len(text) for text, _ in pieces), initial=0)
    columns = {name: np.concatenate([events[name] for _, events in pieces]) for name in _COLUMNS}
    columns["start"] = np.concatenate(
        [events["start"] + begin for (_, events), begin in zip(pieces, begins, strict=False)]
    )
    return b"".join(text for text, _ in pieces), columns


def _telling(events: Columns, rows: Any) -> Any:
    """Which of these rows do not only say that all went well."""
    dull = np.isin(events["event"][rows], _TELLS_NOTHING)
    return ~(dull | np.asarray(events["status"][rows] == b"sent", dtype=bool))


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
