"""Orders given by hand: a review becomes a decision, and stands until it ends or is taken back."""

from __future__ import annotations

import pytest

from logwatch.telling import orders
from logwatch.telling.journal import Review
from tests.telling.decisions import NOW

BOB = "account:bob@example.com"


def review(id_: int, verdict: str, key: str = BOB, until: float | None = NOW + 3600) -> Review:
    return Review(NOW + id_, key, verdict, "root", "note", until, None, id_)


@pytest.mark.parametrize(
    ("action", "number", "share", "most"),
    [
        ("block", None, None, None),
        ("throttle", 0.25, 0.25, None),
        ("throttle", 0.00001, 0.00001, None),
        ("throttle", 0.0, 0.0, None),
        ("cap", 25, None, 25),
        ("cap", 1_234_567, None, 1_234_567),
        ("cap", 1_000_000_000, None, 1_000_000_000),
        ("hold", None, None, None),
    ],
)
def test_an_order_comes_back_as_it_was_given(
    action: str, number: float | None, share: float | None, most: int | None
) -> None:
    found = orders.decision_of(review(7, orders.verdict(action, number)))
    assert found is not None
    assert (found.key, found.action, found.mode, found.rule) == (BOB, action, "enforce", orders.rule(action))
    assert (found.time, found.until, found.share, found.max_recipients) == (NOW + 7, NOW + 3600, share, most)
    assert len(found.ref) == 6


@pytest.mark.parametrize("verdict", ["released", "confirmed", "exempted", "ordered nothing", "ordered block x"])
def test_what_is_no_order_gives_none(verdict: str) -> None:
    assert orders.decision_of(review(1, verdict)) is None


@pytest.mark.parametrize("until", [None, NOW + 9_999_999 * 86400])
def test_an_order_without_an_end_that_has_a_date_is_none(until: float | None) -> None:
    """Else a controller that finds one in its journal would fail at each start."""
    assert orders.decision_of(review(1, "ordered block", until=until)) is None


def test_an_order_stands_until_it_ends_or_its_key_is_released() -> None:
    said = [
        review(1, "ordered block"),
        review(2, "ordered hold", key="account:eve", until=NOW + 10),
        review(3, "ordered cap 25", key="account:*"),
        review(4, "confirmed"),
        review(5, "released", until=None),
        review(6, "ordered block"),
        review(7, "ordered cap 7"),
        review(8, "ordered tempfail"),
    ]

    def standing(number: int, now: float) -> list[tuple[str, str]]:
        return [(d.key, d.action) for d in orders.standing(reversed(said[:number]), now)]

    assert standing(4, NOW) == [(BOB, "block"), ("account:eve", "hold"), ("account:*", "cap")]
    assert standing(5, NOW) == [("account:eve", "hold"), ("account:*", "cap")]
    assert standing(8, NOW + 10) == [("account:*", "cap"), (BOB, "tempfail"), (BOB, "cap")]


def test_a_case_is_found_by_key_and_by_reference() -> None:
    said = [review(1, "ordered block"), review(2, "released"), review(3, "ordered hold", until=NOW + 9)]
    assert [d.action for d in orders.case(said, BOB)] == ["hold", "block"]
    assert [d.action for d in orders.case(said, orders.reference(BOB, NOW + 9))] == ["hold"]
    assert orders.case(said, "account:eve") == []


def test_all_orders_each_until_its_end_or_until_another_took_its_place() -> None:
    said = [review(3, "ordered hold", until=NOW + 9), review(1, "ordered block"), review(2, "ordered cap 7")]
    found = [(order.action, order.until - NOW) for order in orders.decisions(said)]
    assert found == [("block", 3), ("cap", 3600), ("hold", 9)]
