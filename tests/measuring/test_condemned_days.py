"""A day on which something was decided about an account teaches nothing about it."""

from __future__ import annotations

from logwatch.measuring.condemned_days import DAY, Condemned, short
from logwatch.measuring.habits import Habits
from logwatch.measuring.origin import Site

from .history import ABROAD, START, after_a_condemned_day, country, delivery, queued
from .table import events


def test_a_network_first_used_on_a_condemned_day_is_still_new() -> None:
    days = [queued(0)], [queued(8, client=ABROAD)], [queued(9.1, client=ABROAD)]
    assert after_a_condemned_day("new_networks", *days) == [1]
    assert after_a_condemned_day("new_networks", *days, acquitted=True) == [0]


def test_a_neighbourhood_first_used_on_a_condemned_day_is_still_far() -> None:
    days = [queued(0)], [queued(8, client=ABROAD)], [queued(13, client=ABROAD)]
    assert after_a_condemned_day("far", *days) == [1]
    assert after_a_condemned_day("far", *days, acquitted=True) == [0]


def test_a_condemned_day_is_none_of_the_days_in_a_country() -> None:
    home = [queued(day) for day in range(8)]
    days = home, [queued(8, client=ABROAD), queued(9, client=ABROAD)], [queued(10, client=ABROAD)]
    assert after_a_condemned_day("odd_countries", *days) == [
        0
    ]  # of three days only the first two count, one was condemned
    days = [*home, queued(8, client=ABROAD)], [queued(9, client=ABROAD)], [queued(10, client=ABROAD)]
    assert after_a_condemned_day("odd_countries", *days) == [1]
    assert after_a_condemned_day("odd_countries", *days, acquitted=True) == [0]


def test_a_sender_used_on_a_condemned_day_is_still_odd() -> None:
    other = b"ceo@example.com"
    days = [queued(0) for _ in range(60)], [queued(8, sender=other) for _ in range(9)], [queued(16, sender=other)]
    assert after_a_condemned_day("odd_senders", *days) == [1]
    assert after_a_condemned_day("odd_senders", *days, acquitted=True) == [0]


def test_whoever_was_first_written_to_on_a_condemned_day_is_still_new() -> None:
    days = [delivery(0, b"a@x")], [delivery(8, b"b@x")], [delivery(9, to) for to in (b"a@x", b"b@x", b"b@x")]
    assert after_a_condemned_day("new_recipients", *days) == [0, 1, 0]
    assert after_a_condemned_day("new_recipients", *days, acquitted=True) == [0, 0, 0]


def test_a_network_does_not_become_everybodys_by_abused_accounts() -> None:
    habits = Habits(Site(country=country))
    habits.observe(events([queued(0), *(queued(8, client=ABROAD, account=name) for name in ("bob", "carol", "dave"))]))
    for name in ("bob", "carol"):
        habits.condemned.add(f"account:{name}", START + 8 * DAY, START + 9 * DAY)
    assert habits.observe(events([queued(10, client=ABROAD)]))["far"].tolist() == [1]


def test_a_condemned_day_is_remembered_for_two_months() -> None:
    condemned = Condemned()
    condemned.add("account:alice", START, START)
    day = int(START // DAY)
    assert condemned.on(short("account:alice"), day, START + 50 * DAY)
    assert not condemned.on(short("account:alice"), day, START)  # it is not over
    assert not condemned.on(short("account:alice"), day + 1, START + 50 * DAY)
    condemned.expire(START + 200 * DAY)
    assert len(condemned.memory) == 0
