"""The site's clock where several hosts write: who leads, who is off, and what cannot move it."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.clocks import Clocks

NOON = 1_764_072_000.0
HOUR = 3600.0
YEAR = 365 * 24 * HOUR

Line = tuple[str, float]  # a host, and seconds after noon


def read(lines: list[Line], clocks: Clocks | None = None) -> tuple[list[float], Clocks]:
    """The site's clock as of each line, in seconds after noon."""
    clocks = clocks or Clocks()
    hosts = [host.encode() or None for host, _ in lines]
    found = clocks.of(hosts, np.array([NOON + at for _, at in lines], dtype=np.float64))
    return (found - NOON).tolist(), clocks


def turns(*hosts: Line, times: int = 50) -> list[Line]:
    """Hosts in turn, a line every ten seconds; a host's number is by how much it is off."""
    return [(host, n * 10 + off) for n in range(times) for host, off in hosts]


def test_one_that_is_hours_ahead_moves_nobody() -> None:
    clocks, found = read(turns(("mx1", 0), ("mx2", 3 * HOUR)))
    assert clocks == [at for n in range(50) for at in (n * 10, n * 10)]
    assert (found.steps, found.wrong, found.off()) == (0, 1, {"mx2": 3 * HOUR})


def test_one_that_is_hours_behind_counts_as_of_the_others() -> None:
    clocks, found = read(turns(("mx1", 0), ("mx3", -5), ("mx2", -3 * HOUR)))
    assert clocks[-1] == 490
    assert (found.steps, found.off()) == (0, {"mx2": -3 * HOUR})


def test_two_clocks_under_one_name_are_found_out() -> None:
    """A daemon in a chroot that writes another zone's time: one step, and no more."""
    clocks, found = read(turns(("mx1", 0), ("mx1", 2 * HOUR), times=500))
    assert clocks[-1] == 4990
    assert (found.steps, found.off()) == (1, {"mx1": 2 * HOUR})


def test_the_only_host_is_believed() -> None:
    """Set back and ahead, and after a quiet day, as nobody can know better."""
    steps = [0, 10, -3 * HOUR, -3 * HOUR + 10, 24 * HOUR, 24 * HOUR - 20, 22 * HOUR]
    lines = [("mx1", at) for at in steps]
    clocks, found = read(lines)
    assert clocks == [0, 10, -3 * HOUR, -3 * HOUR + 10, 24 * HOUR, 24 * HOUR, 22 * HOUR]
    assert found.steps == 2
    assert [read(lines[:number])[1].state()["off"] for number in range(1, 8)] == [[]] * 7


def test_after_a_quiet_night_whoever_is_first_is_believed() -> None:
    evening, morning = turns(("mx1", 0), ("mx2", 0)), [("mx2", 8 * HOUR), ("mx1", 8 * HOUR + 5)]
    clocks, found = read([*evening, *morning])
    assert clocks[-2:] == [8 * HOUR, 8 * HOUR + 5]
    assert (found.steps, found.off()) == (0, {})
    assert read(morning, read(evening)[1])[1].state() == found.state()


def test_where_one_host_falls_silent_the_others_lead_on() -> None:
    alone = [("mx2", float(at)) for at in range(500, 30_000, 600)]
    clocks, found = read([*turns(("mx1", 0), ("mx2", 0)), *alone, ("mx1", 29_950)])
    assert clocks[100:] == [*(at for _, at in alone), 29_950]
    assert (found.steps, found.off()) == (0, {})


def test_a_host_that_comes_in_place_of_another_is_believed_after_some_lines() -> None:
    lines = [*turns(("old", 0)), *(("new", 5 * HOUR + n) for n in range(40))]
    assert read(lines)[0][50:] == [*[490] * 19, *(5 * HOUR + n for n in range(19, 40))]


def test_all_hosts_set_back_are_followed() -> None:
    both = [("mx1", 0), ("mx2", 0)]
    later = [("mx1", 600 - 2 * HOUR), ("mx2", 601 - 2 * HOUR), ("mx1", 602 - 2 * HOUR)]
    clocks, found = read([*turns(*both), *later])
    assert clocks[-1] == 602 - 2 * HOUR
    assert found.steps == 1


