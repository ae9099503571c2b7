"""Bounds how many verdicts are logged a second: equal ones become one line with their number, so that none is lost.

The first verdict of its kind is told at once. Those that equal it, in everything that is logged, are only counted until
the next flush, which tells them as one line with `count=N`. A verdict that did not come up between two flushes is
forgotten, so that the next one is a first one again.

Many that differ, in address or login, wait for each other: `_LINES` first ones a second are told at once, as many lines
are told by a flush, the one that waited longest first. The first verdict of a case never waits, so that the MTA's own
line is known for its echo (logwatch/reading/attribute.py).

Where more than `_MOST` different ones wait, the one that waited longest is counted with others on the same key:

    on an account   with those from any other address; the line then has `client_ip=unknown`
    on a client     with those by any other login; the line then has none
    on a network    with those of its /24 or /64, then /48, under the network's own address, which nobody sends from

So no count is lost for the key that the record is on; those who only shared the storm (an account's many clients) are
counted as far as there was room for them. What cannot be made less is told at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

from enforce import key
from enforce.verdict import LoggedVerdict, line

_LINES = 100  # a second: of first ones, and of those with a count
_MOST = 2048  # verdicts remembered, and cases
_FORGOTTEN = 1800  # seconds after which cases are: the reader remembers them for an hour
_UNKNOWN = "unknown"


class Repeats:
    """Tells verdicts through `tell`; `flush` is to be called once a second."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._untold: OrderedDict[LoggedVerdict, int] = OrderedDict()  # how many, in the order in which to tell them
        self._cases: OrderedDict[str, None] = OrderedDict()  # that a line has been told of
        self._room = _LINES
        self._flushes = 0

    def __len__(self) -> int:
        return len(self._untold)

    def add(self, said: LoggedVerdict) -> None:
        """Take up one verdict."""
        with self._lock:
            at_once = said not in self._untold and self._takes(said.note.ref)
            self._untold[said] = self._untold.get(said, 0) + (not at_once)
            lines = [line(said)] if at_once else []
            while len(self._untold) > _MOST:
                lines += self._make_room()
        for text in lines:
            self._tell(text)

    def flush(self, most: int = _LINES) -> None:
        """Tell what was only counted, in so many lines at most."""
        with self._lock:
            self._room = _LINES
            self._flushes += 1
            if self._flushes % _FORGOTTEN == 0:
                self._cases.clear()
            lines = list(self._told(most))
        for text in lines:
            self._tell(text)

    def close(self) -> None:
        """Tell all that was not told."""
        self.flush(_MOST)

    def _takes(self, case: str) -> bool:
        """Whether a first verdict may be told at once."""
        known = case in self._cases
        self._cases[case] = None
        self._cases.move_to_end(case)
        if len(self._cases) > _MOST:
            self._cases.popitem(last=False)
        self._room -= 1
        return self._room >= 0 or not known

    def _told(self, most: int) -> Iterator[str]:
        for said, count in list(self._untold.items()):
            if not count:
                del self._untold[said]
            elif most:
                most -= 1
                self._untold[said] = 0
                self._untold.move_to_end(said)
                yield line(said, count)

    def _make_room(self) -> Iterator[str]:
        said, count = self._untold.popitem(last=False)
        if count:
            less = _less(said)
            if less is None:
                yield line(said, count)
            else:
                self._untold[less] = self._untold.get(less, 0) + count


def _less(said: LoggedVerdict) -> LoggedVerdict | None:
    """The verdict with less that sets it apart from others on the same key; None where nothing is left."""
    if said.note.kind == "account":
        return said._replace(client_ip=_UNKNOWN) if said.client_ip != _UNKNOWN else None
    if said.login is not None:
        return said._replace(login=None)
    if said.note.kind != "net":
        return None
    networks = (network.partition(":")[2].partition("/")[0] for network in key.networks(said.client_ip))
    wider = next((address for address in networks if address != said.client_ip), None)
    return said._replace(client_ip=wider) if wider else None
