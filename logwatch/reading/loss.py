"""What is missing from the log: counted by kind, and said once a minute at most.

A log that lost lines shows rates that are too low, and most is lost when most is logged: in an attack. Nothing here
changes a decision; it tells whoever relies on the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from logwatch.schema import Facts
from logwatch.wall_clock import lately

# what is counted, and what stands before their number
KINDS = {
    "log_loss": "times the logger said that it had dropped lines (see RateLimitIntervalSec of journald, or "
    "ratelimit.interval of rsyslog)",
    "orphans": "deliveries of messages whose acceptance was never seen",
    "clock_steps": "steps of the log's clock back by more than an hour",
    "clocks_off": "hosts whose clock is more than an hour off, or is off by something else than before",
    "silences": "stretches of more than an hour without a line, out of a busy time",
    "unreadable": "lines of a known kind that could not be read",
    "gaps": "logs that were gone or truncated before they were read to their end",
    "damaged": "damaged archives",
    "overlong": "lines of more than a megabyte, which were left out",
}
ON_THE_WAY = {  # where lines come from other machines (logwatch.cluster)
    "stale": "lines that came too late to be counted",
    "ahead": "lines with stamps of the future: a gateway's clock is wrong",
    "foreign": "lines in which a gateway names another host than its own (see [cluster] hosts)",
    "headless": "lines that name no host (have Exim log through syslog)",
    "refused": "messages that were no batches of lines",
    "unshipped": "bytes of lines that a gateway could not send",
}
QUIET = 60.0  # seconds between two warnings at least
_HOUR = 3600.0
_NAMED = 5  # hosts
_BUSY = 100  # events in the hour or two before a silence

Totals = Mapping[str, int]


def totals(facts: Facts, followed: Totals) -> dict[str, int]:
    """How many of each kind so far, from the core's facts and what the follower could not read."""
    counted = {
        "log_loss": facts["events"].get("log_loss", 0),
        "unreadable": sum(facts["unreadable"].values()),
        "silences": int(facts["silences"][0]),
        "orphans": facts["orphans"],
        "clock_steps": facts["clock_steps"],
        "clocks_off": facts.get("clocks_off", 0),
    }
    known = {kind: counted.get(kind, 0) + followed.get(kind, 0) for kind in KINDS}
    return known | {kind: followed[kind] for kind in ON_THE_WAY if kind in followed}


def clocks_off(off: Mapping[str, float]) -> dict[str, str]:
    """By how much the clocks of hosts are off (seconds, as the core's facts have them), in words: the latest few."""
    latest = list(off.items())[-_NAMED:]
    return {_printable(host): f"{abs(by) / _HOUR:.1f} h {'ahead' if by > 0 else 'behind'}" for host, by in latest}


def _printable(host: str) -> str:
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in host) or "(no name)"


class Silences:
    """Counts leaps of the log's clock over more than an hour that come after a busy time.

    The nights of a small site are no losses, so the hour begun and the one before must have had a hundred events.
    """

    def __init__(self) -> None:
        self.count = 0
        self._hour = self._now = self._before = 0  # which hour, its events, and those of the hour before
        self._last = 0.0

    def see(self, clocks: Any) -> None:
        """Take in the times of events, an array of epoch seconds in order."""
        hours = clocks // _HOUR
        begins = [0, *((hours[1:] != hours[:-1]).nonzero()[0] + 1).tolist()] if len(clocks) else []
        for begin, end in zip(begins, [*begins[1:], len(clocks)], strict=False):
            if int(hours[begin]) != self._hour:
                self._enter(int(hours[begin]), float(clocks[begin]) - self._last)
            self._now += end - begin
            self._last = float(clocks[end - 1])

    def state(self) -> list[float]:
        """All of it, for `restore`; the count is first."""
        return [self.count, self._hour, self._now, self._before, self._last]

    def restore(self, state: list[float]) -> None:
        """Take up what `state` once gave."""
        self.count, self._hour, self._now, self._before = map(int, state[:4])
        self._last = state[4]

    def _enter(self, hour: int, leap: float) -> None:
        self.count += leap > _HOUR and self._now + self._before >= _BUSY
        self._before = self._now if hour == self._hour + 1 else 0
        self._hour, self._now = hour, 0


class Warner:
    """Says what was lost since it was last said."""

    def __init__(self, known: Totals) -> None:
        """`known` was said before, in an earlier life."""
        self._said = Counter(known)
        self._when = float("-inf")

    def warning(self, found: Totals, notices: list[str], now: float) -> str:
        """What is new among the totals, in one sentence; "" if nothing is, or the last was less than a minute ago.

        `notices` are added: the latest losses in words.
        """
        new = {kind: count - self._said[kind] for kind, count in found.items() if count > self._said[kind]}
        if not new or lately(self._when, now, QUIET):
            return ""
        self._said, self._when = Counter(found), now
        words = KINDS | ON_THE_WAY
        what = "; ".join(f"{words[kind]}: {count}" for kind, count in new.items())
        said = "; ".join([what, *notices])
        if new.keys() == {"clocks_off"}:
            return f"the log has more than one clock; such lines count as of the newest of the others: {said}"
        return f"the log is not complete, so rates may be too low: {said}"
