"""What a flood from one account reaches before it is first refused: mailbrake beside limiters in the mail path.

    python -m benchmarks.leak [--rate 10]

Needs root, Postfix, and for the peers the Debian packages rspamd, redis-server and policyd-rate-limit. A login that was
quiet so far sends RATE messages a second, each by a connection of its own, to one recipient each, then another one to
fifty each. It goes on until nothing has come through for two seconds. Counted are recipients that Postfix took.

    policyd 10/min    policyd-rate-limit as Debian ships it: ten recipients a minute, 150 a day
    rspamd 100        its ratelimit as its documentation has it: a bucket of 100 messages that leaks one a minute
    mailbrake N       `mailbrake watch` and `mailbrake milter`, and a rule of one line with the same limit
    mailbrake N, cap  the same, and 25 recipients a message for everybody (`mailbrake table cap 'account:*'`)

A limiter in the mail path lets through its limit and no more. One that reads the log lets through the limit and what
comes while a line is on its way to the table, and at least the whole first message.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import contestants
from tests.loop.site import Site
from tests.mta.client import submit
from tests.mta.postfix import Postfix

LOGINS = ("alice", "bob", "carol")
SIZES = (1, 50)  # recipients of a message
ENOUGH = 2.0  # seconds without anything that came through
RULE = "rule flood per account:\n    when recipients in {window} > {limit}\n    tempfail for 1h\n    mode enforce\n"


@dataclass
class Leaked:
    """Of one flood: messages that were sent before one of them met a refusal, and recipients reached by all."""

    before: int
    recipients: int


def main() -> None:
    """Run, and print Markdown."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rate", type=float, default=10)
    args = parser.parse_args()
    heads = [f"{size} recipients: before the first refusal" for size in SIZES]
    print("| limiter | " + " | ".join(f"{head} | reached" for head in heads) + " |")
    print("| --- |" + " --- |" * 2 * len(SIZES))
    for name, start in _limiters().items():
        cells: list[str] = []
        for size in SIZES:
            with start() as postfix:  # a fresh one for each, all of whose logins were quiet so far
                floods = [_flood(postfix, login, size, args.rate) for login in LOGINS]
            floods.sort(key=lambda leaked: leaked.recipients)
            cells += [f"{floods[1].before}", f"{floods[0].recipients}–{floods[-1].recipients}"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _limiters() -> dict[str, Callable[[], contextlib.AbstractContextManager[Postfix]]]:
    found = {
        "policyd 10/min": partial(_policyd, 10, 150),
        "mailbrake 10/min": partial(_mailbrake, 10, "1m"),
        "mailbrake 10/min, cap": partial(_mailbrake, 10, "1m", 25),
        "rspamd 100": partial(_rspamd, 100),
        "mailbrake 100/h": partial(_mailbrake, 100, "1h"),
        "mailbrake 100/h, cap": partial(_mailbrake, 100, "1h", 25),
    }
    return {name: start for name, start in found.items() if contestants.installed(name.partition(" ")[0])}


@contextlib.contextmanager
def _mailbrake(limit: int, window: str, cap: int = 0) -> Iterator[Postfix]:
    with Site(RULE.format(limit=limit, window=window)) as site:
        if cap:
            site.run("table", "cap", "account:*", "--for", "1d", "--recipients", str(cap))
        site.send(None)  # so that the controller has read a first line
        site.wait_until_read()
        yield site.postfix


@contextlib.contextmanager
def _policyd(minute: int, day: int) -> Iterator[Postfix]:
    with _directory() as directory, contestants.policyd(directory / "policyd", minute, day) as (path, _):
        yield from _asking({contestants.POLICY: f"check_policy_service {path}"})


@contextlib.contextmanager
def _rspamd(burst: int) -> Iterator[Postfix]:
    with _directory() as directory, contestants.rspamd(directory / "rspamd", burst) as (path, _):
        yield from _asking({"smtpd_milters": path})


def _asking(settings: dict[str, str]) -> Iterator[Postfix]:
    with Postfix(accounts=dict.fromkeys(LOGINS, "secret"), extra=settings) as postfix:
        yield postfix


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mb-leak-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _flood(postfix: Postfix, login: str, size: int, rate: float) -> Leaked:
    """At a steady pace, until nothing has come through for a while."""
    to = [f"r{number}@ok.example" for number in range(size)]
    begun = time.monotonic()
    leaked = Leaked(0, 0)
    refused, quiet, sent = False, 0, 0
    while quiet < ENOUGH * rate:
        threading.Event().wait(max(0.0, begun + sent / rate - time.monotonic()))
        (reply,) = submit(postfix.submission_port, "a@example.org", to, login)
        sent += 1
        refused |= reply.refused
        leaked.before += not refused
        leaked.recipients += reply.accepted
        quiet = 0 if reply.accepted else quiet + 1
    return leaked


if __name__ == "__main__":
    main()
