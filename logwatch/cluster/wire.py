"""A batch of log lines as the bytes of one message, and back. No I/O.

    {"host": …, "log": …, "epoch": …, "at": …, "end": …, "count": …, "promise": …, "state": {…},
     "version": …} \\n zlib(lines)

The lines of a log are one endless sequence of bytes: a batch holds those from `at` to `end`. `epoch` was drawn when
counting began; with another one it begins anew. So a batch that is sent twice is known, whatever the batches were cut.

Everything here may have been written by a gateway that fell into wrong hands: any bytes give a Batch or ValueError.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ALL = "*"  # in place of a log's name
LONGEST = 2 << 20  # bytes of lines in a batch; one line may have a megabyte
_MOST = 1000  # lines; two kilobytes may unpack to two million, each looked at by every controller
_WORD = 200  # characters of a name
_STATE = ("table", "age", "spooled", "lost")


@dataclass(frozen=True)
class Batch:
    """Whole lines of one log of one gateway.

    `promise`: no later line of any log of this host will have an older stamp (epoch seconds). It is made by a batch
    without lines, whose log is `ALL`.
    `state`: how the gateway fares, by name (`spooled` bytes, lines `lost`, its `table`'s generation and `age`).
    `version`: of mailbrake there. Fields that are not known are passed over, those of a later version too.
    """

    host: str
    log: str
    epoch: str
    at: int
    end: int
    lines: bytes = b""
    count: int = 0
    promise: float = 0.0
    state: Mapping[str, float] = field(default_factory=dict)
    version: str = ""


def encode(batch: Batch) -> bytes:
    """The message."""
    head = {name: value for name, value in vars(batch).items() if name != "lines"}
    return (
        json.dumps(head, separators=(",", ":")).encode() + b"\n" + (zlib.compress(batch.lines) if batch.lines else b"")
    )


def decode(raw: bytes) -> Batch:
    """The batch in a message; ValueError says what is wrong with any other bytes."""
    head, _, packed = raw.partition(b"\n")
    try:
        fields = json.loads(head)
        unpacking = zlib.decompressobj()
        lines = unpacking.decompress(packed, LONGEST) if packed else b""
    except (ValueError, RecursionError, zlib.error):
        raise ValueError("not a batch of lines") from None
    if not isinstance(fields, dict) or (packed and not unpacking.eof):
        raise ValueError("not a batch of lines, or too large a one")
    batch = Batch(
        host=_text(fields.get("host")),
        log=_text(fields.get("log")),
        epoch=_text(fields.get("epoch")),
        at=_count(fields.get("at")),
        end=_count(fields.get("end")),
        lines=lines,
        count=_count(fields.get("count")),
        promise=_number(fields.get("promise")),
        state=_state(fields.get("state")),
        version=_text(fields["version"]) if fields.get("version") else "",
    )
    if batch.end - batch.at != len(lines) or (lines and not lines.endswith(b"\n")) or lines.count(b"\n") > _MOST:
        raise ValueError("its lines are not those that it says")
    return batch


def identity(batch: Batch) -> str:
    """The same for a batch that is sent again as it was, within the server's window for duplicates."""
    return f"{batch.host} {batch.log} {batch.epoch} {batch.at} {batch.end}"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _WORD or not value.isprintable():
        raise ValueError(f"expected a name, found {value!r:.60}")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise ValueError(f"expected a count, found {value!r:.60}")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e15:
        raise ValueError(f"expected a number, found {value!r:.60}")
    return float(value)


def _state(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {value!r:.60}")
    return {name: _number(value[name]) for name in _STATE if name in value}
