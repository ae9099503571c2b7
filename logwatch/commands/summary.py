"""What a replay found, told to somebody who has read nothing yet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from enforce.config import Config
from enforce.printable import printable
from logwatch.commands.common import same_config
from logwatch.commands.cuts import Cuts
from logwatch.commands.output import clock, counted, number, times, write_table
from logwatch.core import Core, Step, accepted
from logwatch.judging.conditions import Rate
from logwatch.judging.policy import SEVERITY
from logwatch.reading.loss import clocks_off
from logwatch.schema import ALWAYS, KINDS, USUAL, Decision, Span, side
from logwatch.settings import zone_of
from logwatch.telling.effects import RELEASE
from logwatch.weighing.nearest import Nearest

_SHOWN = 40  # senders in the table; --json has all
_NEAREST = 5
ANSWERS = {
    "cap": "452 beyond some recipients",
    "throttle": "450 for a share of attempts",
    "hold": "accepted, and held",
    "tempfail": "450, try again later",
    "block": "550, refused",
}


class Reading:
    """What was read, up to the end of a span: takes in steps, bounded by the number of accounts."""

    def __init__(self, core: Core, span: Span = ALWAYS) -> None:
        self._core = core
        self._span = span
        self._before = core.reader.scanner.lines  # by the controller whose state the core begins with
        self._first: float | None = None
        self._last = 0.0
        self._messages = self._failed = self._within = 0
        self._accounts: set[str] = set()

    def add(self, step: Step) -> None:
        """One more chunk of the log, of which some may be later than the span."""
        events, clocks = step.events, step.events["clock"]
        if len(clocks) and self._first is None:
            self._first = float(clocks[0])
        wanted = clocks < self._span.end
        self._last = float(max(clocks[wanted], default=self._last))
        self._within += int(np.count_nonzero(wanted & (clocks >= self._span.begin)))
        self._messages += int(np.count_nonzero(accepted(events) & wanted))
        failed = events["event"] == "auth_failure"
        self._failed += int(np.count_nonzero(failed & wanted))
        self._accounts.update(account for account in events["account"][~failed & wanted].tolist() if account)

    def tell(self, config: Config, logs: list[str]) -> bool:
        """Print how much of which logs that was; whether there was any mail log of the time that is asked for."""
        scanner, zone, span = self._core.reader.scanner, zone_of(config), self._span
        named = ", ".join(map(printable, logs[:3])) + (", …" if len(logs) > 3 else "")
        print(f"Read {counted(scanner.lines - self._before, 'line')} of {named}")
        if self._first is None:
            return False
        if not self._within:
            early = self._first >= span.end
            print(
                f"Nothing in it is of the time that is asked for: it {'begins' if early else 'ends'} "
                f"at {clock(self._first if early else self._last, zone)}."
            )
            return False
        print(
            f"from {clock(self._first, zone)} to {clock(self._last, zone)}: "
            f"{counted(self._messages, 'message')} accepted, "
            f"{counted(len(self._accounts), 'account')} (SMTP AUTH logins), "
            f"{counted(self._failed, 'failed login')}."
        )
        if off := clocks_off(self._core.reader.off):
            said = ", ".join(f"{host} is {much}" for host, much in off.items())
            print(f"Not all clocks agree: {said}. Their lines count as of the newest of the others.")
        if steps := self._core.reader.attribution.clocks.steps:
            print(
                f"The log's clock went back by more than an hour {times(steps)}: what had been counted was forgotten, "
                "so much may have been missed. Is a host's clock or zone wrong?"
            )
        if math.isfinite(span.begin):
            print(f"What comes before {clock(span.begin, zone)} was read to learn, and is not told.")
        if math.isfinite(span.end):
            print(f"What comes from {clock(span.end, zone)} on is left out.")
        return True


class Summary:
    """Takes in the steps of a replay; bounded by the number of accounts and cases."""

    def __init__(self, core: Core, span: Span = ALWAYS) -> None:
        """`span`: the steps have only decisions of this time."""
        self._reading = Reading(core, span)
        self._cuts = Cuts(core, span)
        self._cases: dict[tuple[str, str, str], list[Decision]] = {}
        self._near = Nearest(core.judge.policy, span)
        self._lists = core.judge.policy.digests

    def add(self, step: Step) -> None:
        """One more chunk of the log."""
        self._reading.add(step)
        for decision in step.decisions:
            case = (decision.ref, decision.key, decision.rule)
            if decision.action != RELEASE or case in self._cases:  # the end of one that began before is none
                self._cases.setdefault(case, []).append(decision)
        self._near.add(step)
        self._cuts.add(step)

    def tell(self, config: Config, logs: list[str]) -> None:
        """Print what was read, who would have been hit, who came near, and what to do next."""
        if self._reading.tell(config, logs):
            name = policy_name(config)
            if self._cases:
                self._tell_cases(name, config)
            else:
                print(f"\n{name} would have left everybody alone.")
            self._cuts.tell()
            self._tell_near(config)
            self._tell_lists()
        _tell_next(config)

    def _tell_cases(self, name: str, config: Config) -> None:
        cases = list(self._cases.values())
        senders: dict[str, list[list[Decision]]] = {}
        for case in cases:
            senders.setdefault(case[0].key, []).append(case)
        count = len(senders)
        print(f"\n{name} would have acted {times(len(cases))}, on {number(count)} sender{'s' * (count != 1)}:\n")
        rows = sorted((_Row.of(cases) for cases in senders.values()), key=_Row.urgency)
        cells = [row.cells(config) for row in rows[:_SHOWN]]
        write_table(cells, list(cells[0]))
        if count > _SHOWN:
            print(f"… and {number(count - _SHOWN)} more; --json has every case of all.")
        if all(case[0].mode == "observe" for case in cases):
            print("\nThese rules only observe: followed live, this would have been logged, and nobody refused.")

    def _tell_lists(self) -> None:
        """Which lists it went by: the controller may have had others, and logs these digests too."""
        if self._lists:
            print("\nIts lists are taken as they are now, whatever they held then (SHA-256 of their text):")
        for path, digest in self._lists.items():
            print(f"  {digest}…  {printable(path)}")

    def _tell_near(self, config: Config) -> None:
        hit = {(case[0].rule, case[0].key) for case in self._cases.values()}
        found = self._near.best(hit)
        if found:
            print("\nNearest to a limit without reaching it:\n")
            rows = [
                {
                    "who": key,
                    "rule": rule,
                    "reached": f"{int(near.near * 100)}%",
                    "when": clock(near.time, zone_of(config)),
                    "with": said(near.rates),
                }
                for rule, key, near in found[:_NEAREST]
            ]
            write_table(rows, list(rows[0]))


def policy_name(config: Config) -> str:
    """What a policy is called at the beginning of a sentence."""
    return f"The policy {config.policy.file}" if config.policy.file else "The policy that comes with mailbrake"


def said(row: Mapping[Any, float]) -> str:
    """Rates in a line, without those that are 0."""
    return ", ".join(f"{_named(*column)}: {number(value)}" for column, value in row.items() if value)


def _named(signal: str, window: int) -> str:
    """A rate, or whose usual it is."""
    usual = USUAL if signal.startswith(USUAL) else ""
    return f"{usual}{Rate(signal.removeprefix(USUAL), window)}"


def because(evidence: Iterable[tuple[str, Any]]) -> str:
    """The numbers of a decision, in a line."""
    return "; ".join(f"{what}: {number(e['value'])}, {side(e)} {number(e['threshold'])}" for what, e in evidence)


class _Row(NamedTuple):
    """A sender: how often something stood against it, from when till when, and its first case of the most severe."""

    cases: int
    begin: float
    until: float
    worst: Decision

    @classmethod
    def of(cls, cases: list[list[Decision]]) -> _Row:
        worst = max((case[0] for case in cases), key=lambda begun: SEVERITY[begun.action])
        return cls(len(cases), cases[0][0].time, max(case[-1].until for case in cases), worst)

    def urgency(self) -> tuple[int, int, float]:
        """Persons before addresses, then the most severe, then the first."""
        return KINDS.index(self.worst.key.partition(":")[0]), -SEVERITY[self.worst.action], self.begin

    def cells(self, config: Config) -> dict[str, object]:
        zone = zone_of(config)
        return {
            "from": clock(self.begin, zone),
            "until": clock(self.until, zone),
            "who": self.worst.key,
            "cases": self.cases,
            "answer": ANSWERS[self.worst.action],
            "because": because(self.worst.evidence.items()),
        }


def _tell_next(config: Config) -> None:
    print("\nNothing was changed: this was a replay. What next:")
    same = same_config(config)
    rows = [(command + same, what) for command, what in _NEXT]
    if not config.policy.file:
        rows.insert(0, ("mailbrake check --policy shipped", "the shipped policy, to copy and fit to your site"))
    rows.append((f"mailbrake watch{same or ' --config FILE'}", "follow the log live; observes until you say enforce"))
    width = max(len(command) for command, _ in rows)
    for command, what in rows:
        print(f"  {command:<{width}}  {what}")


_NEXT = (
    ("mailbrake why WHO LOG", "one of them: numbers, what is usual, from where, the log lines"),
    ("mailbrake rollout LOG", "rule by rule: whom it would have hit if it were turned on"),
    ("mailbrake report LOG --out FILE", "all of it as a page, with pictures"),
    ("mailbrake replay LOG --policy FILE", "what another policy would have done"),
)
