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


@pytest.mark.parametrize(("number", "blocked"), [(40, False), (70, True)])
@pytest.mark.parametrize("used", [0.0, 5 * 24 * HOUR, 8 * 24 * HOUR])
def test_guesses_without_a_login_are_held_against_a_network_that_nobody_uses(
    number: int, blocked: bool, used: float
) -> None:
    """Some logs do not name who failed. One message within a week, and it may be a device with an old password."""
    bench = Bench(SHIPPED.read_text())
    if used:
        bench.feed(message(22 * HOUR - used, 1, "u1", "client:203.0.113.200"))
    tried = [
        row
        for place, row in enumerate(events("auth_failure", number, 3000))
        for row in [{**row, "client": f"client:203.0.113.{place % 50}"}]
    ]
    decided = {decision.key for decision in bench.feed(*tried)}
    assert decided == ({"net:203.0.113.0/24"} if blocked and used != 5 * 24 * HOUR else set())


def form(day: int, messages: int, dead: int) -> list[dict[str, Any]]:
    """What a local user sent that day, and how many of these came back."""
    begin = 10 * HOUR + day * 24 * HOUR
    for_user = {"account": None, "local": "local:33"}
    sent = [
        {**message(begin + 60 * place, 1), **for_user, "queue_id": b"4Q%d-%d" % (day, place)}
        for place in range(messages)
    ]
    back = [
        {**row, **for_user, "event": "delivery", "status": b"bounced", "dsn": b"5.1.1", "clock": row["clock"] + 9}
        for row in sent[:: messages // dead if dead else 1][:dead]
    ]
    return sorted([*sent, *back], key=lambda row: row["clock"])


@pytest.mark.parametrize(
    ("days", "messages", "dead", "told"),
    [(1, 60, 12, True), (1, 60, 3, False), (1, 400, 12, False), (4, 40, 6, True), (4, 40, 2, False)],
)
def test_a_form_that_sends_to_dead_addresses_is_told(days: int, messages: int, dead: int, told: bool) -> None:
    """At once, or a few a day."""
    bench = Bench(SHIPPED.read_text())
    for day in range(-12, 0):
        bench.feed(*form(day, 5, 0))
    decided = [decision for day in range(days) for decision in bench.feed(*form(day, messages, dead))]
    assert {(decision.key, decision.rule) for decision in decided} == ({("local:33", "abused-form")} if told else set())
    assert {decision.mode for decision in decided} <= {"observe"}


def test_what_a_program_sends_to_dead_addresses_every_day_is_its_usual() -> None:
    bench = Bench(SHIPPED.read_text())
    decided = [bench.feed(*form(day, 24, 12)) for day in range(-14, 0)]
    assert any(decided[:2])
    assert not any(decided[10:])
