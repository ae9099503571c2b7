"""What operators order by hand: a record on a key for a while, whatever the policy says.

An order is a review in the journal, so it has who gave it, when and why, and a release ends it as it ends a decision:

    verdict   `ordered ACTION`, `ordered throttle SHARE`, `ordered cap RECIPIENTS`
    until     when it ends

For the table it is a decision of the rule `by-hand` (a cap: `by-hand-cap`, as it stands beside what else there is),
always enforced: who types it means it. The policy's mode, its exemptions and the guard are for rules. A later order on
the same key takes the place of an earlier one. Its case reference is made of key and end, so that it needs no place.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable

from logwatch.schema import ACTIONS, Decision
from logwatch.telling.journal import TAKEN_BACK, Review

BY_HAND = ("by-hand", "by-hand-cap")  # rules that orders count as one of
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as of all case references
_VERDICT = re.compile(rf"ordered ({'|'.join(ACTIONS)})(?: ([0-9.]+(?:e[-+]?[0-9]+)?))?")


_LAST_DATE = 253_402_300_799.0  # of the year 9999: what ends later can neither be shown nor stand in the table


def verdict(action: str, number: float | None = None) -> str:
    """The verdict of the review that orders this; `number` is a throttle's share, a cap's recipients."""
    return f"ordered {action}" + ("" if number is None else f" {number:.12g}")


def decision_of(review: Review) -> Decision | None:
    """The decision that a review orders; None where it says something else."""
    found = _VERDICT.fullmatch(review.verdict)
    if not found or review.until is None or review.until > _LAST_DATE:
        return None
    action, number = found[1], float(found[2] or 0)
    return Decision(
        time=review.time,
        key=review.key,
        action=action,
        mode="enforce",
        until=review.until,
        rule=rule(action),
        ref=reference(review.key, review.until),
        seq=-review.id,
        share=number if action == "throttle" else None,
        max_recipients=int(number) if action == "cap" else None,
    )


def review_of(decision: Decision) -> int:
    """The id of the review that ordered a decision; 0 for a rule's."""
    return max(0, -decision.seq)


def standing(reviews: Iterable[Review], now: float) -> list[Decision]:
    """The orders that have neither ended nor been taken back, oldest first."""
    found: dict[tuple[str, str], Decision] = {}
    for review in sorted(reviews, key=lambda review: review.id):
        if review.verdict in TAKEN_BACK:
            found = {name: decision for name, decision in found.items() if decision.key != review.key}
        elif decision := decision_of(review):
            found[decision.key, decision.rule] = decision
    return [decision for decision in found.values() if decision.until > now]


def decisions(reviews: Iterable[Review]) -> list[Decision]:
    """Every order, oldest first, each until its end or until another took its place."""
    found: dict[int, Decision] = {}
    latest: dict[tuple[str, str], Decision] = {}
    for review in sorted(reviews, key=lambda review: review.id):
        if order := decision_of(review):
            before = latest.get((order.key, order.rule))
            if before and before.until > order.time:
                found[before.seq] = dataclasses.replace(before, until=order.time)
            found[order.seq] = latest[order.key, order.rule] = order
    return list(found.values())


def case(reviews: Iterable[Review], ref_or_key: str) -> list[Decision]:
    """Every order with this reference or on this key, newest first."""
    decisions = [decision for review in reviews if (decision := decision_of(review))]
    found = [decision for decision in decisions if ref_or_key in (decision.ref, decision.key)]
    return sorted(found, key=lambda decision: decision.seq)


def rule(action: str) -> str:
    """The rule that an order counts as one of."""
    return BY_HAND[action == "cap"]


def reference(key: str, until: float) -> str:
    """The case reference of an order."""
    number = int.from_bytes(hashlib.blake2b(f"by-hand {key} {until:.6f}".encode(), digest_size=4).digest())
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(6))
