"""Several logs are followed at once, each on its own place, their lines in order of stamps."""

import subprocess
import sys
import tempfile
from itertools import accumulate, islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.reading.follow import Follower
from logwatch.reading.log_file import Position
from logwatch.reading.merge import merged
from logwatch.reading.stamp import Stamps

START = 1_790_812_800.0
UTC = ZoneInfo("UTC")


def read_all(follower: Follower) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path, piece in follower.read():
        name = Path(path).name
        found[name] = found.get(name, b"") + piece
    return found


def positions_of(follower: Follower) -> dict[str, Position]:
    return {path: Position(**fields) for path, fields in follower.positions().items()}


def test_several_files_are_followed_each_on_its_own(directory: Path) -> None:
    one, two = directory / "one.log", directory / "two.log"
    one.write_bytes(b"1\n")
    follower = Follower([str(one), str(two)], {})
    assert read_all(follower) == {"one.log": b"1\n"}
    two.write_bytes(b"2\n")
    assert read_all(follower) == {"two.log": b"2\n"}
    follower.close()
    again = Follower([str(one), str(two)], positions_of(follower))
    with one.open("ab") as file:
        file.write(b"3\n")
    assert read_all(again) == {"one.log": b"3\n"}
    again.close()


@pytest.mark.parametrize("pattern", ["mail*", "", "/"])
def test_a_pattern_or_a_directory_names_the_current_logs_there_now_and_later(directory: Path, pattern: str) -> None:
    name = str(directory) + pattern if pattern == "/" else str(directory / pattern) if pattern else str(directory)
    for file in ("mail.log", "mail.log.1", "mail.log.2.gz", "mail.log-20261101", "mail-20261101.log", "mail.err"):
        (directory / file).write_bytes(file.encode() + b"\n")
    (directory / "mail.d").mkdir()
    follower = Follower([name], {})
    assert read_all(follower) == {"mail.log": b"mail.log\n", "mail.err": b"mail.err\n"}
    (directory / "mail.info").write_bytes(b"new\n")
    assert read_all(follower) == {"mail.info": b"new\n"}
    follower.close()


def test_logs_with_a_new_name_every_day_are_followed(directory: Path) -> None:
    """There is no mail.log of which these would be older parts."""
    follower = Follower([f"{directory}/mail-*.log"], {})
    for day in (1, 2):
        (directory / f"mail-2026110{day}.log").write_bytes(b"%d\n" % day)
        assert read_all(follower) == {f"mail-2026110{day}.log": b"%d\n" % day}
    follower.close()


def test_a_log_that_is_rotated_while_nobody_looks_is_no_new_one(directory: Path) -> None:
    """It has the name of a log of its own now, and its old name is not there again yet."""
    log = directory / "mail.log"
    log.write_bytes(b"one\n")
    follower = Follower([f"{directory}/mail*.log"], {})
    assert read_all(follower) == {"mail.log": b"one\n"}
    follower.close()
    log.rename(directory / "mail-20261101.log")
    again = Follower([f"{directory}/mail*.log"], positions_of(follower))
    assert read_all(again) == {}
    log.write_bytes(b"two\n")
    assert read_all(again) == {"mail.log": b"two\n"}
    again.close()


def test_positions_of_logs_that_are_not_asked_for_any_more_are_dropped(directory: Path) -> None:
    follower = Follower([str(directory / "a")], {str(directory / "b"): Position(inode=1)})
    assert set(follower.positions()) == {str(directory / "a")}
    follower.close()


def test_logs_that_are_gone_for_good_are_forgotten_in_time(directory: Path) -> None:
    follower = Follower([f"{directory}/*.log"], {})
    for number in range(250):
        log = directory / f"host{number}.log"
        log.write_bytes(b"x\n")
        assert read_all(follower) == {log.name: b"x\n"}
        log.unlink()
    assert len(follower.tails) <= 101
    follower.close()


def test_why_a_log_cannot_be_read_is_told(directory: Path) -> None:
    follower = Follower([str(directory / "absent.log")], {})
    assert read_all(follower) == {}
    assert follower.problems() == [f"{directory}/absent.log: cannot be read: No such file or directory; check the path"]
    follower.close()


def test_more_logs_than_may_be_open_are_told_with_the_remedy(directory: Path) -> None:
    for number in range(30):
        (directory / f"{number}.log").write_bytes(b"one\n")
    code = (
        "import resource, sys; from logwatch.reading.follow import Follower\n"
        "follower = Follower([sys.argv[1] + '/*.log'], {})\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
        "found = sum(lines.count(b'\\n') for lines in follower.lines())\n"
        "print(found + len(follower.problems()), follower.problems()[0])"
    )
    told = subprocess.run([sys.executable, "-c", code, str(directory)], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("30 ")
    assert told.stdout.endswith(
        ": cannot be read: Too many open files; this process may have no more of them open: raise its limit "
        "(ulimit -n; systemd: LimitNOFILE)\n"
    )


def stamped(second: int, host: str) -> bytes:
    return b"Oct  1 %02d:%02d:%02d %s x\n" % (second // 3600, second // 60 % 60, second % 60, host.encode())


def in_order(*logs: Path) -> bytes:
    streams = [(iter((log.read_bytes(),)), Stamps(UTC, START)) for log in logs]
    return b"".join(merged(streams))


def several(directory: Path, positions: dict[str, Position] | None = None) -> Follower:
    return Follower([f"{directory}/*.log"], positions or {}, UTC, lambda _: START)


def test_what_several_logs_hold_is_read_in_order_of_its_stamps(directory: Path) -> None:
    """A sparse log's piece spans days, a busy one's minutes: neither runs ahead of the other."""
    busy, sparse = directory / "a.log", directory / "b.log"
    busy.write_bytes(b"".join(stamped(second // 20, "a") for second in range(20 * 3000)))
    sparse.write_bytes(b"".join(stamped(20 * minute, "b") for minute in range(2000)))
    follower = several(directory)
    pieces = list(follower.lines())
    assert len(pieces) > 2
    assert b"".join(pieces) == in_order(busy, sparse)
    follower.close()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_reading_together_goes_on_where_it_was_left(data: st.DataObject) -> None:
    """Whatever had been given out when the process ended: nothing comes twice, nothing is lost, and all is in order."""
    gaps = st.lists(st.integers(0, 90), min_size=1, max_size=400)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        logs = [directory / f"{host}.log" for host in "abc"]
        for log in logs:
            moments = accumulate(data.draw(gaps))
            log.write_bytes(b"".join(stamped(at, log.stem) * data.draw(st.integers(1, 40)) for at in moments))
        follower, found = several(directory), b""
        while pieces := list(islice(follower.lines(), data.draw(st.integers(1, 3)))):
            found += b"".join(pieces)
            follower.close()
            follower = several(directory, positions_of(follower))
        follower.close()
        assert found == in_order(*logs)


def test_lines_that_are_not_as_they_stand_in_the_file_are_not_given_back(directory: Path) -> None:
    one, two = directory / "a.log", directory / "b.log"
    one.write_bytes(b"\0\0" + b"".join(stamped(second, "a") for second in range(20000)))
    two.write_bytes(b"".join(stamped(second, "b") for second in range(20000)))
    follower = several(directory)
    found = b"".join(follower.lines())
    assert sorted(found.splitlines()) == sorted(one.read_bytes()[2:].splitlines() + two.read_bytes().splitlines())
    follower.close()
