"""Nobody waits for ever for a task that did not hear that it was cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from logwatch.cluster.tasks import first, within


class Deaf:
    """Goes on as if nothing had been, so many times that it is cancelled."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.ended = False

    async def run(self) -> None:
        try:
            while self.left:
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                self.left -= 1
            await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.mark.parametrize("times", [0, 1, 3])
def test_the_others_have_ended_when_one_has(times: int) -> None:
    deaf = Deaf(times)
    asyncio.run(first(deaf.run(), asyncio.sleep(0)))
    assert deaf.ended


@pytest.mark.parametrize("times", [0, 1, 3])
def test_what_takes_too_long_has_ended_when_that_is_said(times: int) -> None:
    deaf = Deaf(times)

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await within(0.0, deaf.run())
        assert deaf.ended

    asyncio.run(run())


def test_what_fails_is_raised() -> None:
    async def fail() -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(first(Deaf(1).run(), fail()))
    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(within(5.0, fail()))


def test_what_is_given_in_time_is_given() -> None:
    assert asyncio.run(within(5.0, asyncio.sleep(0, "found"))) == "found"
