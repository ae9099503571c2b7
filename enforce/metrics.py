"""What the milter counts for Prometheus, and what it says when the controller gives no more signs of life.

Labels have few values: action, mode, stage, answer. Never an account, an address or a case.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from enforce.exposition import PLAIN, Metric, Snapshot
from enforce.table import Answer, Denied, NotListed, Reader, State, Unusable
from enforce.verdict import LoggedVerdict

METRICS = (
    Metric(
        "mailbrake_milter_verdicts_total",
        "counter",
        "Attempts, recipients or messages that a record was for; would-… was only observed",
        ("action", "mode", "stage"),
    ),
    Metric("mailbrake_milter_lookups_total", "counter", "Look-ups in the deny table by its answer", ("answer",)),
    Metric("mailbrake_milter_doubts_total", "counter", "Times mail was let through for want of an answer"),
    Metric("mailbrake_milter_table_usable", "gauge", "1 if the deny table can be used, else 0: then all mail passes"),
    Metric("mailbrake_milter_table_age_seconds", "gauge", "Time since the controller's last sign of life in the table"),
    Metric("mailbrake_milter_table_generation", "gauge", "Commits to the deny table"),
    Metric("mailbrake_milter_table_keys", "gauge", "Keys that the deny table lists"),
    Metric("mailbrake_milter_table_stale_total", "counter", "Times the controller's signs of life ceased"),
    Metric("mailbrake_milter_log_lines_lost_total", "counter", "Log lines that could not be written", ("log",)),
    Metric("mailbrake_milter_alive_timestamp_seconds", "gauge", "When these figures were last brought up to date"),
)
# where each action is said; every counter is there from the start, since Prometheus sees no rise in a first value
_STAGES = {
    **dict.fromkeys(("throttle", "tempfail", "block"), ("CONNECT", "MAIL")),
    "cap": ("RCPT",),
    "hold": ("EOM",),
}
_VERDICTS = [(action, stage) for action, stages in _STAGES.items() for stage in stages]
_ANSWERS: Mapping[type, str] = {Denied: "denied", NotListed: "not_listed", Unusable: "unusable"}


class Meter:
    """Counts; `snapshot` is what `tick` last made of it. Any thread may count."""

    def __init__(self) -> None:
        self.snapshot: Snapshot = {}
        self._lock = threading.Lock()
        self._verdicts: Counter[tuple[str, ...]] = Counter()
        for action, stage in _VERDICTS:
            self._verdicts[action, "enforce", stage] = self._verdicts[f"would-{action}", "observe", stage] = 0
        self._answers: Counter[tuple[str, ...]] = Counter({(answer,): 0 for answer in _ANSWERS.values()})

    def said(self, said: LoggedVerdict) -> None:
        """A verdict was given."""
        with self._lock:
            self._verdicts[said.note.action, said.note.mode, said.stage] += 1

    def answered(self, answer: Answer) -> None:
        """The table gave an answer."""
        with self._lock:
            self._answers[(_ANSWERS[type(answer)],)] += 1

    def tick(self, state: State, doubts: int, stale: int, lost: Mapping[str, int], now: float) -> None:
        """Take a snapshot."""
        with self._lock:
            counted: dict[str, Mapping[tuple[str, ...], float]]
            counted = {"verdicts_total": dict(self._verdicts), "lookups_total": dict(self._answers)}
        usable = not state.reason
        plain: dict[str, float] = {"doubts_total": doubts, "table_usable": usable, "table_stale_total": stale}
        if usable:
            plain |= {"table_age_seconds": state.age, "table_generation": state.generation, "table_keys": state.entries}
        losses: Mapping[tuple[str, ...], float] = {(name,): count for name, count in lost.items()}
        single = {name: {PLAIN: value} for name, value in {**plain, "alive_timestamp_seconds": now}.items()}
        counted |= {"log_lines_lost_total": losses, **single}
        self.snapshot = {f"mailbrake_milter_{name}": values for name, values in counted.items()}


class Counted:
    """A table whose look-ups are counted."""

    def __init__(self, table: Reader, answered: Callable[[Answer], None]) -> None:
        self._table = table
        self._answered = answered
        self.capped = table.capped
        self.state = table.state

    def look_up(self, keys: Sequence[str], now: float) -> Answer:
        """As the table's."""
        answer = self._table.look_up(keys, now)
        self._answered(answer)
        return answer


class Pulse:
    """Says once that the controller's signs of life ceased, and once that they are back."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.stopped = 0  # times
        self._tell = tell
        self._stale = False

    def feel(self, state: State) -> None:
        """Look at the table's state; an unusable table has no heartbeat, and is told of elsewhere."""
        if state.reason:
            return
        if state.is_silent and not self._stale:
            self.stopped += 1
            self._tell(
                f"the controller's last sign of life is {state.heard}: is `mailbrake watch` running? "
                "What is listed stands until its leases run out"
            )
        elif not state.is_silent and self._stale:
            self._tell("the controller gives signs of life again")
        self._stale = state.is_silent
