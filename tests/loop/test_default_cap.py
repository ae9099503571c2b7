"""The cap for everybody on a real Postfix: a stolen login's first message reaches few, and no list is cut."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.loop.site import PATIENCE, Site
from tests.mta.waiting import wait_for

POLICY = """
exempt account in dora@example.org
cap per account: 3 recipients, or 2 * largest
    mode {mode}
"""
_LINES = """\
{stamp} mx1 postfix/smtpd[7]: 4jX00001zJ9Hg: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=carol
{stamp} mx1 postfix/qmgr[8]: 4jX00001zJ9Hg: from=<carol@example.org>, size=300, nrcpt=5 (queue active)
"""


class Yesterday(Site):
    """A site on which Carol wrote to five people at once, the day before."""

    def prepare(self) -> None:
        history = self.directory / "history.log"
        history.write_text(_LINES.format(stamp=(datetime.now() - timedelta(days=1)).strftime("%b %e %H:%M:%S")))
        self.logs.insert(0, history)

    def settle(self) -> None:
        """Alice writes to one person, Carol too: now everybody's numbers stand."""
        for login in ("alice", "carol"):
            assert self.send(login)[0].code == 250
        wait_for(lambda: len(self.json("table", "list")) == 3, PATIENCE, "the caps", self.errors("watch"))


@pytest.fixture
def site() -> Iterator[Yesterday]:
    with Yesterday(POLICY.format(mode="enforce"), logins=("alice", "bob", "carol", "dora")) as site:
        site.settle()
        yield site


def test_a_message_reaches_as_many_as_its_account_ever_needed(site: Yesterday) -> None:
    """Who never sent a large one: three. Carol: twice five. Who is exempt: all. Also after a restart by force."""
    for _ in range(2):
        (reply,) = site.send("bob", recipients=5)
        assert (reply.code, reply.stage, reply.accepted) == (452, "rcpt", 3)
        assert site.send("carol", recipients=10)[0].code == 250
        assert site.send("carol", recipients=11)[0].accepted == 10
        assert site.send("dora", recipients=20)[0].code == 250
        assert site.send(None, recipients=5)[0].code == 250
        site.stop("watch", signal.SIGKILL)
        site.start("watch")
        site.wait_until_read()
    ref = reply.text.rpartition("(case ")[2].rstrip(")")
    told = site.run("why", ref).stdout
    assert "the cap for every account (enforce)" in told
    assert "answer 452 to recipients beyond number 3" in told
    told = site.run("why", "carol").stdout
    assert "account:carol@example.org may write to up to 10 recipients at once (enforce)" in told


def test_a_larger_number_by_hand_and_a_release_of_everybody(site: Yesterday) -> None:
    """What an operator orders goes before; released, nobody is cut."""
    assert site.run("table", "cap", "bob", "--for", "1h", "--recipients", "7").returncode == 0
    assert site.send("bob", recipients=9)[0].accepted == 7
    assert site.run("table", "release", "account:*").returncode == 0
    wait_for(lambda: site.send("alice", recipients=5)[0].code == 250, PATIENCE, "the release", site.errors("watch"))
    assert site.send("carol", recipients=11)[0].accepted == 10


def test_observed_it_cuts_nobody() -> None:
    with Yesterday(POLICY.format(mode="observe"), logins=("alice", "bob", "carol")) as site:
        site.settle()
        assert site.send("bob", recipients=9)[0].code == 250
        site.wait_until_read()
        assert {row["mode"] for row in site.json("table", "list")} == {"observe"}
