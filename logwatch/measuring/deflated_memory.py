"""Records by key: those that were put lately as they are, all others written, in a tenth of the room.

Whoever sends is likely to send again soon; reading and writing a record costs more than all that is done with it.
Written records are deflated JSON, a list of their fields; deflated against a dictionary of what stands in most of them,
since each is short. One of n bytes takes 41 + n, beside its key.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from logwatch.memory import Packed

_LATELY = 4096  # records kept as they are, at least; twice as many at most


class Record(Protocol):
    """What can be kept: it is made again of its fields."""

    def fields(self) -> list[Any]:
        """All of it as JSON values, in the order in which its class takes them."""


R = TypeVar("R", bound=Record)

_written = json.JSONEncoder(separators=(",", ":"), default=lambda record: record.fields()).encode
_read = json.JSONDecoder().decode


# Never to be changed: without it no record can be read. What is most frequent stands last.
_COMMON = (
    b'"CN":[1,"BR":[1,"IT":[1,"ES":[1,"NL":[1,"FR":[1,"GB":[1,"DE":[1,"US":[1,"local:"bytes 3600":"bounces 86400":'
    b'"deferrals 86400":"senders 86400":"auth_failures 3600":"policy_rejections 86400":"unknown_recipients 86400":'
    b'"recipients at once 0":[1,1,1,1,2,1,0,0,0,0,0],"clients 3600":0,"attempts 3600":1,"countries 3600":1,'
    b'"far_recipients 3600":0,"far_recipients 604800":0,"far_strangers 86400":0,"messages 3600":1,"messages 86400":1,'
    b'"networks 3600":1,"new_networks 604800":0,"new_recipients 86400":0,"odd_countries 604800":0,'
    b'"odd_senders 604800":0,"recipients 3600":1,"recipients 86400":1},{}],false,{"@example.org":[0.0,"@example.com":'
    b'[0.0,1]}],{"net:2001:db8:","near:2001:db8::/32":[17,"net:192.0.2.0/24":[17,.0,17,"near:192.0.0.0/16":[17,.0]},'
)


def written(record: Any) -> bytes:
    """A record as it is kept."""
    if isinstance(record, bytes):
        return record
    deflate = zlib.compressobj(1, wbits=-zlib.MAX_WBITS, memLevel=5, zdict=_COMMON)
    return deflate.compress(_written(record).encode()) + deflate.flush()


def read(kept: bytes) -> Any:
    """The fields of the record that `written` was given."""
    return _read(zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=_COMMON).decompress(kept).decode())


class Records(Packed, Generic[R]):
    """A record that `get` gave may be changed in place, if it is put afterwards."""

    layout = "deflated JSON, 1"

    def __init__(self, name: str, bound: int, make: Callable[..., R]) -> None:
        """`make`: gives a record of its fields."""
        super().__init__(name, bound, written, bytes)
        self._make = make
        self._lately: dict[str, None] = {}

    def get(self, key: str, since: float = float("-inf")) -> R | None:
        """The record of a key; None where there is none, or where it was last put before `since`."""
        kept = super().get(key, since)
        return self._make(*read(kept)) if isinstance(kept, bytes) else kept

    def put(self, key: str, value: R, time: float, *, proven: bool = True) -> None:
        """Set a record; it is now the youngest."""
        super().put(key, value, time, proven=proven)
        self._lately.pop(key, None)
        self._lately[key] = None
        if len(self._lately) > 2 * _LATELY:
            for old in [*islice(self._lately, _LATELY)]:
                del self._lately[old]
                if old in self._entries:
                    when, record = self._taken(self._entries[old])
                    self._entries[old] = self._laid(written(record), when)
