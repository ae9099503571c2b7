"""Many gateways beside one machine: how soon a line tells on every table, how many lines are decided on, and more.

    python -m benchmarks.cluster [--probes 60] [--lines 60000] [--only latency,throughput,takeover,spool]

Everything runs on this machine, over loopback and TLS: a stream server that syncs every write, two controllers, three
gateways. One machine means `mailbrake watch` on a log, and its table. All run one after the other.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import reading_log
from enforce.table import Denied, Reader
from logwatch.telling.journal import Journal
from logwatch.telling.journal_file import JournalError
from tests.cluster.site import POLICY, Site, wait_for

GATEWAYS = ("mx1", "mx2", "mx3")
_ALONE = """
[log]
files = ["{directory}/mail.log"]
[policy]
file = "{directory}/policy"
mode = "enforce"
[state]
directory = "{directory}/state"
[milter]
syslog = ""
"""


class Alone:
    """One machine, with the same words as a Site."""

    gateways = ("mx1",)

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "mail.log"
        self.log.touch()
        (directory / "policy").write_text(POLICY)
        (directory / "mailbrake.toml").write_text(_ALONE.format(directory=directory))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run the controller."""
        command = [sys.executable, "-m", "logwatch", "watch", "--config", str(self.directory / "mailbrake.toml")]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command

    def reader(self, _: str) -> Reader:
        """The table's."""
        return Reader(self.directory / "state" / "table")

    def close(self) -> None:
        """End the controller."""
        if self._process:
            self._process.terminate()
            self._process.wait()


# Line written → refused everywhere.


