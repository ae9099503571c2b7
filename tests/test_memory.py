"""What the core remembers: bounded, in order, and written down by what changed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.memory import Memory, Packed

_KEYS = st.sampled_from("abcdefgh")
_ACTIONS = st.one_of(
    st.tuples(st.sampled_from(("put", "put unproven")), _KEYS),
    st.tuples(st.just("put_all"), st.lists(_KEYS, max_size=4).map("".join)),
    st.tuples(st.just("put_all unproven"), st.lists(_KEYS, max_size=4, unique=True).map("".join)),
    st.tuples(st.just("drop"), _KEYS),
    st.tuples(st.sampled_from(("expire", "keep", "restart", "clear")), st.just("")),
)


class _Plainly:
    """The same, done in the plainest way."""

    def __init__(self, bound: int) -> None:
        self.bound, self.overflowed = bound, 0
        self.entries: list[tuple[str, bytes | int, float]] = []
        self.unproven: set[str] = set()

    def put(self, key: str, value: bytes | int, time: float, *, proven: bool = True) -> None:
        if proven:
            self.unproven.discard(key)
        elif key not in [known for known, *_ in self.entries]:
            self.unproven.add(key)
        self.entries = [entry for entry in self.entries if entry[0] != key]
        self.entries.append((key, value, time))

    def fit(self) -> None:
        while len(self.entries) > self.bound or len(self._strangers()) > max(1, self.bound // 4):
            strangers = self._strangers()
            proven = [key for key, *_ in self.entries if key not in strangers]
            self.drop(strangers[0] if len(strangers) > max(1, self.bound // 4) else proven[0])
            self.overflowed += 1

    def _strangers(self) -> list[str]:
        return [key for key, *_ in self.entries if key in self.unproven]

    def drop(self, key: str) -> None:
        self.entries = [entry for entry in self.entries if entry[0] != key]
        self.unproven.discard(key)

    def expire(self, before: float) -> None:
        for key in [key for key, _, time in self.entries if time < before]:
            self.drop(key)


def _plain_memory(bound: int) -> Memory[Any]:
    return Memory("room", bound)


def _packed_memory(bound: int) -> Memory[Any]:
    return Packed("room", bound, _dump, _load)


def _dump(value: bytes | int) -> bytes:
    return b"b" + value if isinstance(value, bytes) else b"i" + json.dumps(value).encode()


def _load(written: bytes) -> bytes | int:
    return written[1:] if written[:1] == b"b" else int(json.loads(written[1:]))


@pytest.mark.parametrize("made", [_plain_memory, _packed_memory])
@given(st.lists(_ACTIONS, max_size=60), st.integers(1, 6))
def test_it_is_what_the_plainest_way_gives(
    made: Callable[[int], Memory[Any]], actions: list[tuple[str, str]], bound: int
) -> None:
    """Order, bound and expiry; what was written down by its changes gives the same memory again, whenever that was."""
    memory, plain, kept = made(bound), _Plainly(bound), dict[str, tuple[float, bytes]]()
    for number, (action, keys) in enumerate(actions):
        time = number + 0.1
        value = number if made is _plain_memory or number % 3 == 0 else b"%d" % number
        match action:
            case "put" | "put unproven":
                memory.put(keys, value, time, proven=action == "put")
                plain.put(keys, value, time, proven=action == "put")
            case "put_all" | "put_all unproven":
                odd = [*keys[1::2]] if action == "put_all unproven" else []
                memory.put_all([(key, value, time) for key in keys], odd)
                for key in keys:
                    plain.put(key, value, time, proven=key not in odd)
            case "drop":
                memory.drop(keys)
                plain.drop(keys)
            case "expire":
                memory.expire(time - 5.0)
                plain.expire(time - 5.0)
            case "clear":
                memory.clear()
                plain.expire(float("inf"))
            case _:
                _keep(memory, kept)
                if action == "restart":
                    memory = _restarted(memory, made(bound), kept)
        plain.fit()
        assert list(memory.items()) == [(key, value) for key, value, _ in plain.entries]
        assert memory.overflowed == plain.overflowed
        assert all(memory.get(key, since) == value for key, value, since in plain.entries)
        assert not any(memory.get(key, since + 1) for key, _, since in plain.entries)
    _keep(memory, kept)
    assert list(_restarted(memory, made(bound), kept).items()) == list(memory.items())


def _keep(memory: Memory[Any], kept: dict[str, tuple[float, bytes]]) -> None:
    for key, time, value in memory.changes():
        if value is None:
            del kept[key]  # never for what was not kept
        else:
            kept[key] = (time, value)
    memory.settle()
    assert memory.changes() == []


def _restarted(memory: Memory[Any], again: Memory[Any], kept: dict[str, tuple[float, bytes]]) -> Memory[Any]:
    again.overflowed = memory.overflowed
    again.restore((key, *row) for key, row in random.Random(0).sample(sorted(kept.items()), len(kept)))
    return again


def test_what_came_and_went_leaves_nothing_to_write() -> None:
    """Most messages are removed before the next checkpoint; who never writes any (`events`) must not pile them up."""
    memory = Memory[int]("messages", 10)
    for number in range(1000):
        memory.put(str(number), number, float(number))
        memory.drop(str(number))
    assert memory.changes() == []
    memory.put("kept", 1, 0.0)
    memory.settle()
    memory.drop("kept")
    assert memory.changes() == [("kept", 0.0, None)]


def test_what_is_given_up_goes_from_where_it_is_kept() -> None:
    """Rows of another layout are asked to be removed, but for keys that are known anew."""
    memory = Memory[int]("room", 10)
    memory.give_up([("a", 1.0, b"?"), ("b", 1.0, b"?")])
    memory.put("b", 2, 2.0)
    changes = {key: value for key, _, value in memory.changes()}
    assert changes.keys() == {"a", "b"}
    assert changes["a"] is None
    assert changes["b"] is not None


def test_what_is_full_forgets_the_oldest_whatever_was_put_again() -> None:
    """Far more entries than are looked ahead for."""
    memory = Memory[int]("room", 3000)
    for number in range(-1, 3000):  # one more than there is room for: from now on it looks ahead
        memory.put(str(number), number, float(number))
    for number in range(0, 3000, 2):  # the even ones are young again
        memory.put(str(number), number, 3000.0 + number)
    for number in range(3000, 4500):
        memory.put(str(number), number, 9000.0)
    assert [value for _, value in memory.items()] == [*range(0, 3000, 2), *range(3000, 4500)]
    assert memory.overflowed == 1501
