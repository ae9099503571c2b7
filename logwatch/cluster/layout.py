"""Streams and buckets of a cluster, and their subjects.

    LINES       lines.HOST   batches of log lines (wire)      reviews   what operators say, by a controller
    KV_table    $KV.table.key.KEY   records of the table, JSON as in LMDB      $KV.table.beat   a sign of life
    KV_shares   $KV.shares.c.NAME   a controller's sign of life      $KV.shares.p.N   who holds a partition
                $KV.shares.lineage  whose memory all controllers have

What is written to the table comes out again as `table.>` once it is stored, with its place in the bucket: so a gateway
needs no consumer of its own, whose deliveries it could have sent wherever it likes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import BadRequestError, NotFoundError

from enforce.config import Cluster

LINES = "LINES"
REVIEWS = "reviews"
TABLE = "KV_table"
SHARES = "KV_shares"
BEAT = "beat"
_TWICE = 120.0  # seconds within which the server itself drops what is sent twice
_PATIENCE = 2.0  # seconds for an answer
_TABLE_BYTES = 1 << 30


async def prepare(client: Client, cluster: Cluster) -> None:
    """Make what is missing, and bring what is there up to the configuration."""
    lines = api.StreamConfig(
        name=LINES,
        subjects=["lines.*", REVIEWS],
        storage=api.StorageType.FILE,
        max_age=cluster.keep,
        max_bytes=cluster.size,
        discard=api.DiscardPolicy.OLD,
        duplicate_window=_TWICE,
        num_replicas=cluster.replicas,
        deny_delete=True,
    )
    await _prepare(client.jetstream(timeout=_PATIENCE), lines)
    await prepare_buckets(client, cluster)


async def prepare_buckets(client: Client, cluster: Cluster) -> None:
    """The same, of those alone that can be filled again from any controller's memory."""
    for stream in (_bucket("table", cluster, republish=True), _bucket("shares", cluster)):
        await _prepare(client.jetstream(timeout=_PATIENCE), stream)


async def _prepare(jetstream: JetStreamContext, wanted: api.StreamConfig) -> None:
    assert wanted.name
    try:
        found = (await jetstream.stream_info(wanted.name)).config
    except NotFoundError:
        # another controller may be quicker; of two that ask several servers at once, one may get no answer
        with suppress(BadRequestError, nats.errors.TimeoutError):
            await jetstream.add_stream(wanted)
        found = (await jetstream.stream_info(wanted.name)).config
    if any(getattr(found, field.name) != value for field in fields(wanted) if (value := getattr(wanted, field.name))):
        await jetstream.update_stream(wanted)


def _bucket(name: str, cluster: Cluster, *, republish: bool = False) -> api.StreamConfig:
    """A KV bucket as `nats kv` knows it."""
    return api.StreamConfig(
        name=f"KV_{name}",
        subjects=[f"$KV.{name}.>"],
        storage=api.StorageType.FILE,
        max_msgs_per_subject=1,
        max_bytes=_TABLE_BYTES,
        discard=api.DiscardPolicy.NEW,
        duplicate_window=_TWICE,
        num_replicas=cluster.replicas,
        allow_direct=True,
        allow_msg_ttl=True,
        allow_rollup_hdrs=True,
        deny_delete=True,
        republish=api.RePublish(src=f"$KV.{name}.>", dest=f"{name}.>") if republish else None,
    )
