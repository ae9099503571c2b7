"""The few events of a live log's lines, counted one after the other, as `view` and `Ledger` do it for many at once.

Hundreds of calls of numpy take as long for ten lines as for a thousand; here work grows with the events alone. What is
found is the same, and what is kept tells the same (a test compares), so nobody need know by which way an event came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from enforce import key as keys
from logwatch.measuring.batch import Batch
from logwatch.measuring.current import MOST
from logwatch.measuring.ledger import COLUMNS, Ledger
from logwatch.measuring.packing import PLACES
from logwatch.measuring.pool import Pool
from logwatch.measuring.timeline import MICRO, Ints, bucket_step, window_start
from logwatch.measuring.view import EventRates
from logwatch.schema import ADDITIVE, Floor, RateColumn

_MESSAGES = ADDITIVE.index("messages")
FEW = 40  # events in a batch; with more the other way is quicker


class Few(NamedTuple):
    """A batch's events: microseconds; what each adds, by the groups to which it adds; which values it shows.

    shown   by distinct signal, a mark for each event, None where it shows none
    sent    whether it is a message that was accepted
    """

    batch: Batch
    times: Sequence[int]
    added: Sequence[Sequence[tuple[int, Sequence[int]]]]
    shown: Mapping[str, Sequence[int | None]]
    sent: Sequence[bool]

    @classmethod
    def of(cls, batch: Batch) -> Few:
        """Of all that a batch holds."""
        shown = {
            signal: [mark if shows else None for mark, shows in zip(marks.tolist(), has.tolist(), strict=True)]
            for signal, (marks, has) in batch.marks.items()
        }
        amounts = batch.amounts.tolist()
        sent = [row[_MESSAGES] > 0 for row in amounts]
        return cls(batch, batch.times.tolist(), [_by_group(row) for row in amounts], shown, sent)

    def keyed(self, kind: str) -> tuple[list[int], list[str]]:
        """Places of the events that count for a kind of key, and the key for which each does."""
        if kind == "site":
            return [*range(len(self.times))], [keys.SITE] * len(self.times)
        of = self.batch.events["client" if kind == "net" else kind].tolist()
        named = [(row, name) for row, name in enumerate(of) if name is not None]
        if kind == "net":
            named = [(row, net) for row, name in named for net in keys.networks(name.removeprefix("client:"))]
        return [row for row, _ in named], [name for _, name in named]

    def heard(self, ledger: Ledger, rows: Sequence[int], names: Sequence[str], slots: Sequence[int]) -> None:
        """Keep the keys of some events in the order in which they were last heard of."""
        latest: dict[str, tuple[str, int, float]] = {}
        for row, name, slot in zip(rows, names, slots, strict=True):
            latest.pop(name, None)
            latest[name] = name, slot, self.times[row] / MICRO
        proven = {name for row, name in zip(rows, names, strict=True) if self.sent[row]}
        ledger.put_all(latest.values(), [name for name in latest if name not in proven])


def _by_group(row: Sequence[int]) -> list[tuple[int, list[int]]]:
    found = ((group, [row[column] for column in columns]) for group, columns in enumerate(COLUMNS))
    return [(group, added) for group, added in found if any(added)]


@dataclass(frozen=True)
class Glimpses(EventRates):
    """Those of few events: for each a copy of what was kept of its key just after it.

    By group a row of times and one of totals for each of its signals; by distinct signal, times and marks.
    """

    kept: Sequence[Mapping[int | str, Ints]]

    @classmethod
    def of(cls, ledger: Ledger, few: Few, rows: Iterable[int], slots: Iterable[int], signals: set[str]) -> Glimpses:
        """Written down on the way: events of a batch, each for the key in its slot; `signals` will be asked for."""
        pools: dict[int | str, Pool] = {
            **{group: ledger.groups[group] for group in {PLACES[name][0] for name in signals if name in PLACES}},
            **{signal: pool for signal, pool in ledger.sets.items() if signal in signals},
        }
        times, kept = [], []
        for row, slot in zip(rows, slots, strict=True):
            time = few.times[row]
            for group, added in few.added[row]:
                ledger.add(group, slot, time, added)
            for signal in ledger.sets:
                mark = few.shown[signal][row]
                if mark is not None:
                    ledger.show(signal, slot, time, mark)
            times.append(time)
            kept.append({name: pool.columns(slot) for name, pool in pools.items()})
        return cls(np.array(times, dtype=np.int64), kept)

    def within(self, column: RateColumn) -> Ints:
        """A column, a value for each event."""
        signal, window = column
        step = bucket_step(window)
        begins = [window_start(time, step) for time in self.times.tolist()]
        if signal not in PLACES:
            return np.array([_different(kept[signal], begin) for kept, begin in zip(self.kept, begins, strict=True)])
        group, place = PLACES[signal]
        return np.array([_grown(kept[group], place, begin) for kept, begin in zip(self.kept, begins, strict=True)])

    def since(self, signal: str, place: int, floor: Floor) -> int:
        """What an event finds of a signal that came after a floor."""
        if signal not in PLACES:
            return _different(self.kept[place][signal], round(floor.time * MICRO) + 1)
        group, column = PLACES[signal]
        return _grown(self.kept[place][group], column, 0) - floor.totals[ADDITIVE.index(signal)]


def _grown(kept: Ints, place: int, begin: int) -> int:
    """By how much a total has grown since a time."""
    before, totals = int(kept[0].searchsorted(begin)), kept[1 + place]
    return int(totals[-1] - (totals[before - 1] if before else 0)) if len(totals) else 0


def _different(kept: Ints, begin: int) -> int:
    """How many different values came from a time on."""
    return min(len({*kept[1][kept[0].searchsorted(begin) :].tolist()}), MOST)
