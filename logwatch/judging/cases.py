"""A case: what stands on a key by one rule, from its beginning to its end or release; and how it counts for the next.

A rule whose duration doubles looks at the cases before: each new one within a month of the end of the one before lasts
twice as long, up to the rule's limit. A case that was released counts for nothing.

Cases of clients and networks are unproven, as memories call it: whoever has many addresses can have as many as he likes
made, and no account's may be forgotten for them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

from logwatch.judging.policy import Rule
from logwatch.memory import Memory

FORGIVEN = 30 * 86400.0  # seconds after its end when a case no longer counts for the next
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U


@dataclasses.dataclass
class Case:
    """What stands; times are epoch seconds, `written` that of the last decision, `span` how long one lasts."""

    ref: str
    until: float
    written: float
    mode: str
    span: float
    share: float | None = None


class Cases:
    """The cases of all rules and keys; rules have no blanks in their names."""

    def __init__(self) -> None:
        self._cases: Memory[list[Any]] = Memory("cases", 200_000)
        self._repeats: Memory[list[float]] = Memory("repeats", 200_000)  # number of cases so far, end of the last one

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered."""
        return (self._cases, self._repeats)

    def open(self, rule: Rule, key: str, time: float) -> Case | None:
        """The case that stands at a time."""
        fields = self._cases.get(name(rule.name, key))
        return Case(*fields) if fields and time < fields[1] else None

    def known(self, rule: Rule, key: str) -> bool:
        """Whether there is, or has lately been, one."""
        return name(rule.name, key) in self._cases

    def begin(self, rule: Rule, key: str, time: float, seq: int) -> Case:
        """A new case, as long as its rule and those before it want."""
        count = self._count(rule, key, time)
        span = min(rule.duration * 2.0 ** min(count, 60), float(rule.longest or rule.duration))
        if rule.longest:
            self._repeats.put(name(rule.name, key), [count + 1, time + span], time, proven=_is_inside(key))
        return Case(_reference(rule, key, time, seq), time + span, time, "", span)

    def keep(self, rule: Rule, key: str, case: Case) -> None:
        """A decision on a case has been taken."""
        inside = _is_inside(key)
        self._cases.put(name(rule.name, key), list(dataclasses.astuple(case)), case.written, proven=inside)
        repeats = self._repeats.get(name(rule.name, key))
        if repeats:
            self._repeats.put(name(rule.name, key), [repeats[0], case.until], case.written, proven=inside)

    def end(self, rule: str, key: str, time: float) -> None:
        """A case has been ended before its time: it was wrong, and counts for nothing."""
        self._cases.drop(name(rule, key))
        repeats = self._repeats.get(name(rule, key))
        if repeats:
            self._repeats.put(name(rule, key), [repeats[0] - 1, time], time, proven=_is_inside(key))

    def written_after(self, time: float) -> Iterator[tuple[str, str, Case]]:
        """Rule, key and case of all that were written later than a time."""
        for called, fields in list(self._cases.items()):
            if fields[2] > time:
                rule, _, key = called.partition(" ")
                yield rule, key, Case(*fields)

    def expire(self, clock: float, longest: float) -> None:
        """Forget what has ended; no case lasts longer than `longest` seconds."""
        self._cases.expire(clock - longest)
        self._repeats.expire(clock - longest - FORGIVEN)

    def _count(self, rule: Rule, key: str, time: float) -> float:
        """The cases before that still count."""
        count, end = self._repeats.get(name(rule.name, key)) or (0.0, 0.0)
        return count if time - end < FORGIVEN else 0.0


def _is_inside(key: str) -> bool:
    return not key.startswith(("client:", "net:"))


def name(rule: str, key: str) -> str:
    """How what belongs to a rule and a key is called."""
    return f"{rule} {key}"


def _reference(rule: Rule, key: str, time: float, seq: int) -> str:
    """Six characters that a user can read out on the phone; the same in a replay."""
    digest = hashlib.blake2b(f"{rule.name} {key} {time:.6f} {seq}".encode(), digest_size=4).digest()
    return reference_of(digest)


def reference_of(digest: bytes) -> str:
    """Six characters of a digest."""
    number = int.from_bytes(digest)
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(6))