def test_a_lead_that_was_wrong_is_given_back_and_not_taken_again() -> None:
    """Somebody who writes under a host name that was in time: it costs one step, and nothing for a day."""
    lines = [*turns(("mx1", 0), ("forged", 0)), ("forged", YEAR)]
    lines += [line for n in range(500, 900) for line in (("mx1", float(n)), ("forged", n + YEAR + 5 * HOUR))]
    clocks, found = read(lines)
    assert clocks[101:] == [at for n in range(500, 900) for at in (n, n)]
    assert found.steps == 1
    assert list(found.off()) == ["forged"]


def test_it_is_given_back_with_all_that_spoke_for_the_old_time() -> None:
    """As soon as more lines are in the old time than were in the new; who took it is off for a day."""
    lines = [*turns(("mx1", 0), ("forged", 0)), ("forged", YEAR), ("forged", YEAR + 1)]
    assert read([*lines, ("mx1", 500.0)])[0][-1] == YEAR + 1
    clocks, found = read([*lines, ("mx1", 500.0), ("mx1", 501.0)])
    assert clocks[-1] == 501
    assert found.state() == {
        "led": ["mx1", NOON + 501],
        "votes": [99, 0, NOON + 501 + 24 * HOUR],
        "step": None,
        "off": [["forged", YEAR - 500, True, NOON + 501]],
        "wrong": 2,
    }
    day = [("mx1", 501 + n * 1000.0) for n in range(88)]
    assert list(read(day[:87], found)[1].off()) == ["forged"]
    assert list(read(day[87:], found)[1].off()) == []


def test_a_step_that_many_lines_speak_for_is_not_undone() -> None:
    """After four hundred, what comes in the old time is another step; before, the clock had been wrong."""
    for count, off in ((50, {"mx1": 2 * HOUR + 49 - 100}), (402, {})):
        lines = [("mx1", 0.0), *(("mx1", 2 * HOUR + n) for n in range(count)), *(("mx1", 100.0) for _ in range(count))]
        assert read(lines)[1].off() == off


def test_the_leader_comes_back_after_more_than_an_hour() -> None:
    """Others have brought the clock near; it leads on, and all are in time."""
    clocks, found = read([("mx1", 0.0), ("mx2", 0.0), ("mx2", 3000.0), ("mx1", 4000.0), ("mx2", 4001.0)])
    assert clocks == [0, 0, 3000, 4000, 4001]
    assert found.state() == {
        "led": ["mx1", NOON + 4000], "votes": [5, 0, 0.0], "step": None, "off": [], "wrong": 0,
    }  # fmt: skip
    assert list(found.heard.items()) == [(b"mx1", NOON + 4000), (b"mx2", NOON + 4001)]


def test_an_hour_late_is_in_time_and_a_second_more_is_not() -> None:
    """Line by line, too, as after one that is odd."""
    for first in ([], [("odd", 9 * HOUR)]):
        for late, off in ((HOUR, []), (HOUR + 1, ["mx2"])):
            lines = [("mx1", 0.0), ("mx2", 0.0), *first, ("mx1", HOUR), ("mx2", HOUR - late), ("mx1", HOUR + 1)]
            clocks, found = read(lines)
            assert clocks[-3:] == [HOUR, HOUR, HOUR + 1]
            assert list(found.off()) == [*(host for host, _ in first), *off]


def test_being_off_by_something_else_is_told_again() -> None:
    for two, wrong in (((3.0, -3.0), 2), ((-3.0, 3.0), 2), ((3.0, 3.9), 1)):
        lines = [*turns(("mx1", 0), ("mx3", 0)), *(("mx2", by * HOUR) for by in two)]
        assert read(lines)[1].wrong == wrong


def test_hosts_are_forgotten_after_a_week() -> None:
    _, found = read([("mx1", 0.0), ("mx2", 0.0), ("mx1", 168 * HOUR)])
    for seconds, hosts in ((0, {b"mx1", b"mx2"}), (1, {b"mx1"})):
        read([("mx1", 168 * HOUR + seconds)], found)
        found.expire()
        assert {host for host, _ in found.heard.items()} == hosts


