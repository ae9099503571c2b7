"""What the controller counts for Prometheus.

Labels have few values: rules, kinds, modes. Never an account, an address or a case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from enforce.exposition import PLAIN, Metric, Snapshot
from logwatch.memory import Memory
from logwatch.schema import EVENTS, Decision

__all__ = ["METRICS", "ControllerState", "Meter", "Snapshot"]

METRICS = (
    Metric(
        "mailbrake_lag_seconds",
        "gauge",
        "Age of the last line of the latest piece of log when what came of it was in the table",
    ),
    Metric("mailbrake_steps_total", "counter", "Pieces of log that were read, judged and published"),
    Metric(
        "mailbrake_busy_seconds_total", "counter", "Time spent on them: near 1 a second, the controller cannot keep up"
    ),
    Metric("mailbrake_lines_total", "counter", "Log lines read"),
    Metric("mailbrake_events_total", "counter", "Events in the log", ("event",)),
    Metric("mailbrake_log_clock_timestamp_seconds", "gauge", "The time that the log has reached"),
    Metric("mailbrake_lost_total", "counter", "What is missing from the log, or could not be read", ("kind",)),
    Metric(
        "mailbrake_troubles_total",
        "counter",
        "Times it was said that something cannot be read or written, once a minute at most",
        ("about",),
    ),
    Metric(
        "mailbrake_keys", "gauge", "Entries remembered: accounts, clients, messages under way and so on", ("memory",)
    ),
    Metric(
        "mailbrake_keys_dropped_total", "counter", "Entries dropped since start because a memory was full", ("memory",)
    ),
    Metric(
        "mailbrake_decisions_total", "counter", "Decisions since start, changes included", ("rule", "action", "mode")
    ),
    Metric("mailbrake_standing", "gauge", "Decisions that stand now", ("mode",)),
    Metric("mailbrake_guarded_total", "counter", "Decisions that the guard turned into observe"),
    Metric("mailbrake_unwritten_decisions", "gauge", "Decisions that are not in the journal yet"),
    Metric("mailbrake_table_usable", "gauge", "1 if the deny table can be written, else 0"),
    Metric("mailbrake_table_generation", "gauge", "Commits to the deny table"),
    Metric("mailbrake_table_keys", "gauge", "Keys that the deny table lists"),
    Metric("mailbrake_table_age_seconds", "gauge", "Time since the last sign of life was written to the table"),
    Metric("mailbrake_alive_timestamp_seconds", "gauge", "When these figures were last brought up to date"),
    Metric(
        "mailbrake_notifications_total",
        "counter",
        "Messages by channel: sent, failed or dropped",
        ("channel", "outcome"),
    ),
)


class ControllerState(NamedTuple):
    """What the controller knows at a moment; `table` is generation, keys, age of the heartbeat, or None."""

    now: float
    clock: float
    lines: int
    events: Mapping[str, int]
    lost: Mapping[str, int]
    guarded: int
    memories: Iterable[Memory[Any]]
    unwritten: int
    standing: Mapping[str, int]
    table: tuple[int, int, float] | None


TROUBLES = ("dnsbl", "export", "export command", "journal", "list", "log", "table", "wake")
_MODES = ("enforce", "observe")


class Meter:
    """Counts what nobody else does; `snapshot` is what `take` last made of it all, and is never changed.

    Every counter is there from the start: Prometheus sees no rise in a first value.
    """

    def __init__(self, rules: Iterable[tuple[str, str]] = ()) -> None:
        """`rules`: name and action of each."""
        self.snapshot: Snapshot = {}
        self._steps = 0
        self._busy = 0.0
        self._lag: float | None = None
        self._decisions: Counter[tuple[str, ...]] = Counter()
        self.expect(rules)
        self._troubles: Counter[tuple[str, ...]] = Counter({(about,): 0 for about in TROUBLES})

    def expect(self, rules: Iterable[tuple[str, str]]) -> None:
        """Rules that may decide something from now on."""
        for name, action in rules:
            self._decisions.update({(name, did, mode): 0 for did in (action, "release") for mode in _MODES})

    def stepped(self, begun: float, ended: float, clock: float) -> None:
        """A piece of log was dealt with; its last line has the time `clock`."""
        self._steps += 1
        self._busy += max(0.0, ended - begun)
        self._lag = max(0.0, ended - clock)

    def decided(self, decisions: Iterable[Decision]) -> None:
        """Decisions were taken."""
        self._decisions.update((decision.rule, decision.action, decision.mode) for decision in decisions)

    def trouble(self, about: str) -> None:
        """Something could not be read or written."""
        self._troubles[(about,)] += 1

    def take(self, seen: ControllerState) -> None:
        """Take a snapshot."""
        self.snapshot = {
            "mailbrake_lag_seconds": {} if self._lag is None else {PLAIN: self._lag},
            "mailbrake_steps_total": {PLAIN: self._steps},
            "mailbrake_busy_seconds_total": {PLAIN: self._busy},
            "mailbrake_lines_total": {PLAIN: seen.lines},
            "mailbrake_events_total": _labelled({**dict.fromkeys(EVENTS, 0), **seen.events}),
            "mailbrake_log_clock_timestamp_seconds": {PLAIN: seen.clock},
            "mailbrake_lost_total": _labelled(seen.lost),
            "mailbrake_troubles_total": dict(self._troubles),
            "mailbrake_keys": {(memory.name,): len(memory) for memory in seen.memories},
            "mailbrake_keys_dropped_total": {(memory.name,): memory.overflowed for memory in seen.memories},
            "mailbrake_decisions_total": dict(self._decisions),
            "mailbrake_standing": _labelled(seen.standing),
            "mailbrake_guarded_total": {PLAIN: seen.guarded},
            "mailbrake_unwritten_decisions": {PLAIN: seen.unwritten},
            **_table(seen),
            "mailbrake_alive_timestamp_seconds": {PLAIN: seen.now},
        }


def _table(seen: ControllerState) -> Snapshot:
    if seen.table is None:
        return {"mailbrake_table_usable": {PLAIN: 0}}
    generation, keys, age = seen.table
    return {
        "mailbrake_table_usable": {PLAIN: 1},
        "mailbrake_table_generation": {PLAIN: generation},
        "mailbrake_table_keys": {PLAIN: keys},
        "mailbrake_table_age_seconds": {PLAIN: age},
    }


def _labelled(counts: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in counts.items()}
