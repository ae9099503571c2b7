"""What in a policy cannot be meant: rules that never hold, or always, a `while` that keeps nothing, lists without use.

Only what is certain is called a contradiction: numbers that exclude each other in one `and`, beyond what a signal can
be (for keys of that kind, with these scores), or in two windows of which one holds the other. A rule with one such
branch of an `or` may still hold by the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from logwatch.judging.conditions import (
    OPPOSITE,
    And,
    AtLeast,
    Compare,
    Condition,
    Expression,
    Not,
    Number,
    Or,
    Rate,
)
from logwatch.judging.dnsbl import Dnsbl
from logwatch.judging.misnamed import kind_of, misnamed
from logwatch.judging.policy import ENFORCE, SEVERITY, Exemption, Listed, Policy, Rule, Scope, Score
from logwatch.schema import DISTINCT, USUAL

MOST = 1000.0  # of different values, up to which they are counted
_ANY = float("inf")


class Problem(NamedTuple):
    """What is wrong, and the offset in the policy's text at which it stands."""

    at: int
    sentence: str


class _Range(NamedTuple):
    """Between which values an expression stays, and why, with a remedy where there is one."""

    least: float = 0.0
    most: float = _ANY
    because: str = ""


_NEVER_BELOW_ZERO = _Range(because="it is never below 0")
_ONE = "it has only one"
# What a signal can be for keys of a kind.
_RANGES = {
    ("hour", ""): _Range(0, 23, "an hour is from 0 to 23"),
    ("weekday", ""): _Range(1, 7, "a weekday is from 1, Monday, to 7"),
    ("connections", "account"): _Range(0, 0, "of an account none are counted: they come before the login; per client?"),
    ("connections", "local"): _Range(0, 0, "a local user makes none"),
    ("clients", "client"): _Range(0, 1, f"{_ONE}: per net or account?"),
    ("networks", "client"): _Range(0, 1, f"{_ONE}: per account?"),
    ("neighbourhoods", "client"): _Range(0, 1, f"{_ONE}: per account?"),
    ("neighbourhoods", "net"): _Range(0, 1, f"{_ONE}: per account?"),
    ("countries", "client"): _Range(0, 1, f"{_ONE}: per account?"),
    ("accounts", "account"): _Range(0, 1, f"{_ONE}: per client or net?"),
    ("guessed", "account"): _Range(0, 1, f"{_ONE}: per client or net?"),
    ("guessers", "client"): _Range(0, 1, f"{_ONE}: per account?"),
    ("guessers", "net"): _Range(0, 1, f"{_ONE}: per account?"),
    ("guesser_countries", "client"): _Range(0, 1, f"{_ONE}: per account?"),
    **{("age", kind): _Range(0, 0, "only accounts have an age") for kind in ("client", "net", "local", "site")},
}


def contradictions(policy: Policy) -> list[Problem]:
    """Rules that can never hold, whatever the rates are."""
    found = []
    for rule in policy.rules:
        reason = _Judged(policy, rule).impossible(rule.condition) or _nobody(policy, rule)
        if reason:
            found.append(Problem(rule.at, f'rule "{rule.name}" can never hold: {reason}'))
    return found


def notes(policy: Policy) -> list[Problem]:
    """What may be meant, and probably is not."""
    if not policy.rules and not policy.ceiling:
        return [Problem(0, "it has no rules: nothing is ever decided")]
    rates = {rate.signal for rule in policy.rules for rate in rule.rates()}
    used = {item.name for item in _items(policy) if isinstance(item, Listed)}
    found = [
        Problem(let.at, f'list "{let.name}" is used by nothing: exempt {kind_of(let)} in {let.name}?')
        for let in policy.lists
        if let.name not in used
    ]
    found += [Problem(*doubt) for doubt in misnamed(policy)]
    looks = (_always, _keeps_nothing, _adds_nothing)
    found += [Problem(rule.at, said) for rule in policy.rules for look in looks if (said := look(policy, rule))]
    if policy.prices and "cost" not in rates:
        found.append(Problem(policy.prices[0].at, "no rule looks at cost, so that prices mean nothing"))
    if policy.scores and "reputation" not in rates:
        found.append(Problem(0, "no rule looks at reputation, so that scores mean nothing"))
    return found


def _items(policy: Policy) -> Iterator[object]:
    scopes = [rule.scope for rule in policy.rules if rule.scope]
    parts: Iterable[Exemption | Score | Scope] = (*policy.exemptions, *policy.scores, *scopes)
    return (item for part in parts for item in part.items)


