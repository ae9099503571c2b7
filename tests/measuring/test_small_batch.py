"""Few events are counted as many are: the same is found, and what is kept tells the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.measuring.batch import Batch
from logwatch.measuring.habits import Habits
from logwatch.measuring.ledger import Ledger
from logwatch.measuring.small_batch import Few, Glimpses
from logwatch.measuring.timeline import Coded, Ints, bucket_step
from logwatch.measuring.view import EventRates, View
from logwatch.schema import DISTINCT, SIGNALS, Floor, RateColumn

from .table import events, rows_of

START = 1_764_000_000.0
WINDOWS = (60, 600, 86400)
COLUMNS: list[RateColumn] = [(signal, window) for signal in SIGNALS for window in WINDOWS]

_rows = st.fixed_dictionaries({
    "gap": st.sampled_from([0.0, 0.0, 0.3, 1.0, 9.9, 60.0, 599.5, 3540.0, 90_000.0]),
    "event": st.sampled_from(["queued", "delivery", "connect", "reject", "auth_failure", "verdict"]),
    "account": st.sampled_from(["account:alice", "account:bob", None]),
    "client": st.sampled_from(["client:192.0.2.1", "client:192.0.2.77", "client:2001:db8:1:2::5", None]),
    "nrcpt": st.sampled_from([None, b"1", b"7"]),
    "size": st.sampled_from([None, b"1000"]),
    "dsn": st.sampled_from([b"2.0.0", b"5.1.1", b"5.7.1"]),
    "status": st.sampled_from([b"sent", b"bounced", b"deferred"]),
    "sender": st.sampled_from([b"a@example.org", b"b@example.org", None]),
    "counts": st.sampled_from([True, True, True, False]),
    "opens": st.sampled_from([False, False, False, True]),
})  # fmt: skip


def _ledger() -> Ledger:
    return Ledger("account", 1000, WINDOWS, DISTINCT)


def _many(ledger: Ledger, kind: str, batch: Batch) -> tuple[EventRates, Ints]:
    rows, codes, known = batch.keyed(kind)
    coded, mine, slots = Coded(codes, len(known)), batch.of_rows(rows), np.array(ledger.slots(known))
    found = View.of(ledger, slots, coded, mine, set(SIGNALS))
    ledger.count(slots, coded, mine)
    ledger.heard(known, slots, coded, mine)
    return found, rows


def _one_by_one(ledger: Ledger, kind: str, batch: Batch) -> tuple[EventRates, Sequence[int]]:
    few = Few.of(batch)
    rows, names = few.keyed(kind)
    known = [*dict.fromkeys(names)]
    slot_of = dict(zip(known, ledger.slots(known), strict=True))
    slots = [slot_of[name] for name in names]
    found = Glimpses.of(ledger, few, rows, slots, set(SIGNALS))
    few.heard(ledger, rows, names, slots)
    return found, rows


def _restarted(ledger: Ledger, written: dict[str, tuple[str, float, bytes]]) -> Ledger:
    """The ledger after a restart; `written` is what lies on disk."""
    written.update({key: (key, time, value) for key, time, value in ledger.changes() if value is not None})
    again = _ledger()
    again.restore(written.values())
    return again


def _shown(ledger: Ledger, at: float) -> tuple[list[tuple[str, list[int]]], Any]:
    """Keys in their order with their totals, and all rates as of a time."""
    totals = [(key, ledger.totals(slot)) for key, slot in ledger.items()]
    return totals, ledger.as_of(round(at * 1_000_000), COLUMNS).tolist()


@settings(deadline=None)
@given(
    st.sampled_from(["account", "client", "net", "site"]),
    st.lists(_rows, min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=6),
    st.booleans(),
)
def test_few_events_are_counted_as_many_are(
    kind: str, rows: Sequence[dict[str, Any]], cuts: list[int], restart: bool
) -> None:
    times = np.round(START + np.cumsum([row["gap"] for row in rows]), 6).tolist()
    table, habits = events({**row, "clock": time} for row, time in zip(rows, times, strict=True)), Habits()
    steps, many, few = [bucket_step(window) for window in WINDOWS], _ledger(), _ledger()
    written: dict[str, tuple[str, float, bytes]] = {}
    for begin, end in pairwise(sorted({0, *(cut for cut in cuts if cut < len(rows)), len(rows)})):
        chunk = rows_of(table, begin, end)
        batch = Batch.of(habits.observe(chunk), np.arange(end - begin), steps, DISTINCT)
        if not len(batch.keyed(kind)[0]):
            continue
        floors = [Floor(times[begin], many.totals(slot)) for _, slot in many.items()]
        (found, places), (glimpsed, same) = _many(many, kind, batch), _one_by_one(few, kind, batch)
        assert places.tolist() == same
        for column in COLUMNS:
            assert glimpsed.within(column).tolist() == found.within(column).tolist(), column
        for signal in SIGNALS:
            for floor in floors:
                every = range(len(places))
                assert [glimpsed.since(signal, place, floor) for place in every] == [
                    found.since(signal, place, floor) for place in every
                ]
        few = _restarted(few, written) if restart else few
    assert _shown(few, times[-1]) == _shown(many, times[-1])
    assert _shown(few, times[-1] + 100) == _shown(many, times[-1] + 100)
