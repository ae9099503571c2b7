"""What is written as another language would have it is told with how it is written here."""

from __future__ import annotations

import pytest

from logwatch.judging.grammar import WORDS
from logwatch.judging.language import PolicyError, parse
from logwatch.judging.policy import (
    render,
)

RULE = "rule flood per account:\n    when {} tempfail for 1h"


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
def test_statements_as_other_languages_have_them_are_told_with_how_they_are_written_here(
    text: str, remedy: str
) -> None:
    with pytest.raises(PolicyError) as raised:
        parse(text)
    assert raised.value.problem.endswith(f"; {remedy}")


def test_an_item_that_begins_with_another_quote_is_written_in_quotes() -> None:
    policy = parse('exempt account in "‘t Hooft@example.com"')
    assert render(policy) == 'exempt account in "‘t Hooft@example.com"\n'
