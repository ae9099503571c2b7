"""Signals of a process in which libmilter wants them too: they come to the main thread, and to it alone.

libmilter starts a thread that waits for SIGTERM, SIGINT and SIGHUP (sigwait(3)). It stops at any of them, looks at that
every five seconds only, and may call it a failure. The kernel hands a signal to the main thread where that does not
block it and has no other one pending, but whoever asks first takes it. So libmilter's thread must be asleep when one
comes:
* Up to then they have their default action: the kernel ends the process at once, before anybody could take them.
* Then the main thread handles them. What libmilter still gets, of two that come at once, wakes its thread, which is
  noticed within a tick.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_STOPS = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = {*_STOPS, signal.SIGHUP}
_TICK = 1.0  # seconds
_SOON = 2.0  # seconds in which libmilter's thread falls asleep, unless there is no /proc to see it in
_TASKS = Path("/proc/self/task")


def keep_from_threads() -> None:
    """Leave them to the main thread, which is this one; before any other one is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def until_stopped(
    serve: Callable[[], None],
    ready: Callable[[], None],
    ticks: Iterable[Callable[[], None]],
    again: Callable[[], None],
) -> str:
    """Run `serve`, libmilter, beside this thread until it is to stop or ends; why it failed (OSError), or "".

    `ready` is called once, when signals are in good hands; `again` at SIGHUP; `ticks` once a second and after signals.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    libmilter = _Served(serve)
    if libmilter.is_up():
        came = _Came(libmilter.ended)
        ready()
        while not came.stop and not libmilter.was_told():
            came.wait()
            if came.hangup():
                again()
            for tick in ticks:
                tick()
    return libmilter.failure


class _Came:
    """Signals that came. Handlers only note them: they interrupt the main thread anywhere, also where it has a lock."""

    def __init__(self, ended: int) -> None:
        """`ended` becomes readable when there is nothing more to wait for."""
        self._came: set[int] = set()
        self._ended = ended
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        for number in _SIGNALS:
            signal.signal(number, lambda number, _frame: self._came.add(number))

    def wait(self) -> None:
        """Until one comes, or for a tick."""
        found = select.select([self._woken, self._ended], [], [], _TICK)[0]
        if self._woken in found:
            os.read(self._woken, 4096)
        if self._ended in found:
            self._came.add(signal.SIGTERM)

    @property
    def stop(self) -> bool:
        """Whether it is to stop."""
        return bool(self._came & _STOPS)

    def hangup(self) -> bool:
        """Whether there was a SIGHUP since this was last asked."""
        found = signal.SIGHUP in self._came
        self._came.discard(signal.SIGHUP)
        return found


class _Served:
    """libmilter in a thread of its own; `ended`, a file descriptor, can be read when it has ended."""

    def __init__(self, serve: Callable[[], None]) -> None:
        self.failure = ""
        self.ended, self._end = os.pipe()
        self._serve = serve
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._waiter = self._find_waiter()

    def is_up(self) -> bool:
        """False if it ended before it began."""
        return self._thread.is_alive()

    def was_told(self) -> bool:
        """Whether libmilter got a signal: the thread that waits for them waits no more."""
        return self._waiter is not None and all(_blocks(self._waiter) for _ in _twice())

    def _run(self) -> None:
        keep_from_threads()
        try:
            self._serve()
        except OSError as error:
            if not self.was_told():
                self.failure = str(error)
        finally:
            os.write(self._end, b"\0")

    def _find_waiter(self) -> str | None:
        """The id of the thread that waits for signals, once it does: of all others, none lets them through."""
        ours = {str(os.getpid()), str(self._thread.native_id)}  # the latter blocks them in a moment
        deadline = time.monotonic() + _SOON
        while self._thread.is_alive() and time.monotonic() < deadline:
            for task in _tasks():
                if task not in ours and not _blocks(task):
                    return task
            time.sleep(0.001)
        return None


def _twice() -> Iterator[None]:
    """With a moment in between, in which a thread that was only stopped and continued falls asleep again."""
    yield
    time.sleep(0.01)
    yield


def _tasks() -> list[str]:
    try:
        return os.listdir(_TASKS)  # noqa: PTH208  names are all we want
    except OSError:
        return []


def _blocks(task: str) -> bool:
    """Whether a thread blocks SIGTERM, or has ended; sigwait(3) unblocks it while it waits."""
    try:
        status = (_TASKS / task / "status").read_text()
    except OSError:
        return True
    blocked = status.partition("\nSigBlk:")[2].partition("\n")[0]
    return bool(int(blocked, 16) >> (signal.SIGTERM - 1) & 1)
