"""The shipped policy does not have a campus pay for one of its machines, but stops the same from anywhere else."""

from __future__ import annotations

from typing import Any

import pytest

from logwatch.judging.language import SHIPPED

from .bench import START, Bench, message

CAMPUS, ELSEWHERE = "client:198.51.100.7", "client:203.0.113.9"
HOUR = 3600.0


def events(event: str, number: int, seconds: float, **columns: Any) -> list[dict[str, Any]]:
    """So many of them, at ten in the evening."""
    begin = START + 22 * HOUR
    return [{"clock": begin + place * seconds / number, "event": event, **columns} for place in range(number)]


def old_password(client: str) -> list[dict[str, Any]]:
    return events("auth_failure", 60, 500, client=client, account="account:u1")


def broken_program(client: str) -> list[dict[str, Any]]:
    return events("connect", 70, 50, client=client)


def old_address_book(client: str) -> list[dict[str, Any]]:
    return events("reject", 12, 60, client=client, account="account:u1", dsn=b"5.1.1")


def forgotten_passwords(client: str) -> list[dict[str, Any]]:
    """Of a room full of people."""
    rows = events("auth_failure", 18, 500, client=client)
    return [{**row, "account": f"account:u{place}"} for place, row in enumerate(rows)]


@pytest.mark.parametrize("happens", [old_password, broken_program, old_address_book, forgotten_passwords])
def test_what_one_does_is_held_against_all_only_where_there_are_no_others(happens: Any) -> None:
    by_day = [message(9 * HOUR + place, 1, f"u{place}", CAMPUS) for place in range(40)]
    bench = Bench(SHIPPED.read_text())
    bench.feed(*by_day)
    assert [decision.key for decision in bench.feed(*happens(CAMPUS)) if not decision.key.startswith("account:")] == []
    assert ELSEWHERE in [decision.key for decision in bench.feed(*happens(ELSEWHERE))]


def test_a_list_with_dead_addresses_is_no_harvest_while_it_may_still_be_accepted() -> None:
    """A message's refused recipients stand in the log before it does; who only tries names comes again without one."""
    first = [*events("connect", 1, 1, client=ELSEWHERE), *events("reject", 8, 60, client=ELSEWHERE, dsn=b"5.1.1")]
    again = {"clock": START + 22 * HOUR + 120, "event": "connect", "client": ELSEWHERE}
    for accepted, found in ((100, set()), (0, {ELSEWHERE})):
        bench = Bench(SHIPPED.read_text())
        assert bench.feed(*first) == []
        if accepted:
            bench.feed({**message(22 * HOUR + 70, accepted, client=ELSEWHERE), "account": None})
        assert {decision.key for decision in bench.feed(again)} == found


def test_harvest_is_seen_where_connections_are_not_logged() -> None:
    """Exim does not, unless told to."""
    decided = Bench(SHIPPED.read_text()).feed(*events("reject", 12, 60, client=ELSEWHERE, dsn=b"5.1.1"))
    assert ELSEWHERE in [decision.key for decision in decided]


@pytest.mark.parametrize(("messages", "throttled"), [(1, False), (12, True)])
def test_a_single_message_to_an_old_list_is_over_when_it_bounces(messages: int, throttled: bool) -> None:
    bench = Bench(SHIPPED.read_text())
    bench.feed(*(message(place * 300, 60 // messages) for place in range(messages)))
    bounces = events("delivery", 20, 60, account="account:alice", status=b"bounced", dsn=b"5.1.1")
    decided = bench.feed(
        *(
            {**row, "clock": row["clock"] - 21 * HOUR, "queue_id": b"4Q%d" % (place % messages)}
            for place, row in enumerate(bounces)
        )
    )
    assert bool(decided) is throttled
