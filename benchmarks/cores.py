"""How much faster archives are replayed on two cores than on one.

    python -m benchmarks.cores [--lines 500000] [--rounds 3]

The log is `benchmarks.reading_log`'s. Each run is a process of its own, pinned to one core or to two, in turn; with two
the log is read in a second process (`logwatch.read_ahead`). What is compared is the time from first byte to last
decision of the shipped policy, without start-up. On a busy machine the two processes wait for a core: what would be
without that is given too, the processor seconds of one run over those of the busier of its two processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.reading_log import lines
from enforce.config import Config
from logwatch.judging.policy import ENFORCE
from logwatch.rerun import rerun, start_of
from logwatch.settings import core_of, policy_of

Run = tuple[float, float, float]  # seconds by the clock, of this process, and of the other


def run(log: str) -> Run:
    """Replay a log."""
    config = Config()
    core = core_of(config, policy_of(config), start_of([log], None, time.time()), ENFORCE)
    begun, spent = time.monotonic(), time.process_time()
    for _ in rerun(core, [log], time.time()):
        pass
    other = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - begun, time.process_time() - spent, other.ru_utime + other.ru_stime


def apart(log: str, cores: set[int]) -> Run:
    """The same in a process that may use these cores only."""
    child = subprocess.run(  # noqa: S603 - a fixed argument list
        [sys.executable, "-m", "benchmarks.cores", "--run", log],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    clock, here, there = map(float, child.stdout.split())
    return clock, here, there


def main() -> None:
    """Measure in turn, print medians."""
    parser = argparse.ArgumentParser(description="measure a replay on one core and on two")
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(*run(args.run))
        return
    with tempfile.TemporaryDirectory(prefix="mailbrake-") as directory:
        log = Path(directory) / "mail.log"
        with log.open("wb") as file:
            file.writelines(lines(args.lines))
        pairs = [(apart(str(log), {0}), apart(str(log), {0, 1})) for _ in range(args.rounds)]
    one, two = (statistics.median(pair[number][0] for pair in pairs) for number in (0, 1))
    busier = statistics.median(max(pair[1][1:]) for pair in pairs)
    spent = statistics.median(pair[0][1] for pair in pairs)
    print(f"one core {one:.2f} s ({args.lines / one:,.0f} lines/s), two {two:.2f} s: {one / two:.2f}x by the clock")
    print(f"processor seconds: {spent:.2f} in one process; the busier of two {busier:.2f}: {spent / busier:.2f}x")


if __name__ == "__main__":
    main()
