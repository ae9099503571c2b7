"""The connection to the stream's servers: kept up by a thread of its own, which is the only one that speaks to them.

Each connection is a new one. What `serve` names is begun on each, and ended with it, so that nobody goes on with what
was true before a cut; nothing that was to be sent waits in a buffer and comes when nobody expects it any more.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from enforce.config import Config
from enforce.errors import ReportedError
from logwatch.cluster.names import name_of
from logwatch.cluster.tasks import first, within

logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of every connection with TLS that ends
T = TypeVar("T")
Task = Callable[[Client], Awaitable[None]]
_AGAIN = 0.5  # seconds between two attempts
_PING = 2.0  # seconds between signs of life
PATIENCE = 3.0  # seconds for an answer
BROKEN = "what speaks to the stream has ended by a mistake, told of above"
TROUBLES = (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError, EOFError)


class LinkError(ReportedError):
    """The servers cannot be reached, or did not do what was asked: why, and what to do."""


class Link:
    """A connection as the machine that the configuration names; `wake` is called whenever it comes or goes."""

    def __init__(self, config: Config, wake: Callable[[], None] = lambda: None) -> None:
        """LinkError if the credentials cannot be used."""
        self.problem = ""  # why there is no connection; "" at first
        self.name = name_of(config)
        self._servers = list(config.cluster.servers)
        self._credentials = Path(config.cluster.credentials)
        self._tls()
        self._wake = wake
        self._first: list[Task] = []
        self._tasks: list[Task] = []
        self._client: Client | None = None
        self._attempts = secrets.randbelow(len(self._servers))  # not everybody begins with the same one
        self._server = self._servers[0]  # the one that was tried last
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def serve(self, task: Task) -> None:
        """Have a task run on each connection; before `start`. One that fails ends the connection."""
        self._tasks.append(task)

    def begin(self, task: Task) -> None:
        """Have a task done on each connection before those that run on it; before `start`."""
        self._first.append(task)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._client is not None

    @property
    def broken(self) -> bool:
        """Whether its thread has ended by a mistake, which it has told of: only a new process connects again."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._stop.is_set()

    def wait(self, patience: float) -> None:
        """For a connection; LinkError if there is none by then."""
        deadline = time.monotonic() + patience
        while not self.connected:
            if time.monotonic() > deadline:
                raise LinkError(self.problem or "no connection yet")
            time.sleep(0.02)

    def call(self, ask: Callable[[Client], Awaitable[T]], patience: float = PATIENCE) -> T:
        """What `ask` gives, from another thread; LinkError if it cannot be had in time."""
        client = self._client
        if client is None:
            raise LinkError(self.problem or "no connection yet")
        future = asyncio.run_coroutine_threadsafe(within(patience, ask(client)), self._loop)
        try:
            return future.result(patience + 1)
        except TROUBLES as error:
            future.cancel()
            raise LinkError(f"{self._server}: {_words(error)}") from None

    def soon(self, act: Callable[[], object]) -> None:
        """Have the link's thread do something."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)

    def close(self) -> None:
        """End the connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._keep())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                await self._once()
            except (*TROUBLES, LinkError) as error:
                self.problem = f"{', '.join(self._servers)}: {_words(error)}"
            await first(self._stop.wait(), asyncio.sleep(_AGAIN))

    async def _once(self) -> None:
        """One connection, from its beginning to its end."""
        ended = asyncio.Event()

        async def end(*_: object) -> None:
            ended.set()

        client = Client()
        try:
            await self._connect(client, end)
            self._client, self.problem = client, ""
            self._wake()
            await self._serve(client, ended)
        finally:
            self._client = None
            await _closed(client)
            self._wake()

    async def _connect(self, client: Client, end: Callable[..., Awaitable[None]]) -> None:
        """To the server whose turn it is, or not at all."""
        why: list[Exception] = []

        async def note(error: Exception) -> None:
            """Why it could not; what goes wrong later ends the connection, and is said then."""
            why[:] = [error]

        connecting = client.connect(
            [self._next()],
            name=self.name,
            tls=self._tls(),
            tls_handshake_first=False,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=int(PATIENCE),
            inbox_prefix=f"_INBOX_{self.name}",
            disconnected_cb=end,
            closed_cb=end,
            error_cb=note,
        )
        try:
            await within(PATIENCE, connecting)
        except nats.errors.NoServersError:
            raise (why or [LinkError("no server")])[0] from None

    def _tls(self) -> ssl.SSLContext | None:
        """By the files as they are now: they may be others since the last connection."""
        return _tls(self._credentials, self.name) if _needs_tls(self._servers) else None

    def _next(self) -> str:
        """The server to try now: each in turn, as one may take connections and do no more."""
        self._attempts += 1
        self._server = self._servers[self._attempts % len(self._servers)]
        return self._server

    async def _serve(self, client: Client, ended: asyncio.Event) -> None:
        """Run all tasks until one of them, or the connection, ends."""
        try:
            await first(self._stop.wait(), ended.wait(), self._work(client))
        finally:
            if not self._stop.is_set() and not self.problem:
                self.problem = f"{', '.join(self._servers)}: the connection was lost"

    async def _work(self, client: Client) -> None:
        for task in self._first:
            await task(client)
        await first(_lives(client), *(task(client) for task in self._tasks))


async def _lives(client: Client) -> None:
    """Ends when the server no longer answers; the client itself would wait half a minute for its farewell then."""
    while True:
        await within(PATIENCE, client.flush(int(PATIENCE)))
        await asyncio.sleep(_PING)


async def _closed(client: Client) -> None:
    with suppress(*TROUBLES):
        await within(1.0, client.close())


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _needs_tls(servers: list[str]) -> bool:
    return any(server.startswith("tls://") for server in servers)


def _tls(directory: Path, name: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
        context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    except (OSError, ssl.SSLError) as error:
        raise LinkError(
            f"{directory}: ca.pem, {name}.pem and {name}.key cannot be used: {error}; "
            "`mailbrake cluster init` makes them"
        ) from None
    return context
