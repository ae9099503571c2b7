"""How fast logs are read, beside other readers, on the same file in one run.

    python -m benchmarks.reading [--mta postfix] [--lines 500000] [--rounds 3] [--log FILE]
    python -m benchmarks.reading --memory 1000000 10000000 50000000

The log is `benchmarks.reading_log`'s or `reading_sendmail`'s, seeded, so that everybody measures the same. Each tool is
started anew in every round, one after the other, pinned to one core; medians of processor time (user + system) are
compared, since machines are shared, and the peak of its memory is told. With `--memory` only ours reads logs of so many
lines, once each, and its peak is told. What the tools do is not the same:

    grep -c                   counts lines that hold a word: the floor
    pflogsumm                 Postfix reports: the classic, and the measure for ours
    mtail                     its own example program for Postfix: counters
    sma                       Sendmail reports, in C: the measure for ours on Sendmail logs
    logwatch                  its reports on sendmail, as its command runs them
    fail2ban-regex            the `postfix` or `sendmail-auth` filter on a part of the log: it is slow
    expression alone          ours: the regular expression over every chunk, its matches thrown away: our floor
    scan                      ours: events with the columns that the controller needs
    scan + attribution        and for whom each counts
    scan + attribution + rates  and every signal of every key in three windows: what the controller counts

Ours is given per room too, by which it can be seen where the time goes.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path

from benchmarks.reading_log import START, Site, lines
from benchmarks.reading_sendmail import Sendmail

CORE = 0
MTAIL = "/usr/share/doc/mtail/examples/postfix.mtail"
FAIL2BAN = "/etc/fail2ban/filter.d"
SITES = {"postfix": Site, "sendmail": Sendmail}
MEASURE = {"postfix": "pflogsumm", "sendmail": "sma"}
EXPRESSION = "expression alone"
OURS = (EXPRESSION, "scan", "scan + attribution", "scan + attribution + rates")
FAIL2BAN_LINES = 50_000


def ours(rooms: str, log: str) -> None:
    """Read a log as the controller does, as far as the rooms named."""
    from logwatch.commands import COLLECTING
    from logwatch.core import COLUMNS, WINDOWS
    from logwatch.measuring.rates import Rates
    from logwatch.reading.attribute import Attribution
    from logwatch.reading.scan import Scanner
    from logwatch.reading.source import chunks
    from logwatch.reading.stamp import Stamps
    from logwatch.schema import Columns

    gc.set_threshold(*COLLECTING)  # as every command does
    scanner, attribution, rates = Scanner(Stamps(UTC, START), COLUMNS), Attribution(), Rates(WINDOWS)
    spent = [0.0, 0.0, 0.0]
    begin = time.process_time()
    for chunk in chunks(log):
        found = scanner.scan(chunk)
        events: Columns = found
        spent[0] += (scanned := time.process_time()) - begin
        begin = scanned
        if "attribution" in rooms:
            events = attribution.attribute(found)
            spent[1] += (attributed := time.process_time()) - begin
            begin = attributed
        if "rates" in rooms:
            rates.add(events, {})
            rates.expire(attribution.clocks.now)
            spent[2] += (rated := time.process_time()) - begin
            begin = rated
    print(*(f"{seconds:.2f}" for seconds in spent))


def expression(log: str, mta: str) -> None:
    """Find every event of a log, and look at none."""
    from logwatch.core import COLUMNS
    from logwatch.reading.grammar import first_look
    from logwatch.reading.rows import NEEDED, STAMP
    from logwatch.reading.source import chunks

    pattern = first_look(NEEDED.union(COLUMNS, (STAMP,)), frozenset({mta}))
    begin = time.process_time()
    for chunk in chunks(log):
        deque(pattern.regex.finditer(b"\n" + chunk), 0)
    print(f"{time.process_time() - begin:.2f}")


def measured(command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[float, float, str]:
    """Processor seconds, megabytes at the peak, and what a command printed."""
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(  # noqa: S603 - fixed argument lists
            command,
            stdout=said,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {CORE}),  # noqa: PLW1509 - no threads here
            env=environment,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said.read()


def commands(log: str, part: str, mta: str) -> dict[str, list[str]]:
    """What is measured, by name."""
    others = {
        "postfix": {
            "grep -c": ["grep", "-c", "status=sent", log],
            "pflogsumm": ["pflogsumm", log],
            "mtail": ["mtail", "--one_shot", "--progs", MTAIL, "--logs", log],
            "fail2ban-regex": ["fail2ban-regex", part, f"{FAIL2BAN}/postfix.conf"],
        },
        "sendmail": {
            "grep -c": ["grep", "-c", "stat=Sent", log],
            "sma": ["sma", "-q", log],
            "logwatch": ["logwatch", "--service", "sendmail", "--range", "All", "--archives", "n", "--output", "stdout",
                         "--logdir", str(Path(log).parent)],
            "fail2ban-regex": ["fail2ban-regex", part, f"{FAIL2BAN}/sendmail-auth.conf"],
        },
    }  # fmt: skip
    return others[mta] | {name: _ours(name, log, mta) for name in OURS}


def _ours(rooms: str, log: str, mta: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.reading", "--mta", mta, "--ours", rooms, log]


def main() -> None:
    """Measure in rounds, print medians."""
    parser = argparse.ArgumentParser(description="measure readers of mail logs side by side")
    parser.add_argument("--mta", choices=SITES, default="postfix")
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", help="a log of your own, instead of the generated one")
    parser.add_argument("--memory", nargs="+", type=int, metavar="LINES", help="only our peak on logs of so many lines")
    parser.add_argument("--ours", nargs=2, metavar=("ROOMS", "LOG"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ours:
        rooms, log = args.ours
        expression(log, args.mta) if rooms == EXPRESSION else ours(rooms, log)
        return
    with tempfile.TemporaryDirectory(prefix="mailbrake-") as directory:
        path = Path(directory) / "mail.log"  # logwatch looks for that name
        if args.memory:
            _remember(path, args.memory, args.mta)
            return
        log = args.log or str(_written(path, lambda: lines(args.lines, site=SITES[args.mta])))
        with Path(log).open("rb") as file:
            count = sum(1 for _ in file)
            file.seek(0)
            part = str(_written(Path(directory) / "part", lambda: [next(file) for _ in range(FAIL2BAN_LINES)]))
        _report(commands(log, part, args.mta), count, args.rounds, MEASURE[args.mta])


def _remember(log: Path, counts: Sequence[int], mta: str) -> None:
    for count in counts:
        _written(log, lambda count=count: lines(count, site=SITES[mta]))  # type: ignore[misc]
        seconds, memory, _ = measured(_ours(OURS[-1], str(log), mta), _ENVIRONMENT)
        print(f"{count:12,} lines {seconds:8.1f} CPU s {memory:6.0f} MB at the peak", flush=True)


def _written(path: Path, make: Callable[[], object]) -> Path:
    with path.open("wb") as file:
        file.writelines(make())  # type: ignore[arg-type]
    return path


_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path.cwd())}


def _report(tools: dict[str, list[str]], count: int, rounds: int, measure: str) -> None:
    runs: dict[str, list[tuple[float, float, str]]] = {name: [] for name in tools}
    for _ in range(rounds):
        for name, command in tools.items():
            runs[name].append(measured(command, _ENVIRONMENT))
    seconds = {name: statistics.median(second for second, _, _ in run) for name, run in runs.items()}
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {count:,} lines")
    print(f"{'':30}{'CPU s':>8}{'lines/s':>12}{f'of {measure}':>14}{'peak MB':>9}")
    rate = {name: (FAIL2BAN_LINES if "fail2ban" in name else count) / seconds[name] for name in tools}
    for name, run in runs.items():
        peak = max(memory for _, memory, _ in run)
        print(f"{name:30}{seconds[name]:8.2f}{rate[name]:12,.0f}{rate[name] / rate[measure]:13.2f}x{peak:9.0f}")
    for name, what in ((EXPRESSION, "expression"), (OURS[-1], "rooms (scan, attribution, rates)")):
        print(f"{what}, CPU s without start-up:", sorted(run[2] for run in runs[name])[rounds // 2].strip())


if __name__ == "__main__":
    main()
