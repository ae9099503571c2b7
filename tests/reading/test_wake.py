"""Being woken: what is appended wakes at once, our own reading does not, and where nothing wakes, a poll serves."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, thread_time

from watchdog.observers.api import BaseObserver, EventEmitter

from logwatch.reading.duty_cycle import AHEAD, GATHER
from logwatch.reading.follow import Follower, Wake
from tests.reading.test_tail import switched

LONG = 30.0  # seconds: far more than a wake takes, so that whoever returns earlier was woken
QUIET = 0.2  # seconds in which nothing comes


class Deaf(EventEmitter):
    """An emitter on a file system that reports nothing, as network file systems do."""

    def queue_events(self, timeout: float) -> None:
        self.stopped_event.wait(timeout)


class Refused(EventEmitter):
    """An emitter where the system has no more watches to give."""

    def on_thread_start(self) -> None:
        raise OSError(28, "No space left on device")


@contextmanager
def waking(directories: Callable[[], list[str]], emitter: type[EventEmitter] | None = None) -> Iterator[Wake]:
    wake = Wake(directories, BaseObserver(emitter) if emitter else None)
    wake.wait(0)
    try:
        yield wake
    finally:
        wake.close()


def append(path: Path, text: str = "one\n") -> None:
    with path.open("a") as file:
        file.write(text)


def drained(wake: Wake) -> None:
    """Everything that has happened so far has been reported."""
    while wake.wait(QUIET):
        pass


def test_what_is_appended_wakes_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.touch()
    times = []
    with waking(lambda: [str(tmp_path)]) as wake:
        for _ in range(5):
            drained(wake)
            begin = monotonic()
            append(log)
            assert wake.wait(LONG)
            times.append(monotonic() - begin)
    assert min(times) < 0.1


def test_a_rotation_wakes(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    with waking(lambda: [str(tmp_path)]) as wake:
        for change in (log.touch, lambda: log.rename(tmp_path / "mail.log.1"), (tmp_path / "mail.log.1").unlink):
            drained(wake)
            change()
            assert wake.wait(LONG)


def test_our_own_reading_does_not_wake(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    append(log)
    follower = Follower([str(log)], {})
    with waking(follower.directories) as wake:
        drained(wake)
        assert [piece for _, piece in follower.read()] == [b"one\n"]
        assert not wake.wait(QUIET)
        follower.close()
        assert not wake.wait(QUIET)
        append(log)
        assert wake.wait(LONG)


def test_a_directory_is_watched_as_soon_as_it_is_there_and_when_it_is_made_anew(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with waking(lambda: [str(directory)]) as wake:
        assert not wake.wait(0)
        for _ in range(2):
            directory.mkdir()
            assert not wake.wait(0)
            append(directory / "mail.log")
            assert wake.wait(LONG)
            (directory / "mail.log").rename(tmp_path / "away")
            directory.rmdir()
            drained(wake)


def test_a_directory_that_is_exchanged_between_two_looks_is_watched(tmp_path: Path) -> None:
    """Its name was always there, and is another directory's now."""
    directory = tmp_path / "log"
    directory.mkdir()
    with waking(lambda: [str(directory)]) as wake:
        directory.rename(tmp_path / "old")
        directory.mkdir()
        drained(wake)
        append(directory / "mail.log")
        assert wake.wait(LONG)


def test_the_file_behind_a_symbolic_link_wakes_though_it_lies_elsewhere(tmp_path: Path) -> None:
    link = tmp_path / "mail.log"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        append(tmp_path / name / "mail.log")
    link.symlink_to(tmp_path / "one" / "mail.log")
    follower = Follower([str(link)], {})
    with waking(follower.directories) as wake:
        drained(wake)
        append(tmp_path / "one" / "mail.log")
        assert wake.wait(LONG)
        switched(link, tmp_path / "two" / "mail.log")
        drained(wake)
        append(tmp_path / "two" / "mail.log")
        assert wake.wait(LONG)
    follower.close()


def test_where_nothing_is_reported_a_poll_serves(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    follower = Follower([str(log)], {})
    with waking(follower.directories, Deaf) as wake:
        append(log)
        assert not wake.wait(0.01)
        assert [piece for _, piece in follower.read()] == [b"one\n"]
    follower.close()


def test_a_watch_that_is_refused_is_told_and_not_fatal(tmp_path: Path) -> None:
    with waking(lambda: [str(tmp_path)], Refused) as wake:
        assert wake.problem == (
            f"{tmp_path}: changes are not reported (No space left on device); it is looked at once a second"
        )
        assert not wake.wait(0)


def test_it_can_be_woken_by_hand_before_or_while_it_waits(tmp_path: Path) -> None:
    with waking(lambda: [str(tmp_path)]) as wake:
        wake.wake()
        assert wake.wait(LONG)
        assert not wake.wait(0)


def test_a_storm_of_changes_takes_half_a_core(tmp_path: Path) -> None:
    """It rests for the processor time that the work of each wake took, but for the first of it; lines gather then."""
    with waking(lambda: [str(tmp_path)]) as wake:
        begin = monotonic()
        for _ in range(20):
            wake.wake()
            assert wake.wait(LONG)
            worked = thread_time() + GATHER
            while thread_time() < worked:
                pass
        assert monotonic() - begin >= (20 + 19) * GATHER - 2 * AHEAD


def test_it_rests_no_longer_than_lines_may_gather(tmp_path: Path) -> None:
    """After much work, as when there was much to catch up with."""
    with waking(lambda: [str(tmp_path)]) as wake:
        wake.wake()  # the first: it seems to have worked for ever
        begin = monotonic()
        assert wake.wait(LONG)
        assert monotonic() - begin < LONG


STORM = """
import signal
from logwatch.reading.follow import Wake
wake = Wake(lambda: [])
signal.signal(signal.SIGALRM, lambda *_: wake.wake())
signal.setitimer(signal.ITIMER_REAL, 2e-4, 2e-4)
for _ in range(300):
    wake.wait(1e-4)
signal.setitimer(signal.ITIMER_REAL, 0)
wake.close()
"""


def test_a_signal_may_come_at_any_moment() -> None:
    """Its handler wakes whoever waits, in the midst of waiting; in a process of its own, which else might never end."""
    subprocess.run([sys.executable, "-c", STORM], check=True, timeout=60)
