"""What the milter costs Postfix, side by side with others, interleaved in one run.

    python -m benchmarks.milter [--rounds 5] [--messages 1500]

Needs root, Postfix, gcc and libmilter's headers. Contestants take turns, round after round, on one Postfix, because a
shared machine is faster in one minute than in the next: only ratios within a round mean anything. Each round sends the
same messages by 20 sessions at once, each logged in (one login look-up per message), to discard(8).

    none            no milter
    null            a C program on libmilter that reads the login and accepts at MAIL: nothing can be cheaper
    empty           mailbrake, with a table that lists nobody
    million         mailbrake, with 1,000,000 accounts listed (not these)
    map             no milter: check_sasl_access with an exported hash map of 1,000 accounts
    rspamd          its proxy as a milter, with the ratelimit module by login and a Redis, and next to nothing else
    policyd         policyd-rate-limit by login, SQLite, as a policy service at RCPT

The last two only where the Debian packages rspamd, redis-server and policyd-rate-limit are installed; their limits are
never reached.

Beside messages/s it tells the processor time that Postfix and the contestant took for each message, on which other
programs of a shared machine have less influence. Then the same at a tenth of the load, paced: how long a message takes
where nothing waits for a processor. Then the time to a verdict at the milter's socket, with 1, 100 and 500 connections
open, and its private memory.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import random
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks import contestants, mta_side
from tests.mta.postfix import Postfix
from tests.mta.waiting import wait_for

SESSIONS = 20
LOGIN = "bob@example.com"
_MAIL = mta_side.mail(LOGIN)
RESPONSE = base64.b64encode(f"\0{LOGIN}\0secret".encode()).decode()
# policyd-rate-limit answers bursts with errors, after twenty of which a session would be ended
PATIENT = {"smtpd_hard_error_limit": "1000000", "smtpd_soft_error_limit": "1000000"}
Settings = dict[str, dict[str, str]]


def main() -> None:
    """Run, and print Markdown."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=1500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mb-bench-", dir="/tmp") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        programs = {name: contestants.compiled(directory, name) for name in ("milter_null", "smtp_load")}
        milters = {
            "null": stack.enter_context(contestants.null(programs["milter_null"], directory)),
            "empty": stack.enter_context(contestants.ours(directory, "empty", 0)),
            "million": stack.enter_context(contestants.ours(directory, "million", 1_000_000)),
        }
        postfix = stack.enter_context(Postfix({LOGIN: "secret"}, extra=PATIENT))
        settings: Settings = {"none": {}, **{who: {"smtpd_milters": path} for who, (path, _) in milters.items()}}
        settings["map"] = {
            "smtpd_sender_restrictions": f"check_sasl_access hash:{contestants.exported_map(postfix, directory)}"
        }
        if contestants.installed("rspamd"):
            path, _ = stack.enter_context(contestants.rspamd(directory / "rspamd"))
            settings["rspamd"] = {"smtpd_milters": path}
        if contestants.installed("policyd"):
            path, _ = stack.enter_context(contestants.policyd(directory / "policyd"))
            settings["policyd"] = {contestants.POLICY: f"check_policy_service {path}"}
        site = Site(postfix, programs["smtp_load"], settings)
        full = throughput(site, args.rounds, args.messages)
        _at_ease(site, args.rounds, full / 10)
        _latency(milters)
        _memory(milters)


class Load(NamedTuple):
    """What came of a load: messages/s, milliseconds of processor time a message, and times in milliseconds."""

    rate: float
    cpu: float
    mail: tuple[float, float]  # p50 and p99 of the reply to MAIL
    whole: tuple[float, float]  # of the whole message


@dataclass
class Site:
    """A Postfix, what loads it, and how it is told of each contestant."""

    postfix: Postfix
    program: Path
    settings: Settings

    def rounds(self, number: int, messages: int, rate: float = 0) -> dict[str, list[Load]]:
        """So many rounds, in which contestants take turns; `rate` in messages/s, 0 for as many as go."""
        found: dict[str, list[Load]] = {who: [] for who in self.settings}
        for turn in range(number + 1):  # the first is to warm up
            for who in random.sample(list(self.settings), len(self.settings)):
                load = self._load(who, messages, rate)
                if turn:
                    found[who].append(load)
        return found

    def _load(self, who: str, messages: int, rate: float) -> Load:
        plain = {"smtpd_milters": "", "smtpd_sender_restrictions": "", contestants.POLICY: ""}
        self.postfix.reload({**plain, **self.settings[who]})
        command = [str(self.program), str(self.postfix.submission_port), str(SESSIONS), str(messages), RESPONSE]
        before = self._cpu()
        out = subprocess.run([*command, f"{rate:.1f}"], check=True, capture_output=True, text=True).stdout  # noqa: S603
        seconds, accepted, *times = map(float, out.split())
        wait_for(lambda: not self.postfix.queue_ids(), 60, "an empty queue")
        cpu = (self._cpu() - before) / accepted * 1000
        return Load(accepted / seconds, cpu, (times[0], times[1]), (times[2], times[3]))

    def _cpu(self) -> float:
        """Seconds of processor time of Postfix and of all that was started here, but for the load."""
        master = int((self.postfix.directory / "spool/pid/master.pid").read_text())
        ticks = sum(map(_ticks, [*_children(os.getpid()), master, *_children(master)]))
        return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    """All processes below one."""
    found = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _read(task / "children").split()]
    return found + [one for child in found for one in _children(child)]


