"""Rows of several lengths are written into one record and read again."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.measuring.packing import parts, written


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), max_size=5))
def test_what_is_written_is_read_as_it_was(shapes: list[tuple[int, int]]) -> None:
    rows = [np.arange(width * count, dtype=np.int64).tobytes() for width, count in shapes]
    widths = [width for width, _ in shapes]
    read = list(parts(written(rows, widths), widths))
    assert read == [(count, row) for (_, count), row in zip(shapes, rows, strict=True)]
