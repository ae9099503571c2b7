"""Mail and deliveries of some accounts over days, as events."""

from __future__ import annotations

from typing import Any

from logwatch.measuring.condemned_days import DAY
from logwatch.measuring.habits import Habits
from logwatch.measuring.origin import Site

from .table import events

START = 1_764_028_800.0  # midnight UTC
HOME, ABROAD = "client:192.0.2.7", "client:198.51.100.9"


def country(client: str) -> str:
    return "DE" if client == HOME else "US"


def queued(
    day: float, *, client: str | None = HOME, sender: bytes = b"alice@example.com", account: str = "alice"
) -> dict[str, Any]:
    return {
        "clock": START + day * DAY, "event": "queued", "account": f"account:{account}", "client": client,
        "sender": sender, "nrcpt": b"1", "size": b"1",
    }  # fmt: skip


def delivery(
    day: float, recipient: bytes, *, account: str = "alice", status: bytes = b"sent", dsn: bytes = b"2.0.0"
) -> dict[str, Any]:
    return {
        "clock": START + day * DAY, "event": "delivery", "account": f"account:{account}", "client": HOME,
        "recipient": recipient, "status": status, "dsn": dsn,
    }  # fmt: skip


def unknown(day: float, recipient: bytes, account: str = "alice") -> dict[str, Any]:
    return delivery(day, recipient, account=account, status=b"bounced", dsn=b"5.1.1")


def unusual(signal: str, *rows: dict[str, Any]) -> list[int]:
    found: list[int] = Habits(Site(country=country)).observe(events(rows))[signal].tolist()
    return found


def after_a_condemned_day(signal: str, *days: list[dict[str, Any]], acquitted: bool = False) -> list[int]:
    """What the last day finds; the one before was condemned, and perhaps acquitted again."""
    habits = Habits(Site(country=country))
    *before, bad, last = days
    habits.observe(events([row for rows in before for row in rows]))
    habits.observe(events(bad))
    habits.condemned.add("account:alice", bad[0]["clock"], bad[0]["clock"] + 3600)
    if acquitted:
        habits.condemned.drop("account:alice")
    found: list[int] = habits.observe(events(last))[signal].tolist()
    return found
