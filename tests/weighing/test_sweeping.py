"""Another threshold is put wherever a rule has the comparison that was named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.judging import language
from logwatch.weighing.sweeping import with_threshold


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_threshold_is_found_wherever_it_stands(value: int) -> None:
    """Within and, or, not, votes, on the left side of its comparison, and with a share."""
    text = (
        "rule r per account: when not (2 of (bytes in 1h > 5, messages in 1h >= 5, 7 < recipients in 1h)) "
        "and bounces / messages in 1h > 0.5 tempfail for 1h"
    )
    rule = language.parse(text).rules[0]
    for signal, written in (
        ("recipients", f"recipients in 1h > {value}"),
        ("bounces / messages in 1h", f"1h > {value}"),
    ):
        assert written in str(with_threshold(rule, signal, value))


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        ("recipients in 1h > 20", "recipients in 1h > 7 and recipients in 1h > 2 * usual or messages in 1h > 20"),
        (
            "recipients in 1h > 2 * usual",
            "recipients in 1h > 20 and recipients in 1h > 7 * usual or messages in 1h > 20",
        ),
        ("recipients in 1h", "recipients in 1h > 7 and recipients in 1h > 2 * usual or messages in 1h > 20"),
    ],
)
def test_a_comparison_can_be_named_as_a_whole(signal: str, expected: str) -> None:
    """Where the same is held against a number and against what is usual; without a name a plain number is meant."""
    text = "(recipients in 1h > 20 and recipients in 1h > 2 * usual) or messages in 1h > 20"
    (rule,) = language.parse(f"rule r per account: when {text} block for 1h").rules
    assert str(with_threshold(rule, signal, 7).condition).replace("(", "").replace(")", "") == expected


def test_the_same_comparison_in_two_places_is_one() -> None:
    """Both take the value; different limits have to be told apart."""
    text = "(guessed in 10m > 3 and auth_failures in 10m > 5) or (guessed in 10m > 3 and auth_failures in 10m > 9)"
    (rule,) = language.parse(f"rule r per client: when {text} block for 1h").rules
    assert str(with_threshold(rule, "guessed", 8)).count("guessed in 10m > 8") == 2
    with pytest.raises(ValueError, match="compares auth_failures 2 times; name one"):
        with_threshold(rule, "auth_failures", 8)
    assert "auth_failures in 10m > 8" in str(with_threshold(rule, "auth_failures in 10m > 9", 8))
