"""Whether two words differ in one letter, so that one may be the other mistyped."""

from __future__ import annotations


def one_off(typed: str, meant: str) -> bool:
    """True if a letter is wrong, missing or too much, or two beside each other are exchanged; False if nothing is."""
    start = _same(typed, meant)
    typed, meant = typed[start:], meant[start:]
    end = _same(typed[::-1], meant[::-1])
    typed, meant = typed[: len(typed) - end], meant[: len(meant) - end]
    longest = max(len(typed), len(meant))
    return longest == 1 or (longest == len("ab") and typed == meant[::-1])


def _same(one: str, other: str) -> int:
    """With how many letters both begin."""
    differ = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differ, min(len(one), len(other)))
