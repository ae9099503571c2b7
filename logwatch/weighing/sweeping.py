"""What a rule would do with other thresholds: rates are measured once, and judged once for each value. No I/O.

What is counted as stopped is the mail of a key that the log shows while a case stands on it. The log is taken as it is:
nobody gives up or tries again because of a refusal. A rule that throttles or caps would let part of it through.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from logwatch.core import Step
from logwatch.judging.conditions import Binary, Compare, Condition, Expression, Not, Number, Rate, Several
from logwatch.judging.decide import Judge
from logwatch.judging.policy import Policy, Rule
from logwatch.schema import Columns, History
from logwatch.telling.effects import Effects

Labels = Mapping[str, tuple[float, float]]  # key -> when it began to be abused, and when that ended (epoch seconds)

ALWAYS = (float("-inf"), float("inf"))
_NEVER = (float("inf"), float("-inf"))


def sweep(
    step: Step, policy: Policy, signal: str, values: Iterable[float], labels: Labels | None = None
) -> pd.DataFrame:
    """One row per value of the threshold of `signal` in the policy's only rule; see `logwatch.prompt.sweep`."""
    (rule,) = policy.rules
    mail = _Mail.of(step.events, rule.kind, labels or {})
    rows, tried = [], list(values)
    for value in tried:
        changed = dataclasses.replace(policy, rules=(with_threshold(rule, signal, value),))
        outcome = _outcome(step, changed, mail)
        rows.append({**_counted(outcome, mail), **(_judged(outcome, mail, labels) if labels is not None else {})})
    return pd.DataFrame(rows, index=pd.Index(tried, name=signal))  # a signal may be called what a column is


def with_threshold(rule: Rule, signal: str, value: float) -> Rule:
    """The rule with another number in its one comparison of `signal` (such as "recipients" or "recipients in 10m").

    Or in the comparison that `signal` is as a whole: "recipients in 10m > 200", "recipients in 1h > 2 * usual". It may
    stand in several places. ValueError if there is no such comparison, or different ones.
    """
    compares = list(dict.fromkeys(_compares(rule.condition)))
    found = [one for one in compares if _is_on(one, signal)]
    if len(found) != 1:
        said = ", ".join(map(str, compares))
        raise ValueError(f'rule "{rule.name}" compares {signal} {len(found)} times; name one, as it stands in: {said}')
    return dataclasses.replace(rule, condition=_replaced(rule.condition, found[0], Number(float(value))))


def _compares(condition: Condition) -> Iterator[Compare]:
    if isinstance(condition, Compare):
        yield condition
    for part in _parts(condition):
        yield from _compares(part)


def _parts(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, Several):
        return condition.conditions
    return (condition.condition,) if isinstance(condition, Not) else ()


def _is_on(compare: Compare, signal: str) -> bool:
    shown = compare.mirrored()
    if signal in (str(shown), str(compare)):
        return _renumbered(shown.right, Number(0.0)) is not None
    if not isinstance(shown.right, Number):
        return False
    return signal == str(shown.left) or (isinstance(shown.left, Rate) and signal == shown.left.signal)


def _renumbered(right: Expression, number: Number) -> Expression | None:
    """Another number in a limit: alone, or as the factor of something; None where there is no such number."""
    if isinstance(right, Number):
        return number
    if isinstance(right, Binary) and right.op == "*" and isinstance(right.left, Number):
        return dataclasses.replace(right, left=number)
    return None


def _replaced(condition: Condition, wanted: Compare, number: Number) -> Condition:
    if condition == wanted:
        limit = _renumbered(wanted.mirrored().right, number)
        return dataclasses.replace(wanted.mirrored(), right=limit or number)
    if isinstance(condition, Several):
        return dataclasses.replace(
            condition, conditions=tuple(_replaced(c, wanted, number) for c in condition.conditions)
        )
    if isinstance(condition, Not):
        return dataclasses.replace(condition, condition=_replaced(condition.condition, wanted, number))
    return condition


class _Mail(NamedTuple):
    """Messages accepted: positions among the events, recipients, whose they are, and whether it was abuse."""

    rows: NDArray[np.int64]
    recipients: NDArray[np.int64]
    keys: NDArray[Any]
    abuse: NDArray[np.bool_]

    @classmethod
    def of(cls, events: Columns, kind: str, labels: Labels) -> _Mail:
        rows = np.flatnonzero(np.asarray(events["event"] == "queued", bool) & events["counts"])
        recipients = np.fromiter((int(number or 0) for number in events["nrcpt"][rows]), np.int64, len(rows))
        keys = events[kind][rows] if kind in events else np.full(len(rows), None)
        within = (_abused(labels, key, time) for key, time in zip(keys, events["clock"][rows], strict=True))
        return cls(rows, recipients, keys, np.fromiter(within, bool, len(rows)))


def _abused(labels: Labels, key: str | None, time: float) -> bool:
    first, last = labels.get(key or "", _NEVER)
    return first <= time <= last


class _Outcome(NamedTuple):
    """Cases: key and when each began; and which of the messages would have been stopped."""

    cases: list[tuple[str, float]]
    stopped: NDArray[np.bool_]


def _outcome(step: Step, policy: Policy, mail: _Mail) -> _Outcome:
    judge, following = Judge(policy), Effects()
    cases: dict[tuple[str, str], float] = {}
    stopped = np.zeros(len(step.events["event"]), bool)
    before = 0.0
    for begin, events, histories in _pieces(step):
        clock = float(events["clock"][0])
        ended = judge.turn_back(clock) if clock < before else []  # as the core does
        before = float(events["clock"][-1])
        rulings = judge.decide(events, histories)
        for decision, *_ in rulings:
            cases.setdefault((decision.ref, decision.key), decision.time)
        tips = dict.fromkeys((release.seq for release in ended), -1) | {one.decision.seq: one.tip for one in rulings}
        for _, rows in following.stood(events, [*ended, *(one.decision for one in rulings)], tips):
            stopped[begin + rows] = True
    return _Outcome([(key, time) for (_, key), time in cases.items()], stopped[mail.rows])


def _pieces(step: Step) -> Iterator[tuple[int, Columns, Mapping[str, History]]]:
    ends = [*step.begins[1:], len(step.events["event"])]
    for begin, end, rates in zip(step.begins, ends, step.rates, strict=True):
        yield begin, {name: column[begin:end] for name, column in step.events.items()}, rates


def _counted(outcome: _Outcome, mail: _Mail) -> dict[str, Any]:
    return {
        "cases": len(outcome.cases),
        "hit": len({key for key, _ in outcome.cases}),
        "messages": int(outcome.stopped.sum()),
        "recipients": int(mail.recipients[outcome.stopped].sum()),
    }


def _judged(outcome: _Outcome, mail: _Mail, labels: Labels) -> dict[str, Any]:
    """Against the truth."""
    caught = {key for key, time in outcome.cases if _abused(labels, key, time)}
    # what still holds when the abuse has just ended is no false alarm
    wrong = {key for key, time in outcome.cases if time < labels.get(key, _NEVER)[0]}
    leaked = mail.abuse & ~outcome.stopped
    leaks = [int(mail.recipients[leaked & (mail.keys == key)].sum()) for key in labels]
    return {
        "caught": len(caught),
        "missed": len(labels) - len(caught),
        "wrong": len(wrong),
        "wrong_recipients": int(mail.recipients[outcome.stopped & ~mail.abuse].sum()),
        "leak": float(np.median(leaks)) if leaks else 0.0,
        "leak_total": sum(leaks),
    }
