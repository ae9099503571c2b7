"""Ends asyncio tasks for certain: one that swallows its cancellation is cancelled again.

Up to Python 3.11 `asyncio.wait_for` may swallow a cancellation that comes with the result that it waits for, and so may
what nats-py makes of it. Who waits for such a task, waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, TypeVar

T = TypeVar("T")
_AGAIN = 0.1  # seconds


async def first(*awaitables: Awaitable[object]) -> None:
    """Until one is done; the others have ended then, too. What it raises is raised."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await _end(tasks)


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """What it gives; TimeoutError if it takes longer, and it has ended then."""
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        await _end([task])


async def _end(tasks: Collection[asyncio.Future[Any]]) -> None:
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # which has been raised, or does not matter any more
