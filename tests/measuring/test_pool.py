"""A pool gives back the rows that were appended, but those that its `keep` lets go."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.measuring.pool import Pool

_MOST = 3  # rows of a slot that the pool under test has to keep

_appends = st.lists(
    st.dictionaries(st.integers(0, 80), st.integers(0, 9), min_size=1, max_size=12) | st.integers(0, 80), max_size=40
)


def last_ones(lengths: Any, rows: Any) -> Any:
    """Only the last rows of each."""
    return np.concatenate([np.arange(length)[::-1] < _MOST for length in lengths])[: len(rows)]


@settings(deadline=None)
@given(_appends)
def test_what_is_appended_is_there_until_it_is_let_go(steps: list[dict[int, int] | int]) -> None:
    """A number frees a slot, a dictionary appends so many rows to slots."""
    pool, model, time = Pool(2, last_ones), dict[int, list[list[int]]](), 0
    pool.reach(81)
    for step in steps:
        if isinstance(step, int):
            pool.free(step)
            model.pop(step, None)
            continue
        rows = []
        for slot, count in step.items():
            more = [[time := time + 1, slot] for _ in range(count)]
            model.setdefault(slot, []).extend(more)
            rows += more
        slots, counts = np.array([*step], np.int64), np.array([*step.values()], np.int64)
        pool.append(slots, counts, np.array(rows, np.int64).reshape(-1, 2))
        for slot, expected in model.items():
            (length,), found = pool.rows(np.array([slot]))
            kept = found.tolist()
            assert kept == expected[len(expected) - length :]  # nothing but the oldest is missing
            assert length >= min(_MOST, len(expected))
            assert pool.last(np.array([slot]))[0].tolist() == (expected[-1] if expected else [0, 0])


def test_gaps_are_swept_up() -> None:
    """However often stretches move, the array stays within a small multiple of what is in use."""
    pool = Pool(2, lambda _, rows: np.ones(len(rows), dtype=bool))
    pool.reach(200)
    for time in range(1000):
        slots = np.arange(200)
        pool.append(slots, np.ones(200, np.int64), np.column_stack((np.full(200, time), slots)))
    lengths, rows = pool.rows(np.arange(200))
    assert lengths.tolist() == [1000] * 200
    assert rows.reshape(200, 1000, 2)[:, :, 0].tolist() == [list(range(1000))] * 200
    assert (rows.reshape(200, 1000, 2)[:, :, 1] == np.arange(200)[:, np.newaxis]).all()
    assert pool.held <= 3 * 200 * 1000


def test_a_sweep_leaves_everything_where_it_is_looked_for() -> None:
    """Of forty thousand stretches, the last slot's first, every second is freed; what comes then takes their room."""
    pool, slots = Pool(2, lambda _, rows: np.ones(len(rows), dtype=bool)), np.arange(40_000)[::-1]
    counts = 1 + slots % 3
    rows = np.column_stack((np.arange(counts.sum()), np.repeat(slots, counts)))
    pool.reach(len(slots))
    pool.append(slots, counts, rows)
    held, gone = pool.held, slots % 2 == 0
    for slot in slots[gone].tolist():
        pool.free(slot)
    more = np.array([[len(rows), 1]])
    pool.append(np.array([1]), np.array([1]), more)
    left = rows[rows[:, 1] % 2 == 1]
    assert pool.rows(slots[~gone])[1].tolist() == [*left.tolist(), *more.tolist()]
    pool.append(slots[gone], counts[gone], rows[rows[:, 1] % 2 == 0])
    assert pool.rows(slots[:-2])[1].tolist() == rows[rows[:, 1] >= 2].tolist()
    assert pool.held == held
