"""Words that are one letter off are found, and others are not."""

import pytest

from logwatch.telling.edit_distance import one_off


@pytest.mark.parametrize(
    "typed", ["AD4VZ8", "AD4VZ", "D4VZ7", "AD4VZ77", "AAD4VZ7", "AD4ZV7", "DA4VZ7", "AD4-VZ7", "XD4VZ7"]
)
def test_a_word_with_one_letter_wrong_missing_too_much_or_exchanged_is_one_off(typed: str) -> None:
    assert one_off(typed, "AD4VZ7")
    assert one_off("AD4VZ7", typed)


@pytest.mark.parametrize("typed", ["AD4VZ7", "", "AD4V", "AD4VXX", "4DAVZ7", "7ZV4DA", "AD4VZ7QQ"])
def test_the_same_word_and_what_is_further_off_is_not_one_off(typed: str) -> None:
    """Also two letters exchanged that do not stand beside each other."""
    assert not one_off(typed, "AD4VZ7")
    assert not one_off("AD4VZ7", typed)
