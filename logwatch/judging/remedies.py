"""What somebody meant who wrote a policy as another language, a word processor or plain English would have it.

A table of habits: where reading stopped, what stands there, and what to write instead. Only words are added to a
message; nothing here makes a policy readable that was not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from enforce.checks import LENGTH, as_written_elsewhere

LOOKALIKE_QUOTES = "'‘’‚‛“”„‟«»"

Say = Callable[["re.Match[str]", str], str]  # what is found, and what stands before it

_SIZES = {"k": 10**3, "m": 10**6, "g": 10**9}
_WINDOWS = "^a (?:window|duration)"
_DOES = "what the rule does"


class _Habit(NamedTuple):
    """Where something else was `expected` (a pattern), what stands there, and what to say."""

    expected: str
    found: str
    say: Say


def _meant(words: str) -> Say:
    return lambda found, _before: f"did you mean {found.expand(words)}?"


def _length(found: re.Match[str], _before: str) -> str:
    return f"did you mean {as_written_elsewhere(found[0])}?"


def _share(_found: re.Match[str], before: str) -> str:
    percent = _number_before(before)
    return f"{percent}% is written {float(percent) / 100:g}" if percent else "a share is written 0.1, not 10%"


def _comma(found: re.Match[str], before: str) -> str:
    whole, rest = _number_before(before), found[1]
    return f"did you mean {whole}{rest}, or {whole}.{rest}?" if len(rest) == 3 else f"did you mean {whole}.{rest}?"


def _size(found: re.Match[str], before: str) -> str:
    number = found["n"] or _number_before(before)
    return f"did you mean {round(float(number) * _SIZES[found['size'].lower()])}?" if number else "write it out"


def _number_before(before: str) -> str:
    found = re.search(r"[0-9]{1,15}(?:\.[0-9]{1,15})?$", before.rstrip(" "))
    return found[0] if found else ""


_HABITS = (
    _Habit("", f"[{LOOKALIKE_QUOTES}]", lambda *_: 'quotes in a policy are straight and double: "…"'),
    _Habit("", "&&?", _meant("and")),
    _Habit("", r"\|\|?", _meant("or")),
    _Habit("signal", "!(?!=)", _meant("not")),
    _Habit("comparison", "≥|=>", _meant(">=")),
    _Habit("comparison", "≤|=<", _meant("<=")),
    _Habit("comparison", "≠|<>", _meant("!=")),
    _Habit("comparison", "=|is(?!\\w)", _meant("==")),
    _Habit("", "[–—−]", lambda *_: "a minus is written -"),
    _Habit(_WINDOWS, r"[0-9]{1,2}[ \t]*(?:\.\.|-|to)[ \t]*[0-9]{1,2}", lambda *_: "write hour >= 22 or hour < 6"),
    _Habit(_WINDOWS, f"(?i:{LENGTH.pattern})", _length),
    _Habit(_WINDOWS, "[0-9]{1,9}(?!\\w)", lambda *_: "a length of time has a unit: s, m, h, d or w"),
    _Habit("", "%", _share),
    _Habit(_DOES, r",([0-9]{1,15})", _comma),
    _Habit(f"signal|{_DOES}", r"(?i:(?P<n>[0-9]{1,15})?(?P<size>[kMG])B?)(?!\w)", _size),
    _Habit("signal", r"([0-9]{1,15}) ?x(?!\w)", _meant(r"\1 *")),
    _Habit(_DOES, r"usual(?!\w)", _meant("* usual")),
    _Habit('^"in"', "(?:within|during|per|over)(?!\\w)", _meant("in")),
    _Habit('^"when"', "(?:if|where)(?!\\w)", _meant("when")),
    _Habit("^observe or enforce", "=", lambda *_: "a mode is written without it"),
    _Habit("comparison", "between(?!\\w)", lambda *_: "a span is two comparisons, joined by and"),
    _Habit(_DOES, "(?i:and|or|while)(?!\\w)", lambda found, _: f"did you mean {found[0].lower()}?"),
    _Habit(_DOES, "[<>]", lambda *_: "a span is two comparisons, joined by and"),
    _Habit(_DOES, "when(?!\\w)", lambda *_: "conditions of one rule are joined by and, or by or"),
    _Habit(_DOES, "(?:reject|deny|refuse|drop|ban)(?!\\w)", _meant("block")),
    _Habit(_DOES, "(?:defer|greylist|delay)(?!\\w)", _meant("tempfail")),
    _Habit(_DOES, "(?:quarantine|freeze)(?!\\w)", _meant("hold")),
    _Habit(_DOES, "(?:limit|ratelimit|slow)(?!\\w)", _meant("throttle")),
    _Habit("rule$", "(?:doubling|or)(?!\\w)", lambda *_: "a comma comes before it"),
    _Habit("", "//|--|/\\*|;", lambda *_: "a comment begins with #, and nothing marks the end of a line"),
)


def remedy(expected: str, text: str, at: int) -> str:
    """What to write in place of what stands at an offset, as the end of a sentence; empty if that is not known."""
    if at < len(text) and unicodedata.category(text[at]) in ("Zs", "Cf", "Zl", "Zp"):
        return f"; U+{ord(text[at]):04X} is not a space, however it looks: delete it, or type one"
    before = text[max(0, at - 40) : at]
    if re.search(r"\benforce\s+$", before) and (share := re.compile(r"([1-9][0-9]?)(?![0-9.])").match(text, at)):
        return f"; did you mean {share[1]}%?"
    for habit in _HABITS:
        found = re.compile(habit.found).match(text, at) if re.search(habit.expected, expected) else None
        if found:
            return f"; {habit.say(found, before)}"
    return ""
