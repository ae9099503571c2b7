"""What a patient attacker gets through: python -m benchmarks.patient

A stolen login with four weeks of history sends to a clean list of strangers for a week, at a steady pace, and nothing
comes back. Told is what the policy (the shipped one) decided first, and how many recipients were reached until
then. What is accepted after that is not counted, so a mild action reads like a hard one.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.language import SHIPPED, parse

DAY, HOUR = 86400.0, 3600.0
START = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
HISTORY, WEEK = 28, 7  # days
HOME, AFAR = "85.214.10.7", "179.96.12.5"
# from where, messages an hour, recipients of each, hours a day
PACES = (
    (AFAR, 1, 25, 24),
    (AFAR, 2, 25, 24),
    (AFAR, 2, 1, 24),
    (AFAR, 3, 1, 24),
    (AFAR, 1, 1, 24),
    (HOME, 3, 1, 24),
    (HOME, 8, 1, 24),
    (HOME, 20, 1, 24),
    (HOME, 20, 25, 24),
    (HOME, 1000, 1, 2),
)

Message = tuple[float, str, str, list[str]]  # when, whose, from where, to whom


def history(chance: random.Random) -> Iterator[Message]:
    """Alice writes to her contacts eight times a day, thirty others once."""
    for day in range(HISTORY):
        for _ in range(8):
            yield START + day * DAY + chance.uniform(8, 17) * HOUR, "alice", HOME, [f"c{chance.randint(0, 40)}@x.test"]
        for other in range(30):
            yield START + day * DAY + chance.uniform(8, 17) * HOUR, f"u{other}", f"91.{other}.3.4", ["a@y.test"]


def attack(client: str, an_hour: int, recipients: int, hours: int) -> Iterator[Message]:
    """A week of it."""
    for number in range(WEEK * hours * an_hour):
        day, place = divmod(number, hours * an_hour)
        time = START + (HISTORY + day) * DAY + place * HOUR / an_hour
        yield time, "alice", client, [f"s{number}x{one}@z{one}.test" for one in range(recipients)]


def lines(number: int, message: Message) -> Iterator[str]:
    """As Postfix logs it."""
    time, login, client, to = message
    stamp, queue_id = datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds"), f"4Q{number:013X}"
    yield f"{stamp} mx postfix/smtpd[7]: {queue_id}: client=u[{client}], sasl_method=PLAIN, sasl_username={login}\n"
    yield f"{stamp} mx postfix/qmgr[8]: {queue_id}: from=<{login}@x.test>, size=500, nrcpt={len(to)} (queue active)\n"
    for one in to:
        yield (
            f"{stamp} mx postfix/smtp[9]: {queue_id}: to=<{one}>, relay=r.test[192.0.2.200]:25, delay=1, "
            "dsn=2.0.0, status=sent (250 ok)\n"
        )
    yield f"{stamp} mx postfix/qmgr[8]: {queue_id}: removed\n"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.patient")
    parser.add_argument("--policy", type=Path, default=SHIPPED)
    policy = parse(parser.parse_args().policy.read_text())
    print("| from | messages an hour | recipients of each | decided by | after | recipients until then, or a day |")
    print("|---|---|---|---|---|---|")
    for client, an_hour, recipients, hours in PACES:
        crime = [*attack(client, an_hour, recipients, hours)]
        core = Core(Judge(policy), zone=UTC, start=START)
        messages = sorted([*history(random.Random(1)), *crime])  # noqa: S311 - the same each time
        text = [*map(lines, range(len(messages)), messages)]
        found = []
        for begin in range(0, len(text), 1000):
            step = core.feed("".join(line for one in text[begin : begin + 1000] for line in one).encode())
            found += [one for one in step.decisions if one.key == "account:alice" and one.time >= crime[0][0]]
        where = "afar" if client == AFAR else "its own place"
        if found:
            reached = sum(len(to) for time, _, _, to in crime if time <= found[0].time)
            outcome = f"`{found[0].rule}` | {(found[0].time - crime[0][0]) / HOUR:.1f} h | {reached}"
        else:
            outcome = f"nothing | – | {an_hour * recipients * hours} a day"
        print(f"| {where} | {an_hour} | {recipients} | {outcome} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
