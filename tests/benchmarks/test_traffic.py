"""The traffic on which policies are measured: the same for the same seed, true to its labels, readable as Postfix."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from datetime import UTC
from operator import attrgetter

import pytest

from benchmarks.at_once import Storm
from benchmarks.closed_loop import ClosedLoop
from benchmarks.detection import alarms, families, scored
from benchmarks.traffic import campus, hosted
from benchmarks.traffic.attacks import FAMILIES, ON_CLIENTS
from benchmarks.traffic.campus import Campus
from benchmarks.traffic.hosted import Hosted
from benchmarks.traffic.month import DAYS, Month
from benchmarks.traffic.postfix import Writer
from benchmarks.traffic.profile import PROVIDER
from benchmarks.traffic.scattered import Scattered
from benchmarks.traffic.scene import DAY, HOUR, SENT, START, UNKNOWN, Event, Guess, Incoming, Mail
from benchmarks.traffic.sending import Process
from benchmarks.traffic.sendmail import SendmailWriter
from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.language import SHIPPED, parse
from logwatch.measuring.habits import Habits
from logwatch.measuring.signals import EventChunk, amounts
from logwatch.schema import ADDITIVE

SMALL = dataclasses.replace(
    PROVIDER, accounts=24, scanners=1, monitors=0, tickets=1, newsletters=1, lists=0, incoming=1
)


def month(seed: int = 1, kinds: Iterable[str] = FAMILIES) -> Month:
    return Month(SMALL, seed, each=1, times=Process(), kinds=kinds)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(month().events())


def test_the_same_seed_gives_the_same_month(events: list[Event]) -> None:
    """And another seed another one."""
    assert list(month().events()) == events
    assert list(month(2).events()) != events


def test_time_only_goes_forward_and_ends_with_the_month(events: list[Event]) -> None:
    """Whoever reads on never has to sort."""
    times = [event.time for event in events]
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] < START + DAYS * DAY


def test_the_truth_tells_of_every_family_and_of_every_attacker_event() -> None:
    """Each attack lies between its first and last event, on the account that it names."""
    made = month()
    labelled = [event for event in made.events() if event.attack > 0]
    attacks = {attack.number: attack for attack in made.attacks}
    assert {attack.family for attack in made.attacks} == set(FAMILIES)
    for event in labelled:
        attack = attacks[event.attack]
        assert attack.first <= event.time <= attack.last
        assert attack.account == (event.account if isinstance(event, Mail) else "")
        assert (attack.family in ON_CLIENTS) == (not isinstance(event, Mail))


def test_the_log_says_what_happened(events: list[Event]) -> None:
    """Read back: as many messages for each login as it sent, through a content filter too, and as many unknowns."""
    some = [event for event in events if event.time < START + 3 * DAY]
    writer = Writer("test", filtered=True)
    for event in some:
        writer.write(event)
    core = Core(Judge(parse("")), zone=UTC, start=START)
    read = core.feed(writer.until(START + 4 * DAY)).events
    counted = read["counts"] & (read["event"] == "queued")
    sent = Counter(f"account:{event.account}" for event in some if isinstance(event, Mail))
    assert Counter(account for account in read["account"][counted] if account) == sent
    bounced = sum((read["dsn"] == b"5.1.1") & (read["event"] == "delivery"))
    assert bounced == sum(event.fates.count(UNKNOWN) for event in some if isinstance(event, Mail))
    refused = sum(read["event"] == "reject")
    assert refused == sum(event.unknown for event in some if isinstance(event, Incoming))
    assert sum(read["event"] == "auth_failure") == sum(isinstance(event, Guess) for event in some)


def test_sendmail_tells_the_same(events: list[Event]) -> None:
    """As much of every signal that needs no past, in other words."""
    some = [event for event in events if event.time < START + 3 * DAY]
    totals = []
    for writer in (Writer("test"), SendmailWriter("test")):
        for event in some:
            writer.write(event)
        read = Core(Judge(parse("")), zone=UTC, start=START).feed(writer.until(START + 4 * DAY)).events
        totals.append(amounts(EventChunk(Habits().observe(read))).sum(axis=0).tolist())
    postfix, sendmail = (dict(zip(ADDITIVE, total, strict=True)) for total in totals)
    assert all(postfix[signal] for signal in COUNTED)
    assert [sendmail[signal] for signal in COUNTED] == [postfix[signal] for signal in COUNTED]


COUNTED = (
    "messages", "recipients", "attempts", "connections", "unknown_recipients", "bounces", "policy_rejections",
    "deferrals", "auth_failures",
)  # fmt: skip


def test_an_attack_is_seen_in_a_log_that_begins_with_it() -> None:
    """Nothing is known of anybody yet; bounces and networks tell. Nobody else is hit, a newsletter neither."""
    began = Month(SMALL, 3, each=1, times=Process(), kinds=["flood", "botnet", "fan-out"], days=2, begin=(0.1, 0.6))
    run = ClosedLoop(began, parse(SHIPPED.read_text())).run()
    assert len(run.outcomes) == 3
    for outcome in run.outcomes.values():
        assert outcome.decided is not None
        assert outcome.decided - outcome.attack.first < 3600
    result = scored(run, SMALL.name, 3)
    assert not result.wrong


def test_lost_lines_are_lost() -> None:
    """All of them: then nothing is ever decided."""
    policy = parse("rule all per account: when unknown_recipients in 24h > 2 block for 7d")
    assert not ClosedLoop(month(kinds=["flood"]), policy, lost=1.0).run().decisions


@pytest.mark.parametrize(
    ("site", "kinds"), [(Campus, campus.ATTACKS), (Hosted, hosted.ATTACKS), (Scattered, hosted.ATTACKS)]
)
def test_other_sites_are_in_order_and_true_to_their_labels(site: type[Campus | Hosted], kinds: Iterable[str]) -> None:
    """Time only goes forward, every family is there, and each attack's events are its own."""
    month = site(1, accounts=60)
    made = list(month.events())
    times = [event.time for event in made]
    assert times == sorted(times)
    attacks = {attack.number: attack for attack in month.attacks}
    assert {attack.family for attack in month.attacks} == set(kinds)
    for event in made:
        if event.attack > 0:
            assert attacks[event.attack].account == (event.account if isinstance(event, Mail) else "")
        elif isinstance(event, Mail):
            assert event.account in month.labels()