def _ticks(pid: int) -> int:
    """Of a process, and of its children that have ended."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


# Measurements.


def throughput(site: Site, rounds: int, messages: int, others: Sequence[str] = ("none", "null")) -> float:
    """At full load, beside each of `others`; the median of messages/s without a milter."""
    found = site.rounds(rounds, messages)
    print(f"\n{rounds} rounds of {messages} messages, {SESSIONS} sessions, {os.cpu_count()} cores\n")
    beside = [f"of {other}" for other in others]
    print(f"| contestant | messages/s | {' | '.join(beside)} | CPU, ms a message | {' | '.join(beside)} |")
    print("| --- |" + " --- |" * (2 + 2 * len(beside)))
    for who, mine in found.items():
        rates = _ratios(mine, found, lambda load: load.rate, others)
        costs = _ratios(mine, found, lambda load: load.cpu, others)
        medians = [statistics.median(load.rate for load in mine), statistics.median(load.cpu for load in mine)]
        print(f"| {who} | {medians[0]:.0f} | {' | '.join(rates)} | {medians[1]:.2f} | {' | '.join(costs)} |")
    return statistics.median(load.rate for load in found["none"])


def _at_ease(site: Site, rounds: int, rate: float) -> None:
    """At a pace that leaves the machine idle most of the time."""
    found = site.rounds(rounds, SESSIONS * max(1, round(rate * 8 / SESSIONS)), rate)
    print(f"\nAt {rate:.0f} messages/s, a tenth of full load:\n")
    print("| contestant | messages/s | MAIL p50, ms | p99 | message p50, ms | p99 | p50 of no milter | p99 |")
    print("| --- |" + " --- |" * 7)
    for who, mine in found.items():
        cells = [statistics.median(load.rate for load in mine)]
        cells += [
            statistics.median(getattr(load, what)[n] for load in mine) for what in ("mail", "whole") for n in (0, 1)
        ]
        ratios = [_ratios(mine, found, lambda load, n=n: load.whole[n])[0] for n in (0, 1)]
        print(
            f"| {who} | {cells[0]:.1f} | "
            + " | ".join(f"{cell:.2f}" for cell in cells[1:])
            + f" | {' | '.join(ratios)} |"
        )


def _ratios(
    mine: list[Load], found: dict[str, list[Load]], value: Callable[[Load], float], others: Sequence[str] = ("none",)
) -> list[str]:
    """Of a value to those of `others` in the same rounds: medians, and extremes."""
    texts = []
    for other in others:
        ratios = sorted(value(one) / value(two) for one, two in zip(mine, found[other], strict=True))
        texts.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})")
    return texts


def _latency(milters: dict[str, tuple[str, int]]) -> None:
    """Round trips of macros and MAIL, in turn on every open connection, from a client in Python."""
    print("\n| connections | " + " | ".join(f"{who} p50, µs | p99" for who in milters) + " |")
    print("| --- |" + " --- |" * 2 * len(milters))
    for number in (1, 100, 500):
        cells = []
        samples: dict[str, list[float]] = {who: [] for who in milters}
        with contextlib.ExitStack() as stack:
            opened = {who: [mta_side.opened(stack, path) for _ in range(number)] for who, (path, _) in milters.items()}
            for turn in range(6000):
                for who, connections in opened.items():
                    samples[who].append(_asked(connections[turn % number]))
        for mine in samples.values():
            mine.sort()
            cells += [f"{mine[len(mine) // 2] * 1e6:.0f}", f"{mine[len(mine) * 99 // 100] * 1e6:.0f}"]
        print(f"| {number} | " + " | ".join(cells) + " |")


def _asked(connection: socket.socket) -> float:
    before = time.perf_counter()
    answer = mta_side.answer(connection, _MAIL)
    after = time.perf_counter()
    if answer != mta_side.ACCEPT:
        raise RuntimeError(f"expected an accept, found {answer!r}")
    return after - before


def _memory(milters: dict[str, tuple[str, int]]) -> None:
    print("\n| milter | private memory, MB |\n| --- | --- |")
    for who, (_, pid) in milters.items():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        fields = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
        print(f"| {who} | {(fields['Private_Clean'] + fields['Private_Dirty']) / 1024:.1f} |")


if __name__ == "__main__":
    main()
