"""Who was written to before: the store that mailbrake has, beside filters of well-kept libraries.

    pip install rbloom cjrh-scalable-cuckoo-filter        # only for this
    python -m benchmarks.first_contact [--edges FILE] [--pairs 1000000]

Two streams of (sender, recipient, time) in order of time: a real one (`radoslaw`: the internal mail of a manufacturer,
nine months) and a made-up large site (accounts with address books whose contacts are used by rank, a tenth of all mail
to somebody new). Each store is asked about every recipient and learns it, in a process of its own:

    exact     `logwatch.measuring.contacts`: 64-bit fingerprints in pages, with the week of last use
    dict      a Python dictionary from fingerprint to week
    bloom     two rbloom filters of 13 weeks each, the older one thrown away in turn, for so many pairs at 1 %
    cuckoo    the same with two scalable cuckoo filters

Told are bytes of memory by pair (of the large site: the other one's pairs are too few to be seen in a process's size);
the share of recipients who were new and were taken for known (`missed`), and of known ones that were forgotten, against
a dictionary of whole pairs with half a year's memory; processor time by question; and what must be written for it all
to survive a kill after a hundred more messages, the last of the stream: changed pages, or the whole filter.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from logwatch.measuring.contacts import MEMORY, WEEK, Contacts

EDGES = Path(__file__).parents[2] / "shared" / "data" / "radoslaw.edges"
STORES = ("exact", "dict", "bloom", "cuckoo")
SHARE = 0.01  # of strangers that a filter may take for known
_HALF = 13  # weeks of a filter
_LAST = 100  # messages before the kill

Mail = tuple[str, bytes, float]


class Store(Protocol):
    """Remembers whom a sender wrote to."""

    def met(self, sender: str, recipient: bytes, time: float) -> bool:
        """Whether it did before; from now on it did."""

    def changed(self) -> int:
        """Bytes that must be written for what came since the last call."""


class Exact:
    """Ours."""

    def __init__(self, _: int) -> None:
        self._contacts = Contacts()
        self.met = self._contacts.met

    def changed(self) -> int:
        """The pages that changed."""
        written = sum(len(value or b"") for memory in self._contacts.memories() for _, _, value in memory.changes())
        for memory in self._contacts.memories():
            memory.settle()
        return written


class Dictionary:
    """Fingerprints in a dictionary; what changed could be written by itself."""

    def __init__(self, _: int) -> None:
        self._weeks: dict[int, int] = {}
        self._changed = 0

    def met(self, sender: str, recipient: bytes, time: float) -> bool:
        """As of `Store`."""
        mark = int.from_bytes(_mark(sender, recipient))
        week = int(time // WEEK)
        known = self._weeks.get(mark)
        self._changed += known != week
        self._weeks[mark] = week
        return known is not None and week - known <= MEMORY

    def changed(self) -> int:
        """A row for each pair."""
        rows, self._changed = self._changed, 0
        return 10 * rows


class Filters:
    """Two filters in turn: what was used in neither is new."""

    def __init__(self, new: Callable[[], Any], size: Callable[[Any], int]) -> None:
        self._new, self._size = new, size
        self._now, self._before = new(), new()
        self._period = -1

    def met(self, sender: str, recipient: bytes, time: float) -> bool:
        """As of `Store`; who was used only in the older filter is taken over."""
        period = int(time // (_HALF * WEEK))
        if period != self._period:
            self._before, self._now = self._now if period == self._period + 1 else self._new(), self._new()
            self._period = period
        mark = _mark(sender, recipient)
        if mark in self._now:
            return True
        self._now.add(mark)
        return mark in self._before

    def changed(self) -> int:
        """The filter in use, whole: it does not say which bits changed."""
        return self._size(self._now)


def _mark(sender: str, recipient: bytes) -> bytes:
    return hashlib.blake2b(sender.encode() + b"\0" + recipient.lower(), digest_size=8).digest()


def bloom(pairs: int) -> Filters:
    """rbloom's; its hash must be given to be the same after a restart."""
    from rbloom import Bloom

    return Filters(
        lambda: Bloom(pairs, SHARE, lambda mark: int.from_bytes(mark, signed=True)), lambda one: len(one.save_bytes())
    )


class Cuckoo:
    """The cuckoo filter of the library, asked as a set is."""

    def __init__(self, pairs: int) -> None:
        from scf import PyScalableCuckooFilter

        self._filter = PyScalableCuckooFilter(pairs, SHARE)
        self.add = self._filter.insert

    def __contains__(self, mark: bytes) -> bool:
        return bool(self._filter.might_contain(mark))

    def size(self) -> int:
        """Of the filter as it is written."""
        return len(self._filter.serialize())


