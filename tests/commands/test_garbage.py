"""A controller's garbage: found among the old, too, if only a few times a day."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from logwatch.commands.garbage import EVERY, Garbage


class Knot:
    """Refers to itself: only a collection finds it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_what_became_garbage_when_it_was_old_is_found_a_few_times_a_day() -> None:
    garbage = Garbage(0.0)
    knot = Knot()
    gc.collect(0)
    gc.collect(1)  # it is old now
    known = weakref.ref(knot)
    del knot
    garbage.look(EVERY - 1)
    assert known() is not None
    garbage.look(EVERY)
    assert known() is None


def test_what_is_new_is_looked_at_in_little_pieces() -> None:
    """Without being asked for."""
    Garbage(0.0)
    known = weakref.ref(Knot())
    many = [[one] for one in range(3_000)]
    assert known() is None
    assert len(many) == 3_000
