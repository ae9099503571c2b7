"""From rates to decisions: begun, extended, ended, released; each law of `decide` by an example."""

from __future__ import annotations

import re

import pytest

from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.judging.policy import Guard

from .bench import START, Bench, message, told

FLOOD = "rule flood per account: when recipients in 10m > 5 tempfail for 1h mode enforce"
BOTH = f"""
{FLOOD}
rule burst per account: when messages in 10m > 2 block for 30m mode enforce
"""


def test_a_rule_that_holds_begins_a_case() -> None:
    bench = Bench(FLOOD)
    assert bench.send(0, 5) == []
    (decision,) = bench.send(1, 1)
    assert vars(decision) == {
        "time": START + 1,
        "key": "account:alice",
        "action": "tempfail",
        "mode": "enforce",
        "until": START + 3601,
        "rule": "flood",
        "ref": decision.ref,
        "seq": 1,
        "queue_id": "4jZ4r31mvlzJ9bM",
        "share": None,
        "max_recipients": None,
        "evidence": {"recipients in 10m": {"value": 6, "threshold": 5}},
    }
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{6}", decision.ref)


def test_a_case_is_extended_not_before_a_tenth_of_its_duration() -> None:
    bench = Bench(FLOOD)
    (begun,) = bench.send(0, 10)
    assert bench.send(359.9, 10) == []
    (extended,) = bench.send(360, 10)
    assert (extended.ref, extended.until, extended.seq) == (begun.ref, START + 360 + 3600, 2)
    assert bench.send(719, 10) == []
    assert bench.send(720, 10)[0].ref == begun.ref


def test_after_its_end_a_case_is_a_new_one() -> None:
    bench = Bench(FLOOD)
    (first,) = bench.send(0, 10)
    assert bench.send(3599.9, 10)[0].ref == first.ref
    (second,) = bench.send(3599.9 + 3600, 10)
    assert second.ref != first.ref


def test_a_rule_that_no_longer_holds_extends_nothing() -> None:
    bench = Bench(FLOOD)
    bench.send(0, 10)
    assert bench.send(1200, 5) == []


def test_rules_on_one_key_have_cases_of_their_own() -> None:
    bench = Bench(BOTH)
    found = bench.feed(message(0, 6), message(1, 1), message(2, 1), message(3, 1, "bob"))
    assert told(found) == [(0, "flood", "tempfail", "enforce"), (2, "burst", "block", "enforce")]
    assert found[0].ref != found[1].ref


def test_rules_that_hold_at_one_event_decide_in_their_order() -> None:
    bench = Bench(BOTH)
    assert told(bench.feed(message(0, 1), message(0, 1), message(0, 9))) == [
        (0, "flood", "tempfail", "enforce"),
        (0, "burst", "block", "enforce"),
    ]


def test_an_exemption_that_has_ended_is_forgotten_with_the_next() -> None:
    """What is remembered has an end."""
    bench = Bench(FLOOD)
    for key, until, time in (("account:a", 100.0, 0.0), ("account:b", 300.0, 50.0), ("account:c", 400.0, 200.0)):
        bench.judge.excuse(key, until, time)
    (excuses,) = (memory for memory in bench.judge.memories() if memory.name == "excuses")
    assert dict(excuses.items()) == {"account:b": 300.0, "account:c": 400.0}


def test_no_rule_counts_for_whom_an_operator_exempted_until_that_ends() -> None:
    bench = Bench(FLOOD)
    bench.judge.excuse("account:alice", START + 600, START)
    assert bench.send(599, 6) == []
    assert told(bench.send(600, 1)) == [(600, "flood", "tempfail", "enforce")]


def test_nothing_is_remembered_for_ever() -> None:
    """A year later all that was put by then is gone."""
    bench = Bench(f"exempt account in carol@example.com {FLOOD.replace('for 1h', 'for 1h, doubling to 5h')}")
    bench.feed(*(message(n, 10, f"user{n}") for n in range(Guard().accounts + 1)))
    bench.send(100, 10, "carol@example.com")
    bench.release(200, "account:user1")
    bench.judge.confirm("account:user2", START + 300)
    names = {memory.name for memory in bench.judge.memories() if len(memory)}
    assert names == {"cases", "repeats", "floors", "spared", "denied", "confirmed", "waiting"}
    bench.send(365 * 86400, 10)
    keys = {key.rpartition(" ")[2] for memory in bench.judge.memories() for key, _ in memory.items()}
    assert keys == {"account:alice"}


