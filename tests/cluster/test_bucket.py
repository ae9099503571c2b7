"""A bucket that is followed, on a real server: whatever becomes of it, what is told is all of it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from enforce.config import Cluster
from logwatch.cluster import bucket, layout
from logwatch.cluster.layout import TABLE
from logwatch.cluster.tasks import within
from tests.mta.postfix import free_ports

from .site import HERE, SERVER


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Of a server where everybody may do everything."""
    port = next(free_ports())
    command = [str(SERVER), "-js", "-sd", str(tmp_path), "-a", HERE, "-p", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        yield f"nats://{HERE}:{port}"
        server.terminate()


async def filled(client: Client, *keys: str) -> None:
    await layout.prepare_buckets(client, Cluster())
    for key in keys:
        assert await bucket.put(client, TABLE, key, b"value", 0)


def test_a_bucket_that_was_made_anew_is_read_whole_again(url: str) -> None:
    """Its changes begin with the first again: whoever stayed connected, to another server, heard none of them."""

    async def follow() -> None:
        client = await nats.connect(url)
        await filled(client, "key.a", "key.b", "key.c")
        changes = bucket.follow(client, TABLE)
        assert [entry.key for entry in await anext(changes)] == ["key.a", "key.b", "key.c"]
        await filled(client, "key.d")
        assert [entry.key for entry in await anext(changes)] == ["key.d"]
        await client.jetstream().delete_stream(TABLE)
        await filled(client, "key.e")
        with pytest.raises(bucket.GapError):
            await within(5.0, anext(changes))
        await client.close()

    asyncio.run(follow())
