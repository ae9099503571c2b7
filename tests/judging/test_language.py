"""The language reads what it should, and says precisely what is wrong with the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logwatch.judging.conditions import And, Compare, Not, Number, Or, Rate
from logwatch.judging.contradictions import contradictions
from logwatch.judging.exemptions import KINDS as EXEMPTIBLE
from logwatch.judging.grammar import NO_LIST_NAMES
from logwatch.judging.language import SHIPPED, PolicyError, load, parse
from logwatch.judging.policy import (
    MODES,
    Deed,
    Exemption,
    File,
    Item,
    Let,
    Listed,
    Policy,
    Rule,
    render,
)
from logwatch.schema import ACTIONS, KINDS, MOMENTS, SIGNALS

from .strategies import COMPARISONS, untimed

SAMPLES = Path(__file__).parents[2] / "samples"
GOOD = sorted((SAMPLES / "policies").glob("*.policy"))
BAD = sorted((SAMPLES / "bad-policies").glob("*.policy"))
RULE = "rule flood per account:\n    when {} tempfail for 1h"


def test_the_example_of_the_manual_is_read_as_it_is_explained_there() -> None:
    policy = parse(
        """
        let webmail = 192.0.2.10, 192.0.2.0/28
        exempt client in webmail
        exempt account in file "bulk-senders.txt"
        mode observe                       # caps every rule of this policy

        rule flood per account:
            when recipients in 10m > 200 and (messages in 1h >= 50 or not bounces in 1h < 5)
            tempfail for 1h
            mode enforce
        """,
        read=lambda _: "",
    )
    condition = And(
        (
            Compare(">", Rate("recipients", 600), Number(200)),
            Or(
                (
                    Compare(">=", Rate("messages", 3600), Number(50)),
                    Not(Compare("<", Rate("bounces", 3600), Number(5))),
                )
            ),
        )
    )
    assert policy == Policy(
        rules=(Rule("flood", "account", condition, Deed("tempfail"), 3600, "enforce"),),
        exemptions=(Exemption("client", (Listed("webmail"),)), Exemption("account", (File("bulk-senders.txt"),))),
        lists=(Let("webmail", (Item("192.0.2.10"), Item("192.0.2.0/28"))),),
        mode="observe",
    )
    assert policy.rules[0].line == 7


def test_names_may_be_words_of_the_language() -> None:
    policy = parse(
        """let when = 192.0.2.1 let in = 192.0.2.2
        exempt client in when, in
        rule rule per account: when bytes in 1h > 1 block for 1h
        rule per per account: when bytes in 1h > 1 block for 1h"""
    )
    assert [rule.name for rule in policy.rules] == ["rule", "per"]
    assert policy.exempt("client:192.0.2.2")


@pytest.mark.parametrize("name", NO_LIST_NAMES)
def test_a_list_that_could_not_be_used_cannot_be_defined(name: str) -> None:
    with pytest.raises(PolicyError, match=f'1:5: a list cannot be called "{name}"'):
        parse(f"let {name} = 192.0.2.1")


def test_more_signals_are_a_matter_of_the_caller() -> None:
    assert parse(RULE.format("countries in 1h >= 3"), signals=["countries"]).needs()
    with pytest.raises(PolicyError, match="unknown signal"):
        parse(RULE.format("countries in 1h >= 3"), signals=["messages"])


@pytest.mark.parametrize("path", [*GOOD, SHIPPED], ids=lambda path: path.name)
def test_good_policies_are_read_and_rendered(path: Path) -> None:
    policy = load(path)
    again = parse(render(policy), str(path), read=lambda _: "")
    assert again == policy
    assert contradictions(policy) == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_bad_policies_have_the_message_beside_them(path: Path) -> None:
    with pytest.raises(PolicyError) as raised:
        load(path)
    expected = path.with_suffix(".expected").read_text().rstrip("\n")
    assert str(raised.value).replace(f"{path.parent}/", "") == expected


def test_every_bad_policy_is_there_with_its_message() -> None:
    assert sorted(path.stem for path in BAD) == sorted(path.stem for path in BAD[0].parent.glob("*.expected"))


def test_every_part_of_the_language_has_a_sample() -> None:
    words = " ".join(" ".join(render(load(path)).split()) for path in [*GOOD, SHIPPED])
    for phrase in (
        *(f" per {kind}:" for kind in KINDS),
        *(f"exempt {kind} in" for kind in EXEMPTIBLE),
        *(f" {action} " for action in ACTIONS),
        *(f" mode {mode}" for mode in MODES),
        *(f" {sign} " for sign in (*COMPARISONS, "and", "or", "not", "+", "-", "*", "/")),
        *(f"{signal} " for signal in SIGNALS),
        *("let ", "file ", "while ", "doubling to", "usual", " of (", "% ", " not in ", " recipients per "),
        *(f"{moment} " for moment in MOMENTS),
    ):
        assert phrase in f" {words}", phrase


def test_the_shipped_policy_only_observes_and_is_the_default() -> None:
    policy = load()
    assert policy == load(SHIPPED)
    assert policy.rules
    assert {policy.mode_of(rule) for rule in policy.rules} == {"observe"}
    assert set(policy.needs()) == {"account", "client", "net", "local"}


def test_lists_in_files_stand_beside_the_policy() -> None:
    files = {
        Path("/etc/mailbrake/policy"): 'exempt account in file "bulk.txt", file "/srv/more"',
        Path("/etc/mailbrake/bulk.txt"): "# comment\n\n bob # the other one\r\nroom #7\nx#y\n",
        Path("/srv/more"): "carol@example.org",
    }
    policy = load("/etc/mailbrake/policy", default_realm="example.com", read_text=files.__getitem__)
    exempt = [f"account:{name}" for name in ("bob@example.com", "room@example.com", "x#y@example.com")]
    assert all(map(policy.exempt, [*exempt, "account:carol@example.org"]))
    assert not policy.exempt("account:bob")


def test_a_missing_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as raised:
        load(tmp_path / "policy")
    assert str(raised.value) == f"{tmp_path}/policy: cannot be read: No such file or directory"


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "policy").write_bytes(b"\xef\xbb\xbfmode observe")
    assert load(tmp_path / "policy").mode == "observe"


def test_parse_alone_reads_no_file() -> None:
    with pytest.raises(PolicyError, match="only load"):
        parse('exempt account in file "/etc/passwd"')


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("mode observe\n\n\t x", (3, 3), 'found "x"'),
        ("mode observe\r\n# ä\r\n  ä", (3, 3), 'found "ä"'),
        ("mode # observe\n", (2, 1), "found the end of the file"),
        ("\x00", (1, 1), r'found "\x00"'),
        ("\ud800", (1, 1), r'found "\ud800"'),
        ("\x7f", (1, 1), r'found "\x7f"'),
        ("x" * 1000, (1, 1), f'found "{"x" * 60}"'),
    ],
)
def test_places_count_from_one_and_what_is_found_can_be_printed(text: str, place: tuple[int, int], found: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse(text)
    assert (raised.value.line, raised.value.column) == place
    assert raised.value.problem.endswith(found)


_WORDS = [
    *("let", "exempt", "mode", "rule", "per", "account", "client", "net", "local", "site", "when", "in", "for", "file"),
    *("tempfail", "block", "throttle", "observe", "enforce", "recipients", "messages", "bytes", "and", "or", "not"),
    *("10m", "1h", "7d", "99w", "0", "5", "0.2", "1e9", "a-name", "bob@example.com", "192.0.2.0/28", '"x, y"'),
    *(":", ",", "=", "(", ")", "+", "-", "*", "/", "×", ">", ">=", "<", "<=", "==", "!=", "=", "#"),
    *("\n", '""', '"', "ä", "\x00"),
]
_SHIPPED = SHIPPED.read_text(encoding="utf-8")


def _policy_or_error(text: str) -> None:
    try:
        policy = parse(text, read=lambda _: "")
    except PolicyError as error:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert str(error).isprintable()
    else:
        assert parse(render(policy), read=lambda _: "") == policy


@untimed
@given(st.text() | st.lists(st.sampled_from(_WORDS)).map(" ".join))
@example("rule a per site: when bytes in 1h > 1 block for 999999999w")
@example("exempt account in " + '"' * 7)
@example("let a = \U00018d09127.0.0.0/8\nexempt client in a")
def test_any_text_is_a_policy_or_one_error(text: str) -> None:
    _policy_or_error(text)


@untimed
@given(st.integers(0, len(_SHIPPED)), st.integers(0, 30), st.sampled_from(["", *_WORDS]) | st.text(max_size=3))
def test_a_damaged_policy_is_a_policy_or_one_error(start: int, length: int, instead: str) -> None:
    _policy_or_error(_SHIPPED[:start] + instead + _SHIPPED[start + length :])


@untimed
@given(st.binary() | st.tuples(st.just(b"exempt account in "), st.binary()).map(b"".join))
def test_any_bytes_are_a_policy_or_one_error(content: bytes) -> None:
    try:
        load("policy", read_text=lambda _: content.decode())
    except PolicyError as error:
        assert str(error).startswith("policy:")
