"""What comes of decisions: mail that is accepted while a case stands, and attempts that are refused.

For a case that only observes, the mail accepted is what it would have stopped; for one that is enforced, what got
through all the same. Counted from the event after the one that tipped it until its end; what has ended does not stand
again where the log's clock is set back into it, unless it is extended. Recipients that Exim names only when it delivers
count when it does; those of the message that tipped a case do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enforce import key as keys
from logwatch.schema import Columns, Decision
from logwatch.telling.journal import Effect

RELEASE = "release"
Tips = Mapping[int, int]  # by `seq` the row of the event that tipped a decision, or the last one before a release


class _Standing(NamedTuple):
    ref: str
    until: float
    since: float | None = None  # of an order; what a rule decides stands from the event that tipped it
    tipped: bytes | None = None  # the message that did, of which Exim may name recipients later


class Effects:
    """Counts step after step for the cases that stand."""

    def __init__(self, standing: Iterable[Decision] = ()) -> None:
        # key -> rule -> case
        self._standing: defaultdict[str, dict[str, _Standing]] = defaultdict(dict)
        self._nets: set[str] = set()  # those that are networks, or were: to find an event's takes a while
        self._soonest = float("inf")  # when the first of them ends, or earlier
        for decision in standing:
            self._note(decision)

    def order(self, order: Decision) -> None:
        """From now on an operator's order stands; what is stamped in an earlier second came before it."""
        self._stand(order, _Standing(order.ref, order.until, order.time // 1))

    def release(self, key: str) -> None:
        """From now on no order stands on a key; what ends the cases of rules is a decision."""
        rules = self._standing.get(key, {})
        for rule in [rule for rule, case in rules.items() if case.since is not None]:
            del rules[rule]

    def stand(self, key: str, decisions: Iterable[Decision]) -> None:
        """From now on only these decisions stand on a key, as by another policy; an order that stood does yet."""
        left = {decision.rule: decision for decision in decisions}
        before = self._standing.pop(key, {})
        for rule, decision in left.items():
            if rule in before:
                self._stand(decision, before[rule])
            else:
                self._note(decision)

    def take(self, events: Columns, decisions: Iterable[Decision], tips: Tips) -> list[Effect]:
        """The effects of a step's events on the cases that stood before it, and on those that it began.

        Whatever the steps are, the sum over them is the same.
        """
        found = (counted(events, rows, case) for case, rows in self.stood(events, decisions, tips))
        return [effect for effect in found if effect[3:] != (0, 0, 0)]

    def stood(
        self, events: Columns, decisions: Iterable[Decision], tips: Tips
    ) -> list[tuple[Effect, NDArray[np.int64]]]:
        """Cases, and positions of their key's events that came while they stood; a case may come several times."""
        decided, found = list(decisions), []
        for begin, end in forward(events["clock"]):
            part = {name: column[begin:end] for name, column in events.items()}
            here = {one.seq: row - begin for one in decided if begin <= max(0, row := tips[one.seq]) < max(1, end)}
            stood = self._stood(part, [one for one in decided if one.seq in here], here)
            found += [(case, rows + begin) for case, rows in stood]
        return found

    def _stood(
        self, events: Columns, decisions: Iterable[Decision], tips: Tips
    ) -> list[tuple[Effect, NDArray[np.int64]]]:
        """The same, of events whose clock is never set back."""
        made: defaultdict[str, defaultdict[str, list[Decision]]] = defaultdict(lambda: defaultdict(list))
        for decision in decisions:
            made[decision.key][decision.rule].append(decision)
        found = [pair for key in self._concerned(events, made) for pair in self._of(key, events, made[key], tips)]
        for decision in (one for rules in made.values() for several in rules.values() for one in several):
            self._note(decision)
        self._expire(float(events["clock"][-1]) if len(events["clock"]) else 0.0)
        return found

    def _note(self, decision: Decision) -> None:
        case = _case(decision, self._standing[decision.key].get(decision.rule))
        if case is None:
            self._standing[decision.key].pop(decision.rule, None)
        else:
            self._stand(decision, case)

    def _stand(self, decision: Decision, case: _Standing) -> None:
        self._nets.update({decision.key} if _is_network(decision.key) else ())
        self._standing[decision.key][decision.rule] = case
        self._soonest = min(self._soonest, case.until)

    def _concerned(self, events: Columns, made: Collection[str]) -> Iterator[str]:
        """Keys with a case that occur in the events."""
        if self._standing or made:
            clients = dict.fromkeys(events["client"].tolist())
            present = dict.fromkeys((*events["account"].tolist(), *clients, *events["local"].tolist(), keys.SITE))
            if self._nets or any(map(_is_network, made)):
                present.update(dict.fromkeys(chain.from_iterable(map(_networks, clients))))
            yield from (key for key in present if key in self._standing or key in made)

    def _of(
        self, key: str, events: Columns, made: Mapping[str, list[Decision]], tips: Tips
    ) -> Iterator[tuple[Effect, NDArray[np.int64]]]:
        mine = np.flatnonzero(_about(key, events))
        before = self._standing.get(key, {})
        for rule in dict.fromkeys((*before, *made)):
            stretches = [(-1, before.get(rule))]
            for decision in made.get(rule, ()):
                stretches.append((tips[decision.seq], _case(decision, stretches[-1][1])))
            for (after, case), (upto, _) in pairwise([*stretches, (len(events["clock"]), None)]):
                if case is not None:
                    yield Effect(case.ref, key, rule), _within(case, events, mine[(mine > after) & (mine <= upto)])

    def _expire(self, clock: float) -> None:
        if clock < self._soonest:
            return
        for key, rules in list(self._standing.items()):
            standing = {rule: case for rule, case in rules.items() if case.until > clock}
            if standing:
                self._standing[key] = standing
            else:
                del self._standing[key]
        self._nets = set(filter(_is_network, self._standing))
        ends = (case.until for rules in self._standing.values() for case in rules.values())
        self._soonest = min(ends, default=float("inf"))


def forward(clocks: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """First row and end of each piece of events in which the clock is not set back; at least one, however short."""
    back = np.flatnonzero(clocks[1:] < clocks[:-1]) + 1
    return pairwise((0, *back.tolist(), len(clocks)))


def _about(key: str, events: Columns) -> Any:
    """Which events are about a key."""
    kind = key.partition(":")[0]
    if kind == "net":
        within = {client for client in set(events["client"].tolist()) if key in _networks(client)}
        return np.fromiter((client in within for client in events["client"]), bool, len(events["client"]))
    return np.ones(len(events["clock"]), bool) if kind == keys.SITE else events[kind] == key


def _is_network(key: str) -> bool:
    return key.startswith("net:")


def _networks(client: str | None) -> Collection[str]:
    return keys.networks(client.removeprefix("client:")) if client else ()


def _case(decision: Decision, before: _Standing | None) -> _Standing | None:
    """What stands by a decision, after what stood before it."""
    if decision.action == RELEASE:
        return None
    tipped = decision.queue_id.encode("latin-1") if decision.queue_id else None
    goes_on = before is not None and before.ref == decision.ref
    return _Standing(decision.ref, decision.until, tipped=before.tipped if before and goes_on else tipped)


def _within(case: _Standing, events: Columns, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of a key's events that came while a case stood."""
    clocks = events["clock"][rows]
    kept = np.asarray((clocks < case.until) & (clocks >= (case.since or 0.0)), dtype=bool)
    later = _named(events, rows)
    if case.tipped is not None and later.any():
        kept &= (later == 0) | np.asarray(events["queue_id"][rows] != case.tipped, dtype=bool)
    found: NDArray[np.int64] = rows[kept]
    return found


def _named(events: Columns, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many recipients these events name of messages that counted for one when they were accepted."""
    counts, found = events["count"][rows], np.zeros(len(rows), dtype=np.int64)
    for place in (counts != None).nonzero()[0].tolist():  # noqa: E711 - for each element; nearly none has one
        if events["event"][rows[place]] == "delivery":
            found[place] = int(counts[place])
    return found


def counted(events: Columns, rows: Any, case: Effect) -> Effect:
    """A case with the mail accepted, and the attempts refused, at these positions."""
    rows = rows[events["counts"][rows]]
    kinds = events["event"][rows]
    queued = rows[np.asarray(kinds == "queued", dtype=bool)]
    refused = rows[np.isin(kinds, ("verdict", "milter_reject"))]
    recipients = sum(int(number) for number in events["nrcpt"][queued] if number) + int(_named(events, rows).sum())
    return case._replace(
        messages=len(queued),
        recipients=recipients,
        refused=sum(int(number or 1) for number in events["count"][refused]),  # one line may stand for many
    )
