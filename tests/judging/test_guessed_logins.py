"""The shipped policy tells of a login that a botnet guesses, and not of its owner's devices with an old password."""

from __future__ import annotations

from typing import Any

import pytest

from logwatch.judging.language import SHIPPED

from .bench import START, Bench, message

HOUR = 3600.0
DAY = 24 * HOUR
HOME = "client:91.0.0.7"


def tries(places: list[str], each: int, *, day: int = 0, login: str = "alice") -> list[dict[str, Any]]:
    """Failed logins within the hours before noon, so many from each place in turn."""
    begin, number = START + day * DAY + 2 * HOUR, len(places) * each
    return [
        {
            "clock": begin + n * 8 * HOUR / number,
            "event": "auth_failure",
            "account": f"account:{login}",
            "client": places[n % len(places)],
        }
        for n in range(number)
    ]


def world(number: int) -> list[str]:
    """Addresses of many countries, each in a neighbourhood of its own."""
    return [f"client:{first}.{second}.0.1" for first in range(31, 220, 8) for second in (10, 90, 170)][:number]


def carrier(number: int) -> list[str]:
    """Those of one country."""
    return [f"client:91.{second}.0.1" for second in range(number)]


def used(bench: Bench, *, places: list[str] | None = None, days: int = 3) -> Bench:
    """The account has sent from there before."""
    from_there = places or [HOME]
    for day in range(-days, 0):
        bench.feed(*(message(day * DAY + 9 * HOUR + n, 1, client=place) for n, place in enumerate(from_there)))
    return bench


def told(bench: Bench, *rows: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of the account; a client that fails often may be blocked."""
    decided = bench.feed(*rows)
    return [(one.rule, one.action, one.mode) for one in decided if one.key == "account:alice"]


GUESSED = [("guessed", "cap", "observe")]


@pytest.mark.parametrize("each", [1, 4, 40])
def test_a_login_that_is_guessed_from_all_over_the_world_is_told(each: int) -> None:
    assert told(used(Bench(SHIPPED.read_text())), *tries(world(60), each))[:1] == GUESSED


@pytest.mark.parametrize(("places", "each"), [([HOME], 900), (carrier(5), 100), (carrier(40), 5), (world(5), 40)])
def test_devices_with_an_old_password_are_not(places: list[str], each: int) -> None:
    """A copier; a phone behind a carrier of one country, of few or many networks; a traveller."""
    assert told(used(Bench(SHIPPED.read_text())), *tries(places, each)) == []


def test_a_login_that_is_used_from_everywhere_may_fail_from_there() -> None:
    """A department's, after a change of password."""
    assert told(used(Bench(SHIPPED.read_text()), places=world(30)), *tries(world(60), 3)) == []


def test_a_made_up_login_is_nobody() -> None:
    assert told(Bench(SHIPPED.read_text()), *tries(world(60), 4)) == []


def test_what_is_guessed_every_day_is_told_until_it_is_usual() -> None:
    bench = used(Bench(SHIPPED.read_text()))
    days = []
    for day in range(14):
        bench.feed(message(day * DAY + HOUR, 1, client=HOME))
        days.append(bool(told(bench, *tries(world(40), 2, day=day))))
    assert days[0]
    assert not days[-1]


def test_a_guessed_owner_is_learned_from_as_before() -> None:
    """Else whoever has a botnet could keep an account from ever having habits."""
    bench = used(Bench(SHIPPED.read_text()))
    assert told(bench, *tries(world(60), 2))
    assert list(bench.rates.habits.condemned.memory.items()) == []
