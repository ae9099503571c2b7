"""What each line of the samples means."""

import pytest

from .samples import Sample, by_pyparsing, by_regex, is_other, is_unreadable, kinds, samples, scanned

SAMPLES = list(samples())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.where)
def test_sample_means_what_stands_beside_it(sample: Sample) -> None:
    """Every field of every sample, and no field more, comes out of the scanner."""
    assert scanned(sample.raw) == sample.events
    if not isinstance(sample.expect, dict):
        assert is_unreadable(by_regex(sample.raw)) == (sample.expect == "unreadable")
        assert is_other(by_regex(sample.raw)) >= (sample.expect == "other")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.where)
def test_pyparsing_reads_the_same(sample: Sample) -> None:
    """The grammar as pyparsing reads it finds the same kind and fields as the expression compiled from it."""
    assert by_pyparsing(sample.raw) == by_regex(sample.raw)


def test_every_kind_has_a_sample() -> None:
    """A kind of line that no sample shows is a kind that nobody has seen work."""
    seen = {(s.dialect, s.expect["daemon"], s.expect["event"]) for s in SAMPLES if isinstance(s.expect, dict)}
    assert set(kinds()) - seen == set()
