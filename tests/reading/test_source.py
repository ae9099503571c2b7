"""Sources: whole lines out of files of every packing, the same whatever the pieces."""

import itertools
import random
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.source import LONGEST_LINE, DamageError, Lines, Log, SourceError, chunks, stamps
from logwatch.reading.stamp import Stamps
from logwatch.rerun import start_of
from tests.reading.logger import PACK, unprivileged

LINES = b"".join(b"line %d of a log\n" % number for number in range(20_000))


def write(path: Path, content: bytes) -> Path:
    """A file packed as its name says."""
    path.write_bytes(PACK[path.suffix](content) if path.suffix in PACK else content)
    return path


# Lines.


@given(st.lists(st.sampled_from([b"a", b"\n", b"\0", b"\r", b"bc\n", b"\0\0d\n"])), st.data())
def test_lines_are_the_same_whatever_the_pieces(parts: list[bytes], data: st.DataObject) -> None:
    """NUL bytes before a line are dropped; everything else comes out as it was, with its newline."""
    content = b"".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(content))).map(sorted))
    lines = Lines()
    found = b"".join(lines.take(content[a:b]) for a, b in itertools.pairwise([0, *cuts, len(content)]))
    assert lines.held == len(content) - (content.rfind(b"\n") + 1)
    found += lines.finish()
    complete = content if content.endswith(b"\n") or not content.split(b"\n")[-1].strip(b"\0") else content + b"\n"
    expected = re.sub(rb"^\0+", b"", complete[: complete.rfind(b"\n") + 1], flags=re.MULTILINE)
    assert found == expected
    assert lines.held == 0


@pytest.mark.parametrize("piece", [1 << 12, 1 << 20, (1 << 20) + 1, 1 << 23])
@pytest.mark.parametrize("length", [LONGEST_LINE, LONGEST_LINE + 1, 3 * LONGEST_LINE])
def test_a_line_of_more_than_a_megabyte_leaves_an_empty_one_whatever_the_pieces(length: int, piece: int) -> None:
    content = b"one\n" + b"x" * length + b"\ntwo\n"
    lines = Lines()
    found = b"".join(lines.take(content[at : at + piece]) for at in range(0, len(content), piece))
    too_long = length > LONGEST_LINE
    assert (found == b"one\n\ntwo\n", found == content) == (too_long, not too_long)
    assert (lines.overlong, lines.held) == (too_long, 0)


def test_a_long_line_without_an_end_is_no_line() -> None:
    lines = Lines()
    assert lines.take(b"x" * (LONGEST_LINE + 1)) == b""
    assert (lines.overlong, lines.held) == (1, LONGEST_LINE + 1)
    assert lines.finish() == b""


# Files.


@pytest.mark.parametrize("ending", ["", *PACK])
def test_a_log_is_read_whatever_it_is_packed_in(tmp_path: Path, ending: str) -> None:
    log = write(tmp_path / f"mail.log{ending}", LINES + b"the last line has no newline")
    for size in (1 << 10, 1 << 22):
        assert b"".join(chunks(log, size)) == LINES + b"the last line has no newline\n"


@pytest.mark.parametrize("ending", ["", *PACK])
def test_what_was_read_is_told_in_bytes_of_the_file_itself(tmp_path: Path, ending: str) -> None:
    log = write(tmp_path / f"mail.log{ending}", LINES)
    told: list[int] = []
    for _ in chunks(log, 1 << 14, told.append):
        assert 0 < sum(told) <= log.stat().st_size
    assert sum(told) == log.stat().st_size


@pytest.mark.parametrize("ending", PACK)
def test_several_packed_pieces_in_one_file_are_read_one_after_the_other(tmp_path: Path, ending: str) -> None:
    """`zstd -c >>`, pzstd, pigz and the like write such files."""
    log = tmp_path / f"mail.log{ending}"
    log.write_bytes(PACK[ending](b"one\n") + PACK[ending](b"two\n"))
    assert b"".join(chunks(log)) == b"one\ntwo\n"