def test_what_is_refused_is_not_delivered() -> None:
    """In the closed loop an attack that is blocked on sight leaks what came before and within the lag."""
    policy = parse("rule all per account: when unknown_recipients in 24h > 2 block for 7d")
    (flood,) = ClosedLoop(month(kinds=["flood"]), policy).run().outcomes.values()
    assert flood.decided is not None
    assert flood.through == 0
    assert 0 < sum(flood.delivered) < flood.attempted


def test_a_policy_without_rules_stops_nothing_and_harms_nobody() -> None:
    """All attacks come through whole; the tables have a row for each family and class."""
    kinds = ["mixed", "guessing"]
    result = scored(ClosedLoop(month(kinds=kinds), parse("")).run(), SMALL.name, 1)
    assert all(sum(outcome.delivered) == outcome.attempted for outcome in result.outcomes)
    assert {row[0] for row in families([result])} == set(kinds)
    assert all(row[2] == row[4] == "0" for row in alarms([result]))


CONTACTS = [f"friend{number}@partner.example" for number in range(24)]
HOME, CARRIER, AFAR = "192.0.2.7", "198.51.100", "203.0.113.9"


def written(time: float, account: str, client: str, to: str) -> Mail:
    login = f"{account}@site.example"
    return Mail(START + time, login, client, login, (to,), (SENT,))


def fortnight() -> list[Mail]:
    """Alice writes to her contacts from home, others out of a carrier's network."""
    made = [written(day * DAY + 60 * n, "alice", HOME, CONTACTS[2 * day + n]) for day in range(12) for n in range(2)]
    return made + [
        written(day * DAY + 7200, name, f"{CARRIER}.{place}", "boss@partner.example")
        for day in range(12)
        for place, name in enumerate(("bob", "carol", "dave"), 1)
    ]


def decided(made: Iterable[Mail], since: float = 0, key: str = "account:alice@site.example") -> list[str]:
    """By which rule of the shipped policy a key (Alice) is hit first, since some day of the log."""
    writer = Writer("test")
    for event in sorted(made, key=attrgetter("time")):
        writer.write(event)
    core = Core(Judge(parse(SHIPPED.read_text())), zone=UTC, start=START)
    found = core.feed(writer.until(START + 30 * DAY)).decisions
    hers = [decision for decision in found if decision.key == key]
    return [decision.rule for decision in hers if decision.time >= START + since * DAY][:1]


