"""What a rule's next step is, which line it changes, and whom it would have hit."""

from __future__ import annotations

import pytest

from logwatch.judging.language import parse
from logwatch.judging.restraint import within
from logwatch.telling.journal import Effect, Review
from logwatch.weighing.promotion import Exempt, JournalledCase, Stand, exemptions, following, mode_of
from tests.telling.decisions import decision

BOB = "account:bob@example.com"
RULE = "rule flood per account:\n    when recipients in 10m > 20\n    block for 1h\n"
ROW = "when recipients in 1h > 5 block for 1h"
ONE = next(f"account:{number}" for number in range(1000) if within(1, f"account:{number}"))
REST = next(f"account:{number}" for number in range(1000) if not within(10, f"account:{number}"))


def stand(*keys: str) -> Stand:
    return Stand([JournalledCase([decision(1, key=key)], Effect("7K2M9Q", key, "flood", 1, 5)) for key in keys])


def step(mode: str, *keys: str, kind: str = "account") -> tuple[int, list[int]] | None:
    policy = parse(RULE.replace("account", kind) + mode)
    found = following(policy.rules[0], stand(*keys), RULE + mode)
    return found and (found.percent, [len(one.cases) for one in found.steps.values()])


@pytest.mark.parametrize(
    ("mode", "keys", "expected"),
    [
        ("", [], (1, [0, 0, 0])),
        ("mode observe", [ONE, REST], (1, [1, 1, 2])),
        ("mode observe", [REST], (10, [0, 1])),
        ("mode enforce 1%", [ONE, REST], (10, [1, 2])),
        ("mode enforce 10%", [ONE], (100, [1])),
        ("mode enforce 50%", [ONE], (100, [1])),
        ("mode enforce", [ONE], None),
    ],
)
def test_the_next_step_is_one_percent_then_ten_then_all(mode: str, keys: list[str], expected: object) -> None:
    """One percent, ten, all; one percent is left out where it would have hit none of those that were."""
    assert step(mode, *keys) == expected


def test_what_the_milter_cannot_act_on_has_no_next_step() -> None:
    """Local mail has no SMTP session."""
    assert step("", "local:33", kind="local") is None


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (RULE, (3, "", "mode enforce 1%")),
        (f"# mode observe\n{RULE}    # mode observe\n    mode  observe\n", (6, "mode  observe", "mode enforce 1%")),
        (f"{RULE}\nrule other per account: {ROW} mode observe\n", (3, "", "mode enforce 1%")),
        (f"{RULE}# many\nexempt account in a@example.org\n", (3, "", "mode enforce 1%")),
        (f"rule flood per account: {ROW} mode enforce 1%", (1, "mode enforce 1%", "mode enforce 10%")),
        (f"\nrule flood per account: {ROW} mode enforce 10%", (2, "mode enforce 10%", "mode enforce")),
    ],
)
def test_the_line_to_change_is_that_of_the_rules_own_mode(text: str, change: tuple[int, str, str]) -> None:
    """That of the rule's own mode, not what a comment or another rule says; without one, the rule's last line."""
    policy = parse(text)
    found = following(policy.rules[0], Stand(), text)
    assert found
    assert found.change == change


def test_a_larger_share_holds_the_smaller_ones() -> None:
    """Whom a canary hit, the next step hits as well."""
    keys = [f"account:{number}" for number in range(2000)]
    shares = [{key for key in keys if within(percent, key)} for percent in (1, 10, 100)]
    assert shares[0] < shares[1] < shares[2] == set(keys)


def test_borderline_is_what_its_strongest_moment_hardly_passed() -> None:
    """A case that grew is not borderline, however it began; the weakest of several reasons counts."""

    def case(key: str, *values: tuple[float, float]) -> JournalledCase:
        made = [
            decision(seq, key=key, evidence={"a": {"value": a, "threshold": 10}, "b": {"value": b, "threshold": 1}})
            for seq, (a, b) in enumerate(values, 1)
        ]
        return JournalledCase(made, Effect("7K2M9Q", key, "flood"))

    grown = case("account:grown", (11, 2), (500, 40))
    steady = case("account:steady", (11, 90))
    known = case("account:known", (10.1, 1.1))
    found = Stand([grown, steady, known], {"account:known": "confirmed"})
    assert [one.begun.key for one in found.borderline(5)] == ["account:steady", "account:grown"]
    assert [one.begun.key for one in found.borderline(1)] == ["account:steady"]


