"""The threads of notifications: one that groups what happened, one for each channel that sends, and sends again."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from logwatch.telling.notify.channels import Channel, UnsentError
from logwatch.telling.notify.grouping import Grouping
from logwatch.telling.notify.message import KINDS, Happening, Message

_ROOM = 4096  # happenings waiting to be grouped
_MESSAGES = 16  # messages waiting for a channel
_BACKOFF = (5.0, 30.0, 120.0, 600.0)  # seconds before a message is tried again
_PATIENCE = 3.0  # seconds for the last messages to be sent

log = logging.getLogger("mailbrake.notify")


class Clocks(NamedTuple):
    """Where time comes from: one clock that never steps back, and the one on the wall."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]


class Notifications:
    """Takes what happened, and tells it through every channel; `tell` returns at once, whatever becomes of it."""

    def __init__(
        self,
        channels: Sequence[Channel],
        grouping: Grouping,
        clocks: Clocks,
        about: Collection[str] = tuple(KINDS),
        backoff: Sequence[float] = _BACKOFF,
    ) -> None:
        self._about = frozenset(about)
        self._clocks = clocks
        self._grouping = grouping
        self._happened: queue.Queue[Happening | None] = queue.Queue(_ROOM)
        self._dropped = 0  # happenings for which there was no room
        self._lost = 0  # of those, how many were told as lost
        self._couriers = [Courier(channel, backoff) for channel in channels]
        self._thread = threading.Thread(target=self._run, daemon=True, name="notifications")
        self._thread.start()

    def tell(self, happening: Happening) -> None:
        """Hand something over."""
        if not self._couriers or happening.about not in self._about:
            return
        try:
            self._happened.put_nowait(happening)
        except queue.Full:
            self._dropped += 1

    def outcomes(self) -> dict[tuple[str, ...], float]:
        """How many messages each channel sent, failed to send, or dropped; and what happened too fast to be grouped."""
        total: Counter[tuple[str, ...]] = Counter({("queue", "dropped"): self._dropped})
        for courier in self._couriers:
            total.update({(courier.name, outcome): count for outcome, count in courier.outcomes.items()})
        return dict(total)

    def close(self, patience: float = _PATIENCE) -> None:
        """Tell what still waits, in at most about `patience` seconds."""
        try:
            self._happened.put(None, timeout=patience)
        except queue.Full:
            return  # stalled to the end
        self._thread.join(patience)
        for courier in self._couriers:
            courier.end()
        until = time.monotonic() + patience
        for courier in self._couriers:
            courier.wait(until - time.monotonic())

    def _run(self) -> None:
        going_on = True
        while going_on:
            going_on = self._gather()
            now, wall = self._clocks.monotonic(), self._clocks.wall()
            if message := self._grouping.take(now, wall, all_of_it=not going_on):
                for courier in self._couriers:
                    courier.hand_over(message)

    def _gather(self) -> bool:
        """Wait for something to happen or to be due, and take in all that did; False at the end."""
        wait = self._grouping.due_in(self._clocks.monotonic())
        try:
            happening = self._happened.get(timeout=wait)
            while happening is not None:
                self._grouping.add(happening)
                happening = self._happened.get_nowait()
            return False
        except queue.Empty:
            return True
        finally:
            dropped = self._dropped
            self._grouping.lose(dropped - self._lost)
            self._lost = dropped


class Courier:
    """Sends messages through one channel, each again after a while if that may help."""

    def __init__(self, channel: Channel, backoff: Sequence[float]) -> None:
        self.name = channel.name
        self.outcomes: Mapping[str, int] = {"sent": 0, "failed": 0, "dropped": 0}  # replaced, never changed
        self._send = channel.send
        self._backoff = backoff
        self._untold = 0  # happenings in messages that were lost
        self._lock = threading.Lock()
        self._messages: queue.Queue[Message | None] = queue.Queue(_MESSAGES)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"notify {channel.name}")
        self._thread.start()

    def hand_over(self, message: Message) -> None:
        """Have a message sent; returns at once."""
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            self._lose(message, "dropped", "too many messages wait")

    def end(self) -> None:
        """Send what waits, once more, and nothing after it."""
        self._ending.set()
        with contextlib.suppress(queue.Full):
            self._messages.put_nowait(None)

    def wait(self, patience: float) -> None:
        """Let it end; what cannot be sent in `patience` seconds is lost."""
        self._thread.join(max(0.0, patience))
        if self._thread.is_alive():
            log.warning("notifications by %s were not all sent: it takes too long", self.name)

    def _run(self) -> None:
        while (message := self._messages.get()) is not None:
            untold = self._untold
            try:
                self._try(message._replace(lost=message.lost + untold))
                self._count("sent", -untold)
            except UnsentError as error:
                self._lose(message, "failed", str(error))

    def _try(self, message: Message) -> None:
        """Send, and again after each wait; UnsentError when that is of no use any more."""
        for wait in self._backoff:
            try:
                return self._send(message)
            except UnsentError as error:
                if not error.again or self._ending.is_set():
                    raise
                log.info("a notification by %s will be sent again in %g s: %s", self.name, wait, error)
            self._ending.wait(wait)
        return self._send(message)

    def _lose(self, message: Message, outcome: str, why: str) -> None:
        self._count(outcome, sum(message.counts.values()) + message.lost)
        log.warning("a notification by %s was lost: %s", self.name, why)

    def _count(self, outcome: str, untold: int) -> None:
        with self._lock:
            self._untold += untold
            self.outcomes = {**self.outcomes, outcome: self.outcomes[outcome] + 1}
