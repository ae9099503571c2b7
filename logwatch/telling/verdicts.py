"""What was found out about a case, from what operators said: hijacked indeed, or a false alarm.

Who is confirmed and then released (the password has been changed) was hijacked all the same; who is exempted, or
released without having been confirmed, was a false alarm. What was said before the case began is about another one.
"""

from __future__ import annotations

from collections.abc import Iterable

from logwatch.schema import Decision
from logwatch.telling.journal import Review

CONFIRMED, RELEASED, EXEMPTED = "confirmed", "released", "exempted"
FALSE_ALARMS = (RELEASED, EXEMPTED)


def found_out(reviews: Iterable[Review], since: float) -> str:
    """The word on a key's cases from a time on (epoch seconds); "" where nobody has looked at them."""
    word = ""
    for review in sorted(reviews, key=lambda review: review.id):
        known = holds(review) >= since and review.verdict in (CONFIRMED, *FALSE_ALARMS)
        if known and (word, review.verdict) != (CONFIRMED, RELEASED):
            word = review.verdict
    return word


def holds(review: Review) -> float:
    """The event time (epoch) up to which a review speaks: all that there is, until the controller has taken it up."""
    return float("inf") if review.effective is None else review.effective


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
        if found_out(mine, decision.time) == CONFIRMED:
            first, last = found.get(decision.key, (decision.time, decision.time))
            found[decision.key] = min(first, decision.time), max(last, decision.until)
    return found
