"""How much of each signal every key sent within each window, as of every event.

A window W is counted in sixty buckets of W / 60: the value as of time t holds what came in the current bucket and the
59 before it. It never counts anything older than W, and may leave out what is older than W - W / 60: a rate "in 1h" is
the exact count of some span between 59 and 60 minutes that ends with the event.

State are rows of running totals at points in time, of each key oldest first. Points that no window can tell apart any
more are merged, so that a key holds at most about sixty points per window, whatever it sends. Totals make every value a
subtraction: the total now less the total before the window began. What counts each value once lies beside it
(`distinct`), and so does what keys are used to (`habits`, `usual`).

A chunk is worked through at once for all its keys with sorts and binary searches; its cost grows with the events in it
and the points of the keys that occur in it, not with the keys that are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring import attempt_rate
from logwatch.measuring.batch import LOOKED_AT, Batch
from logwatch.measuring.dnsbl_answers import Listings
from logwatch.measuring.factorize import coded, objects
from logwatch.measuring.habits import Habits
from logwatch.measuring.ledger import Ledger
from logwatch.measuring.moments import age, on_the_clock, reputation
from logwatch.measuring.origin import ANYWHERE, Site
from logwatch.measuring.signals import noticed
from logwatch.measuring.small_batch import FEW, Few, Glimpses
from logwatch.measuring.timeline import MICRO, Coded, Ints, bucket_step
from logwatch.measuring.usual import Usual
from logwatch.measuring.view import EventRates, Values, View
from logwatch.memory import Memory
from logwatch.schema import (
    ADDITIVE,
    AT_ONCE,
    DISTINCT,
    KINDS,
    PACE,
    SIGNALS,
    USUAL,
    Columns,
    Decision,
    History,
    RateColumn,
)

if TYPE_CHECKING:
    import pandas as pd

_BOUNDS = {"account": 1_000_000, "client": 500_000, "net": 500_000, "local": 10_000, "site": 1}


class _Keyed(NamedTuple):
    """Events that count for keys of one kind: the keys, their slots, and for which of them each does."""

    kind: str
    known: Any
    slots: Ints
    coded: Coded
    batch: Batch


class Rates:
    """Counts chunk after chunk of attributed events."""

    def __init__(
        self,
        windows: Iterable[int],
        kinds: Sequence[str] = KINDS,
        distincts: Mapping[str, Iterable[str]] | None = None,
        site: Site = ANYWHERE,
    ) -> None:
        """`distincts`: the distinct signals to count, by kind; default: all of them for every kind."""
        self.windows = tuple(sorted(set(windows)))
        self.habits = Habits(site)
        self._steps = [bucket_step(window) for window in self.windows]
        wanted = dict.fromkeys(kinds, DISTINCT) if distincts is None else distincts
        self._ledgers = {
            kind: Ledger(kind, _BOUNDS[kind], self.windows, sorted(wanted.get(kind, ()))) for kind in kinds
        }
        self._shown = sorted({signal for ledger in self._ledgers.values() for signal in ledger.sets})
        self._usual = {kind: Usual(kind, _BOUNDS[kind]) for kind in kinds}
        self.listings = Listings()
        self._site = site

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks."""
        usual = (usual.memory for usual in self._usual.values())
        return (*self._ledgers.values(), *usual, *self.habits.memories(), self.listings.memory)

    def add(self, events: Columns, needs: Mapping[str, Iterable[RateColumn]]) -> dict[str, History]:
        """Count a chunk whose clock never steps back; for each kind, the wanted values as of each event that counts.

        A chunk in which something is compared with what is usual must lie within one day (UTC).
        """
        rows = noticed(events)
        observed = self.habits.observe({name: events[name][rows] for name in LOOKED_AT})
        if len(rows) > FEW:
            batch = Batch.of(observed, rows, self._steps, self._shown)
            return {kind: self._many(kind, batch, tuple(needs.get(kind, ()))) for kind in self._ledgers}
        few = Few.of(Batch.of(observed, rows, (), self._shown))
        return {kind: self._few(kind, few, tuple(needs.get(kind, ()))) for kind in self._ledgers}

    def _many(self, kind: str, batch: Batch, wanted: tuple[RateColumn, ...]) -> History:
        rows, codes, known = batch.keyed(kind)
        if not len(rows):
            return _nothing(wanted)
        ledger, mine, coded = self._ledgers[kind], batch.of_rows(rows), Coded(codes, len(known))
        slots = np.array(ledger.slots(known), dtype=np.int64)
        found = View.of(ledger, slots, coded, mine, _signals(wanted))
        ledger.count(slots, coded, mine)
        values = self._beside(_Keyed(kind, known, slots, coded, mine), found, wanted)
        ledger.heard(known, slots, coded, mine)
        return _history(mine.rows, known[codes], Values(wanted, values, found.within), found)

    def _few(self, kind: str, few: Few, wanted: tuple[RateColumn, ...]) -> History:
        """The same, event by event."""
        rows, names = few.keyed(kind)
        if not rows:
            return _nothing(wanted)
        ledger, known = self._ledgers[kind], [*dict.fromkeys(names)]
        slot_of = dict(zip(known, ledger.slots(known), strict=True))
        slots = [slot_of[name] for name in names]
        found = Glimpses.of(ledger, few, rows, slots, _signals(wanted))
        keys, positions, values = objects(names), np.array(rows), {}
        if any(signal not in SIGNALS for signal, _ in wanted):
            codes, _ = coded(keys)
            mine = few.batch.of_rows(positions)
            keyed = _Keyed(kind, objects(known), np.array([*slot_of.values()]), Coded(codes, len(known)), mine)
            values = self._beside(keyed, found, wanted)
        few.heard(ledger, rows, names, slots)
        return _history(few.batch.rows[positions], keys, Values(wanted, values, found.within), found)

    def _beside(self, keyed: _Keyed, found: EventRates, wanted: Sequence[RateColumn]) -> dict[RateColumn, NDArray[Any]]:
        """The wanted columns that are no counts, and some of those that are."""
        values = self._compared(keyed, found, wanted) | self._timed(keyed, wanted)
        if (PACE, 0) in wanted:
            attempts = keyed.batch.amounts[:, ADDITIVE.index("attempts")]
            pool, clocks = self._ledgers[keyed.kind].pace, keyed.batch.events["clock"]
            values[PACE, 0] = attempt_rate.learn(pool, keyed.slots, keyed.coded, clocks, attempts)
        return values

    def _compared(
        self, keyed: _Keyed, found: EventRates, wanted: Sequence[RateColumn]
    ) -> dict[RateColumn, NDArray[Any]]:
        """What is usual, for the wanted columns that ask for it, and what is compared with it."""
        bases = [(signal.removeprefix(USUAL), window) for signal, window in wanted if signal.startswith(USUAL)]
        if not bases:
            return {}
        recipients, codes = keyed.batch.amounts[:, ADDITIVE.index("recipients")], keyed.coded.codes
        values = {base: recipients if base[0] == AT_ONCE else found.within(base) for base in bases}
        proven = keyed.batch.proves(codes, len(keyed.known))
        usual = self._usual[keyed.kind].learn(keyed.known, codes, found.times, values, proven)
        return {**values, **{(USUAL + signal, window): levels for (signal, window), levels in usual.items()}}

    def _timed(self, keyed: _Keyed, wanted: Sequence[RateColumn]) -> dict[RateColumn, NDArray[Any]]:
        """What is no count within a window."""
        times, clients = keyed.batch.events["clock"], keyed.batch.events["client"]
        moments: dict[str, Callable[[], Any]] = {
            "hour": lambda: on_the_clock("hour", times, self._site.zone),
            "weekday": lambda: on_the_clock("weekday", times, self._site.zone),
            "age": lambda: age(times, keyed.known[keyed.coded.codes], self.habits),
            "reputation": lambda: reputation(clients, times, self.listings, self._site),
        }
        return {(name, 0): moments[name]() for name, _ in wanted if name in moments}

    def condemn(self, decisions: Iterable[Decision]) -> None:
        """What was decided: on such a day a key teaches nothing of what is usual, unless it was released."""
        for decision in decisions:
            kind, wrong = decision.key.partition(":")[0], decision.action == "release"
            if kind not in self._usual or decision.action == "cap":  # which accuses nobody
                continue
            self._usual[kind].condemn(decision.key, not wrong)
            if kind == "account" and wrong:
                self.habits.condemned.drop(decision.key)
            elif kind == "account":
                self.habits.condemned.add(decision.key, decision.time, decision.until)

    def expire(self, clock: float) -> None:
        """Drop keys that are idle for twice the longest window: they count nothing any more.

        Twice, so that their totals outlive every window that a release cuts short (see `totals`).
        """
        for ledger in self._ledgers.values():
            ledger.expire(clock - 2 * self.windows[-1])
        self.habits.expire(clock)
        self.listings.expire(clock)
        for usual in self._usual.values():
            usual.expire(clock)

    def turn_back(self) -> None:
        """The log's clock was wrong and has been set back: forget everything that was counted.

        It cannot be put right, as nobody knows since when the clock was wrong; and points that have been merged could
        no longer be told apart, so that what is left would depend on the chunks in which it came.
        """
        for ledger in self._ledgers.values():
            ledger.clear()
        self.listings.turn_back()

    def totals(self, key: str, at: float) -> list[int] | None:
        """Running totals of a key, in the order of ADDITIVE; None if all it did has left every window by `at`."""
        ledger = self._ledgers[key.partition(":")[0]]
        slot = ledger.get(key, at - self.windows[-1])
        return None if slot is None else ledger.totals(slot)

    def frame(self, at: float, columns: Iterable[RateColumn] | None = None) -> pd.DataFrame:
        """One row per key, one column per (signal, window), as of epoch time `at`; without keys that count nothing.

        Distinct signals that are not counted for a kind are 0.
        """
        import pandas as pd  # nobody else here needs it, and it takes a third of a second

        wanted = tuple(columns or ((signal, window) for signal in SIGNALS for window in self.windows))
        names = [name for ledger in self._ledgers.values() for name, _ in ledger.items()]
        values = [ledger.as_of(round(at * MICRO), wanted) for ledger in self._ledgers.values()]
        frame = pd.DataFrame(np.concatenate(values), index=pd.Index(names, name="key", dtype=object))
        frame.columns = pd.MultiIndex.from_tuples(wanted, names=("signal", "window"))
        return frame[frame.any(axis=1)].sort_index()


def _signals(wanted: Iterable[RateColumn]) -> set[str]:
    return {signal.removeprefix(USUAL) for signal, _ in wanted}


def _nothing(wanted: Iterable[RateColumn]) -> History:
    none = np.empty(0, dtype=np.int64)
    return History(none, np.empty(0, dtype=object), dict.fromkeys(wanted, none), lambda *_: {})


def _history(rows: Ints, keys: NDArray[Any], values: Values, found: EventRates) -> History:
    return History(rows, keys, values, partial(found.above, values))
