"""Loss is said: what is missing from the log is counted by kind, and warned about once a minute at most."""

from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.reading.loss import KINDS, QUIET, Silences, Warner, clocks_off, totals
from logwatch.schema import Facts

HOUR = 3600.0
START = 1_790_812_800.0


def silences(clocks: list[float], cuts: list[int] | None = None) -> int:
    """How many are found, in pieces, with a restart after each."""
    counter = Silences()
    for piece in np.split(np.array(clocks), sorted(cuts or [])):
        again = Silences()
        again.restore(counter.state())
        counter = again
        counter.see(piece)
    return counter.count


def busy(begin: float, events: int = 200) -> list[float]:
    return [begin + number for number in range(events)]


def test_an_hour_without_a_line_out_of_a_busy_time_is_a_silence() -> None:
    assert silences(busy(START) + busy(START + 2 * HOUR)) == 1
    assert silences(busy(START) + busy(START + HOUR)) == 0


def test_a_quiet_log_has_quiet_hours() -> None:
    assert silences([START + number * 2 * HOUR for number in range(100)]) == 0
    assert silences([*busy(START, 99), START + 3 * HOUR]) == 0


def test_the_beginning_of_a_log_is_no_silence() -> None:
    assert silences([START]) == 0


def test_a_busy_hour_counts_until_the_next_one_has_begun() -> None:
    assert silences([*busy(START), START + HOUR, START + 3 * HOUR]) == 1
    assert silences([*busy(START), START + HOUR, START + 1.5 * HOUR, START + 2 * HOUR, START + 4 * HOUR]) == 0


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 1800.0, 3599.0, HOUR, HOUR + 1, 2 * HOUR]), st.sampled_from([1, 49, 50, 99, 100])
        ),
        max_size=12,
    ),
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0, 7])), max_size=6),
)
def test_silences_are_what_they_are_by_definition(bursts: list[tuple[float, int]], cuts: list[tuple[int, int]]) -> None:
    """More than an hour, after a hundred events in the hour begun and the one before; whatever the chunks."""
    ends = accumulate(after for after, _ in bursts)
    clocks = [START + end for end, (_, events) in zip(ends, bursts, strict=True) for _ in range(events)]
    hours = [clock // HOUR for clock in clocks]
    found = sum(
        after - clock > HOUR and sum(hour >= clock // HOUR - 1 for hour in hours[: place + 1]) >= 100
        for place, (clock, after) in enumerate(pairwise(clocks))
    )
    places = [sum(events for _, events in bursts[:burst]) + more for burst, more in cuts]
    assert silences(clocks, places) == found


def facts() -> Facts:
    return Core(Judge(parse("rule r per account: when messages in 1h > 1 block for 1h"), "observe")).facts()


def test_every_kind_is_among_the_totals() -> None:
    """What the core knows, and what the follower could not read."""
    known: Facts = {**facts(), "events": {"log_loss": 1}, "unreadable": {"accept": 2, "queued": 1}, "orphans": 4}
    assert totals(known, {"gaps": 5}) == dict.fromkeys(KINDS, 0) | {
        "log_loss": 1,
        "unreadable": 3,
        "orphans": 4,
        "gaps": 5,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_said(kind: str) -> None:
    warning = Warner({}).warning({kind: 3}, [], 0.0)
    assert warning.endswith(f": {KINDS[kind]}: 3")
    assert warning.startswith("the log is not complete, so rates may be too low: ") == (kind != "clocks_off")


def test_a_clock_that_is_set_back_keeps_no_loss_quiet() -> None:
    warner = Warner({})
    assert warner.warning({"gaps": 1}, [], START)
    assert warner.warning({"gaps": 2}, [], START - HOUR)


def test_it_is_said_once_a_minute_and_then_all_that_is_new() -> None:
    warner = Warner({"gaps": 1})
    assert warner.warning({"gaps": 1}, [], 0.0) == ""
    assert f"{KINDS['gaps']}: 2" in warner.warning({"gaps": 3}, ["mail.log: truncated"], 1.0)
    assert warner.warning({"gaps": 4, "orphans": 1}, [], QUIET) == ""
    late = warner.warning({"gaps": 5, "orphans": 1}, ["mail.log: truncated"], 1.0 + QUIET)
    assert f"{KINDS['orphans']}: 1" in late
    assert f"{KINDS['gaps']}: 2" in late
    assert late.endswith("; mail.log: truncated")
    assert warner.warning({"gaps": 5, "orphans": 1}, [], 9 * QUIET) == ""


def test_hosts_that_are_off_are_named() -> None:
    """A few of them, and whatever somebody wrote for a name can be printed."""
    off = {f"mx{n}": n * 3600.0 for n in range(2, 9)} | {"a\x1b[2J": -7000.0, "": 9000.0}
    said = clocks_off(off)
    assert said == {
        "mx6": "6.0 h ahead",
        "mx7": "7.0 h ahead",
        "mx8": "8.0 h ahead",
        "a?[2J": "1.9 h behind",
        "(no name)": "2.5 h ahead",
    }
    assert clocks_off({}) == {}