def latency(probes: int) -> None:
    """How soon what is written tells everywhere."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        alone = Alone(Path(directory))
        try:
            alone.start()
            wait_for(lambda: not alone.reader("").state(time.time()).reason, "the table")
            rows.append(("one machine", _probe(alone, [alone.log], probes)))
        finally:
            alone.close()
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory), GATEWAYS, ("c1", "c2"))
        try:
            site.start_all()
            logs = [site.directory / f"{name}.log" for name in GATEWAYS]
            rows.append(("3 gateways, quiet", _probe(site, logs, probes)))
            rows.append(("3 gateways, whole seconds", _probe(site, logs, probes, coarse=True)))
            with _busy(logs, GATEWAYS):
                rows.append(("3 gateways, 100 lines/s each", _probe(site, logs, probes)))
        finally:
            site.close()
    print("\n| line written → refused on every gateway, ms | p50 | p99 |\n| --- | --- | --- |")
    for name, found in rows:
        ordered = sorted(found)
        print(f"| {name} | {statistics.median(ordered):.0f} | {ordered[int(len(ordered) * 0.99) - 1]:.0f} |")


_number = 0


def _probe(where: Alone | Site, logs: list[Path], probes: int, *, coarse: bool = False) -> list[float]:
    """Milliseconds, for each account that comes to send too much at once on one of the gateways."""
    global _number  # noqa: PLW0603 - logins are used once
    for host, path in zip(GATEWAYS, logs, strict=False):  # so that each is known to write such stamps
        with path.open("a") as log:
            log.writelines(_message(host, "warm", 1, coarse=coarse))
    time.sleep(3)
    readers = [where.reader(name) for name in where.gateways]
    found, dice = [], random.Random(1)  # noqa: S311
    for _ in range(probes):
        _number += 1
        login, place = f"probe{_number}", dice.randrange(len(logs))
        with logs[place].open("a") as log:
            log.writelines(_message(GATEWAYS[place], login, 25, coarse=coarse))
        begun = time.perf_counter()
        left = list(readers)
        while left:
            left = [r for r in left if not isinstance(r.look_up([f"account:{login}"], time.time()), Denied)]
            time.sleep(0.0005)
            if time.perf_counter() - begun > 20:
                raise SystemExit(f"{login} was never refused")
        found.append((time.perf_counter() - begun) * 1000)
        time.sleep(dice.uniform(0.1, 0.4))
    return found


def _message(host: str, login: str, recipients: int, *, coarse: bool = False) -> Iterator[str]:
    now, queue_id = datetime.now(UTC), f"4jZ{random.getrandbits(50):013X}"
    stamp = f"{now:%b} {now.day:2} {now:%H:%M:%S}" if coarse else now.isoformat(timespec="microseconds")
    head = f"{stamp} {host} postfix"
    client = "client=unknown[192.0.2.1], sasl_method=PLAIN"
    yield f"{head}/submission/smtpd[7]: {queue_id}: {client}, sasl_username={login}\n"
    yield f"{head}/qmgr[8]: {queue_id}: from=<x@example.org>, size=300, nrcpt={recipients} (queue active)\n"


class _busy:  # noqa: N801 - used as a function is
    """Ordinary mail in all logs meanwhile: 100 lines a second in each."""

    def __init__(self, logs: list[Path], hosts: tuple[str, ...]) -> None:
        self._logs, self._hosts = logs, hosts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.02):
            number += 1
            for path, host in zip(self._logs, self._hosts, strict=True):
                with path.open("a") as log:
                    log.writelines(_message(host, f"user{number % 5000}", 1))


# Lines into decisions.


def _written(lines: int, host: str, seed: int) -> bytes:
    """The log of one busy gateway."""
    found = reading_log.lines(lines, seed)
    return b"".join(line.replace(b" mx1 ", f" {host} ".encode(), 1) for line in found)


def throughput(lines: int) -> None:
    """How many lines are decided on, with so many partitions."""
    print(f"\n| {3 * lines} lines into decisions | lines/s | of one machine | processor time of a controller, s |")
    print("| --- | --- | --- | --- |")
    logs = {host: _written(lines, host, seed) for seed, host in enumerate(GATEWAYS)}
    base = _alone(logs)
    print(f"| one machine, `watch` on the three files | {3 * lines / base[0]:.0f} | 1 | {base[1]:.1f} |")
    for partitions, controllers in ((1, 1), (2, 2), (4, 2)):
        seconds, used = _drained(logs, partitions, controllers)
        ratio = base[0] / seconds
        label = f"{partitions} partitions, {controllers} controllers"
        print(f"| {label} | {3 * lines / seconds:.0f} | {ratio:.2f} | {used:.1f} |")


def _alone(logs: dict[str, bytes]) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as directory:
        alone = Alone(Path(directory))
        for host, text in logs.items():
            (Path(directory) / f"{host}.log").write_bytes(text)
        config = Path(directory) / "mailbrake.toml"
        config.write_text(config.read_text().replace("mail.log", "mx?.log"))
        before, begun = _children(), time.perf_counter()
        try:
            alone.start()
            _until_judged([Path(directory) / "state"], sum(text.count(b"\n") for text in logs.values()))
            seconds = time.perf_counter() - begun
        finally:
            alone.close()
        return seconds, _children() - before


def _drained(logs: dict[str, bytes], partitions: int, controllers: int) -> tuple[float, float]:
    """Seconds from the start of the controllers until each has judged all that waits in the stream."""
    with tempfile.TemporaryDirectory() as directory:
        names = tuple(f"c{n}" for n in range(1, controllers + 1))
        site = Site(Path(directory), GATEWAYS, names)
        for name in (*GATEWAYS, *names):
            config = site.directory / f"{name}.toml"
            config.write_text(
                config.read_text() + f'\n                partitions = {partitions}\n                late = "55m"\n'
            )
        try:
            site.start("server", "c1 watch")
            wait_for((site.directory / "c1" / "journal.sqlite").exists, "the streams")
            wait_for(lambda: "c1" in site.status("c1")["controllers"], "the streams")
            site.stop("c1 watch")
            for host, text in logs.items():
                (site.directory / f"{host}.log").write_bytes(text)
            site.start(*(f"{name} ship" for name in GATEWAYS))
            wait_for(partial(_all_shipped, site), "everything shipped", 120)
            before, begun = _children(), time.perf_counter()
            site.start(*(f"{name} watch" for name in names))
            total = sum(text.count(b"\n") for text in logs.values())
            _until_judged([site.directory / name for name in names], total)
            seconds = time.perf_counter() - begun
            for name in names:
                site.stop(f"{name} watch")
            return seconds, (_children() - before) / controllers
        finally:
            site.close()


def _all_shipped(site: Site) -> bool:
    return all(_shipped(site, host) for host in GATEWAYS)


def _shipped(site: Site, host: str) -> bool:
    status = site.status(host)
    return "spool" in status and status["spool"].get("spooled", 1 << 30) < 10_000


def _until_judged(states: list[Path], lines: int) -> None:
    wait_for(lambda: all(_judged(state) >= lines for state in states), "all lines judged", 300)


def _judged(state: Path) -> int:
    try:
        journal = Journal.read(state / "journal.sqlite")
        facts = journal.facts()
        journal.close()
    except JournalError:
        return 0
    return facts["lines"] if facts else 0


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# A controller dies.


def takeover(times: int) -> None:
    """How long the keys of a controller that dies are nobody's."""
    killed, ended = [], []
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory), GATEWAYS[:1], ("c1", "c2"))
        try:
            site.start_all()
            number = 0
            for graceful, found in ((False, killed), (True, ended)):
                for _ in range(times):
                    wait_for(partial(_evenly, site), "both controllers hold their part", 30)
                    (site.stop if graceful else site.kill)("c1 watch")
                    begun, number = time.perf_counter(), number + 1
                    logins = [f"taken{number}x{n}" for n in range(16)]  # of every partition
                    for login in logins:
                        site.send("mx1", login, recipients=25)
                    wait_for(partial(_all_refused, site, logins), "all refused", 30)
                    found.append(time.perf_counter() - begun)
                    site.start("c1 watch")
        finally:
            site.close()
    print("\n| from a controller's end until all its keys are published by the other, s | median | longest |")
    print("| --- | --- | --- |")
    print(f"| killed | {statistics.median(killed):.1f} | {max(killed):.1f} |")
    print(f"| told to stop | {statistics.median(ended):.1f} | {max(ended):.1f} |")


