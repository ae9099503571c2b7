"""No milter: real programs refuse the same accounts and clients by exported maps, which `watch` keeps current."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from enforce import key
from enforce.config import Config, Log
from enforce.table import Record
from logwatch.telling.export import export, write
from tests.enforce.gate import LOGINS, REALM
from tests.enforce.records import record
from tests.loop.site import PATIENCE, Site
from tests.loop.test_loop import FLOOD
from tests.mta.client import Reply, submit
from tests.mta.exim import Exim
from tests.mta.postfix import Postfix
from tests.mta.rspamd import Rspamd
from tests.mta.sendmail import Sendmail
from tests.mta.waiting import wait_for

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIG = Config(log=Log(default_realm=REALM))


class Mapped:
    """A Postfix that asks two maps; `kind` is what Postfix calls them."""

    def __init__(self, postfix: Postfix, kind: str) -> None:
        self.postfix = postfix
        self._kind = kind
        self._maps = {name: postfix.directory / name for name in ("postfix-sasl", "postfix-client")}
        settings = maps(DEPLOY / "postfix-maps.cf")
        for name, path in self._maps.items():
            example = f"lmdb:/etc/postfix/mailbrake/{name.removeprefix('postfix-')}"
            settings = {key: value.replace(example, f"{kind}:{path}") for key, value in settings.items()}
        self._write({})
        postfix.reload(settings)

    def deny(self, table: dict[str, Record]) -> None:
        """Export this table, as `watch` does with `[export] command`."""
        self._write(table)
        self.postfix.reload()  # by itself smtpd notices a new map of another second than the old one

    def _write(self, table: dict[str, Record]) -> None:
        for name, path in self._maps.items():
            write(path, export(name, table.items(), 0, CONFIG).text)
            if self._kind != "texthash":
                self.postfix.run("postmap", f"{self._kind}:{path}")

    def send(self, login: str | None) -> Reply:
        port = self.postfix.submission_port if login else self.postfix.smtp_port
        return submit(port, "a@example.org", ["r@ok.example"], login)[0]


def maps(snippet: Path) -> dict[str, str]:
    """The settings of a snippet for main.cf."""
    lines = (line for line in snippet.read_text().splitlines() if line and line[0] != "#")
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


@pytest.fixture(scope="module", params=["texthash", "hash", "lmdb", "cdb"])
def mapped(request: pytest.FixtureRequest) -> Iterator[Mapped]:
    accounts = dict.fromkeys(LOGINS, "secret")
    with Postfix(accounts) as postfix:
        yield Mapped(postfix, request.param)


def test_the_map_refuses_the_same_logins_as_the_milter(mapped: Mapped) -> None:
    blocked = [login for login in LOGINS if login not in ("free", "two words")]
    mapped.deny({str(key.account(login, REALM)): record("block") for login in blocked})
    for login in blocked:
        reply = mapped.send(login)
        assert reply.code == 550
        assert reply.text.endswith("Sending is blocked for this account (case 4F7K2A)")
    assert mapped.send("free").code == 250
    assert mapped.send(None).code == 250


def test_the_map_refuses_clients_and_networks_and_puts_off_and_holds(mapped: Mapped) -> None:
    mapped.deny({"client:127.0.0.1": record("block")})
    assert (mapped.send(None).code, mapped.send("bob").code) == (550, 550)
    mapped.deny({"net:127.0.0.0/24": record("tempfail"), f"account:bob@{REALM}": record("hold")})
    assert (mapped.send(None).code, mapped.send("free").code) == (450, 450)
    mapped.deny({f"account:bob@{REALM}": record("hold")})
    reply = mapped.send("bob")
    assert reply.code == 250
    wait_for(lambda: mapped.postfix.queue_ids("hold") == [reply.queue_id], 60, "the message on hold")


EVERYTHING = {
    f"account:bob@{REALM}": record("block"),
    "account:two words": record("tempfail"),
    "account:eve@other.example": record("tempfail"),
    "account:jörg": record("hold"),
    "client:192.0.2.1": record("block"),
    "net:198.51.100.0/24": record("tempfail"),
    "net:2001:db8:7::/48": record("hold"),
}


def test_exim_refuses_puts_off_and_freezes_by_lookups() -> None:
    """With the snippet of deploy/, in a session that Exim itself plays."""
    with Exim() as exim:
        for name, form in (("accounts", "exim"), ("clients", "exim-client")):
            write(exim.directory / name, export(form, EVERYTHING.items(), 0, CONFIG).text)
        acl = (DEPLOY / "exim-maps.conf").read_text()
        exim.configure(acl.replace("/etc/exim4/mailbrake", str(exim.directory)))
        blocked = "550 5.7.1 Sending is blocked for this account (case 4F7K2A)"
        for login in ("BOB", f"bob@{REALM}"):
            assert exim.ask("203.0.113.9", login) == (blocked, False)
        for login in ("eve@other.example", "two words"):
            assert exim.ask("203.0.113.9", login).reply.startswith("450 4.7.1 Too much mail from this account")
        assert exim.ask("203.0.113.9", "jörg") == ("250 OK", True)
        assert exim.ask("203.0.113.9", "free") == exim.ask("203.0.113.9", None) == ("250 OK", False)
        assert exim.ask("192.0.2.1", "free").reply.startswith("550 5.7.1 Sending is blocked for your address")
        assert exim.ask("198.51.100.7", None).reply.startswith("450 4.7.1 Too much mail from your network")
        assert exim.ask("2001:db8:7::5", None) == ("250 OK", True)


def test_rspamd_rejects_puts_off_and_quarantines_by_multimaps(tmp_path: Path) -> None:
    """With the snippet of deploy/."""
    for name, form in (("accounts", "rspamd"), ("clients", "rspamd-ip")):
        write(tmp_path / name, export(form, EVERYTHING.items(), 0, CONFIG).text)
    rules = (DEPLOY / "rspamd-maps.conf").read_text().replace("/etc/rspamd/mailbrake", str(tmp_path))
    with Rspamd(tmp_path, rules) as rspamd:
        for login in ("bob", "BOB", f"bob@{REALM}"):
            assert rspamd.ask("203.0.113.9", login) == ("reject", "Sending is blocked")
        assert rspamd.ask("203.0.113.9", "eve@other.example") == ("soft reject", "Too much mail, try again later")
        assert rspamd.ask("203.0.113.9", "jörg").action == "quarantine"
        assert rspamd.ask("203.0.113.9", "free").action == rspamd.ask("203.0.113.9", None).action == "no action"
        assert rspamd.ask("192.0.2.1", "free").action == "reject"
        assert rspamd.ask("198.51.100.7", None).action == "soft reject"
        assert rspamd.ask("2001:db8:7::5", None).action == "quarantine"


def test_sendmail_refuses_and_holds_by_an_access_map(tmp_path: Path) -> None:
    """With the snippet of deploy/: `Connect:` lines are Sendmail's own, `Brake:` lines are for its ruleset."""
    snippet = (DEPLOY / "sendmail-maps.mc").read_text()
    with Sendmail(dict.fromkeys(LOGINS, "secret"), extra=snippet.replace("/etc/mail", str(tmp_path))) as sendmail:

        def code(table: dict[str, Record], login: str | None) -> int:
            text = export("sendmail-access", table.items(), 0, CONFIG).text
            makemap = [str(sendmail.prefix / "usr/libexec/sendmail/makemap"), "-C/dev/null", "hash"]
            subprocess.run(
                [*makemap, str(tmp_path / "mailbrake")], input=text.encode(), check=True, capture_output=True
            )
            port = sendmail.submission_port if login else sendmail.smtp_port
            return submit(port, "a@example.org", ["r@sink.example"], login)[0].code

        for login in ("bob", "user+tag", "jörg", "UPPER", "eve@other.example"):
            blocked = {str(key.account(login, REALM)): record("block")}
            assert (code(blocked, login), code(blocked, "free"), code(blocked, None)) == (550, 250, 250)
        assert code({f"account:bob@{REALM}": record("tempfail")}, "bob") == 450
        assert code({"client:127.0.0.1": record("block")}, None) == 550
        assert code({f"account:bob@{REALM}": record("hold")}, "bob") == 250
        sendmail.wait_for_line(r"quarantine=mailbrake case 4F7K2A")


def test_watch_keeps_a_map_current() -> None:
    """From a decision to a map that refuses, from a release to one that does not; the command is run each time."""
    with Site(FLOOD.format(duration="1h", mode="enforce")) as site:
        site.stop("milter")
        site.stop("watch")
        path = site.directory / "sasl"
        postmap = ["postmap", "-c", str(site.postfix.config_directory), f"lmdb:{path}"]
        exports = f"[export]\nfiles = {{ postfix-sasl = {str(path)!r} }}\ncommand = {postmap}\n"
        site.config.write_text(site.config.read_text() + exports)
        site.start("watch")
        compiled = Path(f"{path}.lmdb")
        wait_for(compiled.exists, PATIENCE, "the first map", site.errors("watch"))
        site.postfix.reload({"smtpd_sender_restrictions": f"check_sasl_access lmdb:{path}"})
        site.send("bob", recipients=50, messages=6)
        reply = site.wait_until_refused("bob")
        assert reply.code == 450
        assert site.refused("alice") is None
        site.run("table", "release", "bob")
        wait_for(lambda: site.refused("bob") is None, PATIENCE, "bob to be accepted", site.errors("watch"))
