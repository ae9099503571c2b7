"""What happened, and the message that says so. No I/O.

A message as JSON, for webhooks and commands (`format` counts incompatible changes):

    {"format": 1, "host": "mx1", "time": ISO 8601, "subject": TEXT, "text": TEXT, "counts": {ABOUT: N}, "lost": N,
     "happenings": [{"about": ABOUT, "time": ISO 8601, "text": TEXT, "decision": OBJECT or null}]}

ABOUT is `decision`, `guard`, `loss` or `trouble`; OBJECT is that of `mailbrake replay --json`. `counts` are of all that
the message stands for; `happenings` has the first of each kind, `grouping.MOST` at most. `lost`: what could not be told
before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from enforce.printable import printable
from logwatch.schema import Decision, iso

FORMAT = 1
# what is told: in the order in which it is, and how a number of them is said in a subject
KINDS = {
    "guard": ("the guard has tripped", "the guard has tripped"),
    "decision": ("an account was braked", "{} accounts were braked"),
    "loss": ("the log is not complete", "the log is not complete"),
    "trouble": ("there is trouble", "there is trouble"),
}
_LONGEST = 1000  # characters of what happened
_HINTS = {
    "guard": "`mailbrake review{same}` lists them. An attack: `mailbrake review confirm CASE{same}` enforces it at "
    "once and makes room for the next. A rule gone wrong (`mailbrake rollout{same}` shows whom each hits): mode "
    "observe in it.",
    "decision": "`mailbrake why CASE{same}` explains a case, `mailbrake review{same}` lists all that are open.",
    "loss": "`mailbrake status{same}` has the totals.",
    "trouble": "`mailbrake status{same}` tells how things are now.",
}


class Happening(NamedTuple):
    """One thing to tell: what it is about (a key of KINDS), when (epoch seconds), in words, and the decision."""

    about: str
    time: float
    text: str
    decision: Decision | None = None


class Message(NamedTuple):
    """All that is told at once; `counts` are by kind, `happenings` the first of each.

    `same`: to be put behind a command, that it uses the configuration by which this was found.
    """

    time: float
    happenings: tuple[Happening, ...]
    counts: Mapping[str, int]
    lost: int = 0
    same: str = ""

    def subject(self, host: str) -> str:
        """One line that says most."""
        if sum(self.counts.values()) == 1:
            only = self.happenings[0]
            return f"[mailbrake {host}] {_brief(only)}"
        said = [KINDS[about][count > 1].format(count) for about, count in self._counted()]
        return f"[mailbrake {host}] {', '.join(said) or 'messages were lost'}"

    def text(self) -> str:
        """All of it, for people."""
        parts = []
        for about, count in self._counted():
            told = [happening for happening in self.happenings if happening.about == about]
            rows = _rows(told, count)
            parts.append("\n".join([*rows, _HINTS[about].format(same=self.same)]))
        if self.lost:
            parts.append(f"Notifications lost before this one: {self.lost}")
        return "\n\n".join(parts) + "\n"

    def as_json(self, host: str) -> str:
        """All of it, for programs."""
        body = {
            "format": FORMAT,
            "host": host,
            "time": iso(self.time),
            "subject": self.subject(host),
            "text": self.text(),
            "counts": dict(self._counted()),
            "lost": self.lost,
            "happenings": [_as_json(happening) for happening in self.happenings],
        }
        return json.dumps(body)

    def _counted(self) -> list[tuple[str, int]]:
        return [(about, self.counts[about]) for about in KINDS if self.counts.get(about)]


def _rows(told: Sequence[Happening], count: int) -> list[str]:
    """A line for each, once where the same happened again, and how many of `count` are not told."""
    times = Counter(happening.text for happening in told)
    first = {happening.text: happening for happening in reversed(told)}
    found = []
    for text, often in times.items():
        again = f" ({often} times)" if often > 1 else ""
        found.append(f"{iso(int(first[text].time))}  {cleaned(text)}{again}")
    if count > len(told) and len(found) == 1:
        return [f"{iso(int(told[0].time))}  {cleaned(told[0].text)} ({count} times or alike)"]
    return [*found, *[f"… and {count - len(told)} more"] * (count > len(told))]


def cleaned(text: str) -> str:
    """Text that may stand in a header or on a terminal: logins in it are the sender's own words."""
    return printable(text[:_LONGEST])


def _brief(happening: Happening) -> str:
    decision = happening.decision
    if decision is None:
        return KINDS[happening.about][0]
    return cleaned(f"{decision.action} {decision.key[:100]} (rule {decision.rule}, case {decision.ref})")


def _as_json(happening: Happening) -> dict[str, Any]:
    decision = happening.decision.as_json() if happening.decision else None
    about, time, text, _ = happening
    return {"about": about, "time": iso(time), "text": cleaned(text), "decision": decision}
