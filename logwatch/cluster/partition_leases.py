"""Who of the controllers publishes which part of the keys: partitions, held under a lease.

Each controller writes a sign of life once a second. A partition belongs to the controller that its entry names, as long
as that one lives; whoever finds one without a living holder takes it, up to its fair part of all. Entries are changed
only over the revision that was seen, so that one alone succeeds. No clocks are compared: a controller is dead when its
sign of life has not changed for DEAD seconds of the looker's own clock, and it lets go of all that it holds by itself
when it could not renew it for FENCE seconds, which is less.

Two holders at once would do no harm: all decide alike, and the table is written over what was seen as well.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from logwatch.cluster.bucket import Entry
from logwatch.cluster.names import partition

RENEW = 1.0
FENCE = 3.0
DEAD = 4.0


class Put(NamedTuple):
    """A key of the bucket to be set, or deleted (None), over a revision."""

    key: str
    value: bytes | None
    revision: int


class _Sign(NamedTuple):
    revision: int
    since: float  # when it was first seen, monotonic


class Shares:
    """The partitions that controller `name` holds, out of so many; monotonic time is an argument.

    `place` is where its state is, which one process alone can have: a sign of life from there is of an earlier life.
    """

    def __init__(self, name: str, partitions: int, place: str) -> None:
        self.problem = ""
        self.instance = secrets.token_hex(8)
        self.controllers: dict[str, dict[str, Any]] = {}  # what the living ones say of themselves
        self._name = name
        self._place = place
        self.partitions = partitions
        self._signs: dict[str, _Sign] = {}
        self._held: frozenset[int] = frozenset()
        self._until = float("-inf")

    def held(self, now: float) -> frozenset[int]:
        """The partitions held now."""
        return self._held if now < self._until else frozenset()

    def holds(self, key: str, now: float) -> bool:
        """Whether a key of the table is one of ours."""
        return partition(key, self.partitions) in self.held(now)

    def renew(self, entries: Iterable[Entry], fares: Mapping[str, Any], now: float) -> Put | None:
        """The sign of life to write, after a look at the bucket; None if another controller has our name."""
        found = {entry.key: entry for entry in entries}
        self._look(found, now)
        mine = found.get(f"c.{self._name}")
        said = mine.said() if mine else {}
        another = said and said.get("instance") != self.instance and said.get("place") != self._place
        if mine and another and self._lives(mine.key, now):
            self.problem = f"another controller is called {self._name}: give each a [cluster] name of its own"
            return None
        self.problem = ""
        value = {**fares, "instance": self.instance, "place": self._place, "held": sorted(self.held(now))}
        return Put(f"c.{self._name}", json.dumps(value).encode(), mine.revision if mine else 0)

    def renewed(self, asked: float) -> None:
        """The sign of life was written, and asked for at this time."""
        self._until = asked + FENCE

    def plan(self, entries: Iterable[Entry], *, fit: bool) -> list[Put]:
        """What to change about the partitions; `fit`: whether this controller may hold any."""
        found = {entry.key: entry for entry in entries}
        holders = {n: str(entry.said().get("holder")) for n in self._all() if (entry := found.get(f"p.{n}"))}
        mine = [n for n in self._all() if holders.get(n) == self._name]
        self._held = frozenset(mine) if fit else frozenset()
        rivals = {name for name, said in self.controllers.items() if said.get("fit")} - {self._name}
        fair = math.ceil(self.partitions / (len(rivals) + 1)) if fit else 0
        free = [n for n in self._all() if holders.get(n) != self._name and holders.get(n) not in rivals]
        given = mine[fair:] if rivals or not fit else []
        value = json.dumps({"holder": self._name}).encode()
        taken = free[: max(0, fair - len(mine))]
        return [
            *(Put(f"p.{n}", None, found[f"p.{n}"].revision) for n in given),
            *(Put(f"p.{n}", value, found[f"p.{n}"].revision if f"p.{n}" in found else 0) for n in taken),
        ]

    def done(self, put: Put) -> None:
        """A change of a partition was made."""
        number = {int(put.key.removeprefix("p."))}
        self._held = self._held - number if put.value is None else self._held | number

    def _all(self) -> range:
        return range(self.partitions)

    def _look(self, found: Mapping[str, Entry], now: float) -> None:
        signs = {key: entry for key, entry in found.items() if key.startswith("c.") and entry.value is not None}
        before = self._signs
        self._signs = {
            key: known
            if (known := before.get(key)) and known.revision == entry.revision
            else _Sign(entry.revision, now)
            for key, entry in signs.items()
        }
        living = {key: entry for key, entry in signs.items() if self._lives(key, now)}
        self.controllers = {key.removeprefix("c."): entry.said() for key, entry in living.items()}

    def _lives(self, key: str, now: float) -> bool:
        return key in self._signs and now - self._signs[key].since < DEAD
