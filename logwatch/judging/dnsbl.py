"""DNS block lists as a policy names them: `zen.spamhaus.org`, or `zen.spamhaus.org=127.0.0.[2..4;10]`.

What stands behind `=` says which answers count, as in Postfix's postscreen_dnsbl_sites: four numbers, or a list of
numbers and ranges in brackets for each. Without it every answer counts that is one (RFC 5782): in 127.0.0.0/8, and not
one by which a list says that it does not answer (127.255.255.0/24, Spamhaus; 127.0.0.1, URIBL).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_ZONE = re.compile(r"(?=.{1,190}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_PART = r"(?:[0-9]{1,3}|\[[0-9]{1,3}(?:\.\.[0-9]{1,3})?(?:;[0-9]{1,3}(?:\.\.[0-9]{1,3})?)*\])"
_FILTER = re.compile(rf"({_PART})\.({_PART})\.({_PART})\.({_PART})")


@dataclass(frozen=True)
class Dnsbl:
    """`dnsbl "ZONE"` or `dnsbl "ZONE=ANSWERS"`."""

    zone: str
    answers: str = ""
    at: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f'dnsbl "{self.zone}{"=" * bool(self.answers)}{self.answers}"'

    def lists(self, codes: Collection[str]) -> bool:
        """Whether one of the answers counts."""
        wanted = _wanted(self.answers) if self.answers else None
        return any(is_listing(code) and (wanted is None or _matches(code, wanted)) for code in codes)


def read(written: str, at: int = 0) -> Dnsbl:
    """What the text between the quotes means; ValueError says what was expected."""
    zone, equals, answers = written.partition("=")
    zone = zone.lower().rstrip(".")
    if not _ZONE.fullmatch(zone):
        raise ValueError(f'expected a DNS block list such as "zen.spamhaus.org", found "{written}"')
    if equals and not (_FILTER.fullmatch(answers) and max(map(int, re.findall("[0-9]+", answers))) < 256):
        raise ValueError(f'expected answers such as 127.0.0.2 or 127.0.0.[2..4;10], found "{answers}"')
    return Dnsbl(zone, answers, at)


def is_listing(code: str) -> bool:
    """Whether an answer says that an address is listed."""
    return code.startswith("127.") and not is_refusal(code)


def is_refusal(code: str) -> bool:
    """Whether a list says by an answer that it does not answer us."""
    return code.startswith("127.255.255.") or code == "127.0.0.1"


@lru_cache(maxsize=256)
def _wanted(answers: str) -> tuple[frozenset[int], ...]:
    found: Any = _FILTER.fullmatch(answers)
    return tuple(map(_numbers, found.groups()))


def _numbers(part: str) -> frozenset[int]:
    spans = (span.partition("..") for span in part.strip("[]").split(";"))
    return frozenset(n for first, _, last in spans for n in range(int(first), int(last or first) + 1))


def _matches(code: str, wanted: tuple[frozenset[int], ...]) -> bool:
    return all(int(number) in numbers for number, numbers in zip(code.split("."), wanted, strict=True))
