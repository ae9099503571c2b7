"""A batch as bytes: it comes back as it was, and whatever else comes is refused by one error."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.cluster import wire
from logwatch.cluster.wire import Batch, decode, encode

NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, categories=["L", "N", "P"]), min_size=1, max_size=9
)


@given(NAMES, NAMES, st.integers(0, 1 << 40), st.lists(st.binary(max_size=30)), st.floats(0, 2e9))
def test_a_batch_comes_back_as_it_was(host: str, log: str, at: int, lines: list[bytes], promise: float) -> None:
    whole = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
    batch = Batch(host, log, "e", at, at + len(whole), whole, len(lines), promise, {"spooled": 7.0, "lost": 0.0})
    assert decode(encode(batch)) == batch


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(raw)


HEAD = '{"host": "mx1", "log": "l", "epoch": "e", "at": 0, "end": %s, "count": 1, "promise": %s, "state": %s}\n'


@pytest.mark.parametrize(
    "raw",
    [
        (HEAD % (9, 0, "{}")).encode() + zlib.compress(b"line\n"),  # other lines than it says
        (HEAD % (4, 0, "{}")).encode() + zlib.compress(b"line"),  # half a line
        (HEAD % (5, "NaN", "{}")).encode() + zlib.compress(b"line\n"),
        (HEAD % (5, '"now"', "{}")).encode() + zlib.compress(b"line\n"),
        (HEAD % (5, 0, '{"lost": -1}')).encode() + zlib.compress(b"line\n"),
        (HEAD % (5, 0, "[]")).encode() + zlib.compress(b"line\n"),
        (HEAD % ("true", 0, "{}")).encode() + zlib.compress(b"\n"),
        (HEAD % (5, 0, "{}")).encode() + zlib.compress(b"line\n")[:-3],
        (HEAD % (1 << 30, 0, "{}")).encode() + zlib.compress(b"\n" * (1 << 30 >> 6)),  # far more than it may be
        (HEAD % (2 << 20, 0, "{}")).encode() + zlib.compress(b"\n" * (2 << 20)),  # seconds of work for every controller
        (HEAD % (0, 0, "{}")).replace("mx1", "mx\\u0000").encode(),
        b"[" * 100_000,
    ],
)
def test_what_does_not_fit_together_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(raw)


def test_the_same_batch_has_the_same_identity() -> None:
    batch = Batch("mx1", "mail.log", "e", 7, 12, b"line\n")
    assert wire.identity(batch) == "mx1 mail.log e 7 12"
