"""What waits on disk: in order, once, whenever the process dies; bounded, and what is lost is counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logwatch.cluster.spool import Spool

ROOMY = 1 << 30


def drained(spool: Spool) -> list[bytes]:
    found = []
    while waiting := spool.first():
        found.append(waiting.record)
        spool.done(waiting)
    return found


def test_what_goes_in_comes_out_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", ROOMY)
    records = [b"%d" % n * 50 for n in range(300)]
    for record in records:
        spool.append(record, 1)
    assert list(spool.records()) == records
    assert drained(spool) == records
    assert (spool.first(), spool.waiting(), spool.lost) == (None, 0, 0)
    spool.append(b"later", 1)
    assert drained(spool) == [b"later"]
    spool.close()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["append", "done", "save", "kill"]), max_size=60))
@example(["append", "kill", "append", "done", "done", "kill"])
def test_a_kill_loses_nothing_and_at_most_repeats(deeds: list[str]) -> None:
    """Only what was done after the last save may come once more, nothing that was not is left out, in order."""
    with tempfile.TemporaryDirectory() as directory:
        spool, number, done, saved, reached = Spool(Path(directory), 1 << 16), 0, 0, 0, 0
        for deed in deeds:
            if deed == "append":
                spool.append(number.to_bytes(2) * 300, 1)
                number += 1
            elif deed == "done" and (waiting := spool.first()):
                spool.done(waiting)
                done = int.from_bytes(waiting.record[:2]) + 1
                reached = max(reached, done)
            elif deed == "save":
                spool.save({"done": done})
                saved = done
            elif deed == "kill":
                spool.close()
                spool, done = Spool(Path(directory), 1 << 16), saved
        first = min((int.from_bytes(record[:2]) for record in spool.records()), default=number)
        assert saved <= first <= reached
        assert [record[:2] for record in drained(spool)] == [n.to_bytes(2) for n in range(first, number)]
        spool.close()


def test_a_torn_record_is_cut_off(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOMY)
    spool.append(b"whole", 1)
    spool.append(b"torn", 1)
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes()[:-2])
    spool = Spool(tmp_path, ROOMY)
    spool.append(b"after", 1)
    assert drained(spool) == [b"whole", b"after"]
    spool.close()


def test_what_a_power_cut_took_of_what_had_been_read_does_not_wait(tmp_path: Path) -> None:
    """Where reading goes on is on the disk, records may not be: a gateway promises only while nothing waits."""
    spool = Spool(tmp_path / "spool", ROOMY)
    for number in range(10):
        spool.append(b"%d" % number, 1)
    drained(spool)
    spool.save({})
    spool.close()
    (segment,) = (tmp_path / "spool").glob("*.spool")
    os.truncate(segment, segment.stat().st_size // 2)
    spool = Spool(tmp_path / "spool", ROOMY)
    assert spool.waiting() == 0
    spool.append(b"later", 1)
    assert drained(spool) == [b"later"]
    spool.close()


def test_at_the_bound_the_oldest_goes_and_its_lines_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 1 << 16)
    for n in range(400):
        spool.append(n.to_bytes(2) * 500, 7)
    assert spool.waiting() <= 1 << 16
    left = [int.from_bytes(record[:2]) for record in spool.records()]
    assert left == list(range(left[0], 400))
    assert spool.lost == 7 * left[0] > 0
    spool.save({})
    spool.close()
    shutil.copytree(tmp_path / "spool", tmp_path / "again")
    again = Spool(tmp_path / "again", 1 << 16)
    assert again.lost == spool.lost
    assert [int.from_bytes(record[:2]) for record in drained(again)] == left
    again.close()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", ROOMY)
    spool.append(b"mail", 1)
    spool.save({})
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "spool", *(tmp_path / "spool").iterdir()]}
    assert modes == {"spool": 0o700, "state.json": 0o600, "000000000000.spool": 0o600}
    spool.close()


_FULL = """
import resource, signal, sys
from pathlib import Path
from logwatch.cluster.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]), 1 << 20)
spool.append(b"a" * 100, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
try:
    spool.append(b"b" * 100, 1)
except OSError:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    spool.append(b"c" * 100, 1)
"""


def test_a_record_that_was_written_in_part_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """A disk with room for a part takes it without an error."""
    subprocess.run([sys.executable, "-c", _FULL, str(tmp_path / "spool")], check=True, timeout=60)
    spool = Spool(tmp_path / "spool", 1 << 20)
    assert drained(spool) == [b"a" * 100, b"c" * 100]
    spool.close()
