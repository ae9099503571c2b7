"""Things to tell of, the message that they make, and a channel that is configured."""

from __future__ import annotations

from typing import Any

from enforce import config as configuration
from logwatch.telling.notify import Grouping, Happening, Message, channels_of
from logwatch.telling.notify.channels import Channel
from tests.telling.decisions import NOW, decision

EVERY = 600.0


HOST = "mx1.example.com"


def braked(number: int = 0, **fields: Any) -> Happening:
    """An account that was braked."""
    made = decision(**{"key": f"account:u{number}@example.com", **fields})
    return Happening("decision", NOW + number, f"{made.action} {made.key}", made)


def trouble(text: str = "the disk is full") -> Happening:
    return Happening("trouble", NOW, text)


def message(*happenings: Happening, lost: int = 0) -> Message:
    grouping = Grouping(EVERY)
    for happening in happenings:
        grouping.add(happening)
    grouping.lose(lost)
    made = grouping.take(0.0, NOW)
    assert made is not None
    return made


def channel(**options: Any) -> Channel:
    """The only channel of a configuration."""
    parsed = configuration.parse({"notify": options}, "test")
    (only,), problems = channels_of(parsed.notify, HOST)
    assert problems == []
    return only
