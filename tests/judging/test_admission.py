"""The guard: how many are newly denied, who waits, who is let in first, and what an operator's word does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.judging.policy import SEVERITY, Guard
from logwatch.schema import Decision

from .bench import START, Bench, message, told

FLOOD = "rule flood per account: when recipients in 10m > 5 tempfail for 4h mode enforce"
MORE = """
rule slow per account: when recipients in 10m > 5 throttle to 10 per 1h for 4h mode enforce
rule spree per account: when recipients in 10m > 20 block for 4h mode enforce
rule votes per account:
    when recipients in 10m > 10 and messages in 1m > 1 and recipients in 1h > 15 tempfail for 4h mode enforce
"""
SHORT = FLOOD.replace("4h", "1h")
BOTH = f"""
{SHORT}
rule burst per account: when messages in 10m > 2 block for 30m mode enforce
"""
PLACES = Guard().accounts
DAY = 86400.0


def modes(decisions: Iterable[Decision]) -> list[tuple[str, str]]:
    return [(d.key.removeprefix("account:"), d.mode) for d in decisions]


def waiting(bench: Bench) -> set[str]:
    found = next(memory for memory in bench.judge.memories() if memory.name == "waiting")
    return {called for called, _ in found.items()}


def spent(policy: str = FLOOD, places: int = PLACES) -> Bench:
    """A site whose guard has been used up, a second for each place, by logins that were sacrificed for it."""
    bench = Bench(policy)
    found = bench.feed(*(message(n, 10, f"trash{n}") for n in range(places)))
    assert {d.mode for d in found} == {"enforce"}
    return bench


class TestWaiting:
    def test_what_is_held_back_is_let_in_at_the_first_event_at_which_there_is_room(self) -> None:
        """Without a line of its own: somebody else's is enough; until its end and under its reference as before."""
        bench = spent()
        (held,) = bench.send(100, 10, "boss")
        assert bench.send(3600, 1, "quiet") == []
        (let_in,) = bench.send(3600.5, 1, "quiet")
        assert (held.mode, let_in.mode, let_in.key) == ("observe", "enforce", "account:boss")
        assert (let_in.ref, let_in.until, let_in.evidence) == (held.ref, held.until, held.evidence)
        assert let_in.queue_id is None  # no event of its own
        assert bench.send(3600.7, 1, "quiet") == []
        assert waiting(bench) == set()

    def test_nobody_overtakes_who_waits(self) -> None:
        bench = spent()
        bench.send(100, 10, "boss")
        assert modes(bench.send(3600.5, 10, "late")) == [("boss", "enforce"), ("late", "observe")]

    def test_in_one_chunk_it_is_as_line_after_line(self) -> None:
        rows = [message(at, 10, who) for at, who in ((100, "boss"), (3000, "other"), (3600.5, "late"), (3601, "last"))]
        bench = spent()
        assert spent().feed(*rows) == [decision for row in rows for decision in bench.feed(row)]

    def test_the_most_severe_comes_first_then_the_one_with_most_reasons_then_the_first(self) -> None:
        bench = spent(MORE)
        bench.feed(
            message(100, 6, "mild"),
            message(110, 6, "other"),
            message(120, 8, "reasons"),
            message(121, 8, "reasons"),
            message(130, 21, "severe"),
        )
        found = [bench.send(3600.5 + n, 1, "quiet") for n in range(5)]
        assert [{d.key.removeprefix("account:") for d in let_in} for let_in in found] == [
            {"severe"},
            {"reasons"},
            {"mild"},
            {"other"},
            set(),
        ]
        assert [(d.rule, d.mode) for d in found[0]] == [("spree", "enforce"), ("slow", "enforce")]

    def test_rules_that_are_equal_let_an_account_in_together(self) -> None:
        bench = spent(f"{FLOOD} {FLOOD.replace('flood', 'again')}", PLACES)
        bench.send(100, 10, "boss")
        assert [d.rule for d in bench.send(3600.5, 1, "quiet")] == ["flood", "again"]

    def test_what_has_ended_meanwhile_is_not_let_in(self) -> None:
        bench = spent(FLOOD.replace("4h", "30m"))
        bench.send(100, 10, "boss")
        assert bench.send(3600.5, 1, "quiet") == []
        assert waiting(bench) == set()

    def test_what_was_released_or_exempted_meanwhile_is_not_let_in(self) -> None:
        bench = spent()
        bench.feed(message(100, 10, "one"), message(101, 10, "two"), message(102, 10, "three"))
        bench.release(200, "account:one")
        bench.judge.excuse("account:two", START + 9000, START + 200)
        assert modes(bench.send(3700, 1, "quiet")) == [("three", "enforce")]
        assert waiting(bench) == set()

    def test_what_a_wrong_clock_decided_is_not_let_in(self) -> None:
        bench = spent()
        bench.send(7000, 10, "boss")
        bench.judge.turn_back(START + 50)
        bench.rates.turn_back()
        assert bench.send(3700, 1, "quiet") == []

    def test_still_held_back_it_is_told_again_with_what_it_did_last(self) -> None:
        bench = spent()
        bench.send(100, 10, "boss")
        (again,) = bench.send(2000, 30, "boss")
        assert (again.mode, bench.judge.guarded, len(bench.held)) == ("observe", 2, 2)
        (let_in,) = bench.send(3600.5, 1, "quiet")
        assert (let_in.evidence, let_in.until) == (again.evidence, again.until)

    def test_a_share_that_changes_meanwhile_is_held_back_as_well(self) -> None:
        bench = spent(MORE)
        found = [*bench.send(100, 10, "boss"), *bench.feed(*(message(120, 0, "boss") for _ in range(20)))]
        assert [d.mode for d in found] == ["observe"] * len(found)
        assert set(bench.held) == {d.seq for d in found}

    def test_an_account_on_which_something_is_enforced_is_not_newly_denied(self) -> None:
        """However long ago that began."""
        bench = Bench(MORE)
        bench.send(0, 6, "boss")
        bench.feed(*(message(3700 + n, 6, f"trash{n}") for n in range(PLACES)))
        assert modes(bench.send(3800, 21, "boss")) == [("boss", "enforce")] * 2


