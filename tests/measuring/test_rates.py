"""Rates are what they say: checked against counting by hand, whatever the chunks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enforce import key as keys
from logwatch.measuring.current import MOST
from logwatch.measuring.origin import ANYWHERE
from logwatch.measuring.packing import GROUPS, parts
from logwatch.measuring.rates import Rates
from logwatch.measuring.timeline import BUCKETS
from logwatch.memory import unplaced
from logwatch.schema import KINDS, Columns, Listing, RateColumn
from tests.telling.decisions import decision

from .table import events, rows_of

untimed = settings(deadline=None)  # machines are shared: no property is about time

START = 1_764_000_000.0
CLIENTS = (
    "client:192.0.2.1",
    "client:192.0.2.77",
    "client:192.0.99.4",
    "client:198.51.100.9",
    "client:2001:db8:1:2::5",
    "client:2001:db8:9::5",
    "client:8.8.8.8",
    "client:193.0.6.139",
    None,
)
ACCOUNTS = ("account:alice", "account:bob", None)
WINDOWS = (60, 600, 3600, 5400, 86400)
SHOWN = ("clients", "neighbourhoods", "accounts", "guessed", "guessers", "guesser_countries")
COLUMNS = [(signal, window) for signal in ("recipients", *SHOWN) for window in WINDOWS]

Rows = list[dict[str, Any]]

_gaps = st.sampled_from([0.0, 0.0, 1.0, 9.9, 10.0, 60.0, 599.5, 600.0, 3540.0, 7201.0, 90_000.0]) | st.floats(0, 4000)
_events = st.builds(
    lambda gap, account, client, local, nrcpt: {
        "gap": gap, "event": "queued", "account": account, "client": client, "local": local,
        "nrcpt": str(nrcpt).encode(), "size": b"1000",
    },
    _gaps, st.sampled_from(ACCOUNTS), st.sampled_from(CLIENTS), st.sampled_from(["local:33", None]), st.integers(1, 50),
)  # fmt: skip


def _timed(rows: Rows) -> Rows:
    times = START + np.cumsum([row["gap"] for row in rows])
    return [{**row, "clock": float(np.round(time, 6))} for row, time in zip(rows, times, strict=True)]


_failures = _events.map(lambda row: {**row, "event": "auth_failure", "nrcpt": b"0"})
logs = st.lists(_events | _failures, min_size=1, max_size=60).map(_timed)


def counts_for(kind: str, row: Mapping[str, Any]) -> list[str]:
    """The keys of a kind that an event counts for."""
    if kind == "site":
        return ["site"]
    if kind == "net":
        return list(keys.networks(row["client"].removeprefix("client:"))) if row["client"] else []
    return [row[kind]] if row[kind] else []


def oracle(rows: Rows, kind: str, key: str, column: RateColumn) -> int:
    """A rate as of the last row, from what came since the bucket began that is the 59th before the current one."""
    signal, window = column
    step = window * 1_000_000 // BUCKETS
    micros = [round(row["clock"] * 1_000_000) for row in rows]
    since = (micros[-1] // step - (BUCKETS - 1)) * step
    inside = [row for row, time in zip(rows, micros, strict=True) if time >= since and key in counts_for(kind, row)]
    if signal == "recipients":
        return sum(int(row["nrcpt"]) for row in inside)
    failed = signal.startswith("guess")
    return len({shown(signal, row) for row in inside if (row["nrcpt"] == b"0") is failed} - {None})


def shown(signal: str, row: Mapping[str, Any]) -> object:
    """What a message, or a failed login, shows of a signal that counts each value once."""
    if signal in ("clients", "accounts", "guessed"):
        return row["account" if signal == "guessed" else signal.removesuffix("s")]
    if signal == "guesser_countries":
        return row["client"] and ANYWHERE.country(row["client"])
    address = row["client"] and ipaddress.ip_address(row["client"].removeprefix("client:"))
    return address and ipaddress.ip_network((address, 16 if address.version == 4 else 32), strict=False)


def counted(rates: Rates, table: Columns, edges: list[int], needs: dict[str, list[RateColumn]]) -> Iterator[Any]:
    """All values by kind, row, key and column, of a table counted in pieces."""
    for begin, end in pairwise([0, *edges, len(table["clock"])]):
        for kind, history in rates.add(rows_of(table, begin, end), needs).items():
            for place, (row, key) in enumerate(zip(history.rows, history.keys, strict=True)):
                yield (
                    kind,
                    begin + int(row),
                    key,
                    {column: int(values[place]) for column, values in history.values.items()},
                )


@untimed
@given(st.data(), logs)
def test_every_value_is_what_counting_by_hand_gives(data: st.DataObject, rows: Rows) -> None:
    edges = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    needs = dict.fromkeys(KINDS, COLUMNS)
    seen = 0
    for kind, row, key, values in counted(Rates(WINDOWS), events(rows), edges, needs):
        for column, value in values.items():
            assert value == oracle(rows[: row + 1], kind, key, column)
        seen += 1
    assert seen == sum(len(counts_for(kind, row)) for kind in KINDS for row in rows)


@untimed
@given(logs, st.sampled_from(WINDOWS))
def test_a_value_leaves_out_no_more_than_a_sixtieth_of_its_window(rows: Rows, window: int) -> None:
    """A value lies between the exact counts of the last 59/60 of the window and of the whole window."""
    wanted: dict[str, list[RateColumn]] = {"account": [("recipients", window)]}
    for _, row, key, values in counted(Rates([window], ["account"]), events(rows), [], wanted):
        now = rows[row]["clock"]
        exact = [
            sum(int(r["nrcpt"]) for r in rows[: row + 1] if r["account"] == key and r["clock"] > now - length)
            for length in (window - window / BUCKETS, window)
        ]
        assert exact[0] <= values["recipients", window] <= exact[1]


@untimed
@given(st.data(), logs)
def test_the_frame_is_the_history_as_of_its_end(data: st.DataObject, rows: Rows) -> None:
    """`frame(at)` has for every key what counting by hand gives at that time, and no key that counts nothing."""
    rates = Rates(WINDOWS)
    table = events(rows)
    for begin, end in pairwise([0, *sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4))), len(rows)]):
        rates.add(rows_of(table, begin, end), {})
    at = rows[-1]["clock"] + data.draw(st.sampled_from([0.0, 30.0, 3000.0, 50_000.0, 100_000.0]))
    frame = rates.frame(at, COLUMNS)
    later = [*rows, {"clock": at, "account": None, "client": None, "local": None, "nrcpt": b"0"}]
    known = {(kind, key) for kind in KINDS for row in rows for key in counts_for(kind, row)}
    expected = {key: [oracle(later, kind, key, column) for column in COLUMNS] for kind, key in known}
    assert {key: list(row) for key, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)} == {
        key: values for key, values in expected.items() if any(values)
    }


@untimed
@given(st.data(), logs)
def test_what_was_dumped_and_restored_counts_on(data: st.DataObject, rows: Rows) -> None:
    """A restart between two chunks changes nothing."""
    cut = data.draw(st.integers(0, len(rows)))
    table, needs = events(rows), dict.fromkeys(KINDS, COLUMNS)
    first, second = Rates(WINDOWS), Rates(WINDOWS)
    found = list(counted(first, rows_of(table, 0, cut), [], needs))
    for old, new in zip(first.memories(), second.memories(), strict=True):
        new.restore((key, time, value) for key, time, value in reversed(old.changes()) if value is not None)
    found += [
        (kind, cut + row, key, values)
        for kind, row, key, values in counted(second, rows_of(table, cut, len(rows)), [], needs)
    ]
    whole = list(counted(Rates(WINDOWS), table, [], needs))
    assert sorted(found, key=str) == sorted(whole, key=str)


def test_a_key_holds_few_points_whatever_it_sends() -> None:
    """State is bounded by the windows: about sixty points for each, some more until they are squeezed."""
    rates = Rates((600, 3600))
    rows: Rows = [
        {"clock": START + n * 0.5, "event": "queued", "account": "account:a", "nrcpt": b"1", "size": b"1"}
        for n in range(20_000)
    ]
    for begin in range(0, len(rows), 500):
        rates.add(rows_of(events(rows), begin, begin + 500), {})
    assert max(points_of(rates, "account")) <= 2 * (2 * BUCKETS + 2)


def test_what_is_counted_once_has_a_bound() -> None:
    """Beyond a thousand different values a count stands still, and no more are remembered."""
    rates = Rates((600,), ["site"], {"site": ["senders"]})
    table = events(
        {"clock": START, "event": "queued", "nrcpt": b"1", "size": b"1", "sender": b"%d@example.com" % n}
        for n in range(MOST + 50)
    )
    history = rates.add(table, {"site": [("senders", 600)]})["site"]
    assert history.values["senders", 600].tolist() == [min(n + 1, MOST) for n in range(MOST + 50)]
    for _ in range(5):
        rates.add(table, {})
    assert points_of(rates, "site")[-1] <= 2 * (MOST + len(table["clock"]))


@pytest.mark.parametrize(("idle", "known"), [(2 * 3600 - 1, True), (2 * 3600 + 1, False)])
def test_a_key_is_dropped_once_it_has_been_idle_for_twice_its_longest_window(idle: float, known: bool) -> None:
    rates = Rates((600, 3600))
    rates.add(events([{"clock": START, "event": "connect", "client": "client:192.0.2.1"}]), {})
    rates.expire(START + idle)
    assert any(len(memory) for memory in rates.memories()) is known


def test_keys_in_the_place_of_forgotten_ones_begin_with_nothing() -> None:
    """However many there are, whether many or few came at once, and after a restart."""
    wanted: list[RateColumn] = [("messages", 600), ("clients", 600)]

    def each_sends(rates: Rates, accounts: range, time: float) -> None:
        one = {"clock": time, "event": "queued", "client": CLIENTS[0], "nrcpt": b"1", "size": b"1"}
        rates.add(events({**one, "account": f"account:{number}"} for number in accounts), {})

    def found(rates: Rates, time: float) -> dict[str, list[int]]:
        frame = rates.frame(time, wanted)
        return dict(zip(frame.index, frame.to_numpy().tolist(), strict=True))

    first, second, later = Rates((600,), ["account"]), Rates((600,), ["account"]), START + 1201
    each_sends(first, range(150), START)
    first.expire(later)
    each_sends(first, range(100, 220), later)
    each_sends(first, range(220, 225), later)
    assert found(first, later) == {f"account:{number}": [1, 1] for number in range(100, 225)}
    for old, new in zip(first.memories(), second.memories(), strict=True):
        new.restore((key, time, value) for key, time, value in reversed(old.changes()) if value is not None)
    for rates in (first, second):
        each_sends(rates, range(100, 300), later)
        assert found(rates, later) == {f"account:{number}": [1 + (number < 225), 1] for number in range(100, 300)}


@pytest.mark.parametrize("at_once", [1, 60])
def test_who_sent_nothing_goes_first_where_there_are_too_many(at_once: int) -> None:
    """Anybody may try to log in by any name, as often as he likes."""
    rates = Rates((600,), ["account"])
    ledger = next(memory for memory in rates.memories() if memory.name == "rates account")
    ledger.bound = 8
    rates.add(events([{"clock": START, "event": "queued", "account": "account:alice", "nrcpt": b"1"}]), {})
    for begin in range(0, 120, at_once):
        tried = [f"account:{number}" for number in range(begin, begin + at_once)]
        rates.add(events({"clock": START, "event": "auth_failure", "account": account} for account in tried), {})
    assert (len(ledger) <= 8, "account:alice" in ledger) == (True, True)
    sent = [*("account:bob" for _ in range(at_once)), "account:carol"]
    rates.add(events({"clock": START, "event": "queued", "account": account, "nrcpt": b"1"} for account in sent), {})
    assert [key for key, _ in ledger.items()][-3:] == ["account:119", "account:bob", "account:carol"]


def test_in_the_end_nothing_is_known_of_anybody() -> None:
    """What accounts are used to is kept for half a year, and what is usual."""
    rates, usual = Rates((600,)), {"account": [("usual messages", 600), ("messages", 600)]}
    rates.add(events([{"clock": START, "event": "queued", "account": "account:bob", "nrcpt": b"1"}]), usual)
    left = []
    for days in (182, 183):
        rates.expire(START + days * 86400)
        left.append({memory.name for memory in rates.memories() if len(memory)} - {"days"})
    assert left == [{"used", "usual account"}, set()]


@pytest.mark.parametrize(
    ("actions", "condemned"),
    [(["block"], True), (["cap"], False), (["block", "cap"], True), (["block", "release"], False)],
)
def test_a_decision_condemns_its_day_until_it_is_taken_back(actions: list[str], condemned: bool) -> None:
    """A cap accuses nobody."""
    rates = Rates((600,))
    rates.condemn([decision(action=action) for action in actions])
    assert bool(len(rates.habits.condemned.memory)) is condemned


def test_totals_are_known_while_any_window_holds_something() -> None:
    rates = Rates((600,))
    rates.add(events([{"clock": START, "event": "connect", "client": "client:192.0.2.1"}]), {})
    assert sum(rates.totals("client:192.0.2.1", START + 600) or []) == 1
    assert rates.totals("client:192.0.2.1", START + 601) is None
    assert rates.totals("client:192.0.2.2", START) is None


def test_a_clock_set_back_leaves_nothing_counted() -> None:
    rates = Rates((600,))
    rates.add(events([{"clock": START, "event": "connect", "client": "client:192.0.2.1"}]), {})
    rates.listings.learn(Listing(START, START + 60, "client:192.0.2.1", "bl.example", ("127.0.0.2",)), START)
    rates.turn_back()
    assert rates.frame(START).empty
    assert not len(rates.listings.memory)


def test_an_event_counts_for_both_networks_of_an_ipv6_client() -> None:
    rates = Rates((600,))
    rates.add(events([{"clock": START, "event": "connect", "client": "client:2001:db8:1:2::5"}]), {})
    assert [key for key in rates.frame(START).index if key.startswith("net:")] == [
        "net:2001:db8:1:2::/64",
        "net:2001:db8:1::/48",
    ]


def points_of(rates: Rates, kind: str) -> list[int]:
    """How many rows are remembered of the only key of a kind, by part."""
    ((_, _, record),) = next(memory for memory in rates.memories() if memory.name == f"rates {kind}").changes()
    assert record is not None
    widths = [*(1 + len(group) for group in GROUPS), *[2] * (unplaced(record)[0] - len(GROUPS))]
    return [count for count, _ in parts(unplaced(record), widths)]