def _all_refused(site: Site, logins: list[str]) -> bool:
    return all(site.denied("mx1", login) for login in logins)


def _evenly(site: Site) -> bool:
    return {row["held"] for row in site.status("c2")["controllers"].values()} == {4}


# What waits on disk.


def spool() -> None:
    """How much an hour without the stream takes on a gateway's disk."""
    print("\n| lines in a batch | bytes on disk a line | of the log | an hour at 10 lines/s | at 100 | at 1,000 |")
    print("| --- | --- | --- | --- | --- | --- |")
    text = list(reading_log.lines(20_000))
    raw = sum(map(len, text))
    for size in (1, 10, 100):
        batches = [b"".join(text[n : n + size]) for n in range(0, len(text), size)]
        packed = sum(len(zlib.compress(batch)) + 450 for batch in batches)  # two heads of JSON and the record's own
        each = packed / len(text)
        hours = " | ".join(f"{each * 3600 * rate / 1e6:.0f} MB" for rate in (10, 100, 1000))
        print(f"| {size} | {each:.0f} | {packed / raw:.2f} | {hours} |")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--probes", type=int, default=60)
    parser.add_argument("--lines", type=int, default=60_000, help="of each of three gateways")
    parser.add_argument("--times", type=int, default=5, help="that a controller is killed")
    parser.add_argument("--only", default="latency,throughput,takeover,spool")
    args = parser.parse_args()
    parts = {
        "latency": partial(latency, args.probes),
        "throughput": partial(throughput, args.lines),
        "takeover": partial(takeover, args.times),
        "spool": spool,
    }
    for name in args.only.split(","):
        parts[name]()


if __name__ == "__main__":
    main()