class TestConfirmed:
    def test_gives_its_place_back(self) -> None:
        bench = spent()
        bench.send(100, 10, "boss")
        bench.judge.confirm("account:trash3", START + 200)
        assert modes(bench.send(201, 1, "quiet")) == [("boss", "enforce")]
        assert bench.send(202, 10, "more")[0].mode == "observe"

    def test_stands_as_it_was(self) -> None:
        bench = spent()
        bench.judge.confirm("account:trash3", START + 200)
        assert modes(bench.send(1500, 10, "trash3")) == [("trash3", "enforce")]

    def test_is_itself_let_in_and_needs_no_place(self) -> None:
        bench = spent()
        bench.feed(message(100, 10, "boss"), message(101, 10, "other"))
        bench.judge.confirm("account:boss", START + 200)
        assert modes(bench.send(201, 1, "quiet")) == [("boss", "enforce")]
        assert waiting(bench) == {"flood account:other"}

    def test_needs_no_place_for_a_day(self) -> None:
        bench = Bench(FLOOD)
        bench.judge.confirm("account:boss", START)
        for begin, mode in ((80_000, "enforce"), (86_401, "observe")):
            bench.feed(*(message(begin - 100 + n, 10, f"{begin}-{n}") for n in range(PLACES)))
            assert modes(bench.send(begin, 10, "boss")) == [("boss", mode)]
            bench.release(begin + 1, "account:boss")

    def test_needs_a_place_again_once_it_is_released(self) -> None:
        bench = spent()
        bench.judge.confirm("account:boss", START + 100)
        bench.release(200, "account:boss")
        assert modes(bench.send(300, 10, "boss")) == [("boss", "observe")]

    def test_a_release_gives_no_place_back(self) -> None:
        """A rule that is wrong denies no more by being put right one account at a time."""
        bench = spent()
        bench.release(100, "account:trash3")
        assert modes(bench.send(200, 10, "late")) == [("late", "observe")]


@pytest.mark.parametrize(
    ("statement", "active", "places"),
    [
        ("", 0, 10),
        ("", 1000, 20),
        ("guard 3", 1000, 3),
        ("guard 5%", 100, 10),
        ("guard 5%", 1000, 50),
        ("guard 30, or 5%", 100, 30),
        ("guard 30 or 5%", 1000, 50),
    ],
)
def test_there_are_as_many_places_as_the_guard_says_for_so_many_active_accounts(
    statement: str, active: int, places: int
) -> None:
    bench = Bench(f"{statement} {FLOOD}")
    bench.judge.restraint.admission.active = active
    assert bench.judge.restraint.admission.places == places


@dataclass
class Site:
    """Follows decisions by definition: who is denied since when, and who is held back."""

    places: int
    denied: list[tuple[float, str]] = field(default_factory=list)  # when whom newly
    cases: dict[tuple[str, str], Decision] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)

    def take(self, decision: Decision) -> None:
        new = decision.mode == "enforce" and decision.action != "release" and not self.enforced(decision)
        if new and decision.key not in self.confirmed:
            self.denied.append((decision.time, decision.key))
            assert len(self.taken(decision.time)) <= self.places
        self.cases[decision.key, decision.rule] = decision

    def enforced(self, decision: Decision) -> bool:
        """Whether something is enforced on its key already."""
        return any(d.key == decision.key and d.mode == "enforce" for d in self.open(decision.time))

    def open(self, time: float) -> list[Decision]:
        return [d for d in self.cases.values() if d.until > time and d.action != "release"]

    def held(self, time: float) -> list[Decision]:
        return [d for d in self.open(time) if d.mode == "observe"]

    def taken(self, time: float) -> set[str]:
        """Who was newly denied within the hour, and not confirmed since."""
        return {key for when, key in self.denied if when >= time - 3600}

    def confirm(self, key: str) -> None:
        self.confirmed.add(key)
        self.denied = [pair for pair in self.denied if pair[1] != key]

    def check(self, time: float, let_in: list[Decision]) -> None:
        """Whoever waits does so for want of a place, and behind nobody who is milder."""
        held = self.held(time)
        if held:
            assert len(self.taken(time)) == self.places
        assert not any(d.key in self.confirmed for d in held)
        for decision in let_in:
            worst = max(SEVERITY[d.action] for d in self.open(time) if d.key == decision.key and d.mode == "enforce")
            if decision.key not in self.confirmed:
                assert all(SEVERITY[d.action] <= worst for d in held if d.time < time)