@pytest.mark.parametrize("ending", PACK)
def test_a_packed_file_that_is_cut_short_gives_what_there_is_and_says_so(tmp_path: Path, ending: str) -> None:
    shuffled = random.Random(1).sample(LINES.splitlines(True), 20_000)
    log = write(tmp_path / f"mail.log{ending}", b"".join(shuffled) * 5)
    log.write_bytes(log.read_bytes()[: log.stat().st_size * 9 // 10])
    assert_damaged(log, b"".join(shuffled))


@pytest.mark.parametrize("ending", PACK)
def test_a_packed_file_with_other_bytes_in_it_gives_what_stands_before_and_says_so(tmp_path: Path, ending: str) -> None:
    shuffled = random.Random(1).sample(LINES.splitlines(True), 20_000)
    log = write(tmp_path / f"mail.log{ending}", b"".join(shuffled) * 5)
    content = bytearray(log.read_bytes())
    content[len(content) * 9 // 10 :] = b"\xff" * 1000
    log.write_bytes(content)
    assert_damaged(log, b"".join(shuffled))


def assert_damaged(log: Path, first: bytes) -> None:
    found = b""
    with pytest.raises(DamageError, match=re.escape(f"{log}: damaged or cut short, noticed at byte ")):
        for chunk in chunks(log):
            found += chunk
    assert found.startswith(first) or log.suffix in (".xz", ".zst")  # these unpack a block of megabytes or nothing
    assert found.endswith(b"\n") or not found


def test_an_empty_zstd_frame_is_no_damage(tmp_path: Path) -> None:
    log = tmp_path / "mail.log.zst"
    log.write_bytes(zstandard.ZstdCompressor().compress(b"") + PACK[".zst"](b"one\n"))
    assert b"".join(chunks(log)) == b"one\n"


def test_what_cannot_be_opened_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a directory; name the files in it"):
        Log(tmp_path)
    with pytest.raises(SourceError, match="No such file or directory; check the path"):
        Log(tmp_path / "absent")
    closed = write(tmp_path / "mail.log", b"")
    closed.chmod(0)
    with unprivileged(), pytest.raises(SourceError, match="Permission denied; run as a user that may read it"):
        Log(closed)


def test_standard_input_is_read_as_it_comes() -> None:
    """A slow writer's lines are given out when they are there, not when a chunk is full."""
    code = "from logwatch.reading.source import chunks\nfor chunk in chunks('-'): print(len(chunk), flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"one\ntw")
        process.stdin.flush()
        assert process.stdout.readline() == b"4\n"
        process.stdin.write(b"o")
        process.stdin.close()
        assert process.stdout.read() == b"4\n"


# Stamps.


def log_of(days: int, stamp: str) -> bytes:
    """A line a minute or so, of about 5 MB in all."""
    start, lines = datetime(2024, 11, 25, tzinfo=UTC), 60_000
    moments = (start + timedelta(days=days) * number / lines for number in range(lines + 1))
    return b"".join(f"{moment.strftime(stamp)} mx1 postfix/smtpd[7]: {'x' * 60}\n".encode() for moment in moments)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_stamps_of_every_stretch_are_found_first_and_last_among_them(tmp_path: Path, ending: str) -> None:
    log = write(tmp_path / f"mail.log{ending}", log_of(700, "%b %e %H:%M:%S"))
    found = list(stamps(log))
    assert (found[0], found[-1]) == (b"Nov 25 00:00:00", b"Oct 26 00:00:00")
    assert 20 <= len(found) <= 600


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_year_is_found_from_the_last_line_back(tmp_path: Path, ending: str) -> None:
    log = write(tmp_path / f"mail.log{ending}", log_of(700, "%b %e %H:%M:%S"))
    start = start_of([str(log)], ZoneInfo("UTC"), datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    assert start == datetime(2024, 11, 25, tzinfo=UTC).timestamp()


def test_a_stamp_with_a_year_tells_that_of_those_before_it_and_ends_the_search(tmp_path: Path) -> None:
    """What comes after it is not even opened: it could not be read."""
    write(tmp_path / "mail.log.3", b"Dec 31 23:00:00 mx1 x\n")
    write(tmp_path / "mail.log.2.gz", b"<22>1 2020-01-01T00:00:00.5+00:00 mx1 x\nDec 31 23:00:00 mx1 x\n")
    (tmp_path / "mail.log.1.gz").write_bytes(b"damaged")
    logs = [str(path) for path in tmp_path.iterdir()]
    assert start_of(logs, ZoneInfo("UTC"), 1.8e9) == datetime(2019, 12, 31, 23, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "stamp",
    [
        b"Nov  5 03:27:47",
        b"2026-11-05T03:27:47Z",
        b"2026-11-05T03:27:47.123456+01:00",
        b"2026-11-05T03:27:47,5+0100",
        b"2026-11-05 03:27:47",
        b"2026-11-05 03:27:47.123 +0100",
    ],
)
def test_stamps_of_every_form_are_found(tmp_path: Path, stamp: bytes) -> None:
    """BSD syslog, RFC 3339, and Exim's; with the PRI and version of RFC 5424 too. All can be read."""
    log = write(tmp_path / "mail.log", b"x\n" + stamp + b" mx1 x\n<22>1 " + stamp + b" mx1 x\n")
    assert set(stamps(log)) == {stamp}
    assert Stamps(ZoneInfo("UTC"), 1.79e9).read(stamp) is not None


def test_a_log_without_stamps_has_none(tmp_path: Path) -> None:
    assert list(stamps(write(tmp_path / "mail.log", b"no stamp\n\nno line"))) == []
    assert list(stamps(write(tmp_path / "empty.log", b""))) == []
