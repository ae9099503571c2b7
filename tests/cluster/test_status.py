"""What `mailbrake status` says of gateways, by what the stream's position holds of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from logwatch.cluster.link import Link
from logwatch.cluster.merging import Limits, Merger
from logwatch.cluster.names import VERSION
from logwatch.cluster.status import differences, gateways_of
from logwatch.cluster.stream import Stream

NOW = 1_800_000_000.0


def position(
    *, version: str = VERSION, low: float = 0.1, silent: float = 0.1, age: float | None = 1.0
) -> dict[str, Any]:
    """Of a stream with one gateway; in seconds before now."""
    state = {"table": 7.0, "spooled": 0.0, "lost": 0.0} | ({} if age is None else {"age": age})
    log = ["mx1", "mail.log", "e", 0, NOW - low, NOW - low, False, 1, 0]
    merger = {"time": NOW, "now": 500.0, "seen": {"mx1": 500.0 - silent}, "logs": [log], "states": {"mx1": state}}
    return {"stream": {"merger": {**merger, "counts": {}, "versions": {"mx1": version}}}}


@pytest.mark.parametrize(
    ("fares", "problem"),
    [
        ({}, ""),
        ({"silent": 40.0, "low": 40.0}, "mx1: nothing has come from it for 40 s: is `mailbrake ship` running?"),
        ({"low": 8.0}, "mx1: its log is 8 s behind, and the others' lines wait for it, up to [cluster] hold: "),
        ({"age": None}, "mx1: it has no table: is `mailbrake sync` running?"),
        ({"version": "0.0.9"}, f"mx1: it runs mailbrake 0.0.9, and this machine {VERSION}: "),
        ({"version": ""}, ""),
        ({"age": 90.0}, "mx1: its table's last sign of life is 90 s old"),
    ],
)
def test_what_is_wrong_with_a_gateway_is_said(fares: dict[str, Any], problem: str) -> None:
    rows, problems = gateways_of(position(**fares), NOW, NOW)
    assert list(rows) == ["mx1"]
    assert [found[: len(problem)] for found in problems] == [problem] * bool(problem)


def test_a_stream_that_stands_still_is_said() -> None:
    _, problems = gateways_of(position(), NOW - 100, NOW)
    assert problems == ["nothing has come out of the stream for 100 s: what is told of it is as old"]


class Connected:
    """A link that has a connection."""

    connected, problem = True, ""

    def serve(self, _: Callable[..., Any]) -> None:
        """Nothing comes."""


def test_a_stream_that_is_there_and_gives_nothing_is_said() -> None:
    """Its server had no room, and status showed everything as it had been last."""

    def merger(state: Mapping[str, Any]) -> Merger:
        return Merger(Limits(), None, lambda *_: True, state)

    link = Connected()
    stream = Stream(cast("Link", link), {}, merger, "origin")
    assert stream.problems() == []
    stream._came -= 60
    (problem,) = stream.problems()
    assert problem.startswith("the stream: connected, but nothing has come out of it for a while: has the server room")
    link.problem = "the connection was lost"
    assert stream.problems() == ["the stream: the connection was lost"]
    link.problem = ""
    assert stream.problems() == []  # after an outage it has a while again


def test_controllers_that_do_not_decide_alike_are_said() -> None:
    one, other = {"rules": "a", "version": "1.0"}, {"rules": "b", "version": "1.1"}
    assert differences({"c1": one, "c2": one}) == []
    (problem,) = differences({"c1": one, "c2": other})
    assert problem.startswith("controllers run different versions, and may decide differently: c1 1.0, c2 1.1: ")
    (problem,) = differences({"c1": one, "c2": {**other, "version": "1.0"}})
    assert problem.startswith("controllers are configured differently")
