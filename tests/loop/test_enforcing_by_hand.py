"""By hand on a whole site: what an operator orders holds at once, across restarts, and until it is taken back."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator

import pytest

from tests.loop.site import PATIENCE, Site
from tests.loop.test_loop import FLOOD
from tests.mta.waiting import wait_for


@pytest.fixture(params=["enforce", "observe"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """The site's mode is for rules: who types a command means it."""
    with Site(FLOOD.format(duration="1h", mode="enforce"), mode=request.param) as site:
        yield site


def ordered(site: Site, *words: str) -> dict[str, object]:
    done = site.run("table", *words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_an_order_holds_at_once_and_across_restarts_until_it_is_released(site: Site) -> None:
    order = ordered(site, "block", "bob", "--for", "2h", "--because", "stolen, 4711")
    reply = site.refused("bob")
    assert reply is not None
    assert (reply.code, reply.text[-13:]) == (550, f"(case {order['ref']})")
    assert site.refused("alice") is None
    for by in (signal.SIGTERM, signal.SIGKILL):
        site.stop("watch", by)
        (site.table / "data.mdb").unlink()
        wait_for(lambda: not site.refused("bob"), PATIENCE, "mail to flow without a table", site.errors("milter"))
        site.start("watch")
        wait_for(lambda: site.refused("bob"), PATIENCE, "bob to be refused again", site.errors("watch"))
    site.wait_until_read()
    told = site.run("why", str(order["ref"])).stdout
    assert "account:bob@example.org" in told
    refused = len(site.postfix.lines("milter-reject: .*Sending is blocked"))
    accepted = len(site.postfix.lines("from=<bob@example.org>, size="))
    (found,) = site.json("why", str(order["ref"]))
    assert (found["messages"], found["recipients"], found["refused"]) == (accepted, accepted, refused)
    page = re.sub(r"<[^>]*>", " ", site.run("report", "--journal").stdout)
    assert re.search(rf"1 order by hand\. .* {refused} +attempts refused", page)
    assert site.json("status")[0]["controller"]["standing by hand"] == 1
    assert re.search("ordered block until .* by root: stolen, 4711", told)
    assert site.run("table", "release", "bob").returncode == 0
    assert site.refused("bob") is None
    site.stop("watch")
    site.start("watch")
    site.wait_until_read()
    assert site.json("table", "list") == []
    assert site.refused("bob") is None


def test_an_order_stands_beside_what_the_controller_decides(site: Site) -> None:
    """A decision on the key that comes later does not take a more severe order off."""
    ordered(site, "block", "bob", "--for", "2h")
    ordered(site, "cap", "bob", "--for", "2h", "--recipients", "7")
    site.send("alice", recipients=50, messages=6)
    wait_for(lambda: len(site.json("table", "list")) == 3, PATIENCE, "alice to be listed", site.errors("watch"))
    listed = {(row["key"].partition("@")[0], row["action"]) for row in site.json("table", "list")}
    assert listed == {("account:bob", "block"), ("account:bob", "cap"), ("account:alice", "tempfail")}


def test_an_order_without_a_controller_holds_for_the_lease_and_is_taken_up_by_the_next_one() -> None:
    with Site(FLOOD.format(duration="1h", mode="enforce")) as site:
        site.stop("watch")
        (site.table / "data.mdb").unlink()
        told = site.run("table", "tempfail", "carol", "--for", "7d")
        assert (told.returncode, "no controller is running, so it ends at " in told.stderr) == (0, True)
        site.run("table", "release", "carol")
        order = ordered(site, "tempfail", "bob", "--for", "7d")
        assert str(order["lease"]) < str(order["until"])
        assert site.refused("bob") is not None
        site.start("watch")
        site.wait_until_read()
        (row,) = site.json("table", "list")
        assert (row["ref"], row["until"]) == (order["ref"], order["until"])


def test_everybody_may_be_capped_by_hand_and_nothing_else() -> None:
    with Site(FLOOD.format(duration="1h", mode="enforce")) as site:
        ordered(site, "cap", "account:*", "--for", "365d", "--recipients", "25")
        (reply,) = site.send("bob", recipients=30)
        assert (reply.code, reply.accepted) == (452, 25)
        ordered(site, "cap", "bob", "--for", "365d", "--recipients", "100")
        assert site.send("bob", recipients=30)[0].code == 250
        done = site.run("table", "block", "account:*", "--for", "1h")
        assert (done.returncode, "block for everybody is never meant" in done.stderr) == (2, True)


def test_an_order_on_a_client_that_is_exempt_says_that_nobody_is_refused(shared: Site) -> None:
    for key in ("127.0.0.1", "net:127.0.0.0/24", "192.0.2.1"):
        told = shared.run("table", "block", key, "--for", "1h").stderr
        shared.run("table", "release", key)
        where = key.removeprefix("net:")
        assert (f"mailbrake: {where} is exempt in [milter] exempt" in told) == where.startswith("127.")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["block", "local:33", "--for", "1h"], "local:33 has no SMTP session that could be refused"),
        (["block", "bob", "--for", "soon"], "--for: expected a duration such as"),
        (["block", "bob", "--for", "36501d"], "--for: expected 100 years at most"),
        (["block", "bob", "--for", "999999999w"], "--for: expected 100 years at most"),
        (["throttle", "bob", "--for", "1h", "--share", "2"], "throttle: 2 is out of range"),
        (["cap", "bob", "--for", "1h", "--recipients", "-1"], "cap: -1 is out of range"),
        (["block", "client:bob", "--for", "1h"], "expected an address after client:"),
        (["block", "net:10.0.0.0/8", "--for", "1h"], "net:10.0.0.0/8 would never be found: mail is judged by networks"),
        (["block", "net:2001:db8::/56", "--for", "1h"], "of /24, and by /64 and /48 in IPv6"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(shared: Site, words: list[str], problem: str) -> None:
    done = shared.run("table", *words)
    assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
    assert shared.json("table", "list") == []


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with Site(FLOOD.format(duration="1h", mode="enforce")) as site:
        yield site


def test_an_answer_says_what_becomes_of_what_else_stands_on_the_key() -> None:
    """Of an earlier order, which is gone; of a rule's decision, by who goes before whom; at a release, of all of it."""

    def told(site: Site, *words: str) -> list[str]:
        said = site.run("table", *words).stdout
        return re.sub(r"until .{16}|@example\.org", "", said).replace("  ", " ").splitlines()

    with Site(FLOOD.format(duration="1h", mode="enforce")) as site:
        block = ordered(site, "block", "bob", "--for", "2h")["ref"]
        cap = ordered(site, "cap", "bob", "--for", "2h", "--recipients", "7")["ref"]
        assert told(site, "tempfail", "bob", "--for", "3h")[1:] == [f"It takes the place of block (case {block})."]
        cases = {row["ref"]: (row["action"], row["state"]) for row in site.json("why", "bob")}
        assert sorted(cases.values()) == [("block", "replaced"), ("cap", "standing"), ("tempfail", "standing")]
        assert site.run("why", "bob").stdout.splitlines()[1].endswith("answered 450 (try again later)")
        (tempfail,) = (ref for ref, (action, _) in cases.items() if action == "tempfail")
        assert told(site, "release", "bob") == [
            f"account:bob released: tempfail (enforce, case {tempfail}) and cap (enforce, case {cap}) taken off; "
            "it may send again at once."
        ]
        assert told(site, "release", "bob") == ["account:bob released: it was not listed; noted all the same."]
        site.send("alice", recipients=50, messages=6)
        wait_for(lambda: site.refused("alice"), PATIENCE, "alice to be refused", site.errors("watch"))
        (flood,) = (row["ref"] for row in site.json("table", "list"))
        above = f"The rule flood says tempfail (case {flood}), which is more severe and goes before."
        assert told(site, "throttle", "alice", "--for", "1h")[1:] == [above]
        below = f"It goes before what the rule flood says: tempfail (case {flood})."
        assert told(site, "block", "alice", "--for", "1h")[1:] == [below]
