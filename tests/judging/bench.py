"""Rates and a judge, fed with events: the middle of the core without its ends."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.measuring.origin import Site
from logwatch.measuring.rates import Rates
from logwatch.schema import Decision
from tests.measuring.table import events

START = 1_764_028_800.0  # Tuesday, Nov 25 2025, midnight UTC


class Bench:
    """Takes events of one day at a time."""

    def __init__(self, policy: str, mode: str = "enforce") -> None:
        self.judge = Judge(parse(policy), mode)
        self.held: list[int] = []  # decisions that the guard turned into observe
        needs = self.judge.needs()
        self.rates = Rates(
            {86400, *(w for columns in needs.values() for _, w in columns if w)},
            site=Site(UTC, price=self.judge.policy.price, reputation=self.judge.reputation),
        )

    def feed(self, *rows: dict[str, Any]) -> list[Decision]:
        table = events(rows)
        histories = self.rates.add(table, self.judge.needs())
        self.judge.restraint.admission.active = self.rates.habits.active
        rulings = self.judge.decide(table, histories)
        decisions = [ruling.decision for ruling in rulings]
        self.held += [ruling.decision.seq for ruling in rulings if ruling.held]
        self.rates.condemn(decisions)
        return decisions

    def send(self, at: float, recipients: int, account: str = "alice") -> list[Decision]:
        """One message, `at` seconds after the start."""
        return self.feed(message(at, recipients, account))

    def release(self, at: float, key: str = "account:alice") -> list[Decision]:
        return self.judge.release(key, self.rates.totals(key, START + at), START + at)


def message(at: float, recipients: int, account: str = "alice", client: str | None = None) -> dict[str, Any]:
    return {
        "clock": START + at,
        "event": "queued",
        "account": f"account:{account}",
        "client": client,
        "nrcpt": str(recipients).encode(),
        "size": b"500",
        "queue_id": b"4jZ4r31mvlzJ9bM",
    }


def refusal(at: float, account: str = "alice") -> dict[str, Any]:
    """Our own milter refused an attempt."""
    return {"clock": START + at, "event": "verdict", "account": f"account:{account}"}


def told(decisions: Iterable[Decision]) -> list[tuple[float, str, str, str]]:
    return [(d.time - START, d.rule, d.action, d.mode) for d in decisions]
