"""The expression compiled from the grammar agrees with pyparsing on every line, whatever has happened to it."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.reading.grammar import compiled

from .samples import by_pyparsing, by_regex, samples, scanner

LINES = [sample.raw for sample in samples()]
TOKENS = sorted({token for line in LINES for token in re.findall(rb"[\w.@-]+|[^\w]+", line.rstrip(b"\n"))})
WORDS = st.one_of(
    st.sampled_from(TOKENS),
    st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from([b"\r", b"\0", b'"', b"\\", b"<>", b"]", b"\x85", b"\xa0", b"\xff", b"\x1c", b" "]),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample line with pieces put in, taken out, or exchanged for those of other lines."""
    line = draw(st.sampled_from(LINES)).rstrip(b"\n")
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(line)))
        end = min(len(line), begin + draw(st.sampled_from([0, 0, 1, 5, 40])))
        line = line[:begin] + draw(WORDS) + line[end:]
    return line + b"\n"


@settings(max_examples=600)
@given(mutated())
def test_engines_agree_on_mutated_lines(line: bytes) -> None:
    """Both give the same kind and the same fields, or both nothing."""
    assert by_regex(line) == by_pyparsing(line)


@settings(deadline=None)  # a pattern may be compiled first
@given(st.lists(st.one_of(st.binary(), mutated())).map(b"".join))
def test_any_bytes_are_read_without_an_error(junk: bytes) -> None:
    """Whatever stands in a log: events, nothing, or a count of unreadable lines, and never an exception."""
    reader = scanner()
    columns = reader.scan(junk)
    assert {len(column) for column in columns.values()} == {len(columns["event"])}
    assert reader.lines == junk.count(b"\n")


@settings(deadline=None)
@given(st.lists(mutated(), max_size=20), st.data())
def test_chunks_make_no_difference(lines: list[bytes], data: st.DataObject) -> None:
    """Lines cut into chunks anywhere between two lines give the same rows as in one piece."""
    cut = data.draw(st.integers(0, len(lines)))
    parts, whole = scanner(), scanner()
    pieces = [parts.scan(b"".join(lines[:cut])), parts.scan(b"".join(lines[cut:]))]
    together = whole.scan(b"".join(lines))
    for name in set(together) - {"start"}:
        assert [value for piece in pieces for value in piece[name].tolist()] == together[name].tolist(), name


def test_no_group_is_repeated_possessively() -> None:
    """`(?:…)*+` matches what it should not up to Python 3.11.4, Debian 12's 3.11.2 among them: parts.many instead."""
    source = compiled().regex.pattern.replace(b"\\)", b"")
    assert re.findall(rb".{0,40}\)(?:[*+?]|\{[0-9,]+\})\+", source) == []
