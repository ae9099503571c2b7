"""Line written → decision readable in the table, beside a follower that does nothing but write a record per line.

    python -m benchmarks.latency [--lines-per-second 2000] [--seconds 20]

Both follow the same kind of log, written at the same pace in turn: lines of ordinary messages, and among them, ten
times a second, one that must be decided upon. Time is taken from the write of that line until a reader that asks all
the time finds the key; and, in a run of its own, until `mailbrake milter`, asked all the time, answers the login's MAIL
otherwise than before.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import lmdb

from benchmarks import contestants, mta_side
from enforce.table import Denied, Reader

POLICY = "guard 100000\nrule flood per account: when recipients in 10m > 20 tempfail for 1h mode enforce\n"
CONFIG = """\
[log]
files = ["{log}"]
[policy]
file = "{directory}/policy"
mode = "enforce"
[state]
directory = "{directory}/state"
[milter]
socket = "unix:{directory}/milter.sock"
syslog = ""
"""
FOLLOWER = """\
import sys, threading, lmdb
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer
path, table = sys.argv[1:]
woken = threading.Event()
class Wake(FileSystemEventHandler):
    def on_modified(self, event): woken.set()
observer = Observer(); observer.schedule(Wake(), path.rpartition("/")[0]); observer.start()
env = lmdb.open(table, map_size=1 << 30, metasync=False)
log, rest = open(path, "rb"), b""
while True:
    lines = (rest + log.read()).split(b"\\n"); rest = lines.pop()
    if lines:
        with env.begin(write=True) as txn:
            for line in lines:
                txn.put(line[-24:], line)
    else:
        woken.wait(1); woken.clear()
"""


def ordinary(number: int) -> str:
    """The lines of a message that nobody minds."""
    stamp, queue_id = datetime.now().strftime("%b %e %H:%M:%S"), f"4j{number:010d}z9Hg"
    return (
        f"{stamp} mx1 postfix/submission/smtpd[7]: {queue_id}: client=unknown[192.0.2.1], sasl_method=PLAIN, "
        f"sasl_username=user{number}\n{stamp} mx1 postfix/cleanup[8]: {queue_id}: message-id=<{queue_id}@mx1>\n"
        f"{stamp} mx1 postfix/qmgr[9]: {queue_id}: from=<x@example.org>, size=300, nrcpt=1 (queue active)\n"
        f"{stamp} mx1 postfix/smtp[5]: {queue_id}: to=<y@example.net>, relay=mx[192.0.2.9]:25, delay=1, "
        f"delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n{stamp} mx1 postfix/qmgr[9]: {queue_id}: removed\n"
    )


def hijacked(number: int) -> str:
    """A message to 25, the last line of which tips; the login ends the line before."""
    stamp, queue_id = datetime.now().strftime("%b %e %H:%M:%S"), f"4k{number:010d}z9Hg"
    return (
        f"{stamp} mx1 postfix/submission/smtpd[7]: {queue_id}: client=unknown[192.0.2.1], sasl_method=PLAIN, "
        f"sasl_username=bad{number:08d}\n"
        f"{stamp} mx1 postfix/qmgr[9]: {queue_id}: from=<bad{number:08d}>, size=1, nrcpt=25 (queue active)\n"
    )


def measure(log: Path, listed: Callable[[int], bool], lines_per_second: int, seconds: int) -> list[float]:
    """Seconds from each tipping line to its key being found."""
    waiting: dict[int, float] = {}
    found: list[float] = []
    with log.open("a", buffering=1 << 20) as out:
        begun, written, tipped = time.monotonic(), 0, 0
        while (elapsed := time.monotonic() - begun) < seconds or (waiting and elapsed < seconds + 5):
            while elapsed < seconds and written < elapsed * lines_per_second:
                out.write(ordinary(written))
                written += 5
                out.flush()
            if elapsed < seconds and tipped < elapsed * 10:
                out.write(hijacked(tipped))
                out.flush()
                waiting[tipped] = time.monotonic()
                tipped += 1
            for number in [number for number in waiting if listed(number)]:
                found.append(time.monotonic() - waiting.pop(number))
            threading.Event().wait(0.0003)
    assert not waiting, f"{len(waiting)} of {tipped} never came"
    return found


@contextlib.contextmanager
def watching(directory: Path) -> Iterator[Path]:
    """`mailbrake watch` on a log in the directory; its configuration, once there is a table."""
    (directory / "mail.log").touch()
    (directory / "policy").write_text(POLICY)
    config = directory / "mailbrake.toml"
    config.write_text(CONFIG.format(log=directory / "mail.log", directory=directory))
    with contestants.running([sys.executable, "-m", "logwatch", "watch", "--config", str(config)], _table(directory)):
        yield config


def _table(directory: Path) -> Path:
    return directory / "state" / "table" / "data.mdb"


def table(directory: Path, lines_per_second: int, seconds: int) -> list[float]:
    """Until the table has it."""
    with watching(directory):
        reader = Reader(_table(directory).parent)
        return measure(
            directory / "mail.log",
            lambda number: isinstance(reader.look_up([f"account:bad{number:08d}"], time.time()), Denied),
            lines_per_second,
            seconds,
        )


def reply(directory: Path, lines_per_second: int, seconds: int) -> list[float]:
    """Until the milter says so."""
    with contextlib.ExitStack() as stack:
        config = stack.enter_context(watching(directory))
        command = [sys.executable, "-m", "enforce.main", "--config", str(config)]
        path, _ = stack.enter_context(contestants.running(command, directory / "milter.sock"))
        connection = mta_side.opened(stack, path)

        def refused(number: int) -> bool:
            return mta_side.answer(connection, mta_side.mail(f"bad{number:08d}")) == mta_side.REPLY

        return measure(directory / "mail.log", refused, lines_per_second, seconds)


def follower(directory: Path, lines_per_second: int, seconds: int) -> list[float]:
    """The program that does nothing else; its keys are the ends of lines."""
    log = directory / "mail.log"
    log.touch()
    process = subprocess.Popen([sys.executable, "-c", FOLLOWER, str(log), str(directory / "table")])
    try:
        while not (directory / "table" / "data.mdb").exists():
            threading.Event().wait(0.05)
        env = lmdb.open(str(directory / "table"), map_size=1 << 30, readonly=True)

        def listed(number: int) -> bool:
            with env.begin() as txn:
                return txn.get(f"sasl_username=bad{number:08d}".encode()[-24:]) is not None

        return measure(log, listed, lines_per_second, seconds)
    finally:
        process.terminate()
        process.wait()


def percentiles(values: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(values, n=100)
    return 1000 * cuts[49], 1000 * cuts[98]


def main() -> None:
    """All, in turn, three times; medians, and those of the ratios to the follower in the same turn."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--lines-per-second", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    runs = {"follower": follower, "table": table, "reply": reply}
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(3):
        for name, run in runs.items():
            with tempfile.TemporaryDirectory() as directory:
                results[name].append(percentiles(run(Path(directory), args.lines_per_second, args.seconds)))
    for name, found in results.items():
        pairs = zip(found, results["follower"], strict=True)
        ratios = [(one[0] / other[0], one[1] / other[1]) for one, other in pairs]
        p50, p99 = (statistics.median(column) for column in zip(*found, strict=True))
        of_p50, of_p99 = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"{name:<10} p50 {p50:7.1f} ms ({of_p50:4.1f} x)   p99 {p99:7.1f} ms ({of_p99:4.1f} x)")


if __name__ == "__main__":
    main()