def _nobody(policy: Policy, rule: Rule) -> str:
    """Why a rule is for nobody; empty if it is for somebody."""
    if rule.scope is None or not rule.scope.inside:
        return ""
    scope = policy.scopes.get(rule.name)
    if scope is None or scope.networks or not scope.keys:
        return ""
    exempt = all(key in policy.exempted for key in scope.keys)
    return "all that it is for are exempt" if exempt else ""


def _keeps_nothing(policy: Policy, rule: Rule) -> str:
    """What is wrong with a `while` that holds never, or only where the rule holds anyway; empty if nothing is."""
    if rule.stays is None:
        return ""
    begins = f'rule "{rule.name}": its `while` keeps no case standing'
    if reason := _Judged(policy, rule).impossible(rule.stays):
        return f"{begins}, as it can never hold: {reason}"
    if _implies(rule.stays, rule.condition):
        return f"{begins}, as the rule itself holds whenever it does: lower its limits, or leave it out"
    return ""


def _always(policy: Policy, rule: Rule) -> str:
    """What is wrong with a rule that everybody breaks; empty if nothing is."""
    if _Judged(policy, rule).impossible(Not(rule.condition)):
        return f'rule "{rule.name}" always holds: at every event of every {rule.kind}'
    counted = all(rate.window_seconds and not rate.signal.startswith(USUAL) for rate in rule.condition.rates())
    nothing = {rate.column: np.zeros(1) for rate in rule.condition.rates()}
    if counted and rule.condition.mask(nothing).all():
        return f'rule "{rule.name}" holds for whoever has sent nothing yet: is < meant to be >?'
    return ""


def _adds_nothing(policy: Policy, rule: Rule) -> str:
    """What another rule does anyway, at least as severely and for as long; empty if a rule is of use."""
    for other in policy.rules:
        if other.at != rule.at and _covers(other, rule) and not (other.at > rule.at and _covers(rule, other)):
            return f'rule "{rule.name}" adds nothing: "{other.name}" holds whenever it does, and does as much, as long'
    return ""


def _covers(one: Rule, other: Rule) -> bool:
    """Whether the first rule certainly does what the second does, to whomever that does it."""
    harder = one.deed == other.deed or (
        SEVERITY[one.deed.action] > SEVERITY[other.deed.action] and "cap" not in (one.deed.action, other.deed.action)
    )
    return (
        one.kind == other.kind
        and one.scope in (None, other.scope)
        and harder
        and one.mode in (other.mode, ENFORCE)
        and (one.percent == 100 or other.mode != ENFORCE)
        and one.duration >= other.duration
        and (one.longest or one.duration) >= (other.longest or other.duration)
        and _implies(other.condition, one.condition)
        and _implies(other.stays or other.condition, one.stays or one.condition)
    )


def _implies(one: Condition, other: Condition) -> bool:
    """Whether the second certainly holds where the first does; false where that is not known."""
    if one == other:
        return True
    if isinstance(other, And):
        return all(_implies(one, part) for part in other.conditions)
    if isinstance(one, Or):
        return all(_implies(part, other) for part in one.conditions)
    if isinstance(one, And) and any(_implies(part, other) for part in one.conditions):
        return True
    if isinstance(other, Or | AtLeast):
        needed = other.count if isinstance(other, AtLeast) else 1
        return sum(_implies(one, part) for part in other.conditions) >= needed
    return isinstance(one, Compare) and isinstance(other, Compare) and _tighter(one.mirrored(), other.mirrored())


def _tighter(one: Compare, other: Compare) -> bool:
    """Whether a limit on the same expression leaves less than another."""
    if one.left != other.left or not (isinstance(one.right, Number) and isinstance(other.right, Number)):
        return False
    inner, outer = one.right.value, other.right.value
    if one.op == "==":
        return bool(Compare(other.op, Number(inner), Number(outer)).holds({}))
    sides = (">", ">="), ("<", "<=")
    if not any(one.op in side and other.op in side for side in sides):
        return False
    beyond = inner > outer if one.op in sides[0] else inner < outer
    return beyond or (inner == outer and (one.op == other.op or one.op in (">", "<")))


