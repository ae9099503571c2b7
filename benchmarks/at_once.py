"""What the guard costs when many logins are abused within the same hour: floods, with it, with a wider one, without.

    python -m benchmarks.at_once [--sizes 300:20,300:100] [--guards "guard 10, or 2%;guard 20%;guard 100000"]

The people are those of `hosted`; on the third Monday, between two and three, so many of their logins begin to send 600
to 6,500 messages an hour each, for two hours. The loop is closed (`closed_loop`), the policy the shipped one.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import takewhile

from benchmarks.closed_loop import ClosedLoop
from benchmarks.detection import stopped, table
from benchmarks.traffic.hosted import Hosted
from benchmarks.traffic.scene import DAY, HOUR, START, Event
from logwatch.judging.language import SHIPPED, parse

_BEGIN = START + 14 * DAY + 2 * HOUR
_HEAD = ("accounts", "abused", "guard", "stopped", "leak beyond first med / p95", "got through")


class Storm(Hosted):
    """Two weeks as usual, then many floods at once."""

    called = "storm"

    def __init__(self, seed: int, accounts: int, abused: int) -> None:
        super().__init__(seed, accounts, each=0)
        self._plans = [("flood", _BEGIN + self.pick.uniform(0, HOUR)) for _ in range(abused)]

    def events(self) -> Iterator[Event]:
        """Up to some hours after the last flood."""
        return takewhile(lambda event: event.time < _BEGIN + 6 * HOUR, super().events())


def measure(accounts: int, abused: int, guard: str) -> tuple[str, ...]:
    """A row of the table."""
    run = ClosedLoop(Storm(1, accounts, abused), parse(f"{guard}\n{SHIPPED.read_text()}")).run()
    outcomes = list(run.outcomes.values())
    leaks = sorted(sum(outcome.delivered[1:]) for outcome in outcomes)
    tried = sum(outcome.attempted for outcome in outcomes)
    return (
        f"{accounts:,}",
        str(abused),
        guard.removeprefix("guard "),
        f"{100 * sum(map(stopped, outcomes)) / len(outcomes):.0f} %",
        f"{statistics.median(leaks):,.0f} / {leaks[round(0.95 * (len(leaks) - 1))]:,}",
        f"{sum(sum(outcome.delivered) for outcome in outcomes) / tried:.1%}",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.at_once", description=__doc__)
    parser.add_argument("--sizes", default="300:20,300:100")
    parser.add_argument("--guards", default="guard 10, or 2%;guard 20%;guard 100000")
    args = parser.parse_args()
    sizes = [tuple(map(int, size.split(":"))) for size in args.sizes.split(",")]
    jobs = [(accounts, abused, guard) for accounts, abused in sizes for guard in args.guards.split(";")]
    with ProcessPoolExecutor() as pool:
        print(table(_HEAD, pool.map(measure, *zip(*jobs, strict=True))))


if __name__ == "__main__":
    main()