def test_names_that_were_never_in_time_move_nothing() -> None:
    lines = [line for n in range(2000) for line in (("mx1", float(n)), (f"host{n}", n * HOUR + 2 * HOUR))]
    clocks, found = read(lines)
    assert clocks == [n for n in range(2000) for _ in range(2)]
    assert found.steps == 0
    assert len(found.state()["off"]) == 100


def test_a_clock_that_creeps_ahead_is_undone() -> None:
    """Each line less than an hour ahead of the one before: nobody is followed further than an hour."""
    lines = [("mx1", 0.0), *(("forged", n * 3000.0) for n in range(1, 30)), ("mx1", 10.0), ("mx1", 20.0)]
    clocks, found = read([*turns(("mx1", -1000.0)), *lines, *(("mx1", 30.0 + n) for n in range(40))])
    assert clocks[-1] == 69
    assert found.steps == 1


def test_most_lines_are_right_in_the_end() -> None:
    """The first host is wrong; it writes one line in four, and the others lead after some hundreds of lines."""
    clocks, found = read(
        [("wrong", 3 * HOUR), *turns(("mx1", 0), ("mx1", 1), ("mx1", 2), ("wrong", 3 * HOUR), times=200)]
    )
    assert clocks[-1] == 1992
    assert list(found.off()) == ["wrong"]


def test_made_up_host_names_fill_no_memory() -> None:
    """However many hosts there are in time, and however long they are called."""
    _, found = read([(f"host{n}" * 100, n / 100) for n in range(20)] + [(f"host{n}", 1 + n / 100) for n in range(5000)])
    assert len(found.heard) == 500
    assert max(len(host) for host, _ in found.heard.items()) < 256
    assert [len(host) for host in read([("off" * 100, 3 * HOUR)], found)[1].off()] == [255]


SHIFTS = st.sampled_from([0.0, 0.0, 1.0, 60.0, 3000.0, 3700.0, 3 * HOUR, 26 * HOUR, YEAR])
MIXED = st.lists(
    st.tuples(st.sampled_from(["mx1", "mx2", "mx3", ""]), SHIFTS, st.sampled_from([1, 1, 1, -1]), st.integers(1, 30)),
    max_size=30,
)


def mixed(parts: list[tuple[str, float, int, int]]) -> list[Line]:
    """Runs of lines by hosts whose clocks jump now and then."""
    at, lines = 0.0, []
    for host, shift, sign, count in parts:
        for n in range(count):
            at += 7.0
            lines.append((host if n % 3 else "mx1", at + sign * shift))
    return lines


@given(MIXED, st.lists(st.integers(0, 900), max_size=6))
def test_chunks_and_restarts_make_no_difference(parts: list[tuple[str, float, int, int]], cuts: list[int]) -> None:
    lines = mixed(parts)
    whole, at_once = read(lines)
    clocks, pieces = Clocks(), list[float]()
    rows: dict[str, tuple[float, bytes | None]] = {}
    for begin, end in pairwise(sorted({0, *(cut for cut in cuts if cut < len(lines)), len(lines)})):
        pieces += read(lines[begin:end], clocks)[0]
        rows |= {key: (time, value) for key, time, value in clocks.heard.changes()}
        again = Clocks()
        again.restore(clocks.now, clocks.steps, json.loads(json.dumps(clocks.state())))
        again.heard.restore((key, time, value) for key, (time, value) in rows.items() if value is not None)
        clocks = again
    assert pieces == whole
    assert (clocks.steps, clocks.state()) == (at_once.steps, at_once.state())
    assert list(clocks.heard.items()) == list(at_once.heard.items())


@given(st.floats(HOUR * 1.5, YEAR), st.sampled_from([1, -1]), st.lists(st.booleans(), min_size=1, max_size=200))
def test_what_is_off_changes_nothing_for_the_others(by: float, sign: int, whose: list[bool]) -> None:
    """The others' lines are judged as of the times they would have been judged by without it."""
    lines = [("mx1", 0.0), *(("off" if off else "mx1", n * 5.0 + off * sign * by) for n, off in enumerate(whose, 1))]
    found = [clock for (host, _), clock in zip(lines, read(lines)[0], strict=True) if host == "mx1"]
    assert found == [at for host, at in lines if host == "mx1"]