class _Judged:
    """A rule's condition, looked at for the keys that it is for."""

    def __init__(self, policy: Policy, rule: Rule) -> None:
        self._policy = policy
        self._kind = rule.kind

    def impossible(self, condition: Condition) -> str:
        """Why a condition never holds; empty if it might."""
        if isinstance(condition, Or):
            reasons = [self.impossible(part) for part in condition.conditions]
            return "; ".join(reasons) if all(reasons) else ""
        if isinstance(condition, AtLeast):
            reasons = [reason for part in condition.conditions if (reason := self.impossible(part))]
            return "; ".join(reasons) if len(condition.conditions) - len(reasons) < condition.count else ""
        parts = tuple(_flat(condition))
        others = (self.impossible(part) for part in parts if isinstance(part, Or | AtLeast))
        return next(filter(None, (*self._conflicts(parts), *others)), "")

    def _conflicts(self, parts: tuple[Condition, ...]) -> Iterator[str]:
        limits: dict[Expression, list[Compare]] = {}
        for part in parts:
            if isinstance(part, Compare):
                yield from _turned(part)
                if isinstance(part.mirrored().right, Number):
                    limits.setdefault(part.mirrored().left, []).append(part.mirrored())
        for expression, compared in limits.items():
            reach = self._range(expression)
            if _excluded(expression, compared, reach):
                alone = [one for one in compared if _excluded(expression, [one], reach)]
                because = f" ({reach.because})" if alone and reach.because else ""
                yield " and ".join(map(str, alone or compared)) + because
            else:
                yield from self._within(expression, compared, limits)

    def _within(
        self, expression: Expression, compared: list[Compare], limits: dict[Expression, list[Compare]]
    ) -> Iterator[str]:
        """What of longer windows of the same signal is less than what a shorter one already has."""
        for other, bounds in limits.items():
            if _holds(other, expression):
                both = [
                    *(one for one in compared if one.op in (">", ">=", "==")),
                    *(one for one in bounds if one.op in ("<", "<=")),
                ]
                if both and _excluded(other, both, self._range(other)):
                    yield f"{' and '.join(map(str, both))} ({other} is never less than {expression})"

    def _range(self, expression: Expression) -> _Range:
        """Between which values an expression stays, whatever the rates are."""
        if not isinstance(expression, Rate):
            return _Range(-_ANY)
        if expression.signal == "reputation":
            return self._scores()
        if expression.signal.startswith(USUAL):
            return _Range()
        known = _RANGES.get((expression.signal, self._kind)) or _RANGES.get((expression.signal, ""))
        if known:
            return known
        if expression.signal in DISTINCT:
            return _Range(0, MOST, f"different values are counted up to {MOST:g}")
        return _NEVER_BELOW_ZERO

    def _scores(self) -> _Range:
        asked = [score.amount for score in self._policy.scores if any(isinstance(i, Dnsbl) for i in score.items)]
        most = max([*asked, *(one.score for one in self._policy.scored)], default=0)
        if not self._policy.scores:
            return _Range(0, 0, 'no address has a score: add one, such as score 10 for file "drop.txt"')
        return _Range(0, most, f"the highest score is {most}")


def _holds(longer: Expression, shorter: Expression) -> bool:
    """Whether a window holds all of another one of the same signal."""
    return (
        isinstance(longer, Rate)
        and isinstance(shorter, Rate)
        and longer.signal == shorter.signal
        and longer.window_seconds > shorter.window_seconds > 0
    )


def _turned(compare: Compare) -> Iterator[str]:
    """A short window held against a longer one of the same signal, the wrong way round."""
    left, right = (compare.left, compare.right) if compare.op == ">" else (compare.right, compare.left)
    if compare.op in (">", "<") and (left == right or _holds(right, left)) and isinstance(left, Rate):
        yield f"{compare} ({right} is never less than {left})" if left != right else f"{compare} (they are the same)"


def _flat(condition: Condition) -> Iterator[Condition]:
    """The conditions that must all hold for this one to hold."""
    if isinstance(condition, And):
        for part in condition.conditions:
            yield from _flat(part)
    elif isinstance(condition, Not) and isinstance(condition.condition, Compare) and _is_finite(condition.condition):
        yield Compare(OPPOSITE[condition.condition.op], condition.condition.left, condition.condition.right)
    else:
        yield condition


def _is_finite(compare: Compare) -> bool:
    """Whether both sides always are numbers, so that the opposite holds where the comparison does not."""
    return all(isinstance(side, Rate | Number) for side in (compare.left, compare.right))


def _excluded(expression: Expression, compared: list[Compare], reach: _Range) -> bool:
    """Whether no value of the expression satisfies all comparisons: the interval that they leave is empty."""
    if not expression.rates():
        return not all(compare.holds({}) for compare in compared)
    bounds = [(compare.op, compare.right.value) for compare in compared if isinstance(compare.right, Number)]
    lower = [(reach.least, False), *((value, op == ">") for op, value in bounds if op in (">", ">=", "=="))]
    upper = [(reach.most, True), *((value, op != "<") for op, value in bounds if op in ("<", "<=", "=="))]
    (least, above), (most, included) = max(lower), min(upper)
    return least > most or (least == most and (above or not included))
