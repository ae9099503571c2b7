"""What operators say goes into the stream in the order in which it was said, whatever fails on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from logwatch.cluster.controller import Brain
from logwatch.cluster.link import LinkError
from logwatch.cluster.partition_leases import Shares
from logwatch.telling.journal import Journal, Review


class Server:
    """In place of link, client and stream: notes what is published, and fails once."""

    connected = True

    def __init__(self) -> None:
        self.published: list[int] = []
        self.fails = True

    def call(self, ask: Callable[[Any], Awaitable[None]]) -> None:
        if self.fails:
            self.fails = False
            raise LinkError("no answer")
        asyncio.run(self._run(ask))

    async def _run(self, ask: Callable[[Any], Awaitable[None]]) -> None:
        await ask(self)

    def jetstream(self) -> Server:
        return self

    async def publish(self, _: str, message: bytes, headers: dict[str, str]) -> None:
        assert headers
        self.published.append(json.loads(message)["id"])

    def reviews(self) -> list[Review]:
        return []


class Alone(Brain):
    """A controller without a configuration."""

    def __init__(self, server: Any) -> None:
        self.link = self._stream = server
        self.shares = Shares("c1", 8, "here")
        self._origin, self._rules = "c1 origin", ""
        self._sent = set()
        self._say = lambda *_: None


def test_what_could_not_be_sent_is_not_overtaken(tmp_path: Path) -> None:
    """By number it is told what has been heard: one that comes after a later one would be heard by nobody."""
    server = Server()
    reviews = Alone(server).ports().reviews
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        journal.review(Review(1.0, "account:alice", "released", "operator", ""))
        journal.review(Review(2.0, "account:bob", "confirmed", "operator", ""))
        reviews(journal)
        reviews(journal)
    assert server.published == [1, 2]
