"""Decisions for tests, with everything that a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from logwatch.schema import Decision

NOW = 1_764_000_000.0


def decision(seq: int = 1, **fields: Any) -> Decision:
    """One enforced tempfail on bob from NOW for an hour, unless said otherwise."""
    given: dict[str, Any] = {
        "time": NOW,
        "key": "account:bob@example.com",
        "action": "tempfail",
        "mode": "enforce",
        "until": NOW + 3600,
        "rule": "flood",
        "ref": "7K2M9Q",
        "queue_id": "4jZ1x362FKzJ9Hg",
        "evidence": {"recipients in 10m": {"value": 201, "threshold": 200}},
    }
    return Decision(seq=seq, **{**given, **fields})