def test_no_rule_decides_about_an_exempt_account() -> None:
    bench = Bench(f"exempt account in alice@example.com {FLOOD}")
    assert bench.send(0, 100, "alice@example.com") == []
    assert told(bench.send(0, 100, "bob@example.com")) == [(0, "flood", "tempfail", "enforce")]


def test_one_event_can_tip_every_kind_of_key() -> None:
    kinds = ("account", "client", "net", "site")
    bench = Bench("\n".join(f"rule r-{kind} per {kind}: when messages in 1m > 0 block for 1m" for kind in kinds))
    found = bench.feed(message(0, 1, client="client:2001:db8:1:2::5"))
    assert [d.key for d in found] == [
        "account:alice",
        "client:2001:db8:1:2::5",
        "net:2001:db8:1:2::/64",
        "net:2001:db8:1::/48",
        "site",
    ]


@pytest.mark.parametrize(("net", "client", "begun"), [
    ("block for 1h mode enforce", "block for 1h mode enforce", 2),
    ("block for 1h mode enforce", "block for 1h mode observe", 2),
    ("block for 1h mode observe", "block for 1h mode observe", 2),
    ("block for 1h mode observe", "block for 1h mode enforce", 40),
    ("tempfail for 1h mode enforce", "block for 1h mode enforce", 40),
])  # fmt: skip
def test_a_client_needs_no_case_where_its_network_has_one_that_does_as_much(net: str, client: str, begun: int) -> None:
    """Two failed logins each of 40 addresses of one IPv6 network; the network's case begins with the fourth."""
    rules = "rule one per client: when auth_failures in 1h > 1 {}\nrule all per net: when auth_failures in 1h > 3 {}"
    failed = [
        {"clock": START + number, "event": "auth_failure", "client": f"client:2001:db8::{number // 2:x}"}
        for number in range(80)
    ]
    found = Bench(rules.format(client, net)).feed(*failed)
    assert [decision.rule for decision in found].count("one") == begun
    assert {decision.key for decision in found if decision.rule == "all"} == {"net:2001:db8::/64", "net:2001:db8::/48"}


def test_a_release_ends_every_case_on_the_key_and_no_other() -> None:
    bench = Bench(BOTH)
    begun = bench.feed(message(0, 6), message(1, 1), message(2, 1), message(2, 9, "bob"))
    found = bench.release(10)
    assert told(found) == [(10, "flood", "release", "enforce"), (10, "burst", "release", "enforce")]
    assert [d.ref for d in found] == [d.ref for d in begun[:2]]
    assert [d.until for d in found] == [START + 10] * 2
    assert bench.release(11) == []


@pytest.mark.parametrize(
    ("policy", "site", "rule", "expected"),
    [
        ("", "enforce", "mode enforce", "enforce"),
        ("", "enforce", "", "observe"),
        ("", "observe", "mode enforce", "observe"),
        ("mode observe", "enforce", "mode enforce", "observe"),
    ],
)
def test_the_mildest_mode_wins(policy: str, site: str, rule: str, expected: str) -> None:
    bench = Bench(f"{policy} rule flood per account: when recipients in 10m > 5 tempfail for 1h {rule}", site)
    assert bench.send(0, 6)[0].mode == expected


class TestStill:
    def test_stands_as_it_was(self) -> None:
        (decision,) = Bench(FLOOD).send(0, 6)
        assert Judge(parse(FLOOD)).still(decision) == decision

    @pytest.mark.parametrize("policy", ["", f'exempt account in "alice" {FLOOD}'])
    def test_falls_without_its_rule_or_with_an_exemption(self, policy: str) -> None:
        (decision,) = Bench(FLOOD).send(0, 6)
        assert Judge(parse(policy)).still(decision) is None

    @pytest.mark.parametrize(("policy", "site"), [(FLOOD, "observe"), (f"mode observe {FLOOD}", "enforce")])
    def test_is_only_observed_where_nothing_else_is_allowed(self, policy: str, site: str) -> None:
        (decision,) = Bench(FLOOD).send(0, 6)
        still = Judge(parse(policy), site).still(decision)
        assert still
        assert (still.mode, still.ref) == ("observe", decision.ref)


def test_references_are_the_same_in_every_run_and_differ_by_case() -> None:
    runs = [Bench(BOTH).feed(*(message(n, 9, f"u{n % 7}") for n in range(21))) for _ in range(2)]
    assert runs[0] == runs[1]
    assert len({d.ref for d in runs[0]}) == len(runs[0]) == 14


