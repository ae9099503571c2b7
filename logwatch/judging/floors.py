"""Who was released, and what he had sent by then: for rules only what comes after it counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from logwatch.judging.conditions import AsFloats
from logwatch.judging.policy import Rule
from logwatch.memory import Memory
from logwatch.schema import Floor, History, RateColumn, RateTable

_LONGEST = 8 * 86400.0  # more than any window: floors older than this mean nothing


class Floors:
    """By key, the time of its last release and its running totals by then."""

    def __init__(self) -> None:
        self.memory: Memory[list[Any]] = Memory("floors", 200_000)

    def lay(self, key: str, totals: list[int], time: float) -> None:
        """A key was released at an event time."""
        self.memory.put(key, [time, totals], time)

    def over(self, history: History, clocks: Any) -> Shown:
        """What rules may see of rates; work grows with the keys in it, not with those that were ever released."""
        keys = history.keys.tolist() if len(self.memory) else []
        floors = {key: Floor(*floor) for key in {*keys} if (floor := self.memory.get(key))}
        if not floors:
            return Shown(history, ())
        rows = ((place, floors[key]) for place, key in enumerate(keys) if key in floors)
        times = clocks[history.rows].tolist()
        return Shown(history, [_Released(place, times[place] - floor.time, floor) for place, floor in rows])

    def expire(self, clock: float) -> None:
        """Forget those that no window reaches any more."""
        self.memory.expire(clock - _LONGEST)


class _Released(NamedTuple):
    """A row of a released key: its place, seconds since the release, and what the key had sent by then."""

    place: int
    since: float
    floor: Floor


class Shown:
    """What rules may see of a kind's rates: of released keys only what came after the release."""

    def __init__(self, history: History, released: Sequence[_Released]) -> None:
        self._history, self._released = history, released
        self._known: dict[float, tuple[RateTable, AsFloats]] = {}  # by the longest window

    def to(self, rule: Rule) -> tuple[RateTable, AsFloats]:
        """The values, and the same as floating point numbers."""
        longest = max(rate.window_seconds for rate in rule.rates()) if self._released else 0.0
        if longest not in self._known:
            values = self._above(longest)
            self._known[longest] = values, AsFloats(values)
        return self._known[longest]

    def _above(self, longest: float) -> RateTable:
        limited = [row for row in self._released if row.since < longest]  # windows that reach back beyond it
        if not limited:
            return self._history.values
        places = [row.place for row in limited]
        return _Replaced(self._history.values, places, self._history.above(places, [row.floor for row in limited]))


class _Replaced(Mapping[RateColumn, Any]):
    """The same with other values in some rows, each column when it is first asked for."""

    def __init__(self, values: RateTable, places: Sequence[int], rows: RateTable) -> None:
        self._values, self._places, self._rows = values, places, rows
        self._known: dict[RateColumn, Any] = {}

    def __getitem__(self, column: RateColumn) -> Any:
        if column not in self._known:
            held = self._values[column].copy()
            held[self._places] = self._rows[column]
            self._known[column] = held
        return self._known[column]

    def __iter__(self) -> Iterator[RateColumn]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
