"""One path looks like one perpetual source of lines, whatever rotates beneath it, across restarts."""

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.reading.log_file import HEAD, Position
from logwatch.reading.source import LONGEST_LINE
from logwatch.reading.tail import Tail
from tests.mta.client import submit
from tests.mta.postfix import Postfix
from tests.reading.logger import PACK, Logger, pack, unprivileged


@pytest.fixture
def logger(directory: Path) -> Iterator[Logger]:
    logger = Logger(directory / "mail.log")
    yield logger
    logger.reopen()


@pytest.fixture
def tail(logger: Logger) -> Iterator[Tail]:
    tail = Tail(str(logger.path))
    yield tail
    tail.close()


def everything(tail: Tail) -> bytes:
    return b"".join(iter(tail.read, b""))


def after_restart(tail: Tail) -> Tail:
    """A new process, which knows of the old one's reading what its position says."""
    tail.close()
    return Tail(tail.path, tail.position())


def rest_of(tail: Tail) -> bytes:
    """What a new process reads."""
    again = after_restart(tail)
    found = everything(again)
    again.close()
    return found


# While it is followed.


def test_what_is_appended_is_read_once(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    assert everything(tail) == b""
    logger.write(b"two\nthree\n")
    assert everything(tail) == b"two\nthree\n"


def test_half_a_line_waits_for_its_newline(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\ntw")
    assert everything(tail) == b"one\n"
    assert tail.position().offset == 4
    logger.write(b"o")
    assert everything(tail) == b""
    logger.write(b"\n")
    assert everything(tail) == b"two\n"
    assert tail.position().offset == 8


def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.write(b"two\n")
    logger.rotate()
    logger.write(b"three\n")
    assert everything(tail) == b"two\nthree\n"


def test_a_logger_that_still_writes_to_the_renamed_file_is_heard(logger: Logger, tail: Tail) -> None:
    """postlogd has its log open until it gets SIGHUP, and makes the new one with its next line, mode 0600."""
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.rotate(reopen=False)
    assert everything(tail) == b""
    logger.write(b"two\n")
    assert everything(tail) == b"two\n"
    logger.reopen()
    assert everything(tail) == b""
    logger.write(b"three\n")
    logger.path.chmod(0o600)
    assert everything(tail) == b"three\n"
    assert not tail.problem


def test_an_empty_new_file_does_not_end_the_old_one(logger: Logger, tail: Tail) -> None:
    """logrotate's `create` makes the new file before it tells the logger."""
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.rotate(reopen=False)
    logger.path.touch()
    assert everything(tail) == b""
    logger.write(b"two\n")
    assert everything(tail) == b"two\n"
    logger.reopen()
    logger.write(b"three\n")
    assert everything(tail) == b"three\n"


def test_what_the_old_file_got_last_is_read_though_the_new_one_has_begun(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    old = Logger(logger.rotate())
    logger.write(b"three\n")
    old.write(b"two\n")
    old.reopen()
    assert everything(tail) == b"two\nthree\n"


@pytest.mark.parametrize("packed", ["", *PACK])
def test_several_rotations_between_two_looks_lose_nothing(logger: Logger, tail: Tail, packed: str) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    for line in (b"two\n", b"three\n", b"four\n", b"five\n"):
        logger.write(line)
        logger.rotate(packed)
    logger.write(b"six\n")
    assert everything(tail) == b"two\nthree\nfour\nfive\nsix\n"


def test_rotations_while_older_parts_are_read_do_not_mix_up_their_order(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    for line in (b"two\n", b"three\n"):
        logger.write(line)
        logger.rotate()
    assert tail.read() == b"two\n"
    logger.write(b"four\n")
    logger.rotate(".gz")
    logger.write(b"five\n")
    assert everything(tail) == b"three\nfour\nfive\n"


def test_half_a_line_at_the_end_of_a_renamed_file_is_a_line(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\ntw")
    assert everything(tail) == b"one\n"
    logger.rotate()
    logger.write(b"three\n")
    assert everything(tail) == b"tw\nthree\n"


def test_a_truncated_file_is_read_from_its_start(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\ntwo\n")
    assert everything(tail) == b"one\ntwo\n"
    logger.copytruncate()
    assert everything(tail) == b""
    logger.write(b"three\n")
    assert everything(tail) == b"three\n"
    assert not tail.losses


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_what_was_copied_and_truncated_unread_is_read_from_the_copy(logger: Logger, tail: Tail, packed: str) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.write(b"two\n")
    copy = logger.copytruncate()
    if packed:
        pack(copy, packed)
    logger.write(b"three\n")
    assert everything(tail) == b"two\nthree\n"
    assert not tail.losses


def test_a_truncated_file_that_has_grown_beyond_where_it_was_read_is_noticed(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.copytruncate()
    logger.write(b"two is longer than one\nthree\n")
    assert everything(tail) == b"two is longer than one\nthree\n"


def test_a_file_that_was_opened_and_then_copied_and_truncated_unread_is_read_from_the_copy(
    logger: Logger, tail: Tail
) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.copytruncate()
    logger.write(b"tw")
    assert everything(tail) == b""
    logger.write(b"o\n")
    logger.copytruncate()
    logger.write(b"three\n")
    assert everything(tail) == b"two\nthree\n"


def test_a_file_that_was_opened_only_before_it_was_copied_and_truncated_is_read_from_the_copy(
    logger: Logger, tail: Tail
) -> None:
    logger.write(b"one\ntw")
    assert everything(tail) == b"one\n"
    logger.copytruncate()
    logger.write(b"three\n")
    assert tail.read() == b"tw\n"
    logger.copytruncate()
    logger.write(b"four\n")
    assert everything(tail) == b"three\nfour\n"


def test_a_file_that_rotation_deletes_while_it_is_read_is_not_the_last_of_the_old_ones(
    logger: Logger, tail: Tail
) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    for line in (b"two\n", b"three\n"):
        logger.write(line)
        logger.rotate()
    logger.numbered(2).unlink()
    logger.write(b"four\n")
    assert everything(tail) == b"two\nthree\nfour\n"


def test_several_copies_between_two_looks_lose_nothing(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    for line in (b"two\n", b"three\n"):
        logger.write(line)
        logger.copytruncate(".gz")
    logger.write(b"four\n")
    assert everything(tail) == b"two\nthree\nfour\n"


def test_a_truncation_without_a_copy_is_a_gap(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    os.truncate(logger.path, 0)
    logger.write(b"two\n")
    assert everything(tail) == b"two\n"
    assert tail.losses == {"gaps": 1}
    assert "truncated" in tail.notice


def test_a_file_that_was_cut_back_is_not_read_twice(logger: Logger, tail: Tail) -> None:
    """By hand, for instance: what is left of it was read."""
    logger.write(b"one\n" * 100)
    everything(tail)
    os.truncate(logger.path, 4 * 80)
    assert everything(tail) == b""
    logger.write(b"two\n")
    assert everything(tail) == b"two\n"
    assert tail.position().offset == 4 * 81
    assert tail.losses == {"gaps": 1}


def test_nul_bytes_of_a_writer_that_does_not_append_are_no_lines(logger: Logger, tail: Tail) -> None:
    """Truncated beneath such a writer, the file is at once as long as it was, with a hole where its lines were."""
    logger.write(b"one\n" * 100, flags=0)
    everything(tail)
    logger.copytruncate()
    logger.write(b"two\n")
    assert logger.path.stat().st_size == 404
    assert everything(tail) == b"two\n"
    logger.write(b"three\n")
    assert everything(tail) == b"three\n"
    assert tail.position().offset == 410
    assert not tail.losses


def test_a_hole_of_many_megabytes_hides_no_line(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    everything(tail)
    logger.copytruncate()
    with logger.path.open("r+b") as file:
        file.seek(5 * LONGEST_LINE)
        file.write(b"two\n")
    assert everything(tail) == b"two\n"
    assert not tail.losses


def test_a_deleted_file_is_read_to_its_end_until_there_is_a_new_one(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.path.unlink()
    logger.write(b"two\n")
    assert everything(tail) == b"two\n"
    logger.reopen()
    logger.write(b"three\n")
    assert everything(tail) == b"three\n"


def test_a_symbolic_link_that_is_switched_is_followed(directory: Path) -> None:
    first, second, link = (directory / name for name in ("mail-1", "mail-2", "current"))
    first.write_bytes(b"one\n")
    link.symlink_to(first)
    tail = Tail(str(link))
    assert everything(tail) == b"one\n"
    with first.open("ab") as file:
        file.write(b"two\n")
    second.write_bytes(b"three\n")
    switched(link, second)
    assert everything(tail) == b"two\nthree\n"
    tail.close()


def switched(link: Path, target: Path) -> None:
    new = link.with_name("new link")
    new.symlink_to(target)
    new.rename(link)


def test_a_link_switched_several_times_between_two_looks_loses_nothing(directory: Path) -> None:
    link = directory / "current"
    for day in (9, 10, 11):
        (directory / f"mail-{day}.log").write_bytes(b"day %d\n" % day)
    link.symlink_to(directory / "mail-9.log")
    tail = Tail(str(link))
    assert everything(tail) == b"day 9\n"
    switched(link, directory / "mail-11.log")
    assert everything(tail) == b"day 10\nday 11\n"
    tail.close()


def test_a_file_that_is_not_there_yet_is_waited_for(logger: Logger, tail: Tail) -> None:
    assert everything(tail) == b""
    assert "cannot be read: No such file or directory" in tail.problem
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    assert not tail.problem


def test_a_file_that_may_not_be_read_is_waited_for(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    logger.path.chmod(0)
    with unprivileged():
        assert everything(tail) == b""
    assert "Permission denied; run as a user that may read it" in tail.problem
    logger.path.chmod(0o644)
    with unprivileged():
        assert everything(tail) == b"one\n"
    assert not tail.problem


def test_a_new_file_that_may_not_be_read_is_waited_for(logger: Logger, tail: Tail) -> None:
    """postlogd makes its new log with mode 0600: until somebody mends that, the old one stays open."""
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.rotate()
    logger.write(b"two\n")
    logger.path.chmod(0o600)
    with unprivileged():
        assert everything(tail) == b""
    assert "Permission denied" in tail.problem
    logger.rotate()
    logger.numbered(1).chmod(0o644)
    logger.write(b"three\n")
    with unprivileged():
        assert everything(tail) == b"two\nthree\n"
    assert not tail.problem


def test_a_file_replaced_by_a_longer_copy_of_itself_goes_on_where_it_was(logger: Logger, tail: Tail) -> None:
    """`sed -i` or an editor makes a new file of the same lines; those were read."""
    lines = b"".join(b"line %d\n" % number for number in range(100))
    logger.write(lines)
    assert everything(tail) == lines
    replace(logger, lines + b"one more\n")
    assert everything(tail) == b"one more\n"


def test_a_file_replaced_by_a_shorter_one_is_read_from_its_start(logger: Logger, tail: Tail) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(100))
    logger.write(lines)
    assert everything(tail) == lines
    replace(logger, b"short\n")
    assert everything(tail) == b"short\n"


def replace(logger: Logger, content: bytes) -> None:
    new = logger.path.with_name("new")
    new.write_bytes(content)
    logger.reopen()
    new.rename(logger.path)


def test_a_line_of_more_than_a_megabyte_is_counted_and_left_out(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n" + b"x" * (3 * LONGEST_LINE) + b"\ntwo\n")
    assert everything(tail) == b"one\n\ntwo\n"
    assert tail.losses == {"overlong": 1}
    assert tail.position().offset == 3 * LONGEST_LINE + 9
    assert rest_of(tail) == b""


def test_in_the_midst_of_a_long_line_the_position_is_before_it(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n" + b"x" * (3 * LONGEST_LINE))
    assert everything(tail) == b"one\n"
    assert tail.position().offset == 4
    logger.write(b"\ntwo\n")
    assert rest_of(tail) == b"\ntwo\n"


# After a restart.


def test_after_a_restart_reading_goes_on(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\ntw")
    assert everything(tail) == b"one\n"
    logger.write(b"o\n")
    assert rest_of(tail) == b"two\n"


@pytest.mark.parametrize("packed", ["", *PACK])
@pytest.mark.parametrize("way", ["rotate", "copytruncate"])
def test_after_a_restart_all_that_was_rotated_meanwhile_is_read(
    logger: Logger, tail: Tail, packed: str, way: str
) -> None:
    """The file that was read is .3 by now, or .3.gz."""
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    for line in (b"two\n", b"three\n", b"four\n"):
        logger.write(line)
        getattr(logger, way)(packed)
    logger.write(b"five\n")
    assert rest_of(tail) == b"two\nthree\nfour\nfive\n"


def test_after_a_restart_the_logger_may_still_write_to_the_renamed_file(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.rotate(reopen=False)
    again = after_restart(tail)
    assert everything(again) == b""
    logger.write(b"two\n")
    assert everything(again) == b"two\n"
    logger.reopen()
    logger.write(b"three\n")
    assert everything(again) == b"three\n"
    again.close()


def test_a_restart_between_the_old_files_end_and_the_new_ones_first_line_loses_nothing(
    logger: Logger, tail: Tail
) -> None:
    """The position stays in the old file until there is a whole line of the new one: the next may be skipped else."""
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.rotate()
    logger.write(b"tw")
    assert everything(tail) == b""
    tail = after_restart(tail)
    logger.write(b"o\n")
    logger.rotate()
    logger.write(b"three\n")
    assert rest_of(tail) == b"two\nthree\n"


def test_a_restart_after_half_a_line_at_the_end_of_a_file_loses_nothing(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\ntw")
    assert everything(tail) == b"one\n"
    logger.rotate()
    logger.write(b"three\n")
    assert tail.read() == b"tw\n"
    assert rest_of(tail) == b"three\n"


def test_an_empty_log_that_was_rotated_while_nobody_looked_is_read(logger: Logger, tail: Tail) -> None:
    logger.path.touch()
    assert everything(tail) == b""
    logger.write(b"one\n")
    logger.rotate()
    logger.write(b"two\n")
    assert rest_of(tail) == b"one\ntwo\n"


def test_the_first_start_reads_the_current_file_alone(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    logger.rotate()
    logger.write(b"two\n")
    assert everything(tail) == b"two\n"


def test_after_a_restart_a_deleted_file_is_a_gap(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.path.unlink()
    logger.reopen()
    logger.write(b"two\n")
    again = after_restart(tail)
    assert everything(again) == b"two\n"
    assert again.losses == {"gaps": 1}
    assert "the file read before is gone" in again.notice
    again.close()


def test_a_file_that_lost_its_end_in_a_crash_is_read_on_near_it(logger: Logger, tail: Tail) -> None:
    """What was not on the disk yet is gone, while the position was; what came after the crash is all read."""
    lines = [b"%03d a line that is long enough to tell one file from another\n" % number for number in range(200)]
    for line in lines:
        logger.write(line)
        assert tail.read() == line
    tail.close()
    position = Position(**json.loads(json.dumps(vars(tail.position()))))
    logger.reopen()
    os.truncate(logger.path, sum(map(len, lines[:170])) + 20)
    logger.write(b"\nafter the crash\n")
    again = Tail(tail.path, position)
    *twice, torn, after = everything(again).splitlines(keepends=True)
    assert twice == lines[170 - len(twice) : 170]
    assert len(twice) <= 60  # seconds, by the file's times; 30 were lost
    assert (torn, after) == (lines[170][:20] + b"\n", b"after the crash\n")
    assert again.losses == {"gaps": 1}
    assert f"ends before byte {position.offset}" in again.notice
    again.close()
    logger.write(b"and later\n")
    assert rest_of(again) == b"and later\n"


def test_of_a_file_that_only_begins_like_the_one_before_nothing_is_left_out(logger: Logger, tail: Tail) -> None:
    """Shorter, and of the same inode, but with other lines where it had been read before."""
    lines = [b"%03d a line that is long enough to tell one file from another\n" % number for number in range(60)]
    for line in lines:
        logger.write(line)
        assert tail.read() == line
    other = [line.upper() for line in lines[10:50]]
    logger.path.write_bytes(b"".join(lines[:10] + other))
    assert rest_of(tail).splitlines(keepends=True)[-40:] == other


def test_a_gap_is_no_reason_to_leave_out_what_came_after_it(logger: Logger, tail: Tail) -> None:
    """Rotated away for good while nobody looked; the older files that are left came later all the same."""
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    position = tail.position()
    logger.rotate()
    for age, number in ((50, 2), (10, 1)):
        logger.numbered(number).write_bytes(b"%d\n" % number)
        os.utime(logger.numbered(number), (position.modified + 100 - age, position.modified + 100 - age))
    logger.write(b"now\n")
    assert rest_of(tail) == b"2\n1\nnow\n"


def test_an_inode_that_is_used_again_is_not_taken_for_the_old_file(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    tail.close()
    old = tail.position()
    replace(logger, b"two, and longer than one\n")
    again = Tail(tail.path, Position(old.offset, old.head, old.head_length, logger.path.stat().st_ino, old.modified))
    assert everything(again) == b"two, and longer than one\n"
    assert again.losses == {"gaps": 1}
    again.close()


def test_two_files_that_begin_with_the_same_line_are_told_apart(logger: Logger, tail: Tail) -> None:
    logger.write(b"starting\nlong ago\n")
    logger.rotate()
    logger.write(b"starting\n")
    assert everything(tail) == b"starting\n"
    logger.write(b"more\n")
    logger.rotate()
    logger.write(b"starting\nagain\n")
    assert rest_of(tail) == b"more\nstarting\nagain\n"


def test_an_empty_file_is_not_taken_for_any_other(logger: Logger, tail: Tail) -> None:
    """Nothing of it was read, so that no first bytes tell which it was."""
    logger.write(b"one\n")
    logger.rotate()
    logger.path.touch()
    assert everything(tail) == b""
    replace(logger, b"two\n")
    then = tail.position().modified
    os.utime(logger.numbered(1), (then, then))
    os.utime(logger.path, (then + 60, then + 60))
    again = after_restart(tail)
    assert everything(again) == b"two\n"
    assert not again.losses
    again.close()


def test_nothing_is_said_to_be_lost_while_nothing_is_there(logger: Logger, tail: Tail) -> None:
    """At boot the directory may be mounted later than we start."""
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    away = logger.path.parent.with_name(logger.path.parent.name + ".away")
    logger.path.parent.rename(away)
    again = after_restart(tail)
    assert everything(again) == b""
    away.rename(logger.path.parent)
    logger.write(b"two\n")
    assert everything(again) == b"two\n"
    assert not again.losses
    again.close()


def test_a_restart_while_the_file_may_not_be_read_loses_nothing(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.path.chmod(0)
    with unprivileged():
        again = after_restart(tail)
        assert everything(again) == b""
    logger.path.chmod(0o644)
    logger.write(b"two\n")
    assert everything(again) == b"two\n"
    assert not again.losses
    again.close()


@pytest.mark.parametrize("rest", [b"", b"two\n"])
def test_a_restart_while_the_rotated_file_may_not_be_read_loses_nothing(
    logger: Logger, tail: Tail, rest: bytes
) -> None:
    """It is waited for, though the current one may be read."""
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    if rest:
        logger.write(rest)
    renamed = logger.rotate()
    renamed.chmod(0)
    logger.write(b"three\n")
    with unprivileged():
        again = after_restart(tail)
        assert everything(again) == b""
        assert f"{renamed}: cannot be read: Permission denied" in again.problem
    renamed.chmod(0o644)
    assert everything(again) == rest + b"three\n"
    assert not again.losses
    again.close()


@pytest.mark.parametrize("names", [("mail-1.log", "mail-2.log"), ("blue", "green")])
def test_a_restart_after_a_link_was_switched_loses_nothing(directory: Path, names: tuple[str, str]) -> None:
    first, second = (directory / name for name in names)
    first.write_bytes(b"one\n")
    (directory / "current").symlink_to(first)
    tail = Tail(str(directory / "current"))
    assert everything(tail) == b"one\n"
    with first.open("ab") as file:
        file.write(b"two\n")
    second.write_bytes(b"three\n")
    switched(directory / "current", second)
    assert rest_of(tail) == b"two\nthree\n"


def test_a_rotated_file_that_is_damaged_is_a_loss_and_not_the_end(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.write(b"two\n")
    logger.rotate()
    logger.write(b"three\n" * 1000)
    logger.rotate()
    damaged = pack(logger.numbered(1), ".gz")
    damaged.write_bytes(damaged.read_bytes()[:-10])
    logger.write(b"four\n")
    again = after_restart(tail)
    found = everything(again)
    assert found.startswith(b"two\nthree\n")
    assert found.endswith(b"four\n")
    assert again.losses == {"damaged": 1}
    assert "damaged or cut short" in again.notice
    again.close()


def test_a_file_that_is_just_being_packed_is_read_unpacked(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    logger.write(b"two\n")
    renamed = logger.rotate()
    renamed.with_name(renamed.name + ".gz").write_bytes(PACK[".gz"](renamed.read_bytes())[:15])
    logger.write(b"three\n")
    again = after_restart(tail)
    assert everything(again) == b"two\nthree\n"
    assert not again.losses
    again.close()


def test_dated_names_are_rotations_too(logger: Logger, tail: Tail) -> None:
    logger.write(b"one\n")
    assert everything(tail) == b"one\n"
    for name in ("mail.log-20261130", "mail.log-20261201.gz", "mail-20261202.log"):
        logger.write(name.encode() + b"\n")
        path = logger.path.with_name(name.removesuffix(".gz"))
        logger.path.rename(path)
        logger.reopen()
        if name.endswith(".gz"):
            pack(path, ".gz")
    logger.write(b"now\n")
    assert rest_of(tail) == b"mail.log-20261130\nmail.log-20261201.gz\nmail-20261202.log\nnow\n"


def test_the_head_of_a_position_is_whole_lines_only(logger: Logger, tail: Tail) -> None:
    """Half a line may be a single letter, with which any file begins."""
    logger.write(b"one\ntw")
    everything(tail)
    assert tail.position().head_length == 4
    logger.write(b"o\n" + b"x" * HEAD + b"\n")
    everything(tail)
    assert tail.position().head_length == HEAD


# The law.


class Life:
    """A log's life as it goes on, and what ought to be read of it: what was written, half lines at ends completed."""

    def __init__(self, directory: Path) -> None:
        self.logger = Logger(directory / "mail.log")
        self.tail = Tail(str(self.logger.path))
        self.expected = self.found = b""
        self._saved = (self.tail.position(), b"")
        self._lines = (hashlib.sha1(b"%d" % number).hexdigest().encode() + b"\n" for number in count())  # noqa: S324
        self._half = b""

    def write(self, lines: int, half: bool) -> None:
        data = self._half + b"".join(islice(self._lines, lines))
        line = next(self._lines) if half else b""
        self._half = line[20:]
        self._append(data + line[:20])

    def rotate(self, packed: str, reopen: bool) -> None:
        if self.logger.path.exists():
            self.logger.rotate(packed, reopen=reopen)
            if reopen:
                self._end()

    def reopen(self) -> None:
        if not self.logger.path.exists():
            self.logger.reopen()
            self._end()

    def copytruncate(self, packed: str) -> None:
        if self.logger.path.exists():
            self.logger.copytruncate(packed)
            self._end()

    def pack(self, packed: str) -> None:
        """Without delaycompress; nobody writes to the file any more."""
        if self.logger.numbered(1).exists() and self.logger.path.exists():
            pack(self.logger.numbered(1), packed)

    def read(self, pieces: int, size: int) -> None:
        for _ in range(pieces):
            self.found += self.tail.read(size)

    def save(self) -> None:
        self._saved = (self.tail.position(), self.found)

    def kill(self) -> None:
        self.tail.close()
        position, self.found = self._saved
        self.tail = Tail(self.tail.path, position)

    def end(self) -> None:
        self.reopen()
        self.write(1, False)
        self.found += everything(self.tail)
        self.tail.close()
        self.logger.reopen()

    def _append(self, data: bytes) -> None:
        if data:
            self.logger.write(data)
            self.expected += data

    def _end(self) -> None:
        if self.expected and not self.expected.endswith(b"\n"):
            self.expected += b"\n"


def happens(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *arguments)


PACKED = st.sampled_from(["", ".gz"])
LIVES = st.lists(
    st.one_of(
        happens("write", st.integers(0, 3), st.booleans()),
        happens("read", st.integers(1, 9), st.sampled_from([7, 50, 1 << 20])),
        happens("rotate", PACKED, st.booleans()),
        happens("reopen"),
        happens("copytruncate", PACKED),
        happens("pack", st.just(".gz")),
        happens("save"),
        happens("kill"),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=300)
@given(LIVES)
def test_whatever_happens_all_that_was_written_is_read_and_nothing_twice(life: list[tuple[Any, ...]]) -> None:
    """Appends in any pieces, rotations early and late, copies, packing, and `kill -9` at any time."""
    with tempfile.TemporaryDirectory() as directory:
        log = Life(Path(directory))
        log.write(1, half=False)
        log.read(1, 1 << 20)
        log.save()
        for name, *arguments in life:
            getattr(log, name)(*arguments)
        log.end()
    assert log.found == log.expected
    assert not log.tail.losses


@pytest.mark.parametrize("restarts", [False, True], ids=["one life", "restarts"])
@pytest.mark.parametrize("way", ["numbered", "dated", "numbered and packed"])
def test_nothing_is_lost_while_rotation_and_reading_race(logger: Logger, tail: Tail, way: str, restarts: bool) -> None:
    """A logger that writes and is rotated as fast as it can, in another thread."""
    logger.write(b"0\n")
    found = everything(tail)
    rotations = 60 if way == "dated" else 40

    def live() -> None:
        for number in range(1, rotations):
            for line in range(20):
                logger.write(b"%d.%d\n" % (number, line))
            if way == "dated":
                logger.path.rename(f"{logger.path}-{1_790_000_000 + number}")
                logger.reopen()
            else:
                logger.rotate(".gz" if "packed" in way else "")
            logger.write(b"%d\n" % number)
        logger.write(b"end\n")

    thread = threading.Thread(target=live)
    thread.start()
    while thread.is_alive():
        found += tail.read()
        tail = after_restart(tail) if restarts else tail
    thread.join()
    found += everything(tail)
    tail.close()
    lines = [b"0"]
    for number in range(1, rotations):
        lines += [*(b"%d.%d" % (number, line) for line in range(20)), b"%d" % number]
    assert found.splitlines() == [*lines, b"end"]
    assert not tail.losses


def test_a_real_postfix_is_heard_through_its_rotations_and_our_restarts() -> None:
    """postlogd goes on in the renamed file until master hears SIGHUP, and makes the new one at its next line."""
    with Postfix() as postfix:
        tail = Tail(str(postfix.log_path))
        found = tail.read(1000)
        postfix.log_path.rename(postfix.log_path.with_name("mail.log.1"))
        for number in range(1, 5):
            submit(postfix.smtp_port, "a@example.org", ["x@ok.example"], messages=5)
            postfix.wait_for_line("removed", count=5 * number)
            found += tail.read(1000)
            postfix.rotate()
            found += tail.read(1000)
            tail = after_restart(tail)
        postfix.stop()
        found += everything(tail)
        tail.close()
        assert found == b"".join(path.read_bytes() for path in postfix.logs())
        assert found.count(b"status=sent") == 20
        assert not tail.losses
