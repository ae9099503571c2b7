"""The closed loop on a real Postfix with real SMTP AUTH: log, decision, and the refusal of the next MAIL."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from tests.loop.site import PATIENCE, Site
from tests.mta.waiting import wait_for

FLOOD = """\
rule flood per account:
    when recipients in 10m > 200
    tempfail for {duration}
    mode {mode}
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(FLOOD.format(duration="1h", mode="enforce")) as site:
        yield site


def test_the_flooding_account_is_refused_and_nobody_else(site: Site) -> None:
    """300 recipients in a minute: 450 4.7.1 with a case within seconds; other logins and mail without login flow."""
    site.flood("bob")
    reply = site.wait_until_refused("bob")
    assert (reply.code, reply.stage) == (450, "mail")
    case = re.fullmatch(r"4\.7\.1 .* \(case ([0-9A-Z]{6})\)", reply.text)
    assert case, reply.text
    assert site.refused("alice") is None
    assert site.refused(None) is None
    site.postfix.sendmail("root@example.org", ["x@ok.example"])
    (entry,) = site.json("table", "list")
    assert (entry["key"], entry["action"], entry["mode"]) == ("account:bob@example.org", "tempfail", "enforce")
    assert entry["ref"] == case[1]


def test_why_explains_the_reference_of_the_reply(site: Site) -> None:
    """The reference in the SMTP reply leads to rule, numbers, threshold and the log lines that caused it."""
    site.flood("bob")
    ref = site.wait_until_refused("bob").text[-7:-1]
    told = site.run("why", ref)
    assert told.returncode == 0
    assert "account:bob@example.org" in told.stdout
    assert "recipients in 10m" in told.stdout
    assert "sasl_username=bob" in told.stdout
    (decision,) = site.json("why", ref)
    compared = decision["evidence"]["recipients in 10m"]
    assert compared["value"] > compared["threshold"] == 200
    assert decision["queue_id"] in site.postfix.log_path.read_text()
    unknown = site.run("why", "ZZZZZZ")
    assert unknown.returncode == 1
    assert "no case" in unknown.stderr


def test_a_released_account_is_accepted_at_once_and_stays_accepted(site: Site) -> None:
    """After `table release` the account may send; the evidence before the release does not count again."""
    site.flood("bob")
    site.wait_until_refused("bob")
    released = site.run("table", "release", "bob", "--because", "password changed")
    assert released.returncode == 0, released.stderr
    assert site.refused("bob") is None
    site.send("bob", recipients=3, messages=2)
    site.wait_until_read()
    assert site.refused("bob") is None
    assert site.json("table", "list") == []


def test_the_brake_comes_off_by_itself() -> None:
    """A decision ends at its `until`; nobody has to do anything. (An attempt while the rule holds extends it.)"""
    with Site(FLOOD.format(duration="4s", mode="enforce")) as site:
        site.flood("bob")
        site.wait_until_refused("bob")
        wait_for(lambda: not site.json("table", "list"), PATIENCE, "the end of the decision", site.errors("watch"))
        assert site.refused("bob") is None


@pytest.mark.parametrize(("rule", "cap"), [("observe", "enforce"), ("enforce", "observe")])
def test_observe_refuses_nothing_and_says_what_it_would_have_done(rule: str, cap: str) -> None:
    """Whether the rule or the site only observes: every answer is as without mailbrake, and the milter logs would-."""
    with Site(FLOOD.format(duration="1h", mode=rule), mode=cap) as site:
        site.flood("bob")
        wait_for(lambda: site.json("table", "list"), PATIENCE, "the observed decision", site.errors("watch"))
        assert {reply.code for reply in site.send("bob", messages=5)} == {250}
        told = wait_for(lambda: re.findall("verdict: .*", site.errors("milter").read_text()), PATIENCE, "a verdict")
        assert all("would-tempfail, mode=observe" in line and line.endswith("=bob") for line in told)


def test_mail_flows_when_the_milter_is_killed(site: Site) -> None:
    """Even to the account that was refused; status says that no milter answers."""
    site.flood("bob")
    site.wait_until_refused("bob")
    site.stop("milter", signal.SIGKILL)
    assert site.refused("bob") is None
    status = site.run("status")
    assert status.returncode == 1
    assert "no milter answers" in status.stderr
    site.start("milter")
    site.wait_until_refused("bob")


def test_mail_flows_when_the_table_is_missing_or_garbage(site: Site) -> None:
    """Missing, then overwritten: mail flows and status says so; the controller makes it anew from its journal."""
    site.flood("bob")
    site.wait_until_refused("bob")
    site.stop("watch", signal.SIGKILL)
    data = site.table / "data.mdb"
    good = data.read_bytes()
    data.unlink()
    wait_for(lambda: not site.refused("bob"), PATIENCE, "mail to flow without a table", site.errors("milter"))
    assert "no table there" in site.run("status").stderr
    data.write_bytes(b"garbage" * (len(good) // 7))
    wait_for(lambda: not site.refused("bob"), PATIENCE, "mail to flow with garbage", site.errors("milter"))
    status = site.run("status")
    assert (status.returncode, "not an LMDB file" in status.stderr) == (1, True)
    assert "mail let through" in site.errors("milter").read_text()
    site.start("watch")
    site.wait_until_refused("bob")


def test_a_killed_controller_goes_on_where_it_was(site: Site) -> None:
    """kill -9 between two halves of a flood: the first half still counts, and is not counted twice."""
    assert {reply.code for reply in site.send("bob", recipients=50, messages=3)} == {250}
    site.wait_until_read()
    site.stop("watch", signal.SIGKILL)
    assert site.refused("bob") is None  # 1 recipient more
    assert {reply.code for reply in site.send("bob", recipients=40)} == {250}
    site.start("watch")
    site.wait_until_read()
    assert site.json("table", "list") == []  # 191: twice the first half would have been 341
    assert {reply.code for reply in site.send("bob", recipients=10)} == {250}
    site.wait_until_refused("bob")
    (decision,) = site.json("why", "bob")
    assert decision["evidence"]["recipients in 10m"]["value"] == 201


def test_a_rotated_log_is_followed(site: Site) -> None:
    """Half of a flood before rotation, half after: one decision over both."""
    assert {reply.code for reply in site.send("bob", recipients=50, messages=3)} == {250}
    site.postfix.rotate()
    assert {reply.code for reply in site.send("bob", recipients=50, messages=2)} <= {250, 450}
    site.wait_until_refused("bob")


def test_sigterm_ends_the_controller_cleanly(site: Site) -> None:
    """Exit status 0, the position written; what was decided stays in force meanwhile."""
    site.flood("bob")
    site.wait_until_refused("bob")
    site.wait_until_read()
    assert site.stop("watch") == 0
    assert site.refused("bob")
    site.start("watch")
    site.wait_until_read()
    assert len(site.json("why", "bob")) == 1


def test_replay_of_the_log_gives_the_decisions_of_the_live_run(site: Site) -> None:
    """The same maillog through `replay` with the same configuration: the same decision objects."""
    for login in ("bob", "carol"):
        site.flood(login)
        site.wait_until_refused(login)
    site.wait_until_read()
    site.stop("watch")
    replayed = site.json("replay", str(site.postfix.log_path))
    live = [decision for login in ("bob", "carol") for decision in site.json("why", login)]
    live = [{name: decision[name] for name in replayed[0]} for decision in live]
    assert replayed == sorted(live, key=lambda decision: decision["seq"])
    assert [decision["key"] for decision in replayed] == ["account:bob@example.org", "account:carol@example.org"]
