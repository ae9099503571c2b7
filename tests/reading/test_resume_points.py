"""Earlier places in a file, kept for the case that its end is lost."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.resume_points import APART, Mark, added

STEPS = st.lists(st.floats(APART, 2 * APART), min_size=1, max_size=100)


def marked(steps: list[float]) -> tuple[Mark, ...]:
    """The marks of a file that was read at these intervals."""
    marks: tuple[Mark, ...] = ()
    for number, time in enumerate(accumulate(steps)):
        marks = added(marks, Mark(number, "", time))
    return marks


@given(STEPS)
def test_marks_are_few_and_the_latest_comes_first(steps: list[float]) -> None:
    marks = marked(steps)
    assert len(marks) <= 7
    assert marks[0].offset == len(steps) - 1
    assert all(newer.offset > older.offset for newer, older in pairwise(marks))


@given(STEPS, st.floats(2 * APART, 80))
def test_little_more_than_what_was_lost_is_read_again(steps: list[float], lost: float) -> None:
    """Of a file that had been read for longer than was lost, up to a minute and more."""
    now = sum(steps)
    older = [now - mark.modified for mark in marked(steps) if now - mark.modified >= lost]
    if lost <= now - steps[0]:
        assert min(older) <= 3 * lost
