"""What was found out about a case, from what operators said: hijacked indeed, or a false alarm.

Who is confirmed and then released (the password has been changed) was hijacked all the same; who is exempted, or
released without having been confirmed, was a false alarm. What was said before the case began is about another one.
"""

from __future__ import annotations

from collections.abc import Iterable

from logwatch.schema import Decision
from logwatch.telling import orders
from logwatch.telling.journal import Review

CONFIRMED, RELEASED, EXEMPTED = "confirmed", "released", "exempted"
FALSE_ALARMS = (RELEASED, EXEMPTED)


def found_out(reviews: Iterable[Review], begun: Decision) -> str:
    """The word on a case, of what was said about its key; "" where nobody has looked at it."""
    word = ""
    for review in sorted(reviews, key=lambda review: review.id):
        known = is_about(review, begun) and review.verdict in (CONFIRMED, *FALSE_ALARMS)
        if known and (word, review.verdict) != (CONFIRMED, RELEASED):
            word = review.verdict
    return word


def is_about(review: Review, begun: Decision) -> bool:
    """Whether a review of a key speaks of a case on it: of all that there is, until the controller has taken it up.

    Times do not tell where it is known what had been decided by then: the clock may have been ahead.
    """
    if order := orders.review_of(begun):  # a review itself, and later than what was said before it
        return review.id > order
    if review.latest is not None:
        return review.latest >= begun.seq
    return review.effective is None or review.effective >= begun.time


def abused(decisions: Iterable[Decision], reviews: Iterable[Review]) -> dict[str, tuple[float, float]]:
    """The keys that were confirmed, with the first and the last time (epoch) at which something stood on them.

    Only cases that began before the confirmation count.
    """
    said: dict[str, list[Review]] = {}
    for review in reviews:
        said.setdefault(review.key, []).append(review)
    found: dict[str, tuple[float, float]] = {}
    for decision in decisions:
        mine = said.get(decision.key, [])
        if found_out(mine, decision) == CONFIRMED:
            first, last = found.get(decision.key, (decision.time, decision.time))
            found[decision.key] = min(first, decision.time), max(last, decision.until)
    return found