@pytest.mark.parametrize(
    "condition", ["{0} > 5 and {0} > 2", "{0} > 2 and {0} > 5", "{0} > 2 and ({0} > 4 or {0} > 5)"]
)
def test_of_several_limits_for_one_number_evidence_gives_the_tightest(condition: str) -> None:
    """The loose one would tell whoever asks that far less was enough."""
    held = condition.format("recipients in 10m")
    (decision,) = Bench(f"rule r per account: when {held} block for 1h mode enforce").send(0, 6)
    assert decision.evidence == {"recipients in 10m": {"value": 6, "threshold": 5}}


def test_evidence_names_every_comparison_that_held() -> None:
    bench = Bench(
        """rule r per account: when recipients in 10m > 5 and (bytes / recipients in 10m < 100 or messages in 1m == 1)
           block for 1h"""
    )
    (decision,) = bench.send(0, 6)
    assert decision.evidence == {
        "recipients in 10m": {"value": 6, "threshold": 5},
        "bytes / recipients in 10m": {"value": pytest.approx(500 / 6), "threshold": 100},
        "messages in 1m": {"value": 1, "threshold": 1},
    }


class TestClockSetBack:
    def test_ends_what_was_decided_later_than_it_is(self) -> None:
        bench = Bench(FLOOD)
        bench.send(0, 6, "early")
        bench.send(7200, 6, "late")
        found = bench.judge.turn_back(START + 60)
        assert [(d.key, d.action, d.until) for d in found] == [("account:late", "release", START + 60)]

    def test_a_release_at_the_wrong_hour_spares_nobody_now(self) -> None:
        bench = Bench(FLOOD)
        bench.send(7200, 6)
        bench.release(7200)
        bench.judge.turn_back(START)
        bench.rates.turn_back()
        assert told(bench.send(10, 6)) == [(10, "flood", "tempfail", "enforce")]

    def test_does_not_block_the_guard_until_the_wrong_hour_comes(self) -> None:
        bench = Bench(FLOOD)
        bench.feed(*(message(90_000 + n, 10, f"user{n}") for n in range(Guard().accounts)))
        bench.judge.turn_back(START)
        bench.rates.turn_back()
        assert bench.send(10, 10)[0].mode == "observe"
        assert bench.send(3601, 10, "bob")[0].mode == "enforce"


def test_a_judge_without_rules_says_nothing() -> None:
    assert Bench("").send(0, 1000) == []


def test_a_cap_says_how_many_recipients() -> None:
    (decision,) = Bench("rule r per account: when messages in 1h > 0 cap 25 recipients for 1h").send(0, 1)
    assert (decision.action, decision.max_recipients) == ("cap", 25)


class TestHysteresis:
    POLICY = "rule r per account: when recipients in 1m > 9 while recipients in 1m > 4 block for 10m mode enforce"

    def test_begins_at_one_value_and_is_held_by_another(self) -> None:
        bench = Bench(self.POLICY)
        assert bench.send(0, 5) == []
        assert told(bench.send(100, 10)) == [(100, "r", "block", "enforce")]
        (held,) = bench.send(200, 5)
        assert held.evidence == {"recipients in 1m": {"value": 5, "threshold": 4}}
        assert held.until == START + 800

    def test_is_left_below_it(self) -> None:
        bench = Bench(self.POLICY)
        bench.send(0, 10)
        assert bench.send(200, 4) == []

    def test_holds_nothing_that_has_ended(self) -> None:
        bench = Bench(self.POLICY)
        bench.send(0, 10)
        assert bench.send(700, 5) == []


class TestScope:
    POLICY = """
        let students = "@students.example.com"
        rule few per account in students, "carol": when messages in 1h > 1 block for 1h
        rule many per account not in students: when messages in 1h > 3 block for 1h
        """

    @pytest.mark.parametrize(
        ("account", "rules"),
        [
            ("bob@students.example.com", ["few"]),
            ("carol", ["few", "many"]),
            ("alice@example.com", ["many"]),
            ("students.example.com", ["many"]),
        ],
    )
    def test_overrides_by_domain_and_account(self, account: str, rules: list[str]) -> None:
        bench = Bench(self.POLICY)
        assert [d.rule for n in range(4) for d in bench.send(n, 1, account)] == rules