@pytest.mark.parametrize(
    ("numbers", "excess"),
    [
        ([(30, 20), (90, 20)], 1.5),
        ([(30, 20), (5, 20)], 1.5),  # what is below its limit steers a throttle, or was compared by <
        ([(5, 20)], 1.0),
        ([(20, 20), (60, 20)], 1.0),
        ([(7, 0), (60, 20)], 3.0),  # > 0
        ([], 1.0),
    ],
)
def test_a_case_exceeded_its_limit_by_its_weakest_reason(numbers: list[tuple[float, float]], excess: float) -> None:
    """Its weakest reason counts; without any it is as if it just had."""
    evidence = {str(n): {"value": value, "threshold": limit} for n, (value, limit) in enumerate(numbers)}
    assert JournalledCase([decision(1, evidence=evidence)], Effect("7K2M9Q", BOB, "flood")).excess == excess


def test_a_share_has_the_verdicts_of_its_keys() -> None:
    known = Stand([], {ONE: "confirmed", REST: "released"})
    assert known.within(1).verdicts == {ONE: "confirmed"}
    assert [known.count(said) for said in (["confirmed"], ["released", "confirmed"], [])] == [1, 2, 0]


def test_exempting_loopback_is_not_asked_about() -> None:
    """The milter never refuses it anyway; what a list holds is not looked at."""
    written = 'exempt client in 127.0.0.0/8, ::1\nexempt client in 192.0.2.1, "127.0.0.1"\nexempt client in own\n'
    found = exemptions(parse(f"let own = ::1\n{written}{RULE}"), [], {}, 0.0, 1.0)
    assert [one.what for one in found] == ["exempt client in 192.0.2.1, 127.0.0.1", "exempt client in own"]


def test_an_exemption_is_needed_where_a_rule_held_in_spite_of_it() -> None:
    """Since it was said, or as far as is looked back; of several reviews of a key the last counts, until it ends."""
    reviews = [
        Review(40.0, BOB, "exempted", "root", until=200.0, id=3),
        Review(30.0, BOB, "exempted", "root", until=500.0, id=2),
        Review(30.0, "account:carol", "exempted", "root", until=100.0, id=1),
        Review(30.0, "account:dave", "released", "root", until=500.0, id=4),
        Review(50.0, "account:eve", "exempted", "root", until=101.0, id=5),
    ]
    policy = parse("exempt account in alice@example.com\nexempt client in 192.0.2.0/24\n" + RULE)
    spared = {
        BOB: (40.0, "flood"),
        "account:alice@example.com": (19.0, "flood"),
        "account:eve": (49.0, "flood"),
        "client:192.0.2.1": (60.0, "fast"),
        "client:192.0.2.2": (70.0, "faster"),
        "client:198.51.100.1": (80.0, "fast"),
    }
    assert exemptions(policy, reviews, spared, 20.0, 100.0) == [
        Exempt(BOB, 40.0, 200.0, 40.0, "flood"),
        Exempt("account:eve", 50.0, 101.0),
        Exempt("exempt account in alice@example.com", 20.0),
        Exempt("exempt client in 192.0.2.0/24", 20.0, None, 70.0, "faster"),
    ]


@pytest.mark.parametrize(
    ("text", "site", "words"),
    [
        (RULE, "enforce", "observe"),
        (RULE + "mode enforce 10%", "enforce", "enforce 10%"),
        (RULE + "mode enforce", "observe", "enforce, but the site only observes ([policy] mode)"),
        ("mode observe\n" + RULE + "mode enforce", "enforce", "enforce, but the policy as a whole says mode observe"),
    ],
)
def test_a_rules_mode_is_told_with_what_holds_it_back(text: str, site: str, words: str) -> None:
    """Its own mode, and what holds it back."""
    policy = parse(text)
    assert mode_of(policy.rules[0], policy, site) == words
