"""When somebody writes, and to whom of his contacts, who are numbered.

`Trace` replays real senders (columns: sender, recipient, epoch second, weight; rows of one sender and second are one
message). `Process` makes its own: sessions by a rate with daily and weekly cycles, gamma noise from day to day.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.traffic.scene import DAY

Sendings = list[tuple[float, tuple[int, ...]]]  # second of the day, contacts
Source = Callable[[int], Sendings]  # by day of the month, 0 is a Monday

_KEPT = Path("shared", "data", "radoslaw.edges")  # beside the project, or further up where it is a worktree
TRACE = next((up / _KEPT for up in Path(__file__).resolve().parents[3:] if (up / _KEPT).exists()), _KEPT)
_MONDAY = 1_262_563_200  # the first one in the trace
_WEEKS = 33
OFFICE = (7, 7, 4, 3, 3, 2, 1, 1, 7, 24, 66, 106, 115, 105, 103, 102, 106, 92, 57, 33, 22, 13, 12, 8)
WEEKEND = (0.35, 0.05, 0.2)


class Trace:
    """Real senders' messages."""

    def __init__(self, path: Path = TRACE) -> None:
        found: dict[int, dict[int, list[int]]] = {}
        for row in path.read_text().split("\n"):
            if row:
                sender, recipient, second = map(int, row.split()[:3])
                found.setdefault(sender, {}).setdefault(second - _MONDAY, []).append(recipient)
        self._messages = {sender: sorted(times.items()) for sender, times in found.items()}
        self._senders = sorted(self._messages)

    def source(self, pick: random.Random, days: int) -> Source:
        """One account: a stretch of a real sender, weekdays kept, moved by up to an hour, some messages left out."""
        messages: list[tuple[int, list[int]]] = []
        while len(messages) < 3:
            begin = pick.randrange(_WEEKS) * 7 * int(DAY)
            known = self._messages[pick.choice(self._senders)]
            messages = [(time - begin, to) for time, to in known if 0 <= time - begin < days * DAY]
        shift, kept = pick.uniform(-3600, 3600), pick.uniform(0.6, 1.0)
        by_day: dict[int, Sendings] = {}
        for time, to in messages:
            if pick.random() < kept:
                moved = max(0.0, time + shift + pick.expovariate(1 / 60))
                by_day.setdefault(int(moved // DAY), []).append((moved % DAY, tuple(to)))
        return lambda day: by_day.get(day, [])


class Process:
    """Made-up senders."""

    def source(self, pick: random.Random, _days: int) -> Source:
        """One account."""
        rate = min(40.0, pick.lognormvariate(math.log(0.6), 1.5))
        weekend, late = pick.choice(WEEKEND), pick.choices((0, -3, 6), (70, 15, 15))[0]
        fresh, history = pick.uniform(0.02, 0.1), [0]

        def contact() -> int:
            if pick.random() < fresh + 0.3 * math.exp(-len(history) / 20):
                history.append(max(history) + 1)
            else:
                history.append(pick.choice(history))
            return history[-1]

        def day(number: int) -> Sendings:
            mean = rate * (weekend if number % 7 >= 5 else 1.25) * pick.gammavariate(0.65, 1 / 0.65)
            sendings: Sendings = []
            for _ in range(_poisson(pick, mean / 1.4)):
                second = (pick.choices(range(24), OFFICE)[0] + late + pick.random()) % 24 * 3600
                for _ in range(1 + int(pick.expovariate(1) * 0.6)):
                    sendings.append((second, tuple({contact() for _ in range(how_many(pick))})))
                    second = min(DAY - 1, second + pick.expovariate(1 / 90))
            return sendings

        return day


def best() -> Trace | Process:
    """The real trace where it is at hand."""
    return Trace() if TRACE.exists() else Process()


def how_many(pick: random.Random) -> int:
    """Recipients of a message: mostly one, with a power-law tail (exponent 2.4)."""
    return 1 if pick.random() < 0.84 else min(60, int((1 - pick.random()) ** (-1 / 1.4) * 2))


def _poisson(pick: random.Random, mean: float) -> int:
    count, left = 0, mean
    while (left := left - pick.expovariate(1)) > 0:
        count += 1
    return count