def cuckoo(pairs: int) -> Filters:
    """Scalable cuckoo filters."""
    return Filters(lambda: Cuckoo(pairs), Cuckoo.size)


MADE: dict[str, Callable[[int], Store]] = {"exact": Exact, "dict": Dictionary, "bloom": bloom, "cuckoo": cuckoo}


def real(path: Path) -> Iterator[Mail]:
    """The edges of a file: from, to, time."""
    edges = (line.split()[:3] for line in path.read_text().splitlines() if line[0].isdigit())
    for sender, recipient, stamp in sorted(((a, b, int(c)) for a, b, c in edges), key=lambda edge: edge[2]):
        yield f"account:{sender}", f"user{recipient}@example.com".encode(), float(stamp)


def large(pairs: int) -> Iterator[Mail]:
    """A year of a site with so many pairs in the end: a third of them from before, nine in ten mails to a contact."""
    dice = random.Random(5)  # noqa: S311 - the same for everybody
    accounts = max(1, pairs // 100)
    shares = [*accumulate(1 / rank for rank in range(1, 34))]
    books = [33] * accounts
    mails = pairs * 6
    for number in range(mails):
        who = dice.randrange(accounts)
        if dice.random() < 0.9:
            contact = int(bisect(shares, dice.random() * shares[-1]) * books[who] / 34)
        else:
            contact, books[who] = books[who], books[who] + 1
        yield f"account:user{who}@example.com", b"%d.%d@example.net" % (who, contact), number * 365 * 86400 / mails


def measured(store: str, stream: str, pairs: int, edges: Path) -> dict[str, float]:
    """One store on one stream: what is told of it, but for the truth."""
    mails = (lambda: real(edges)) if stream == "real" else (lambda: large(pairs))
    expected = 6_000 if stream == "real" else pairs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one = MADE[store](expected)
    started = time.process_time()
    total = sum(1 for _ in mails())
    idle = time.process_time() - started  # what making the stream costs
    kill, spent, memory = total - _LAST, 0.0, 0
    started = time.process_time()
    for number, (sender, recipient, stamp) in enumerate(mails()):
        if number == kill:
            spent = time.process_time() - started - idle * kill / total
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            one.changed()
        one.met(sender, recipient, stamp)
    return {"seconds": spent, "kilobytes": memory, "asked": kill, "changed": one.changed()}


def missed(store: str, stream: str, pairs: int, edges: Path) -> dict[str, float]:
    """The share of those who were new that a store takes for known, and of known ones that it has forgotten."""
    one = MADE[store](6_000 if stream == "real" else pairs)
    last: dict[tuple[str, bytes], float] = {}
    new = wrong = known = forgotten = 0
    for sender, recipient, stamp in real(edges) if stream == "real" else large(pairs):
        week = stamp // WEEK
        was = (sender, recipient) in last and week - last[sender, recipient] <= MEMORY
        last[sender, recipient] = week
        said = bool(one.met(sender, recipient, stamp))
        new, known = new + (not was), known + was
        wrong, forgotten = wrong + (said and not was), forgotten + (was and not said)
    return {"missed": wrong / new, "forgotten": forgotten / max(1, known), "pairs": len(last)}


def main() -> None:
    """Measure each store in processes of their own, and print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--edges", type=Path, default=EDGES)
    parser.add_argument("--pairs", type=int, default=1_000_000, help="of the large site, in the end")
    parser.add_argument("--one", nargs=3, metavar=("WHAT", "STORE", "STREAM"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        what, store, stream = args.one
        print(json.dumps({"measured": measured, "missed": missed}[what](store, stream, args.pairs, args.edges)))
        return
    for stream in ("real", "large") if args.edges.exists() else ("large",):
        print(
            f"\n{stream}\n\n| store | bytes a pair | missed | forgotten | µs a question | written after {_LAST} mails |"
        )
        print("| --- | --- | --- | --- | --- | --- |")
        for store in STORES:
            found = {**_run(args, "measured", store, stream), **_run(args, "missed", store, stream)}
            room = f"{found['kilobytes'] * 1024 / found['pairs']:.0f}" if stream == "large" else "-"
            print(
                f"| {store} | {room} | {found['missed']:.2%} | "
                f"{found['forgotten']:.2%} | {found['seconds'] / found['asked'] * 1e6:.1f} | {found['changed']:,.0f} |",
                flush=True,
            )
        print(f"\n{found['pairs']:,.0f} pairs, {found['asked']:,.0f} questions")


def _run(args: argparse.Namespace, what: str, store: str, stream: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.first_contact", "--pairs", str(args.pairs), "--edges", str(args.edges)]
    done = subprocess.run([*command, "--one", what, store, stream], capture_output=True, text=True, check=True)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
