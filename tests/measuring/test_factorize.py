"""Columns of objects as codes."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from logwatch.measuring.factorize import coded


@given(st.lists(st.none() | st.sampled_from([b"a", b"b", "a", "", b""])))
def test_codes_are_those_of_pandas(values: list[str | bytes | None]) -> None:
    """By order of appearance, None apart."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    codes, known = coded(column)
    expected, also = pd.factorize(column)
    assert codes.tolist() == expected.tolist()
    assert known.tolist() == also.tolist()