@pytest.mark.parametrize(
    ("client", "earlier", "day", "rules"),
    [
        (f"{CARRIER}.9", 0, 12, ["many-from-elsewhere"]),
        (f"{CARRIER}.9", 4, 12, []),
        (AFAR, 0, 12, ["many-from-afar"]),
        (AFAR, 4, 12, []),
        (AFAR, 4, 10, []),
        (AFAR, 1, 10, ["many-from-afar"]),
        (HOME, 0, 12, []),
    ],
)
def test_a_run_to_own_contacts_is_held_against_the_place_that_it_comes_from(
    client: str, earlier: int, day: int, rules: list[str]
) -> None:
    """From a carrier that others use, but not she, or from where nobody was; the same from home may be hers.

    So may be what comes from where she has written that day, or some days earlier: who moved writes from there before
    a busy hour. A password is tried out with one message.
    """
    before = [written(day * DAY + 60 * n, "alice", client, CONTACTS[n]) for n in range(earlier)]
    run = [written(12.5 * DAY + 90 * n, "alice", client, CONTACTS[n]) for n in range(24)]
    assert decided([*fortnight(), *before, *run]) == rules


@pytest.mark.parametrize(("tried", "messages"), [(0, 20), (1, 130)])
def test_a_run_from_afar_is_one_again_some_days_later(tried: int, messages: int) -> None:
    """The first day was condemned, or if the place was tried out before it, the first run was large."""
    before = [written(11.6 * DAY, "alice", AFAR, CONTACTS[0])] * tried
    runs = [
        written(day * DAY + 20 * n, "alice", AFAR, CONTACTS[n % 24])
        for day, number in ((12.5, messages), (14.5, 20))
        for n in range(number)
    ]
    assert decided([*fortnight(), *before, *runs], since=14) == ["many-from-afar"]


def test_who_is_busy_at_home_too_is_the_owner() -> None:
    away = [written(12.5 * DAY + 90 * n, "alice", AFAR, CONTACTS[n]) for n in range(24)]
    home = [written(12.5 * DAY + 70 * n, "alice", HOME, CONTACTS[n % 24]) for n in range(30)]
    assert decided([*fortnight(), *away]) == ["many-from-afar"]
    assert decided([*fortnight(), *away, *home]) == []


def test_what_goes_to_and_fro_with_somebody_new_is_no_run_to_own_contacts() -> None:
    run = [written(12.5 * DAY + 90 * n, "alice", f"{CARRIER}.9", f"new{n % 4}@partner.example") for n in range(24)]
    assert decided([*fortnight(), *run]) == []


@pytest.mark.parametrize(("hours", "rules"), [(2, ["unlike-itself"]), (9, [])])
def test_five_times_the_usual_is_odd_within_hours(hours: int, rules: list[str]) -> None:
    """The last of them are as many in the same time."""
    at = [12.5 * DAY - hours * HOUR * (1 - n / 90) for n in range(90)]
    at += [12.5 * DAY + 120 * n for n in range(25)]
    other = [written(day * DAY + 3000, "alice", "192.0.99.7", CONTACTS[day]) for day in range(12)]
    run = [written(time, "alice", HOME, CONTACTS[n % 24]) for n, time in enumerate(at)]
    assert decided([*fortnight(), *other, *run]) == rules


@pytest.mark.parametrize(
    ("days", "number", "gap", "places", "rules"),
    [
        (1, 630, 10, 2, []),
        (1, 630, 10, 1, []),
        (1, 730, 10, 1, ["many-strangers"]),
        (1, 320, 60, 1, ["many-strangers"]),
        (1, 270, 60, 2, ["unlike-itself"]),
        (2, 220, 10, 1, ["many-strangers"]),
    ],
)
def test_strangers_are_too_many_after_some_hundreds(
    days: int, number: int, gap: int, places: int, rules: list[str]
) -> None:
    """At home, where nothing is odd. Letters that were merged are fewer, and out within an hour; abuse goes on."""
    other = [written(day * DAY + 3000, "alice", "192.0.99.7", CONTACTS[day]) for day in range(12)]
    run = [
        written((12.5 + day) * DAY + gap * n, "alice", HOME, f"new{day}.{n}@partner.example")
        for day in range(days)
        for n in range(number)
    ]
    assert decided([*fortnight(), *(other if places == 2 else ()), *run]) == rules


