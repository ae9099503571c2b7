"""How many recipients a message of any account may have: a default, and the larger numbers of those who need more.

What no log reader can stop is the first message: its line exists only once it is in. So a default record (`account:*`)
stands for everybody, as long as lines come in, and accounts that have sent larger messages have one of their own:

    account:*    the policy's number; written anew at an event after a tenth of a day, ends a day after the last one
    an account   a multiple of its largest message of the latest thirty active days, where that is more; half a year
    an exempt    no limit: from the beginning where the policy names the account, else (`@example.com`) once it is seen

They are no cases: nobody did anything. They have no number in the order of decisions and are not journalled as such;
what stands is what is remembered here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from enforce.key import EVERYBODY
from logwatch.judging.cases import reference_of
from logwatch.judging.policy import Policy
from logwatch.memory import Memory
from logwatch.schema import AT_ONCE, DEFAULT_CAP, USUAL, Columns, Decision, History

NO_LIMIT = 1_000_000  # recipients
DAY = 86400.0
LONG = 182 * DAY  # as long as what is usual is remembered
_RENEWED = 0.1  # of its time

Until = Callable[[str], float | None]  # of a key: until when an operator exempted it


class _Kept(NamedTuple):
    number: int
    until: float
    written: float


class Cut(NamedTuple):
    """A message that had more recipients than its account might address at once, and how many that was."""

    time: float
    key: str
    recipients: int
    limit: int


class Decided(NamedTuple):
    """Records that are written, and messages that were cut or would have been."""

    caps: list[Decision]
    cut: list[Cut]


class Ceilings:
    """The cap for everybody by one policy, and the larger caps of accounts that need more."""

    NAME = "ceilings"

    def __init__(self, mode: str) -> None:
        """`mode`: that in which they are published."""
        self.mode = mode
        self._kept: Memory[list[float]] = Memory(self.NAME, 1_000_000)

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered."""
        return (self._kept,)

    def decide(self, policy: Policy, events: Columns, history: History | None, excused: Until) -> Decided:
        """What changes at the events of one day, and what was cut, in their order."""
        if policy.ceiling is None or not len(events["clock"]):
            return Decided([], [])
        found: list[tuple[int, Decision | Cut]] = [*self._default(policy, events, excused)]
        if history is not None and len(history.rows):
            found += self._accounts(policy, events, history, excused)
        self._kept.expire(float(events["clock"][-1]) - LONG)
        found.sort(key=lambda pair: (pair[0], pair[1].key))
        return Decided(
            [one for _, one in found if isinstance(one, Decision)], [one for _, one in found if isinstance(one, Cut)]
        )

    def standing(self, policy: Policy) -> list[Decision]:
        """All that stand, under the policy as it is now."""
        ceiling = policy.ceiling
        if ceiling is None:
            return []
        kept = ((key, _Kept(int(number), until, written)) for key, (number, until, written) in self._kept.items())
        return [
            self._decision(key, one._replace(number=ceiling.recipients if key == EVERYBODY else one.number))
            for key, one in kept
            if key == EVERYBODY or one.number > ceiling.recipients
        ]

    def release(self, key: str) -> None:
        """The default was released by an operator; numbers of accounts' own are no denial and stay."""
        if key == EVERYBODY:
            self._kept.drop(key)

    def turn_back(self, clock: float) -> list[Decision]:
        """The log's clock was set back: end what was written later than it is now."""
        later = [key for key, fields in self._kept.items() if fields[2] > clock]
        for key in later:
            self._kept.drop(key)
        return [self._decision(key, _Kept(0, clock, clock), "release") for key in later]

    def _default(self, policy: Policy, events: Columns, excused: Until) -> Iterator[tuple[int, Decision]]:
        clocks = events["clock"]
        named = sorted(policy.exempt_accounts())
        row = self._next(EVERYBODY, DAY, clocks, excused, 0)
        while row < len(clocks):
            time, ceiling = float(clocks[row]), policy.ceiling
            assert ceiling
            yield row, self._written(EVERYBODY, _Kept(ceiling.recipients, time + DAY, time))
            for key in named:
                kept = self._of(key)
                if kept is None or kept.number != NO_LIMIT or time >= kept.written + LONG * _RENEWED:
                    yield row, self._written(key, _Kept(NO_LIMIT, time + LONG, time))
            row = self._next(EVERYBODY, DAY, clocks, excused, row + 1)

    def _next(self, key: str, span: float, clocks: Any, excused: Until, row: int) -> int:
        """The next row at which a record of that span has to be written; as many as there are if there is none."""
        kept, until = self._of(key), excused(key)
        due = max(kept.written + span * _RENEWED if kept else float("-inf"), until or float("-inf"))
        return max(row, int(clocks.searchsorted(due)))

    def _accounts(
        self, policy: Policy, events: Columns, history: History, excused: Until
    ) -> Iterator[tuple[int, Decision | Cut]]:
        ceiling = policy.ceiling
        assert ceiling
        column, fails = (USUAL + AT_ONCE, 0), events["event"] == "auth_failure"
        largest = history.values[column] if ceiling.factor else np.zeros(len(history.rows))
        for key, places in _places(history).items():
            own = max(int(float(largest[places[0]]) * (ceiling.factor or 0)), ceiling.recipients)
            exempt = policy.exempt(key)
            rows = history.rows[places]
            for row in rows[~fails[rows]].tolist():  # nobody gets a record by a login that he only made up
                time, until = float(events["clock"][row]), excused(key)
                yield from self._cut(key, events, row, ceiling.recipients)
                free = exempt or (until is not None and time < until)
                wanted = NO_LIMIT if free else own
                if self._is_due(key, wanted, time, ceiling.recipients):
                    ends = min(time + LONG, until) if until and free and not exempt else time + LONG
                    yield row, self._written(key, _Kept(wanted, ends, time))

    def _cut(self, key: str, events: Columns, row: int, default: int) -> Iterator[tuple[int, Cut]]:
        """The message, if it had more recipients than was allowed before it."""
        recipients = int(events["nrcpt"][row] or 0) if events["event"][row] == "queued" else 0
        if recipients > default:
            time, kept = float(events["clock"][row]), self._of(key)
            limit = kept.number if kept and time < kept.until else default
            if recipients > limit:
                yield row, Cut(time, key, recipients, limit)

    def _is_due(self, key: str, wanted: int, time: float, default: int) -> bool:
        kept = self._of(key)
        if kept is None:
            return wanted > default
        return kept.number != wanted or time >= min(kept.until, kept.written + LONG * _RENEWED)

    def _of(self, key: str) -> _Kept | None:
        fields = self._kept.get(key)
        return None if fields is None else _Kept(int(fields[0]), fields[1], fields[2])

    def _written(self, key: str, kept: _Kept) -> Decision:
        self._kept.put(key, list(kept), kept.written)
        return self._decision(key, kept)

    def _decision(self, key: str, kept: _Kept, action: str = "cap") -> Decision:
        return Decision(
            time=kept.written,
            key=key,
            action=action,
            mode=self.mode,
            until=kept.until,
            rule=DEFAULT_CAP,
            ref=reference(key),
            seq=0,
            max_recipients=kept.number if action == "cap" else None,
        )


def reference(key: str) -> str:
    """The case reference of a key's record, the same whenever it is written."""
    return reference_of(hashlib.blake2b(f"{DEFAULT_CAP} {key}".encode(), digest_size=4).digest())


def _places(history: History) -> dict[str, list[int]]:
    """Positions by key, in order."""
    found: dict[str, list[int]] = {}
    for place, key in enumerate(history.keys.tolist()):
        found.setdefault(key, []).append(place)
    return found
