"""Who may do what, asked of a real server: a gateway writes its own lines and reads the table, and nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import nats
import nats.errors
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api
from nats.js.errors import APIError

from enforce import config as configuration
from enforce.config import Cluster
from logwatch.cluster import bucket, credentials, layout, wire
from logwatch.cluster.credentials import Roster, RosterError
from logwatch.cluster.layout import LINES, SHARES, TABLE
from logwatch.cluster.names import lines_of
from logwatch.cluster.wire import Batch
from logwatch.commands import main

from .site import HERE, Site, wait_for

Value = TypeVar("Value")
PATIENCE = 60  # seconds
SMALL = Roster((HERE,), ("mx1",), ("c1",))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server, with streams made by a controller."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.start("server")
    try:
        wait_for(lambda: (made.directory / "server.err").read_text().count("Server is ready"), "the server")
        as_(made, "c1", lambda client: layout.prepare(client, _cluster(made)))
        yield made
    finally:
        made.close()


def _cluster(site: Site) -> Cluster:
    return configuration.load(site.directory / "c1.toml").cluster


def as_(site: Site, name: str, act: Callable[[Client], Awaitable[Value]], inbox: str = "") -> Value:
    """What comes of an act on a connection of this name; a refusal of the server is raised."""
    keys = site.directory / "keys" / name
    context = ssl.create_default_context(cafile=keys / "ca.pem")
    context.load_cert_chain(keys / f"{name}.pem", keys / f"{name}.key")

    async def run() -> Value:
        refused: asyncio.Future[Value] = asyncio.get_running_loop().create_future()

        async def note(error: Exception) -> None:
            if isinstance(error, nats.errors.Error) and not refused.done():  # and not how the connection ended
                refused.set_exception(error)

        client = await nats.connect(
            f"tls://{HERE}:{site.port}",
            tls=context,
            inbox_prefix=inbox or f"_INBOX_{name}",
            error_cb=note,
            allow_reconnect=False,
        )

        async def done() -> Value:
            found = await act(client)
            await client.flush()
            await client.flush()  # once more: the client tells of a refusal aside
            return found

        doing = asyncio.ensure_future(done())
        try:
            await asyncio.wait((refused, doing), return_when=asyncio.FIRST_COMPLETED)
            return await (refused if refused.done() else doing)
        finally:
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            await client.close()

    return asyncio.run(run())


def batch(host: str) -> bytes:
    return wire.encode(Batch(host, "mail.log", "e", 0, 5, b"line\n", 1))


def publishes(subject: str, message: bytes = b"{}") -> Callable[[Client], Awaitable[object]]:
    return lambda client: client.jetstream().publish(subject, message, timeout=PATIENCE)


def listens(subject: str) -> Callable[[Client], Awaitable[object]]:
    async def act(client: Client) -> None:
        await client.subscribe(subject)

    return act


def asks(subject: str) -> Callable[[Client], Awaitable[object]]:
    return lambda client: client.request(subject, b"", timeout=PATIENCE)


def test_a_gateway_writes_its_own_lines_and_reads_the_table(site: Site) -> None:
    as_(site, "c1", publishes("$KV.table.1.YWNjb3VudDpib2I", b"{}"))
    as_(site, "mx1", publishes(lines_of("mx1"), batch("mx1")))
    found = as_(site, "mx1", lambda client: bucket.snapshot(client, TABLE))
    assert [entry.key for entry in found] == ["1.YWNjb3VudDpib2I"]
    as_(site, "mx1", listens("table.>"))


@pytest.mark.parametrize(
    "act",
    [
        publishes(lines_of("mx2"), batch("mx2")),
        publishes("$KV.table.1.YWNjb3VudDpib2I"),
        publishes("$KV.shares.c.c1"),
        publishes("reviews"),
        publishes("table.1.YWNjb3VudDpib2I"),
        listens(lines_of("mx1")),
        listens("lines.>"),
        listens("$KV.>"),
        listens("_INBOX_c1.>"),
        listens("_INBOX_mx2.>"),
        listens(">"),
        asks("$JS.API.STREAM.INFO.LINES"),
        asks("$JS.API.STREAM.PURGE.KV_table"),
        asks("$JS.API.STREAM.DELETE.LINES"),
        asks("$JS.API.STREAM.MSG.GET.LINES"),
        asks("$JS.API.DIRECT.GET.LINES"),
        asks("$JS.API.DIRECT.GET.KV_shares"),
        asks("$JS.API.CONSUMER.CREATE.KV_table"),
        asks("$JS.API.CONSUMER.CREATE.LINES"),
    ],
)
def test_a_gateway_may_do_nothing_else(site: Site, act: Callable[[Client], Awaitable[object]]) -> None:
    with pytest.raises(nats.errors.Error, match=r"(?i)permissions violation"):
        as_(site, "mx1", act)


@pytest.mark.parametrize(
    "act",
    [
        publishes(lines_of("mx1"), batch("mx1")),
        asks("$JS.API.STREAM.DELETE.LINES"),
        asks("$JS.API.STREAM.PURGE.LINES"),
        listens("_INBOX_mx1.>"),
    ],
)
def test_a_controller_writes_no_lines_and_removes_nothing(
    site: Site, act: Callable[[Client], Awaitable[object]]
) -> None:
    with pytest.raises(nats.errors.Error, match=r"(?i)permissions violation"):
        as_(site, "c1", act)


@pytest.mark.parametrize("found", [True, False], ids=["a record", "nothing"])
@pytest.mark.parametrize(
    "subject",
    [
        lines_of("mx2"),
        "reviews",
        "$KV.table.3.dmljdGlt",
        "$KV.table.1.YWNjb3VudDpib2I",
        "$KV.table.beat",
        "$KV.shares.lineage",
        "$KV.shares.p.1",
        "table.3.dmljdGlt",
        "_INBOX_c1.x",
        "_INBOX_mx2.x",
    ],
)
def test_no_answer_gets_where_its_asker_may_not_write(site: Site, subject: str, *, found: bool) -> None:
    """A server sends answers wherever it is asked to: a gateway would copy one account's refusal to another's key."""
    bob = "$KV.table.1.YWNjb3VudDpib2I"
    as_(site, "c1", publishes(bob))
    ask = json.dumps({"last_by_subj": bob if found else "$KV.table.0.bm8"}).encode()

    async def act(client: Client) -> None:
        await client.publish(f"$JS.API.DIRECT.GET.{TABLE}", ask, reply=subject)
        await client.publish(lines_of("mx1"), batch("mx1"), reply=subject)
        await client.request(f"$JS.API.DIRECT.GET.{TABLE}", ask, timeout=PATIENCE)  # by when the others were answered

    heard = as_(site, "mx2", _hears("table.>", "_INBOX_mx2.x", meanwhile=lambda: as_(site, "mx1", act)))
    assert heard == []
    assert as_(site, "c1", _hears("table.>", "_INBOX_c1.x", meanwhile=lambda: as_(site, "mx1", act))) == []
    assert [entry.key for entry in as_(site, "c1", lambda client: bucket.snapshot(client, TABLE))] == [bob[10:]]
    assert as_(site, "c1", lambda client: bucket.snapshot(client, SHARES)) == []
    assert {where for where, _ in _lines(site)} == {lines_of("mx1")}


def _hears(*subjects: str, meanwhile: Callable[[], object]) -> Callable[[Client], Awaitable[list[str]]]:
    async def act(client: Client) -> list[str]:
        heard: list[str] = []

        async def note(message: Msg) -> None:
            heard.append(message.subject)

        for subject in subjects:
            await client.subscribe(subject, cb=note)
        await client.flush()
        await asyncio.get_running_loop().run_in_executor(None, meanwhile)
        await client.flush()
        return heard

    return act


@pytest.mark.parametrize("header", [{"Nats-Rollup": "all"}, {"Nats-Rollup": "sub"}, {"Nats-TTL": "1s"}])
def test_a_gateways_headers_remove_nothing_from_the_stream(site: Site, header: dict[str, str]) -> None:
    before = len(_lines(site))
    with pytest.raises(APIError):
        as_(
            site,
            "mx1",
            lambda client: client.jetstream().publish(lines_of("mx1"), b"", timeout=PATIENCE, headers=header),
        )
    assert len(_lines(site)) == before


def _lines(site: Site) -> list[tuple[str, bytes]]:
    async def act(client: Client) -> list[tuple[str, bytes]]:
        info = await client.jetstream().stream_info(LINES)
        inbox = client.new_inbox()
        messages = await client.subscribe(inbox)
        config = api.ConsumerConfig(deliver_subject=inbox, ack_policy=api.AckPolicy.NONE)
        await client.jetstream().add_consumer(LINES, config)
        found = [await messages.next_msg(timeout=PATIENCE) for _ in range(info.state.messages)]
        return [(message.subject, message.data) for message in found]

    return as_(site, "c1", act)


def test_nobody_comes_in_without_a_certificate(site: Site) -> None:
    context = ssl.create_default_context(cafile=site.directory / "keys" / "mx1" / "ca.pem")

    async def run() -> None:
        await nats.connect(f"tls://{HERE}:{site.port}", tls=context, allow_reconnect=False, connect_timeout=PATIENCE)

    with pytest.raises((nats.errors.Error, OSError)):
        asyncio.run(run())


def test_who_is_left_out_has_no_rights_any_more(tmp_path: Path) -> None:
    credentials.make(tmp_path, credentials.merged(SMALL, {"gateways": ["mx2"]}))
    assert "mx2.gateway.mailbrake" in (tmp_path / "server" / "server.conf").read_text()
    credentials.make(tmp_path, credentials.merged(credentials.known(tmp_path), {}, ["mx2"]))
    assert "mx2.gateway.mailbrake" not in (tmp_path / "server" / "server.conf").read_text()


def test_what_is_there_stays_when_more_is_made(tmp_path: Path) -> None:
    credentials.make(tmp_path, SMALL)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.key")}
    credentials.make(tmp_path, credentials.merged(credentials.known(tmp_path), {"gateways": ["mx2"]}))
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "mx2" / "mx2.key").exists()


def test_only_their_owner_reads_them(tmp_path: Path) -> None:
    credentials.make(tmp_path / "keys", SMALL)
    for path in [tmp_path / "keys", *(tmp_path / "keys").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_one_command_makes_them_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--servers", "stream.example.com", "--gateways", "mx1,mx2", "--controllers", "c1"]
    assert main(["cluster", "init", str(tmp_path / "keys"), *arguments]) == 0
    assert 'servers = ["tls://stream.example.com:4222"]' in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "keys").iterdir()} == {
        *("ca.key", "ca.pem", "cluster.json", "server", "mx1", "mx2", "c1")
    }
    assert "sync_interval: always" in (tmp_path / "keys" / "server" / "server.conf").read_text()


def test_several_servers_know_each_other(tmp_path: Path) -> None:
    credentials.make(tmp_path, Roster(("s1.example.com", "s2.example.com", "192.0.2.9"), ("mx1",), ("c1",)))
    written = (tmp_path / "server" / "s1.example.com.conf").read_text()
    assert 'routes: ["tls://s2.example.com:6222", "tls://192.0.2.9:6222"]' in written


@pytest.mark.parametrize(("who", "serves"), [("server/127.0.0.1", True), ("mx1/mx1", False), ("c1/c1", False)])
def test_only_a_servers_certificate_serves(tmp_path: Path, who: str, *, serves: bool) -> None:
    credentials.make(tmp_path, SMALL)
    certificate = x509.load_pem_x509_certificate((tmp_path / f"{who}.pem").read_bytes())
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert (ExtendedKeyUsageOID.SERVER_AUTH in purposes) is serves


@pytest.mark.parametrize(
    ("roster", "problem"),
    [
        (Roster((HERE,), ("mx1.example.com",), ("c1",)), "expected a name of letters, digits, - and _ such as mx1"),
        (Roster((HERE,), ("a",), ("a",)), "a cannot be a gateway and a controller under one name"),
        (Roster((HERE,), (), ("a",)), "at least one server, one gateway and one controller"),
        (Roster(("a b",), ("a",), ("b",)), "expected a host name or address, found 'a b'"),
    ],
)
def test_a_roster_that_cannot_be_is_told(roster: Roster, problem: str) -> None:
    with pytest.raises(RosterError, match=problem):
        roster.checked()
