"""DNS block lists, asked of a real server on loopback; and what the controller makes of their answers."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enforce.config import Reputation
from logwatch.core import Core
from logwatch.dnsbl_client import Answer, Asker, name_of
from logwatch.rerun import rerun
from logwatch.settings import core_of, policy_of
from logwatch.telling.journal import Journal
from tests.commands.running import objects
from tests.dnsserver import NEGATIVE, DnsServer, serving
from tests.test_watch import Machine

LISTED, CLEAN, SIX = "client:8.8.4.4", "client:9.9.9.9", "client:2a02:8109::1"
RECORDS = {
    "4.4.8.8": ["127.0.0.2", "127.0.0.10"],
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.0.1.8.2.0.a.2": ["127.0.0.4"],
}


class Asking:
    """An asker with a clock of the test's own; `wait` for what comes."""

    def __init__(self, server: DnsServer, **options: int) -> None:
        self.now = 0.0
        self._woken: queue.Queue[None] = queue.Queue()
        given = Reputation(nameservers=(server.address,), **{"per_second": 1000, "timeout": 3, **options})
        self.asker = Asker(["bl.example"], given, lambda: self.now, lambda: self._woken.put(None))

    def ask(self, *clients: str) -> list[Answer]:
        """What comes of asking about clients, each of which is asked about."""
        self.asker.ask(clients)
        for _ in clients:
            self._woken.get(timeout=60)
        return sorted(self.asker.answers())


@contextmanager
def asking(server: DnsServer, **options: int) -> Iterator[Asking]:
    made = Asking(server, **options)
    try:
        yield made
    finally:
        made.asker.close()


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with serving(RECORDS) as made:
        yield made


class TestAsker:
    def test_asks_for_reversed_addresses_and_gives_the_codes(self, server: DnsServer) -> None:
        """IPv4 by octets, IPv6 by nibbles; who is not listed gives no answer."""
        with asking(server) as one:
            assert one.ask(LISTED, CLEAN, SIX) == [
                (SIX, "bl.example", ("127.0.0.4",), 900.0),
                (LISTED, "bl.example", ("127.0.0.10", "127.0.0.2"), 900.0),
            ]
        assert sorted(server.asked) == sorted(name_of(client, "bl.example") for client in (LISTED, CLEAN, SIX))

    def test_asks_again_when_an_answer_has_grown_old(self, server: DnsServer) -> None:
        """Negative ones too, by their own time to live."""
        with asking(server) as one:
            one.ask(LISTED, CLEAN)
            one.now = NEGATIVE - 1
            one.asker.ask([LISTED, CLEAN])
            one.now = NEGATIVE + 1
            one.asker.ask([LISTED])
            assert one.ask(CLEAN) == []
            one.now = 901
            assert [answer.client for answer in one.ask(LISTED)] == [LISTED]
        assert len(server.asked) == 4

    def test_private_addresses_concern_nobody_else(self, server: DnsServer) -> None:
        """Documentation's and what is no address neither."""
        with asking(server) as one:
            one.asker.ask(["client:10.0.0.1", "client:192.0.2.1", "client:::1", "client:unknown"])
            one.ask(CLEAN)
        assert len(server.asked) == 1

    @pytest.mark.parametrize("code", ["127.255.255.254", "127.0.0.1"])
    def test_a_refusal_lists_nobody_and_is_said_once(self, server: DnsServer, code: str) -> None:
        """Spamhaus answers so to public resolvers, URIBL to those who ask too much; it is left alone for a while."""
        server.records[name_of(CLEAN, "bl.example")] = [code]
        with asking(server) as one:
            assert one.ask(CLEAN) == []
            (problem,) = one.asker.problems()
            assert problem.startswith(f"DNS block list bl.example: it refuses to answer us ({code})")
            one.asker.ask([LISTED])
            one.now = 601
            assert len(one.ask(LISTED)) == 1
        assert len(server.asked) == 2

    def test_an_answer_from_elsewhere_lists_nobody(self, server: DnsServer) -> None:
        """A resolver that finds every name, to show advertisements."""
        server.records[name_of(CLEAN, "bl.example")] = ["203.0.113.80"]
        with asking(server) as one:
            assert one.ask(CLEAN) == []

    def test_silence_lists_nobody_and_is_said(self, server: DnsServer) -> None:
        """A minute later it is asked again."""
        server.mute = True
        with asking(server, timeout=1) as one:
            assert one.ask(LISTED) == []
            assert "it does not answer" in one.asker.problems()[0]
            server.mute, one.now = False, 61
            assert len(one.ask(LISTED)) == 1

    def test_no_more_are_asked_a_second_than_allowed(self, server: DnsServer) -> None:
        """The others wait, and are forgotten at the end."""
        with asking(server, per_second=1) as one:
            one.ask(CLEAN)
            one.asker.ask([f"client:8.8.8.{n}" for n in range(200)])
        assert len(server.asked) < 50


