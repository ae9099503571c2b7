"""A record is one published decision; `decode` reads any bytes into records, or says what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

ACTIONS: Final = ("observe", "cap", "throttle", "tempfail", "hold", "block")  # mild to severe
MODES: Final = ("observe", "enforce")


@dataclass(frozen=True)
class Record:
    """One published decision; times are epoch seconds of the milter's clock."""

    action: str
    mode: str
    until: float
    lease: float
    ref: str
    rule: str
    share: float | None = None
    max_recipients: int | None = None
    text: str = ""

    def counts(self, now: float) -> bool:
        """True before its end, if its publisher was alive less than a lease ago."""
        return now < self.until and now < self.lease


def is_number(value: object, most: float) -> bool:
    """True for a number from 0 to `most`; false for nan, infinity and booleans."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and value.isprintable()


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "action": lambda value: value in ACTIONS,
    "mode": lambda value: value in MODES,
    "until": lambda value: is_number(value, 1e12),
    "lease": lambda value: is_number(value, 1e12),
    "ref": lambda value: isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9._-]{1,32}", value)),
    "rule": lambda value: _is_text(value, 100) and value != "" and "," not in value,
    "share": lambda value: value is None or is_number(value, 1),
    "max_recipients": lambda value: value is None or (isinstance(value, int) and is_number(value, 1e9)),
    "text": lambda value: _is_text(value, 400),
}
_REQUIRED = ("action", "mode", "until", "lease", "ref", "rule")


def decode(raw: bytes) -> tuple[Record, ...]:
    """The records in a value of the table; ValueError says what is wrong with any other bytes."""
    try:
        value = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if value == []:
        raise ValueError("expected at least one record")
    return tuple(map(_record, value if isinstance(value, list) else [value]))


def encode(records: Sequence[Record]) -> bytes:
    """The value that holds these records; ValueError if `decode` would refuse one of them."""
    objects = [{name: v for name, v in vars(record).items() if v not in (None, "")} for record in records]
    for fields in objects:
        _record(fields)
    return json.dumps(objects[0] if len(objects) == 1 else objects, separators=(",", ":")).encode()


def _record(value: object) -> Record:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {value!r:.60}")
    for name in _REQUIRED:
        if name not in value:
            raise ValueError(f"{name} is missing")
    fields = {name: value[name] for name in _CHECKS if name in value}
    for name, field in fields.items():
        if not _CHECKS[name](field):
            raise ValueError(f"{name} cannot be {field!r:.60}")
    return Record(**fields)
