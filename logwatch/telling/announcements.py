"""Passes on what the controller did: happenings to notifications, figures to metrics.

The controller says what it did; what of that is new, and worth telling, is decided here. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from logwatch.schema import Decision, iso, side
from logwatch.telling.metrics import Meter
from logwatch.telling.notify import Happening
from logwatch.telling.standing import Standing

_NAMED = 5  # cases that the guard held back
Tell = Callable[[Happening], None]


class Herald:
    """Tells what is new; `standing` and `guarded` (the guard's count) were known before.

    `rules` are names and actions of the policy's rules.
    """

    def __init__(
        self, tell: Tell, standing: Iterable[Decision], guarded: int, rules: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.meter = Meter(rules)
        self.standing = Standing(standing)
        self._tell = tell
        self._guarded = guarded

    def decided(self, decisions: Iterable[Decision], held: Collection[int], guarded: int, now: float) -> None:
        """Decisions were taken, and published; what has ended by now is history, and told to nobody.

        `held`: those that the guard has just held back; `guarded`: how many it ever has.
        """
        decisions = list(decisions)
        self.meter.decided(decisions)
        for decision in self.standing.take(decisions, now):
            self._tell(Happening("decision", decision.time, line(decision), decision))
        if guarded > self._guarded:
            back = [decision for decision in decisions if decision.seq in held]
            rules = sorted({decision.rule for decision in back})
            who = f"the rule {' and the rule '.join(rules)}" if rules else "a rule"
            cases = ", ".join(f"{decision.key} (case {decision.ref})" for decision in back[:_NAMED])
            cases += f" and {len(back) - _NAMED} more" if len(back) > _NAMED else ""
            what = f"{who} hits too many accounts at once: a rule gone wrong, or an attack; only observed for now"
            self._tell(Happening("guard", now, f"{what}: {cases}" if cases else what))
        self._guarded = guarded

    def lost(self, warning: str, now: float) -> None:
        """Something is missing from the log."""
        self._tell(Happening("loss", now, warning))

    def trouble(self, about: str, problem: str, now: float) -> None:
        """Something cannot be read or written."""
        self.meter.trouble(about)
        self._tell(Happening("trouble", now, problem))


def line(decision: Decision) -> str:
    """A decision in one line, for the log and for people."""
    why = ", ".join(f"{what} {e['value']:g}, {side(e)} {e['threshold']:g}" for what, e in decision.evidence.items())
    verb = decision.action if decision.mode == "enforce" else f"would-{decision.action}"
    if decision.action == "release":
        return f"ended {decision.key} (rule {decision.rule}, case {decision.ref})"
    return f"{verb} {decision.key} until {iso(decision.until)} (rule {decision.rule}, case {decision.ref}): {why}"
