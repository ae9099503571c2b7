"""What is usual for a key: a slowly learned quantile of its own daily peaks.

Of each rate that a policy compares with `usual`, the largest value of every active day is remembered, for the latest
thirty of them; usual is the value that nine in ten of these days stay within, and never less than a floor, which is
all that there is for a new key. Of the recipients of one message it is the largest of these days. The running day does
not count, nor does, after the first five, a day on which something was decided against the key: what was sent under
suspicion must not become the habit. Days are those of UTC.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring.deflated_memory import Records, read
from logwatch.schema import AT_ONCE, DISTINCT, RateColumn

DAY = 86400
DAYS = 30
LEARNING = 5  # days that teach whatever happened
QUANTILE = 0.9
_HABIT = 10  # days, of what is odd by itself: those that an account lacks count as if it had shown nothing
_SELDOM = ("odd_senders", "odd_countries", "new_networks", "far_recipients", "far_strangers", "away_recipients")
_FLOORS = {"bytes": 10_000_000, AT_ONCE: 0, **dict.fromkeys((*DISTINCT, *_SELDOM), 2)}
_FLOOR = 10
_MEMORY = 182 * DAY
_LEVELS = 20_000  # keys of which it is kept what is usual today


@dataclass(slots=True)
class Peaks:
    """The largest values of a key, by rate (`recipients 3600`): of one day, and of the active days before it in order.

    `condemned`: something was decided against the key on that day, so that it teaches nothing.
    """

    day: int
    condemned: bool = False
    today: dict[str, float] = field(default_factory=dict)
    before: dict[str, list[float]] = field(default_factory=dict)

    def fields(self) -> list[Any]:
        """As it is kept."""
        return [self.day, self.condemned, self.today, self.before]


class Usual:
    """Remembers the peaks of keys of one kind."""

    def __init__(self, kind: str, bound: int) -> None:
        self.memory = Records(f"usual {kind}", bound, Peaks)
        self._levels: dict[str, tuple[list[str], list[float]]] = {}  # of keys on the latest day: rates, what is usual
        self._day = -1

    def learn(
        self,
        known: Sequence[str],
        codes: Any,
        times: NDArray[np.int64],
        rates: dict[RateColumn, NDArray[Any]],
        proven: NDArray[np.bool_],
    ) -> dict[RateColumn, NDArray[np.float64]]:
        """What is usual as of each event of one day, by rate; `rates` are the values that the events reach.

        `proven`: which of the keys did what no stranger can do (see `memory`).
        """
        seconds = times / 1_000_000
        day = int(seconds[0] // DAY)
        latest = np.zeros(len(known))
        latest[codes] = seconds  # events are in order of time
        peaks = np.zeros((len(rates), len(known)), dtype=np.int64)
        for row, values in zip(peaks, rates.values(), strict=True):
            np.maximum.at(row, codes, values)
        names = [_name(rate) for rate in rates]
        usual = []
        for key, reached, time, proof in zip(known, peaks.T.tolist(), latest.tolist(), proven.tolist(), strict=True):
            record = self._turned(key, day)
            usual.append(self._usual(key, day, record.before, names))
            today = record.today
            for name, peak in zip(names, reached, strict=True):
                if peak > today.get(name, -1):
                    today[name] = peak
            self.memory.put(key, record, time, proven=proof)
        return {rate: row[codes] for rate, row in zip(rates, np.array(usual, dtype=float).T, strict=True)}

    def _usual(self, key: str, day: int, past: Mapping[str, Sequence[float]], names: list[str]) -> list[float]:
        """What is usual for a key on a day, which is always the same."""
        if day != self._day or len(self._levels) > _LEVELS:
            self._levels, self._day = {}, day
        of, levels = self._levels.get(key, ([], []))
        if of != names:
            levels = [max(_typical(name, past.get(name, ())), _floor(name)) for name in names]
            self._levels[key] = names, levels
        return levels

    def condemn(self, key: str, condemned: bool) -> None:
        """Something was decided against a key today: the day teaches nothing; or that was taken back."""
        known = self.memory.get(key)
        if known:
            known.condemned = condemned
            self.memory.put(key, known, float(known.day * DAY), proven=False)

    def expire(self, clock: float) -> None:
        """Forget keys that have been idle for half a year."""
        self.memory.expire(clock - _MEMORY)

    def _turned(self, key: str, day: int) -> Peaks:
        """The record of a key, the days before this one closed."""
        record = self.memory.get(key)
        if record is None or record.day < day - _MEMORY // DAY:
            return Peaks(day)
        if record.day != day:
            past = record.before
            for name, peak in record.today.items():
                if not record.condemned or len(past.get(name, ())) < LEARNING:
                    past[name] = [*past.get(name, ()), peak][-DAYS:]
            return Peaks(day, before=past)
        return record


class Range(NamedTuple):
    """What a key's active days reached: nine in ten stayed within `usual`, the largest was `largest`."""

    usual: float
    largest: float
    days: int


def ranges(written: bytes) -> dict[RateColumn, Range]:
    """The range of each rate, of a key's value in a memory of `Usual`; floors are left aside."""
    found = {}
    for name, values in Peaks(*read(written)).before.items():
        signal, _, window = name.rpartition(" ")
        found[signal, int(window)] = Range(_quantile(values, _fewest(name)), max(values), len(values))
    return found


def _quantile(peaks: Iterable[float], fewest: int) -> float:
    """Of the peaks, and of so many zeros beside them as make up the fewest days."""
    ordered = sorted(peaks, reverse=True)
    days = max(fewest, len(ordered))
    place = days - math.ceil(QUANTILE * days)
    return ordered[place] if place < len(ordered) else 0.0


def _typical(name: str, past: Sequence[float]) -> float:
    return max(past, default=0.0) if name.startswith(AT_ONCE) else _quantile(past, _fewest(name))


def _fewest(name: str) -> int:
    return _HABIT if name.rpartition(" ")[0] in _SELDOM else 0


def _floor(name: str) -> float:
    return _FLOORS.get(name.rpartition(" ")[0], _FLOOR)


def _name(rate: RateColumn) -> str:
    return f"{rate[0]} {rate[1]}"
