"""Who came nearest to a rule without meeting it, over the steps of a replay: joins measuring and judging, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from logwatch.core import Step
from logwatch.judging.nearness import nearness
from logwatch.judging.policy import Policy, Rule
from logwatch.schema import ALWAYS, History, RateColumn, Span

_LEAST = 0.5  # what is farther away than this is not near
_FIRST = 3  # of each rule that come before all others
_KEPT = 200  # keys of each rule at most; half of them once there are more


class Near(NamedTuple):
    """The nearest that a key came to a rule: how near (0 to 1), when (epoch seconds), and with which rates."""

    near: float
    time: float
    rates: dict[Any, float]  # (signal, window) -> value, of those that the rule looks at


class Nearest:
    """Takes in steps; of each rule those that came nearest are kept."""

    def __init__(self, policy: Policy, span: Span = ALWAYS) -> None:
        """Only what happened within `span` is looked at."""
        self._policy = policy
        self._span = span
        self._found: dict[str, dict[str, Near]] = {rule.name: {} for rule in policy.rules}

    def add(self, step: Step) -> None:
        """One more chunk of the log."""
        for begin, rates in zip(step.begins, step.rates, strict=True):
            for rule in self._policy.rules:
                history = rates.get(rule.kind)
                if history is not None and len(history.rows):
                    self._look(rule, history, step.events["clock"][begin:])

    def best(self, besides: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str, Near]]:
        """Rule, key and how near, without the (rule, key) `besides`, which have had a case.

        First the three nearest of each rule, then all others, nearest first: a rule that hundreds come near to must
        not hide the rest.
        """
        met = set(besides)
        found = []
        for rule, keys in self._found.items():
            left = [(key, near) for key, near in keys.items() if (rule, key) not in met]
            left.sort(key=lambda item: -item[1].near)
            found += [(place >= _FIRST, rule, key, near) for place, (key, near) in enumerate(left)]
        found.sort(key=lambda item: (item[0], -item[3].near))
        return [item[1:] for item in found]

    def _look(self, rule: Rule, history: History, clocks: Any) -> None:
        near = nearness(rule.condition, history.values, len(history.rows))
        times = clocks[history.rows]
        within = (times >= self._span.begin) & (times < self._span.end)
        close = np.flatnonzero((near >= _LEAST) & (near < 1) & within)
        found = self._found[rule.name]
        for place in close[np.argsort(-near[close], kind="stable")].tolist():
            key, so_near = history.keys[place], float(near[place])
            if so_near > found.get(key, _FAR).near and self._policy.concerns(rule, key):
                row = {column: float(history.values[column][place]) for column in _columns(rule)}
                found[key] = Near(so_near, float(times[place]), row)
        if len(found) > _KEPT:
            kept = sorted(found.items(), key=lambda item: -item[1].near)[: _KEPT // 2]
            self._found[rule.name] = dict(kept)


_FAR = Near(0.0, 0.0, {})


def _columns(rule: Rule) -> list[RateColumn]:
    return [rate.column for rate in sorted(rule.condition.rates(), key=str)]
