"""What an account is used to, and what is unusual for it."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.measuring.condemned_days import DAY
from logwatch.measuring.habits import FOUND, Habits
from logwatch.measuring.origin import Site
from logwatch.measuring.signals import EventChunk, amounts
from logwatch.schema import ADDITIVE

from .history import ABROAD, HOME, START, after_a_condemned_day, country, delivery, queued, unknown, unusual
from .table import events, rows_of


class TestNewRecipients:
    def test_nothing_is_new_in_the_first_week(self) -> None:
        assert unusual("new_recipients", delivery(0, b"a@x"), delivery(6.9, b"b@x")) == [0, 0]

    def test_after_it_whoever_was_not_written_to_is_new(self) -> None:
        rows = [delivery(0, b"a@x"), delivery(8, b"A@X"), delivery(8, b"b@x"), delivery(9, b"b@x")]
        assert unusual("new_recipients", *rows) == [0, 0, 1, 0]

    def test_a_contact_of_one_account_is_new_to_another(self) -> None:
        rows = [delivery(0, b"a@x"), delivery(8, b"a@x", account="bob")]
        assert unusual("new_recipients", *rows) == [0, 1]

    def test_a_retry_is_not_new(self) -> None:
        rows = [queued(0), delivery(8, b"a@x", status=b"deferred"), delivery(8.1, b"a@x")]
        assert unusual("new_recipients", *rows) == [0, 1, 0]

    def test_after_half_a_year_everybody_is_new_again(self) -> None:
        rows = [delivery(0, b"a@x"), delivery(150, b"a@x"), delivery(300, b"a@x"), delivery(300 + 190, b"a@x")]
        assert unusual("new_recipients", *rows) == [0, 0, 0, 1]

    def test_who_does_not_exist_is_no_contact(self) -> None:
        """Whose mailbox is full is."""
        rows = [unknown(0, b"a@x"), unknown(8, b"a@x"), delivery(0, b"b@x", status=b"bounced", dsn=b"5.2.2")]
        assert unusual("new_recipients", *rows, delivery(9, b"a@x"), delivery(9, b"b@x")) == [0, 1, 0, 1, 0]


class TestExcused:
    def test_a_refusal_is_where_four_accounts_old_contacts_were_refused(self) -> None:
        met = [delivery(0, b"a@x", account=f"user{n}") for n in range(4)]
        lost = [unknown(1 + n / 1000, b"a@x", account=f"user{n}") for n in range(4)]
        rows = [*met, *lost, unknown(1.01, b"c@x"), unknown(1.01, b"c@y"), delivery(1.01, b"a@x")]
        assert unusual("excused", *rows) == [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]
        found = amounts(EventChunk(Habits().observe(events(rows))))[:, ADDITIVE.index("unknown_recipients")]
        assert found.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0]

    def test_none_is_for_contacts_who_never_were(self) -> None:
        tried = [unknown(day + n / 1000, b"a@x", account=f"user{n}") for day in (0, 1) for n in range(5)]
        assert not any(unusual("excused", *tried))


class TestFreshRecipients:
    def test_who_is_new_is_fresh_until_the_day_is_over(self) -> None:
        rows = [queued(0), delivery(8, b"a@x"), delivery(8.9, b"A@x"), delivery(9, b"a@x"), delivery(9.1, b"b@x")]
        assert unusual("fresh_recipients", *rows) == [0, 1, 1, 0, 1]

    def test_a_day_has_so_many_of_them(self) -> None:
        """Of those beyond, only the first delivery is."""
        many = [delivery(8, b"r%d@x" % number) for number in range(502)]
        assert sum(unusual("fresh_recipients", queued(0), *many, *many)) == 502 + 500

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([0.0, 0.1, 0.3, 1.0, 5.0]),
                st.sampled_from(["alice", "bob"]),
                st.sampled_from([b"a@x", b"b@x", b"c@x"]),
            ),
            max_size=30,
        ),
        st.integers(0, 30),
    )
    def test_they_are_those_whom_no_earlier_day_has(self, sent: list[tuple[float, str, bytes]], edge: int) -> None:
        times = accumulate(gap for gap, _, _ in sent)
        rows = [delivery(day, to, account=who) for day, (_, who, to) in zip(times, sent, strict=True)]
        habits, found = Habits(Site(country=country)), []
        for part in (rows[:edge], rows[edge:]):
            if part:
                found += habits.observe(events(part))["fresh_recipients"].tolist()
        for number, row in enumerate(rows):
            pair, today = (row["account"], row["recipient"]), row["clock"] // DAY
            before = any((r["account"], r["recipient"]) == pair and r["clock"] // DAY < today for r in rows[:number])
            assert found[number] == (row["clock"] - rows[0]["clock"] >= 7 * DAY and not before)


class TestNewNetworks:
    def test_a_network_is_new_for_a_day(self) -> None:
        rows = [queued(0), *(queued(8 + part, client=ABROAD) for part in (0, 0.5, 1.1))]
        assert unusual("new_networks", *rows) == [0, 1, 1, 0]

    def test_a_network_next_door_is_new_as_well(self) -> None:
        assert unusual("new_networks", queued(0), queued(8, client="client:192.0.99.1")) == [0, 1]

    def test_after_half_a_year_an_account_is_in_its_first_week_again(self) -> None:
        """Whenever what is old is dropped: here it is all of one chunk."""
        for days, new in ((182, 1), (183, 0)):
            assert unusual("new_networks", queued(0), queued(days, client=ABROAD)) == [0, new]

    def test_none_is_new_for_an_account_in_its_first_week(self) -> None:
        assert unusual("new_networks", queued(0), queued(3, client=ABROAD)) == [0, 0]

    def test_none_is_new_where_several_others_have_been_for_longer_than_a_day(self) -> None:
        others = [queued(1, client=ABROAD, account=name) for name in ("bob", "carol", "dave")]
        assert unusual("new_networks", queued(0), *others[:2], queued(8, client=ABROAD))[-1] == 1
        assert unusual("new_networks", queued(0), *others, queued(8, client=ABROAD))[-1] == 0

    def test_none_is_new_where_several_others_go_on_being_after_half_a_year(self) -> None:
        """As long as somebody uses a network, who does is remembered."""
        others = [
            queued(day, client=ABROAD, account=name) for day in range(1, 400, 20) for name in ("bob", "carol", "dave")
        ]
        habits = Habits(Site(country=country))
        for row in [*others, queued(390), queued(398)]:
            habits.observe(events([row]))
            habits.expire(row["clock"])
        assert habits.observe(events([queued(399, client=ABROAD)]))["new_networks"].tolist() == [0]

    def test_none_is_new_where_others_are_though_many_networks_were_seen_since(self) -> None:
        habits, homes = Habits(Site(country=country)), [f"client:10.0.{n}.1" for n in range(20)]
        next(memory for memory in habits.memories() if memory.name == "networks").bound = 10
        shared = [[queued(day, client=ABROAD, account=name) for name in ("bob", "carol", "dave")] for day in (1, 7.5)]
        elsewhere = [[queued(day, client=home, account=home) for home in homes] for day in (2, 7)]
        habits.observe(events([queued(0), *shared[0], *elsewhere[0], *elsewhere[1], *shared[1]]))
        assert habits.observe(events([queued(8, client=ABROAD)]))["new_networks"].tolist() == [0]

    def test_others_who_came_today_prove_nothing(self) -> None:
        others = [queued(8, client=ABROAD, account=name) for name in ("bob", "carol", "dave")]
        assert unusual("new_networks", queued(0), *others, queued(8.1, client=ABROAD))[-1] == 1


class TestFar:
    """Neighbourhoods: 192.0 is home, 198.51 is far."""

    def test_a_neighbourhood_is_far_for_four_days(self) -> None:
        rows = [queued(0), queued(8), *(queued(8 + day, client=ABROAD) for day in (0, 1, 3.9, 4.1))]
        assert unusual("far", *rows) == [0, 0, 1, 1, 1, 0]

    def test_another_network_next_door_is_not_far(self) -> None:
        assert unusual("far", queued(0), queued(8, client="client:192.0.99.1")) == [0, 0]

    def test_none_is_far_where_several_others_write_from(self) -> None:
        others = [queued(1, client=ABROAD, account=name) for name in ("bob", "carol", "dave")]
        assert unusual("far", queued(0), *others, queued(8, client="client:198.51.7.7"))[-1] == 0

    def test_none_is_far_in_the_first_week_of_the_log(self) -> None:
        assert unusual("far", queued(0), queued(6, client=ABROAD)) == [0, 0]

    def test_strangers_written_to_from_there_are_counted(self) -> None:
        rows = [
            queued(0), delivery(0, b"a@x"), queued(8, client=ABROAD),
            *({**delivery(8, to), "client": ABROAD} for to in (b"a@x", b"b@x")), delivery(8, b"c@x"),
        ]  # fmt: skip
        assert unusual("far_strangers", *rows) == [0, 0, 0, 0, 1, 0]

    def test_a_refused_attempt_is_far_too_and_teaches_nothing(self) -> None:
        refused = {**queued(8, client=ABROAD), "event": "verdict"}
        later = queued(13, client=ABROAD)
        assert unusual("far", queued(0), queued(7), refused, later) == [0, 0, 1, 1]


class TestAway:
    def test_a_neighbourhood_is_away_for_a_day(self) -> None:
        rows = [queued(0), *(queued(8 + part, client=ABROAD) for part in (0, 0.9, 1.1))]
        assert unusual("away", *rows) == [0, 1, 1, 0]

    def test_a_neighbourhood_is_away_whoever_else_uses_it(self) -> None:
        others = [queued(1, client=ABROAD, account=name) for name in ("bob", "carol", "dave")]
        assert unusual("away", queued(0), *others, queued(8, client=ABROAD))[-1] == 1

    def test_another_network_next_door_is_not_away(self) -> None:
        assert unusual("away", queued(0), queued(8, client="client:192.0.99.1")) == [0, 0]

    def test_none_is_away_on_the_first_day_of_an_account(self) -> None:
        bob = [queued(8 + part, client=where, account="bob") for part, where in ((0, HOME), (0.9, ABROAD))]
        assert unusual("away", queued(0), *bob) == [0, 0, 0]
        for day in (9, 9.1):
            assert unusual("away", queued(0), bob[0], queued(day, client=ABROAD, account="bob")) == [0, 0, 1]

    def test_none_is_away_in_the_first_week_of_the_log(self) -> None:
        assert unusual("away", queued(0), queued(6.9, client=ABROAD)) == [0, 0]

    def test_a_condemned_day_teaches_nothing(self) -> None:
        days = [queued(0)], [queued(8, client=ABROAD)], [queued(10, client=ABROAD)]
        assert after_a_condemned_day("away", *days) == [1]
        assert after_a_condemned_day("away", *days, acquitted=True) == [0]


class TestOddCountries:
    def test_a_country_is_odd_until_the_third_day_there(self) -> None:
        rows = [*(queued(day) for day in range(8)), *(queued(8 + day, client=ABROAD) for day in range(4))]
        assert unusual("odd_countries", *rows)[8:] == [1, 1, 0, 0]

    def test_none_is_odd_for_an_account_without_a_country_of_its_own(self) -> None:
        assert unusual("odd_countries", queued(0), queued(8), queued(9, client=ABROAD)) == [0, 0, 0]


class TestOddSenders:
    def test_a_sender_hardly_ever_used_is_odd(self) -> None:
        rows = [
            *(queued(0) for _ in range(60)),
            queued(0, sender=b"ceo@example.com"),
            queued(0, sender=b"ALICE@example.com"),
        ]
        assert unusual("odd_senders", *rows)[-2:] == [1, 0]

    def test_none_is_odd_among_the_first_messages(self) -> None:
        rows = [*(queued(0) for _ in range(10)), queued(0, sender=b"ceo@example.com")]
        assert unusual("odd_senders", *rows)[-1] == 0

    def test_a_sender_is_odd_for_a_week(self) -> None:
        rows = [*(queued(0) for _ in range(30)), *(queued(day, sender=b"ceo@example.com") for day in (1, 1, 7, 9))]
        assert unusual("odd_senders", *rows)[-4:] == [1, 1, 1, 0]

    @settings(deadline=None)
    @given(
        st.sampled_from([19, 20, 21]) | st.integers(15, 160),
        st.lists(st.tuples(st.sampled_from([0, 0, 1, 6, 7]), st.sampled_from([b"", b"a@x", b"b@x"])), max_size=9),
    )
    def test_it_is_what_a_look_at_all_that_went_before_finds(self, begun: int, later: list[tuple[int, bytes]]) -> None:
        sent = [(0, b"home@x")] * begun
        for days, sender in later:
            sent.append((sent[-1][0] + days, sender))

        def odd(place: int, day: int, sender: bytes) -> bool:
            before = [number for number in range(place) if sent[number][1] == sender]
            first = before[0] if before else place
            fresh = first >= 20 and day - sent[first][0] < 7
            return bool(sender) and place >= 20 and (len(before) < 0.02 * place or fresh)

        expected = [odd(place, *one) for place, one in enumerate(sent)]
        assert unusual("odd_senders", *(queued(day, sender=sender) for day, sender in sent)) == expected

    @pytest.mark.parametrize(("others", "odd"), [(30, 1), (31, 0)])
    def test_one_of_thirty_two_is_not_odd(self, others: int, odd: int) -> None:
        rows = [queued(0, sender=b"user%d@example.com" % number) for number in range(others)]
        assert unusual("odd_senders", *rows, queued(0))[-1] == odd

    def test_none_is_odd_of_an_account_that_uses_many_anyway(self) -> None:
        rows = [queued(0, sender=b"user%d@example.com" % (n % 40)) for n in range(400)]
        assert unusual("odd_senders", *rows)[-1] == 0

    def test_the_null_sender_of_bounces_is_not_odd(self) -> None:
        assert unusual("odd_senders", *(queued(0) for _ in range(60)), queued(0, sender=b""))[-1] == 0


def test_in_the_end_everything_is_forgotten_but_who_was_written_to() -> None:
    """Accounts and users of networks after half a year, days on which something was decided sooner."""
    habits = Habits(Site(country=country))
    habits.observe(events([queued(0), delivery(0, b"a@x")]))
    habits.condemned.add("account:alice", START, START + 60)
    left = []
    for days in (0, 8, 150, 200):
        habits.expire(START + days * DAY)
        left.append({memory.name for memory in habits.memories() if len(memory)} - {"days", "contacts"})
    known = {"used", "networks"}
    assert left == [known | {"condemned", "latest contacts"}, known | {"condemned"}, known, set()]


def test_what_does_not_count_teaches_nothing() -> None:
    rows = [delivery(0, b"a@x"), {**delivery(8, b"b@x"), "counts": False}, delivery(8, b"b@x")]
    assert unusual("new_recipients", *rows) == [0, 0, 1]


def test_active_accounts_are_those_of_the_busiest_day_of_the_week_before() -> None:
    """A Sunday says nothing about how large a site is."""
    habits = Habits(Site(country=country))
    habits.observe(events([queued(0), queued(0, account="bob"), queued(0.5), queued(1)]))
    assert habits.active == 2
    habits.observe(events([queued(2), queued(7.9)]))
    assert habits.active == 2
    habits.observe(events([queued(8)]))
    assert habits.active == 1


_rows = st.lists(
    st.tuples(
        st.sampled_from([0, 0.1, 0.9, 3]), st.booleans(), st.sampled_from(["alice", "bob"]),
        st.sampled_from([HOME, ABROAD]), st.sampled_from([b"a@x", b"b@x", b"c@x"]),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(deadline=None)
@given(st.data(), _rows)
def test_what_is_found_is_the_same_across_restarts(data: st.DataObject, drawn: list[Any]) -> None:
    days = np.cumsum([row[0] for row in drawn])
    table = events(
        queued(day, client=client, sender=address, account=account)
        if is_queued
        else (unknown if client == ABROAD else delivery)(day, address, account=account)
        for day, (_, is_queued, account, client, address) in zip(days, drawn, strict=True)
    )
    whole = Habits(Site(country=country)).observe(table)
    cut = data.draw(st.integers(0, len(drawn)))
    first, second = Habits(Site(country=country)), Habits(Site(country=country))
    before = first.observe(rows_of(table, 0, cut))
    for old, new in zip(first.memories(), second.memories(), strict=True):
        new.restore((key, time, value) for key, time, value in old.changes() if value is not None)
    after = second.observe(rows_of(table, cut, len(drawn)))
    for name in FOUND:
        assert [*before[name], *after[name]] == whole[name].tolist()


COUNTRIES = {HOME: "DE", ABROAD: "US", "client:2001:db8::1": None, None: None}  # each in a neighbourhood of its own
ACCOUNTS = ("alice", "bob", "carol", "dave")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 0.125, 0.875, 1, 3, 4, 7]), st.sampled_from(["queued", "queued", "verdict"]),
            st.sampled_from(ACCOUNTS), st.sampled_from([*COUNTRIES]),
        ),
        min_size=1, max_size=40,
    )
)  # fmt: skip
def test_of_places_it_is_what_a_look_at_all_that_went_before_finds(drawn: list[Any]) -> None:
    """Days are in eighths, which a float holds: whether a day has passed is then the same in days and in seconds."""
    days = np.cumsum([row[0] for row in drawn]).tolist()
    rows = [(day, *row[1:]) for day, row in zip(days, drawn, strict=True)]
    made = [{**queued(day, client=client, account=account), "event": event} for day, event, account, client in rows]
    found = Habits(Site(country=COUNTRIES.get)).observe(events(made))
    for place in range(len(rows)):
        expected = _odd_places(rows, place)
        assert {name for name in ("new_networks", "odd_countries", "far", "away") if found[name][place]} == expected


def _odd_places(rows: list[Any], place: int) -> set[str]:
    """By definition, of networks that are neighbourhoods as well."""
    day, _, account, client = rows[place]
    learned = [row for row in rows[:place] if row[1] == "queued"]
    used = {
        name: [row[0] for row in learned if row[2] == name and row[3] == client] for name in ACCOUNTS if name != account
    }
    mine = [row for row in learned if row[2] == account]
    here = day - next((row[0] for row in mine if row[3] == client), day)
    age = day - mine[0][0] if mine else 0
    shared = sum(min(times) <= day - 1 for times in used.values() if times) >= 3
    seen = {land: {row[0] // 1 for row in mine if COUNTRIES[row[3]] == land} for land in ("DE", "US")}
    land = COUNTRIES[client]
    odd = land and len(seen[land] | {day // 1}) < 3 and any(len(seen[other]) >= 3 for other in seen if other != land)
    ready = day - rows[0][0] >= 7
    so = {
        "new_networks": age >= 7 and here < 1 and not shared,
        "odd_countries": age >= 7 and odd,
        "far": here < 4 and not shared,
        "away": age >= 1 and here < 1,
    }
    return {name for name, is_so in so.items() if ready and client and is_so}


def test_of_places_and_senders_those_used_last_are_remembered_within_bounds() -> None:
    habits = Habits(Site(country=lambda client: client))
    habits.observe(
        events(queued(n / 100, client=f"client:10.{n}.0.1", sender=b"s%d@example.com" % n) for n in range(100))
    )
    used = next(memory for memory in habits.memories() if memory.name == "used").get("account:alice")
    assert used
    assert [len(kept) for kept in (used.places, used.countries, used.senders)] == [64, 24, 32]
    assert [*used.countries][-1] == "client:10.99.0.1"
    assert [*used.senders][-1] == "s99@example.com"
