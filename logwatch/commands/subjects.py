"""What an operator means by a case or key as it was typed or copied, and what may be meant where there is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from enforce import key as keys
from enforce.config import Config
from enforce.printable import printable

if TYPE_CHECKING:
    from logwatch.schema import Decision
    from logwatch.telling.journal import Journal

_AROUND = r"\s\"'“”()<>\[\].,;:!"
_REFERENCE = re.compile(rf"[{_AROUND}]*(?:case\s+)?([0-9a-z]{{6}})[{_AROUND}]*", re.IGNORECASE)
_NEARLY = re.compile(rf"[{_AROUND}]*(?:case\s+)?([0-9A-Z]{{5,7}})[{_AROUND}]*")
_MISREAD = str.maketrans("OIL", "011")  # no case has these letters
_QUOTES = ('""', "''", "“”", "<>")
_SHOWN = 5


def reference(written: str) -> str:
    """The case that this may be: as it stands in a reply or beside it, in small letters, or misread; else ""."""
    found = _REFERENCE.fullmatch(written)
    if found is None:
        return ""
    return found[1].translate(_MISREAD) if found[1].isupper() else found[1].upper()


def key(written: str, config: Config) -> str:
    """The key, without quotes or angle brackets around it; a kind before it has all taken as it is. ValueError."""
    bare = written.strip()
    if len(bare) > 2 and bare[0] + bare[-1] in _QUOTES:
        bare = bare[1:-1]
    return keys.parse(bare, config.log.default_realm, keep_case=config.log.keep_case)


def decided(journal: Journal, subject: str) -> list[Decision]:
    """What was decided by rules and ordered by hand, of a case or key."""
    from logwatch.telling import orders

    return [*journal.case(subject), *orders.case(journal.reviews(), subject)]


def looks_like_a_case(written: str) -> bool:
    """Whether it is as long as one, in capital letters."""
    found = _REFERENCE.fullmatch(written)
    return found is not None and found[1].isupper()


def cases_alike(journal: Journal, written: str) -> list[str]:
    """Cases one letter off, the latest first, with whom they are about."""
    from logwatch.telling import orders
    from logwatch.telling.edit_distance import one_off

    found = _NEARLY.fullmatch(written)
    if found is None:
        return []
    ordered = {one.ref: one.key for review in journal.reviews() if (one := orders.decision_of(review))}
    near = [
        f"{ref} ({printable(whom)})" for ref, whom in (journal.references() | ordered).items() if one_off(found[1], ref)
    ]
    return near[::-1][:_SHOWN]


def meant(journal: Journal, written: str, key: str) -> str:
    """`; did you mean …?`, or "" where nothing is like it."""
    accounts = map(printable, journal.alike(key)) if key.startswith("account:") else ()
    found = ", ".join([*cases_alike(journal, written), *accounts])
    return f"; did you mean {found}?" if found else ""