POLICY = """
score 5 for dnsbl "bl.example"
score 10 for dnsbl "bl.example=127.0.0.[9..11]"
rule listed per account: when messages in 1h > 0 and reputation >= 10 block for 1h mode enforce
"""


class TestController:
    @pytest.fixture
    def machine(self, tmp_path: Path, server: DnsServer) -> Machine:
        machine = Machine(tmp_path)
        machine.policy.write_text(POLICY)
        machine.more = {"reputation": {"nameservers": [server.address], "per_second": 1000}}
        return machine

    @staticmethod
    def answered(machine: Machine) -> None:
        """A message from a listed client, and the answer; then another message."""
        woken: queue.Queue[None] = queue.Queue()
        with machine.controller() as controller:
            assert controller.asker
            controller.asker.wake = lambda: woken.put(None)
            machine.send(client="8.8.4.4")
            controller.once()
            woken.get(timeout=60)
            controller.once()
            machine.now += 1
            machine.send(client="8.8.4.4")
            machine.send("alice", client="9.9.9.9")
            controller.once()

    def test_an_answer_counts_from_the_next_event_on(self, machine: Machine) -> None:
        """The highest score of the codes; by that of the policy."""
        self.answered(machine)
        (decision,) = machine.journalled(Journal.decisions)
        assert (decision.key, decision.evidence["reputation"]) == ("account:bob", {"value": 10, "threshold": 10})
        assert decision.time == machine.now
        (listing,) = machine.journalled(Journal.answers)
        assert listing[2:] == ("client:8.8.4.4", "bl.example", ("127.0.0.10", "127.0.0.2"))

    def test_a_replay_decides_the_same_with_the_answers_and_nothing_without(self, machine: Machine) -> None:
        """It asks nobody."""
        self.answered(machine)
        decisions = machine.journalled(Journal.decisions)
        policy, answers = ("--policy", machine.policy), ("--answers", machine.directory / "state")
        assert [d["ref"] for d in objects("replay", machine.log, *policy, *answers, "--json")] == [decisions[0].ref]
        assert objects("replay", machine.log, *policy, "--json") == []
        core = self.core(machine)
        core.answers = machine.journalled(Journal.answers)
        steps = rerun(core, [str(machine.log)], machine.now)
        assert [decision for step in steps for decision in step.decisions] == decisions

    @staticmethod
    def core(machine: Machine) -> Core:
        return core_of(machine.config, policy_of(machine.config), machine.now)

    def test_an_answer_is_not_forgotten_by_a_kill(self, machine: Machine) -> None:
        """It was written before anything was decided by it."""
        self.answered(machine)
        machine.now += 5
        machine.send("carol", client="8.8.4.4")
        with machine.controller():
            pass
        assert {decision.key for decision in machine.journalled(Journal.decisions)} == {"account:bob", "account:carol"}

    def test_old_lines_are_not_asked_about(self, machine: Machine, server: DnsServer) -> None:
        """A first start would ask about everybody of a month."""
        machine.send(client="8.8.4.4", at=machine.now - 7200)
        with machine.controller():
            pass
        assert server.asked == []

    def test_a_policy_without_lists_asks_nobody(self, machine: Machine) -> None:
        """No thread, no package needed; nor one whose rules look at no reputation."""
        machine.policy.write_text(
            'score 5 for dnsbl "bl.example" rule r per account: when messages in 1h > 9 block for 1h'
        )
        with machine.controller() as controller:
            assert controller.asker is None
