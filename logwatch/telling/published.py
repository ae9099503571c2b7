"""What was written to the deny table, change by change: which record of a key, when, and why.

A key has at most four records in the table, each in its place: enforced and observed, a cap and what is no cap. A
change concerns one of them:

    add      it counts from `time` on
    change   it takes the place of another one, or has another end, share or number of recipients
    remove   it no longer counts from `time` on

`why` is one of the words below, or `released by WHO`, `exempted by WHO`, `ordered by WHO`. A change is found by
comparing what the table held with what was written, so it says what milters could see, whatever was meant. Whoever
adds the changes up, in their order, has the table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from enforce.table import Record

DECIDED: Final = "decided"  # by a rule, or the policy's cap for everybody
LISTED: Final = "the policy's lists changed"
POLICY: Final = "the policy changed"
ENDED: Final = "ended"
SILENT: Final = "no controller"  # renewed its lease
OPENED: Final = "opened"  # by a controller that starts, or finds the table gone: what stands was written
OTHER: Final = "another controller"  # wrote it, before this one had read as far
FOUND: Final = "found"  # in the table, or gone from it, at that moment, and nobody had written down why

Place = tuple[str, str, bool]  # key, mode, whether it is a cap


class Change(NamedTuple):
    """One change; `time` and `until` in epoch seconds of this machine's clock, the record's fields as in the table."""

    time: float
    key: str
    change: str
    action: str
    mode: str
    until: float
    share: float | None
    max_recipients: int | None
    rule: str
    ref: str
    why: str

    @property
    def place(self) -> Place:
        """Which of the key's records it is."""
        return self.key, self.mode, self.action == "cap"

    def record(self) -> Record:
        """What was written, with a lease that never runs out."""
        shared = (self.ref, self.rule, self.share, self.max_recipients)
        return Record(self.action, self.mode, self.until, math.inf, *shared)


def changes(key: str, before: Iterable[Record], after: Iterable[Record], now: float, why: str) -> Iterator[Change]:
    """What makes the records of a key those after out of those before."""
    old, new = ({(r.mode, r.action == "cap"): r for r in records} for records in (before, after))
    for place in sorted(old.keys() | new.keys()):
        was, then = old.get(place), new.get(place)
        if was and not was.counts(now):
            yield _change(key, "remove", was, min(was.until, was.lease), ENDED if was.until <= was.lease else SILENT)
            was = None
        if then and (was is None or _told(was) != _told(then)):
            yield _change(key, "change" if was else "add", then, now, why)
        elif was and then is None:
            yield _change(key, "remove", was, now, why)


def unsaid(key: str, said: Iterable[Record], listed: Iterable[Record], now: float) -> Iterator[Change]:
    """What makes the records of a key, as they were said to be, those that are listed; only seen at this moment."""
    said, listed = ([replace(record, lease=math.inf) for record in records] for records in (said, listed))
    for change in changes(key, said, listed, -math.inf, FOUND):
        ended = change.change == "remove" and change.until <= now
        yield change._replace(time=change.until, why=ENDED) if ended else change._replace(time=now)


def together(all_changes: Iterable[Change]) -> dict[str, tuple[Record, ...]]:
    """What the table holds after these changes, by key."""
    last = {change.place: change for change in all_changes}
    found: dict[str, tuple[Record, ...]] = {}
    for change in last.values():
        if change.change != "remove":
            found[change.key] = (*found.get(change.key, ()), change.record())
    return found


def _told(record: Record) -> Sequence[object]:
    return record.action, record.until, record.share, record.max_recipients, record.rule, record.ref


def _change(key: str, change: str, record: Record, time: float, why: str) -> Change:
    shared = (record.share, record.max_recipients, record.rule, record.ref)
    return Change(time, key, change, record.action, record.mode, record.until, *shared, why)