@pytest.mark.parametrize(("size", "dead", "rules"), [(30, 10, []), (6, 2, ["dead-addresses"])])
def test_dead_addresses_of_one_message_are_an_old_list(size: int, dead: int, rules: list[str]) -> None:
    """As many of five messages are a list that was bought."""
    run = [
        dataclasses.replace(
            written(12.5 * DAY + 60 * begin, "alice", HOME, ""),
            recipients=tuple(f"old{n}@partner.example" for n in range(begin, begin + size)),
            fates=(UNKNOWN,) * dead + (SENT,) * (size - dead),
        )
        for begin in range(0, 30, size)
    ]
    later = [written(12.6 * DAY + 60 * n, "alice", HOME, CONTACTS[n]) for n in range(8)]
    assert decided([*fortnight(), *run, *later]) == rules


@pytest.mark.parametrize(("logins", "known", "rules"), [(3, 0, []), (4, 0, ["many-logins-from-afar"]), (4, 1, [])])
def test_logins_that_are_used_together_from_afar_were_stolen_together(
    logins: int, known: int, rules: list[str]
) -> None:
    """Twelve strangers between them. Colleagues who are somewhere together write to people whom they know, too."""
    run = [
        written(12.5 * DAY + 60 * n, ("alice", "bob", "carol", "dave")[n % logins], AFAR, f"new{n}@elsewhere.example")
        for n in range(12)
    ]
    usual = [
        written(12.5 * DAY + 100 * n, name, AFAR, "boss@partner.example")
        for n in range(known)
        for name in ("bob", "carol", "dave")
    ]
    assert decided([*fortnight(), *run, *usual], key=f"client:{AFAR}") == rules


@pytest.mark.parametrize(("addresses", "rules"), [(1, []), (3, ["many-logins-from-afar-net"])])
def test_one_address_does_not_condemn_its_neighbours(addresses: int, rules: list[str]) -> None:
    """Stolen logins that are used from several addresses of a network do, though from none of them often."""
    run = [
        written(
            12.5 * DAY + 60 * n,
            ("alice", "bob", "carol", "dave")[n % 4],
            f"203.0.113.{9 + n % addresses}",
            f"new{n}@elsewhere.example",
        )
        for n in range(12)
    ]
    assert decided([*fortnight(), *run], key="net:203.0.113.0/24") == rules


@pytest.mark.parametrize(("dead", "rules"), [(2, []), (3, ["strangers-from-afar"])])
def test_who_writes_at_home_the_day_after_is_not_abused_from_afar(dead: int, rules: list[str]) -> None:
    """Though more of what is left of that day's mail had dead addresses than of all of it."""
    before = [written(11.6 * DAY + 60 * n, "alice", HOME, CONTACTS[n]) for n in range(3)]
    run = [
        dataclasses.replace(
            written(12.2 * DAY + 900 * n, "alice", AFAR, f"new{n}@partner.example"),
            fates=(UNKNOWN if n >= 17 - dead else SENT,),
        )
        for n in range(17)
    ]
    after = [written(12.65 * DAY, "alice", HOME, CONTACTS[0])]
    assert decided([*fortnight(), *before, *run, *after]) == rules


@pytest.mark.parametrize(("address", "rules"), [("198.51.{}.9", []), ("{}.51.100.9", ["many-networks"])])
def test_a_carriers_many_networks_are_one_neighbourhood(address: str, rules: list[str]) -> None:
    """On the first day of a log, when nothing is usual."""
    assert decided(written(60 * n, "alice", address.format(50 + n), CONTACTS[n]) for n in range(24)) == rules


def test_a_storm_is_many_floods_within_an_hour() -> None:
    """Of different logins, none before."""
    storm = Storm(1, accounts=30, abused=3)
    abused = {event.account for event in storm.events() if isinstance(event, Mail) and event.attack > 0}
    assert len(abused) == len(storm.attacks) == 3
    begins = [attack.first for attack in storm.attacks]
    assert max(begins) - min(begins) < HOUR
