"""What a controller wants in the table that all share, whatever its own clock says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from logwatch.cluster.bucket_table import Shared
from logwatch.cluster.link import Link
from logwatch.cluster.names import raw
from logwatch.cluster.partition_leases import Shares
from logwatch.schema import Decision
from tests.telling.decisions import NOW, decision

HOUR = 3600.0
BOB = decision(until=NOW + HOUR)


class Unlinked:
    """A link that has no connection."""

    connected = False

    def serve(self, _: Callable[..., Any]) -> None:
        """Nothing runs."""

    def soon(self, _: Callable[..., Any]) -> None:
        """Nothing is done."""


class Server:
    """What a stream says of time."""

    def __init__(self) -> None:
        self.read = True

    def now(self) -> float:
        return NOW

    def current(self) -> bool:
        return self.read

    def live(self) -> bool:
        return self.read


class Controller:
    """The table port of one that decided on bob."""

    def __init__(self) -> None:
        self.server, self.said = Server(), list[str]()
        self.shares = Shares("c1", 8, "here")
        link = cast("Link", Unlinked())
        self.shared = Shared(link, self.shares, self.server, self.standing, lambda _, words: self.said.append(words))

    @staticmethod
    def standing(now: float) -> list[Decision]:
        return [one for one in (BOB,) if one.until > now]

    def wants(self) -> set[str]:
        return self.shared._wanted.names()


def test_a_clock_that_is_ahead_takes_no_brakes_off() -> None:
    """All keys of the controller that it was on had none, on all gateways, and nothing told of it."""
    controller = Controller()
    controller.shared.beat(NOW + 2 * HOUR)
    assert controller.wants() == {raw(BOB.key)}
    controller.shared.publish([decision(2, key="account:eve", until=NOW + HOUR)], NOW + 2 * HOUR)
    assert controller.wants() == {raw(BOB.key), raw("account:eve")}
    assert controller.said == ["this machine's clock is 7200 s ahead of the stream's, which counts for the table"]


def test_what_ends_by_a_clock_that_is_behind_is_left_to_the_gateways() -> None:
    controller = Controller()
    controller.shared.beat(NOW - HOUR)
    assert (controller.wants(), controller.said) == ({raw(BOB.key)}, [])


def test_what_stands_is_known_once_the_stream_has_been_read_up() -> None:
    """Before that nobody knows what time it is."""
    controller = Controller()
    controller.server.read = False
    controller.shared.beat(NOW)
    assert not controller.shared.known()
    controller.server.read = True
    controller.shared.beat(NOW)
    assert controller.shared.known()


def test_what_may_not_have_been_told_is_told_though_the_clock_was_set() -> None:
    """By whoever takes the partition over, within seconds that no clock's step makes more or fewer."""
    controller = Controller()
    assert controller.shared.to_tell([BOB], NOW) == []
    assert controller.shared.to_tell([], NOW + HOUR) == []
    for put in controller.shares.plan([], fit=True):
        controller.shares.done(put)
    controller.shares.renewed(time.monotonic())
    assert controller.shared.to_tell([], NOW + HOUR) == [BOB]
