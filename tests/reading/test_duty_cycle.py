"""Work takes half of the time, but for a burst; whatever came before, no rest is longer than lines may gather."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.duty_cycle import AHEAD, GATHER, Rest

_spans = st.floats(0.0, 0.02)


@given(st.lists(st.tuples(st.floats(0.0, GATHER), _spans, _spans), max_size=60))
def test_work_takes_half_of_any_time_but_for_a_burst(wakes: list[tuple[float, float, float]]) -> None:
    """Each wake works, stands still for want of a processor, rests as long as it is told, and waits for lines."""
    now = worked = 0.0
    rest, seen = Rest(now, worked), [(0.0, 0.0)]
    for work, still, idle in wakes:
        now, worked = now + work + still, worked + work
        due = rest.due(now, worked)
        assert 0 <= due <= GATHER
        now += due + idle
        seen.append((now, worked))
        for begin, before in seen:
            assert worked - before <= (now - begin) / 2 + AHEAD + 1e-9
    assert all(earlier <= later for earlier, later in pairwise(seen))


def test_a_burst_is_worked_at_as_it_comes() -> None:
    rest = Rest(0.0, 0.0)
    assert [rest.due(0.001 * wake, 0.001 * wake) for wake in range(1, 41)] == pytest.approx([0.0] * 40)
    assert rest.due(0.041, 0.041) == pytest.approx(0.001)


def test_what_took_long_is_not_made_up_for() -> None:
    """Catching up with a day of a log takes a minute of work, after which nobody wants to wait for one."""
    rest = Rest(0.0, 0.0)
    assert rest.due(60.0, 60.0) == pytest.approx(GATHER)
    assert rest.due(60.0 + GATHER, 60.0) == pytest.approx(0.0)
