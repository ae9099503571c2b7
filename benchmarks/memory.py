"""How much memory a million active accounts take, with everything that a policy needs of them.

    python -m benchmarks.memory [--accounts 1000000] [--messages 3] [--policy FILE]

Every account sends so many messages within one day, spread over it, each to one or two recipients, from one of two
addresses of its own provider's 16 million. The log is read as the controller reads it; its memories are settled after
each chunk, as a checkpoint does. Told are the peak of the process, and by memory the number of entries.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.language import SHIPPED, load

START = 1_764_028_800.0  # midnight UTC
_DAY = 86400.0
_STRIDE = 7_368_787  # a prime: takes the accounts in no order
_AT_ONCE = 5000  # messages


def message(number: int, total: int, accounts: int) -> bytes:
    """The lines of a message."""
    user = number * _STRIDE % accounts
    stamp = datetime.fromtimestamp(START + number * _DAY / total, UTC).strftime("%b %e %H:%M:%S")
    host = (user * 2 + number // accounts % 2) * 7919 % (1 << 24)
    client = f"unknown[100.{host >> 16}.{host >> 8 & 255}.{host & 255}]"
    queue_id = f"4q{number:012d}"
    smtpd, rest = f"{stamp} mx1 postfix/submission/smtpd[{number % 90}]", f"{stamp} mx1 postfix"
    recipients = [f"r{(user * 31 + place * 17 + number) % 5_000_000}@example.net" for place in range(1 + number % 2)]
    lines = [
        f"{smtpd}: connect from {client}",
        f"{smtpd}: {queue_id}: client={client}, sasl_method=PLAIN, sasl_username=user{user}@example.com",
        f"{rest}/qmgr[9]: {queue_id}: from=<user{user}@example.com>, size=4000, nrcpt={len(recipients)} (queue active)",
        *(
            f"{rest}/smtp[5]: {queue_id}: to=<{recipient}>, relay=mx.example.net[192.0.2.9]:25, delay=1, "
            "delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"
            for recipient in recipients
        ),
        f"{rest}/qmgr[9]: {queue_id}: removed",
        f"{smtpd}: disconnect from {client}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def chunks(accounts: int, messages: int) -> Iterator[bytes]:
    """The whole log."""
    total = accounts * messages
    for begin in range(0, total, _AT_ONCE):
        yield b"".join(message(number, total, accounts) for number in range(begin, min(begin + _AT_ONCE, total)))


def megabytes() -> int:
    """The peak of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Feed a core, tell what it took."""
    parser = argparse.ArgumentParser(description="measure the memory that active accounts take")
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=3)
    parser.add_argument("--policy", type=Path, default=SHIPPED)
    args = parser.parse_args()
    core = Core(Judge(load(args.policy)), zone=UTC, start=START)
    before, begun = megabytes(), time.process_time()
    for chunk in chunks(args.accounts, args.messages):
        core.feed(chunk)
        for memory in core.memories():
            memory.settle()
    print(f"{platform.machine()}, Python {platform.python_version()}, policy {args.policy.name}")
    print(f"{args.accounts:,} accounts, {args.messages} messages each, {time.process_time() - begun:.0f} CPU s")
    print(f"peak {megabytes():,} MB, of which {before:,} MB before the first line")
    for memory in core.memories():
        if len(memory) > 1000:
            print(f"  {memory.name:20}{len(memory):12,} entries")


if __name__ == "__main__":
    main()
