"""A KV bucket: read whole and followed, and written only over what was seen (compare-and-set).

Read without a consumer: a snapshot by direct get, and what the bucket republishes. Every message carries its place in
the bucket, so that a gap is noticed; then, as after each cut, the snapshot is taken anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError

from logwatch.cluster.link import PATIENCE

_PAGE = 500
_GONE = 3600  # seconds after which the mark of a deletion goes
_WRONG_LAST = 10071  # the server's code for "wrong last sequence"


class Entry(NamedTuple):
    """A key of the bucket; `value` None: it was deleted. `revision` is its place in the bucket."""

    key: str
    value: bytes | None
    revision: int

    def said(self) -> dict[str, Any]:
        """What the value says; nothing where it is no JSON object."""
        try:
            found = json.loads(self.value or b"{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class GapError(nats.errors.Error):
    """Changes of the bucket were missed, so that it has to be read whole again."""


async def snapshot(client: Client, stream: str) -> list[Entry]:
    """All that a bucket holds, deletions too, in order of revisions."""
    return [_entry(message, stream) for message in await _latest(client, stream)]


async def written(client: Client, stream: str) -> dict[str, float]:
    """When each key was last written or deleted, epoch seconds by the server's clock."""
    latest = await _latest(client, stream)
    stamps = [datetime.fromisoformat((message.headers or {})["Nats-Time-Stamp"]).timestamp() for message in latest]
    return {_entry(message, stream).key: stamp for message, stamp in zip(latest, stamps, strict=True)}


async def _latest(client: Client, stream: str) -> list[Msg]:
    """The latest message of each key, a page at a time."""
    messages: list[Msg] = []
    start = 1
    while True:
        page = await _page(client, stream, start)
        messages += page
        if len(page) < _PAGE:
            return messages
        start = _entry(page[-1], stream).revision + 1


async def _page(client: Client, stream: str, start: int) -> list[Msg]:
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    ask = {"seq": start, "next_by_subj": f"$KV.{stream.removeprefix('KV_')}.>", "batch": _PAGE}
    messages: list[Msg] = []
    try:
        await client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(ask).encode(), reply=inbox)
        while True:
            message = await answers.next_msg(timeout=PATIENCE)
            if "Status" in (message.headers or {}):  # 204: that was all of the page; 404: nothing there
                return messages
            messages.append(message)
    finally:
        with suppress(nats.errors.Error):  # the connection is gone, and the subscription with it
            await answers.unsubscribe()


async def follow(client: Client, stream: str) -> AsyncIterator[list[Entry]]:
    """First all that there is, then every change as it comes, or several at once; GapError if one is missed."""
    changes: asyncio.Queue[Msg] = asyncio.Queue()
    await client.subscribe(
        f"{stream.removeprefix('KV_')}.>", cb=changes.put, pending_msgs_limit=-1, pending_bytes_limit=-1
    )
    await client.flush()
    entries = await snapshot(client, stream)
    last, before = max((entry.revision for entry in entries), default=0), 0
    yield entries
    while True:
        messages = [await changes.get()]
        while not changes.empty():
            messages.append(changes.get_nowait())
        told = [_entry(message, stream) for message in messages]
        for entry in told:
            if entry.revision <= before:  # it was made anew
                raise GapError
            before = entry.revision
        found = [entry for entry in told if entry.revision > last]
        for entry in found:
            if last and entry.revision != last + 1:
                raise GapError
            last = entry.revision
        if found:
            yield found


def _entry(message: Msg, stream: str) -> Entry:
    headers = message.headers or {}
    prefix = f"$KV.{stream.removeprefix('KV_')}."
    deleted = headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers
    return Entry(
        headers["Nats-Subject"].removeprefix(prefix),
        None if deleted else message.data,
        int(headers["Nats-Sequence"]),
    )


async def get(client: Client, stream: str, key: str) -> Entry | None:
    """What a key has now, a mark of its deletion too; None where there is nothing."""
    ask = {"last_by_subj": f"$KV.{stream.removeprefix('KV_')}.{key}"}
    answer = await client.request(f"$JS.API.DIRECT.GET.{stream}", json.dumps(ask).encode(), timeout=PATIENCE)
    return None if "Status" in (answer.headers or {}) else _entry(answer, stream)


async def put(client: Client, stream: str, key: str, value: bytes | None, revision: int) -> int | None:
    """Set a key over the revision that was seen (0: there is none), or delete it; None if another was quicker."""
    headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
    subject = f"$KV.{stream.removeprefix('KV_')}.{key}"
    try:
        if value is None:
            marked = {**headers, "KV-Operation": "DEL"}
            done = await client.jetstream().publish(subject, b"", headers=marked, msg_ttl=_GONE)
        else:
            done = await client.jetstream().publish(subject, value, headers=headers)
    except APIError as error:
        if error.err_code == _WRONG_LAST:
            return None
        raise
    return done.seq
