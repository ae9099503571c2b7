"""Something happened lately if it did within so many seconds; never if it seems to lie ahead."""

from __future__ import annotations

import pytest

from logwatch.wall_clock import lately


@pytest.mark.parametrize(
    ("then", "is_lately"), [(100.0, True), (40.1, True), (40.0, False), (100.1, False), (float("-inf"), False)]
)
def test_what_a_clock_set_back_has_ahead_of_it_was_long_ago(then: float, is_lately: bool) -> None:
    assert lately(then, 100.0, 60.0) is is_lately
