"""What a key sends now, beside what is usual for it: from what the controller remembers, so as of its last step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from enforce.config import Config
from logwatch.commands.output import clock, number
from logwatch.memory import unplaced
from logwatch.settings import zone_of

if TYPE_CHECKING:
    from logwatch.telling.journal import Journal

_WINDOWS = {"10m": 600, "1h": 3600, "24h": 86400}
_HOURS = 24
_BARS = " ▁▂▃▄▅▆▇█"


class Current(NamedTuple):
    """As of `at`, the log's clock (epoch seconds): values by signal and window, recipients by hour, own peaks."""

    at: float
    values: dict[str, dict[str, int]]
    hours: list[int]
    usual: dict[str, float]


def current_of(journal: Journal, key: str) -> Current | None:
    """What is remembered of a key; None if nothing is."""
    from logwatch.measuring.current import cells_of, hourly, value
    from logwatch.schema import ADDITIVE

    kind = key.partition(":")[0]
    packed, facts = journal.remembered_of(f"rates {kind}", key), journal.noted("facts")
    if packed is None or facts is None:
        return None
    cells, at = cells_of(unplaced(packed)), round(facts["clock"] * 1_000_000)
    values = {
        signal: {name: value(cells, at, (signal, window)) for name, window in _WINDOWS.items()} for signal in ADDITIVE
    }
    told = {signal: windows for signal, windows in values.items() if any(windows.values())}
    return Current(facts["clock"], told, hourly(cells, at, "recipients", _HOURS), _usual(journal, kind, key))


def _usual(journal: Journal, kind: str, key: str) -> dict[str, float]:
    """The largest daily peak remembered, by rate."""
    written = journal.remembered_of(f"usual {kind}", key)
    if written is None:
        return {}
    peaks: dict[str, list[float]] = json.loads(unplaced(written))[3]
    return {rate: max(values) for rate, values in peaks.items() if values}


def tell(current: Current, config: Config) -> None:
    """Print it."""
    print(f"  now       as of {clock(current.at, zone_of(config))}, the log's clock")
    for signal, windows in current.values.items():
        print(f"            {signal:<20} " + "  ".join(f"{number(v):>8} in {name}" for name, v in windows.items()))
    for rate, peak in current.usual.items():
        print(f"  usual     {rate}: up to {number(peak)} on its days so far")
    if any(current.hours):
        print(f"  24 hours  │{bars(current.hours)}│ recipients by hour, at most {number(max(current.hours))}")


def bars(values: list[int]) -> str:
    """A row of bars, one for each value."""
    most = max(values, default=0) or 1
    return "".join(_BARS[-(-value * (len(_BARS) - 1) // most)] for value in values)


def as_json(current: Current | None) -> dict[str, Any] | None:
    """The same for programs."""
    return None if current is None else current._asdict()
