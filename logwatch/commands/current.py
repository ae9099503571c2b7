"""What a key sends now, beside what is usual for it: from what the controller remembers, so as of its last step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from enforce.config import Config
from enforce.printable import printable
from logwatch.commands.output import clock, number
from logwatch.memory import unplaced
from logwatch.schema import iso
from logwatch.settings import zone_of

if TYPE_CHECKING:
    from logwatch.measuring.account_origins import Places
    from logwatch.measuring.packing import Cells
    from logwatch.measuring.usual import Range
    from logwatch.telling.journal import Journal

_WINDOWS = {600: "10m", 3600: "1h", 86400: "24h", 604800: "7d"}
_HOUR, _QUARTER = 3600, 6 * 3600
_HOURS, _QUARTERS = 24, 28
_WEEK = 604800
_SHOWN = 6  # networks and countries
_BARS = " ▁▂▃▄▅▆▇█"


class Current(NamedTuple):
    """As of `at`, the log's clock (epoch seconds): values by signal and window; recipients by hour, and by six hours
    of a week where that is remembered; what its days reached by signal and window; where it has been used."""

    at: float
    values: dict[str, dict[str, int]]
    hours: list[int]
    quarters: list[int]
    usual: dict[str, dict[str, Range]]
    places: Places | None


def current_of(journal: Journal, key: str) -> Current | None:
    """What is remembered of a key; None if nothing is."""
    from logwatch.measuring.current import course
    from logwatch.measuring.packing import Layout, cells_of

    kind = key.partition(":")[0]
    packed, facts = journal.remembered_of(f"rates {kind}", key), journal.facts()
    layout = Layout.read(facts.get("layouts", {}).get(f"rates {kind}", "")) if facts else None
    if packed is None or facts is None or layout is None:
        return None
    cells, at = cells_of(unplaced(packed), layout.distincts.get(kind, ())), round(facts["clock"] * 1_000_000)
    counted = [seconds for seconds in layout.windows if seconds in _WINDOWS]
    weekly = _WEEK in counted
    return Current(
        facts["clock"],
        _values(cells, at, counted),
        course(cells, at, "recipients", _HOUR, _HOURS),
        course(cells, at, "recipients", _QUARTER, _QUARTERS) if weekly else [],
        _usual(journal, kind, key),
        _places(journal, key) if kind == "account" else None,
    )


def _values(cells: Cells, at: int, windows: list[int]) -> dict[str, dict[str, int]]:
    from logwatch.measuring.current import different, value
    from logwatch.schema import ADDITIVE

    counts = dict.fromkeys(ADDITIVE, value) | dict.fromkeys(cells.shown, different)
    found = {s: {_WINDOWS[w]: of(cells, at, (s, w)) for w in windows} for s, of in counts.items()}
    if found["cost"] == found["recipients"]:  # the policy has no prices
        del found["cost"]
    return {signal: counts for signal, counts in found.items() if any(counts.values())}


def _usual(journal: Journal, kind: str, key: str) -> dict[str, dict[str, Range]]:
    from logwatch.judging.conditions import span
    from logwatch.measuring.usual import ranges

    written = journal.remembered_of(f"usual {kind}", key)
    found: dict[str, dict[str, Range]] = {}
    for (signal, window), reached in (ranges(unplaced(written)) if written else {}).items():
        found.setdefault(signal, {})[span(window)] = reached
    return found


def _places(journal: Journal, key: str) -> Places | None:
    from logwatch.measuring.account_origins import places

    written = journal.remembered_of("used", key)
    return places(unplaced(written)) if written else None


def tell(current: Current, config: Config) -> None:
    """Print it."""
    zone = zone_of(config)
    print(f"  as of {clock(current.at, zone)}, the log's clock")
    windows = list(next(iter(current.values.values()), {}))
    signals = list(dict.fromkeys((*current.values, *(s for s, found in current.usual.items() if _reached(found)))))
    if signals:
        print("  " + " " * 19 + "".join(f"{name:>13}" for name in windows) + "   usual")
    for signal in signals:
        counts = current.values.get(signal, dict.fromkeys(windows, 0))
        shown = "".join(f"{number(counts[name]):>13}" for name in windows)
        print(f"  {signal:<19}{shown}   {_said(current.usual.get(signal, {}))}".rstrip())
    if any(current.hours):
        print(f"  24 hours  │{bars(current.hours)}│ recipients by hour, at most {number(max(current.hours))}")
    if any(current.quarters):
        print(f"  7 days    │{bars(current.quarters)}│ by six hours, at most {number(max(current.quarters))}")
    if current.places:
        _tell_places(current.places, zone)


def _reached(found: Mapping[str, Range]) -> bool:
    return any(reached.largest for reached in found.values())


def _said(found: Mapping[str, Range]) -> str:
    said = (
        f"up to {number(reached.usual)} in {window} (most: {number(reached.largest)})"
        for window, reached in found.items()
    )
    return ", ".join(said)


def _tell_places(places: Places, zone: Any) -> None:
    print(f"  known since {clock(places.since, zone)}")
    countries = sorted(places.countries.items(), key=lambda item: -item[1][1])[:_SHOWN]
    if countries:
        said = (
            f"{land} on {days} day{'s' * (days != 1)}, last {clock(last, zone)[:10]}"
            for land, (days, last) in countries
        )
        print("  countries  " + "; ".join(said))
    networks = list(places.networks.items())[::-1][:_SHOWN]
    if networks:
        print(f"  networks   the latest {len(networks)} of {len(places.networks)}, with first and last use")
    for net, (first, last) in networks:
        print(f"    {printable(net.removeprefix('net:')):<20} {clock(first, zone)}   {clock(last, zone)}")


def bars(values: list[int]) -> str:
    """A row of bars, one for each value."""
    most = max(values, default=0) or 1
    return "".join(_BARS[-(-value * (len(_BARS) - 1) // most)] for value in values)


def as_json(current: Current | None, config: Config) -> dict[str, Any] | None:
    """The same for programs."""
    if current is None:
        return None
    zone = zone_of(config)
    usual = {s: {window: reached._asdict() for window, reached in found.items()} for s, found in current.usual.items()}
    found = {**current._asdict(), "at": iso(current.at, zone), "usual": usual}
    if current.places:
        found["places"] = {
            "since": iso(current.places.since, zone),
            "networks": {net: [iso(at, zone) for at in used] for net, used in current.places.networks.items()},
            "countries": {
                land: {"days": days, "last": iso(last, zone)[:10]}
                for land, (days, last) in current.places.countries.items()
            },
        }
    return found