_acts = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "send", "send", "send", "confirm", "release"]),
        st.integers(0, 6),
        st.sampled_from([1, 6, 12, 25, 25]),
        st.sampled_from([0, 1, 1, 300, 1800, 3300, 3600]),
    ),
    min_size=10,
    max_size=50,
)


@settings(deadline=None, max_examples=200)
@given(_acts, st.integers(1, 3))
def test_one_wrong_rule_cannot_black_out_a_site(acts: list[tuple[str, int, int, int]], places: int) -> None:
    """Within any hour no more are newly denied than there are places, but confirmed ones; and nobody waits in vain."""
    bench, site, at = Bench(f"guard {places} {MORE}"), Site(places), 0.0
    for deed, who, recipients, gap in acts:
        at = min(at + gap, 86_399)
        key = f"account:user{who}"
        if deed == "release":
            site.confirmed.discard(key)
            for decision in bench.release(at, key):
                site.take(decision)
            continue
        if deed == "confirm":
            bench.judge.confirm(key, START + at)
            site.confirm(key)
            continue
        held = {(d.key, d.ref) for d in site.held(START + at)}
        found = bench.send(at, recipients, f"user{who}")
        for decision in found:
            site.take(decision)
        site.check(START + at, [d for d in found if (d.key, d.ref) in held and d.mode == "enforce"])


def test_the_guard_grows_with_the_site() -> None:
    """Two in a hundred of the accounts that were active on the busiest day of the week before."""
    bench = Bench("rule r per account: when messages in 1m > 1 block for 1h mode enforce")
    bench.feed(*(message(n, 1, f"user{n}") for n in range(1000)))
    found = bench.feed(*(message(DAY + n // 2, 1, f"user{n // 2}") for n in range(60)))
    assert [d.mode for d in found] == ["enforce"] * 20 + ["observe"] * 10
    assert len(found) > Guard().accounts


class TestGuard:
    def test_beyond_it_decisions_are_observed(self) -> None:
        bench = Bench(SHORT)
        found = bench.feed(*(message(n, 10, f"user{n}") for n in range(Guard().accounts + 2)))
        assert [d.mode for d in found] == ["enforce"] * Guard().accounts + ["observe"] * 2
        assert bench.judge.guarded == 2

    def test_frees_up_within_the_hour(self) -> None:
        bench = Bench(SHORT)
        bench.feed(*(message(n, 10, f"user{n}") for n in range(Guard().accounts)))
        assert bench.send(3600, 1) == []
        assert bench.send(3600.5, 10, "late")[0].mode == "enforce"

    def test_an_account_already_denied_takes_no_more_room(self) -> None:
        bench = Bench(BOTH)
        bench.feed(*(message(n, 10, f"user{n}") for n in range(Guard().accounts)))
        found = bench.feed(message(20, 1, "user1"), message(21, 1, "user1"))
        assert told(found) == [(21, "burst", "block", "enforce")]

    def test_extending_an_enforced_case_needs_no_room(self) -> None:
        bench = Bench(SHORT)
        bench.feed(*(message(n, 10, f"user{n}") for n in range(Guard().accounts + 1)))
        assert bench.send(400, 10, "user1")[0].mode == "enforce"

    def test_a_case_that_was_observed_is_enforced_as_soon_as_there_is_room(self) -> None:
        bench = Bench(SHORT)
        bench.feed(*(message(n, 10, f"user{n}") for n in range(Guard().accounts)))
        (observed,) = bench.send(3000, 10, "late")
        (enforced,) = bench.send(3601, 10, "late")
        assert (observed.mode, enforced.mode) == ("observe", "enforce")
        assert observed.ref == enforced.ref

    def test_clients_are_not_accounts(self) -> None:
        bench = Bench("rule r per client: when messages in 1m > 0 block for 1m mode enforce")
        found = bench.feed(*(message(n, 1, client=f"client:192.0.2.{n}") for n in range(Guard().accounts + 5)))
        assert {d.mode for d in found} == {"enforce"}

    def test_what_is_only_observed_takes_no_room(self) -> None:
        bench = Bench(f"rule watch per account: when messages in 1m > 0 block for 1m\n{SHORT}")
        bench.feed(*(message(n, 1, f"user{n}") for n in range(50)))
        assert bench.send(60, 10)[-1].mode == "enforce"
