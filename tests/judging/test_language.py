"""The language reads what it should, and says precisely what is wrong with the rest."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logwatch.judging.conditions import And, Binary, Compare, Not, Number, Or, Rate
from logwatch.judging.contradictions import contradictions
from logwatch.judging.exemptions import KINDS as EXEMPTIBLE
from logwatch.judging.expression import DEPTH, NESTING
from logwatch.judging.grammar import NO_LIST_NAMES, WORDS
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


def test_the_example_of_the_manual() -> None:
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


def _condition(text: str) -> object:
    return parse(RULE.format(text)).rules[0].condition


_A, _B, _C = (Rate(signal, 3600) for signal in ("bounces", "messages", "recipients"))


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("bounces / messages in 1h", Binary("/", _A, _B)),
        ("bounces in 1h / messages in 1h", Binary("/", _A, _B)),
        ("bounces in 10m / messages in 1h", Binary("/", Rate("bounces", 600), _B)),
        ("bounces / messages / recipients in 1h", Binary("/", Binary("/", _A, _B), _C)),
        ("2 × bounces / messages in 1h", Binary("/", Binary("*", Number(2), _A), _B)),
        ("bounces in 1h + messages in 1h * 2", Binary("+", _A, Binary("*", _B, Number(2)))),
        ("(bounces in 1h + messages in 1h) * 2", Binary("*", Binary("+", _A, _B), Number(2))),
        ("bounces in 1h - messages in 1h - 1", Binary("-", Binary("-", _A, _B), Number(1))),
        ("bounces in 1h - (messages in 1h - 1)", Binary("-", _A, Binary("-", _B, Number(1)))),
        ("((bounces in 1h))", _A),
    ],
)
def test_numbers_are_calculated_as_at_school(text: str, expression: object) -> None:
    assert _condition(f"{text} > 0.5") == Compare(">", expression, Number(0.5))  # type: ignore[arg-type]
    assert _condition(f"0.5 <= {text}") == Compare("<=", Number(0.5), expression)  # type: ignore[arg-type]


def test_and_binds_tighter_than_or_and_not_tighter_than_both() -> None:
    a, b, c = (Compare(">", rate, Number(1)) for rate in (_A, _B, _C))
    text = "not bounces in 1h > 1 and messages in 1h > 1 or recipients in 1h > 1"
    assert _condition(text) == Or((And((Not(a), b)), c))
    assert _condition("not (bounces in 1h > 1 and (messages in 1h > 1 or recipients in 1h > 1))") == Not(
        And((a, Or((b, c))))
    )


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


def test_every_near_miss_names_the_word_that_was_meant() -> None:
    for expected, words in WORDS.items():
        assert all(word in expected for word in words), expected


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("recipients in 1 h > 5", "did you mean 1h?"),
        ("recipients in 1hour > 5", "did you mean 1h?"),
        ("recipients in 90 Min > 5", "did you mean 90m?"),
        ("recipients in hour > 5", "did you mean 1h?"),
        ("recipients in 1 > 5", "a length of time has a unit: s, m, h, d or w"),
        ("recipients per 1h > 5", "did you mean in?"),
        ("hour in 22..6", "write hour >= 22 or hour < 6"),
        ("recipients in 1h => 5", "did you mean >=?"),
        ("recipients in 1h ≤ 5", "did you mean <=?"),
        ("recipients in 1h = 5", "did you mean ==?"),
        ("recipients in 1h between 5 and 9", "a span is two comparisons, joined by and"),
        ("5 < recipients in 1h < 9", "a span is two comparisons, joined by and"),
        ("recipients in 1h > 5 && messages in 1h > 1", "did you mean and?"),
        ("recipients in 1h > 5 AND messages in 1h > 1", "did you mean and?"),
        ("recipients in 1h > 5 || messages in 1h > 1", "did you mean or?"),
        ("recipients in 1h > 5 when messages in 1h > 1", "conditions of one rule are joined by and, or by or"),
        ("bounces / messages in 1h > 10%", "10% is written 0.1"),
        ("bounces / messages in 1h > 0,1", "did you mean 0.1?"),
        ("recipients in 1h > 1,000", "did you mean 1000, or 1.000?"),
        ("recipients in 1h > 2k", "did you mean 2000?"),
        ("bytes in 1h > 10 MB", "did you mean 10000000?"),
        ("recipients in 1h > 5x usual", "did you mean 5 *?"),
        ("recipients in 1h > 5 usual", "did you mean * usual?"),
        ("recipients in\xa01h > 5", "U+00A0 is not a space, however it looks: delete it, or type one"),
        ("recipients in 1h > 5 – 1", "a minus is written -"),
    ],
)
def test_what_other_languages_have_is_told_with_how_it_is_written_here(written: str, remedy: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse(RULE.format(written))
    assert raised.value.problem.endswith(f"; {remedy}")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("exempt account in “bob”", 'quotes in a policy are straight and double: "…"'),
        ("exempt account in 'bob'", 'quotes in a policy are straight and double: "…"'),
        ("let a = file “b”", 'quotes in a policy are straight and double: "…"'),
        ("mode = observe", "a mode is written without it"),
        ("; a comment", "a comment begins with #, and nothing marks the end of a line"),
        ("RULE flood per account:", "did you mean rule?"),
        ("cap per account: 25 recipients or 2 * largest", "a comma comes before it"),
        ("rule a per account: when bytes in 1h > 1 reject for 1h", "did you mean block?"),
        ("rule a per account: if bytes in 1h > 1 block for 1h", "did you mean when?"),
        ("rule a per account: when bytes in 1h > 1 block for 1 day", "did you mean 1d?"),
        ("rule a per account: when bytes in 1h > 1 block for 1h doubling to 7d", "a comma comes before it"),
        ("rule a per account: when bytes in 1h > 1 block for 1h mode enforce 10", "did you mean 10%?"),
    ],
)
def test_so_is_what_other_statements_would_have(text: str, remedy: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse(text)
    assert raised.value.problem.endswith(f"; {remedy}")


def test_an_item_that_begins_with_another_quote_is_written_in_quotes() -> None:
    policy = parse('exempt account in "‘t Hooft@example.com"')
    assert render(policy) == 'exempt account in "‘t Hooft@example.com"\n'


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


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 10_000,
        "(" * 10_000 + "bytes in 1h" + ")" * 10_000 + " > 1",
        "not " * 10_000 + "bytes in 1h > 1",
        "1 + " * 10_000 + "bytes in 1h > 1",
        "1 / " * 10_000 + "bytes in 1h > 1",
        "not (" * 10_000,
        "1 + (" * 10_000,
    ],
)
def test_no_text_makes_the_parser_recurse_without_bound(condition: str) -> None:
    with pytest.raises(PolicyError, match=f"at most ({NESTING}|{DEPTH}) "):
        parse(RULE.format(condition))


def test_what_is_long_but_not_deep_is_read() -> None:
    many = " and ".join(["bytes in 1h > 1"] * 2_000)
    assert len(parse(RULE.format(many)).rules[0].condition.conditions) == 2_000  # type: ignore[attr-defined]


def test_the_deepest_condition_can_be_used() -> None:
    deep = "not " * (DEPTH - NESTING - 1) + "(" * NESTING + "bytes in 1h" + " + 1)" * NESTING + " > 1"
    policy = parse(RULE.format(deep))
    assert policy == parse(render(policy))
    assert hash(policy) == hash(parse(render(policy)))
    assert policy.rules[0].condition.holds({("bytes", 3600): np.zeros(1)}).shape == (1,)


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


def test_a_stack_that_is_almost_full_gives_the_same_error_and_harms_no_later_reading() -> None:
    text = RULE.format("(" * NESTING + "bytes in 1h" + ")" * NESTING + " > 1")
    signals = [*SIGNALS, "a_grammar_of_its_own"]

    def below(frames: int) -> Policy:
        return below(frames - 1) if frames else parse(text, signals=signals)

    with pytest.raises(PolicyError, match="no room on the stack"):
        below(sys.getrecursionlimit() - len(inspect.stack()) - 60)
    assert below(0).rules
    with pytest.raises(PolicyError, match="expected a closing parenthesis, found"):
        parse(RULE.format("(bytes in 1h > 1"), signals=signals)
