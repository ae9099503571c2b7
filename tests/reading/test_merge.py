"""Several logs read as one: in order of stamps, each in its own order, whatever the chunks."""

from datetime import datetime
from itertools import accumulate, cycle, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.merge import Left, Piece, in_turn, merged
from logwatch.reading.stamp import Stamps
from logwatch.rerun import lines_of, start_of

START = 1_790_812_800.0
UTC = ZoneInfo("UTC")


def line(second: int, log: str) -> bytes:
    return b"Oct  1 00:%02d:%02d %s x\n" % (*divmod(second, 60), log.encode())


def merge(*logs: list[bytes], size: int = 1 << 20) -> list[bytes]:
    pieces = list(merged([(chunks, Stamps(UTC, START)) for chunks in logs], size))
    assert all(piece.endswith(b"\n") for piece in pieces)
    return b"".join(pieces).splitlines(keepends=True)


def test_logs_are_read_in_order_of_their_stamps() -> None:
    one, two = [line(1, "a"), line(3, "a") + line(4, "a")], [line(2, "b") + line(5, "b")]
    assert merge(one, two) == [line(1, "a"), line(2, "b"), line(3, "a"), line(4, "a"), line(5, "b")]


def test_where_stamps_are_equal_the_first_log_comes_first() -> None:
    assert merge([line(1, "b") + line(2, "b")], [line(1, "a") + line(2, "a")]) == [
        line(1, "b"),
        line(1, "a"),
        line(2, "b"),
        line(2, "a"),
    ]


def test_lines_without_a_stamp_and_late_ones_stay_where_they_are() -> None:
    one = [b"no stamp\n" + line(5, "a") + b"none\n" + line(2, "a"), line(9, "a")]
    assert merge(one, [line(3, "b") + line(6, "b")]) == [
        b"no stamp\n",
        line(3, "b"),
        line(5, "a"),
        b"none\n",
        line(2, "a"),
        line(6, "b"),
        line(9, "a"),
    ]


@pytest.mark.parametrize("logs", [[], [[]], [[], []]])
def test_of_empty_logs_there_are_no_lines(logs: list[list[bytes]]) -> None:
    assert merge(*logs) == []


def written(steps: list[list[int]]) -> list[list[bytes]]:
    """The lines of each log, from how many seconds pass before each, or how many it is late."""
    return [
        [line(100 + second, f"{log}.{place}") for place, second in enumerate(accumulate(passed))]
        for log, passed in enumerate(steps)
    ]


def in_order(steps: list[list[int]]) -> list[bytes]:
    """The lines of all logs, in a stable sort by time and log; a late one's time is that of the line before."""
    times = [(second, log) for log, passed in enumerate(steps) for second in accumulate(accumulate(passed), max)]
    lines = [text for log in written(steps) for text in log]
    return [text for _, text in sorted(zip(times, lines, strict=True), key=lambda row: row[0])]


LOGS = st.lists(st.lists(st.integers(-2, 3), max_size=12), min_size=1, max_size=4)


@given(LOGS, st.lists(st.integers(0, 12), max_size=6), st.integers(1, 200))
def test_merging_is_sorting_by_stamp_whatever_the_chunks(steps: list[list[int]], cuts: list[int], size: int) -> None:
    """Held against a stable sort of all lines by time and log."""
    logs = []
    for lines in written(steps):
        edges = sorted({0, *(cut for cut in cuts if cut < len(lines)), len(lines)})
        chunks = [b"".join(lines[a:b]) for a, b in pairwise(edges)]
        logs.append([chunk for chunk in chunks if chunk])
    assert merge(*logs, size=size) == in_order(steps)


@given(LOGS, st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_logs_that_are_still_read_give_what_they_give_as_a_whole(steps: list[list[int]], sizes: list[int]) -> None:
    """A few lines of each at a time, with what was left of the time before; none is ahead of one not read yet."""
    unread, left, found, some = written(steps), [Left(b"", START)] * len(steps), b"", cycle(sizes)
    while any(unread) or any(rest.lines for rest in left):
        pieces = []
        for number, (rest, size) in enumerate(zip(left, some, strict=False)):
            lines, unread[number] = unread[number][:size], unread[number][size:]
            pieces.append(Piece(rest.lines + b"".join(lines), Stamps(UTC, rest.time), not unread[number]))
        lines_in_turn, left = in_turn(pieces)
        assert lines_in_turn
        found += lines_in_turn
    assert found.splitlines(keepends=True) == in_order(steps)


def test_logs_of_two_hosts_are_one_to_whoever_replays_them(tmp_path: Path) -> None:
    """Each in its parts; no year stands in them, so that each begins in December by its own order of lines."""
    for host in ("mx1", "mx2"):
        lines = [f"{stamp} {host} x\n" for stamp in ("Dec 31 23:59:58", "Jan  1 00:00:01", "Jul  1 00:00:00")]
        (tmp_path / f"{host}.log.1").write_text("".join(lines[:2]))
        (tmp_path / f"{host}.log").write_text(lines[2])
    paths = [str(path) for path in tmp_path.iterdir()]
    newest = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
    assert start_of(paths, UTC, newest) == datetime(2025, 12, 31, 23, tzinfo=UTC).timestamp()
    found = b"".join(lines_of(paths, UTC, newest)).decode().splitlines()
    assert [text[:19] for text in found] == [
        f"{stamp} {host}"
        for stamp in ("Dec 31 23:59:58", "Jan  1 00:00:01", "Jul  1 00:00:00")
        for host in ("mx1", "mx2")
    ]
