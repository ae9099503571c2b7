"""How many fields that other people's parsers expect of their own sample lines ours finds: `make conformance CORPUS=…`.

Corpora are files of JSON lines with `line`, `mta`, and `expect` (fields by name), or `lines` (whole logs, of which only
counts are looked at). For every file and field: how many are expected, how many are right. Every other one has a
reason, of which there are three kinds:

    vocabulary   no column of ours: MTA's own numbers (`delays=`, `pri=`), the parser's own classes, words we translate
    no event     the line is of a kind that DESIGN's events do not have (TLS sessions, warnings, greylisting…)
    other        a known disagreement, line by line, with what is the matter

Exit status 1 if one is unexplained, if less than 98 % of what can be right is right, or if a line of a known daemon
goes uncounted.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from logwatch.reading.grammar import DIALECTS, UNREADABLE, compiled

from .samples import scanned, scanner

ENOUGH = 0.98

# Expected fields for which we have no column.
VOCABULARY = frozenset({"delays", "delay_hms", "xdelay_hms", "stat", "mailer", "pri", "class", "proto"}) | frozenset(
    {"epoch", "epoch_note", "ctladdr", "relay_raw"}
)

_STAMPS = ("%b %e %H:%M:%S", "%b %d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")

# Expectations that are not the value of a column: whether an event fulfils them.
_JUDGED: dict[str, Callable[[Mapping[str, Any], Any], bool]] = {
    "timestamp_text": lambda event, text: _words(text) in {_words(_moment(event).strftime(form)) for form in _STAMPS},
    "timestamp_md": lambda event, text: _moment(event).strftime("%m-%dT%H:%M:%S") == text,
    "timestamp": lambda event, text: abs(_moment(event).timestamp() - datetime.fromisoformat(text).timestamp()) < 0.001,
    "relay_none": lambda event, _: event.get("relay_host") == "none",
    "event": lambda event, name: {"from": "queued", "auth": "auth_ok"}.get(name, name) == event["event"],
}
# A field of another meaning in that parser: no column of ours.
_OTHER_MEANING = {("sendmail", "daemon"): "DaemonPortOptions' name, where ours is the program"}

# id -> what is the matter with the expectations of that line that are not met
_HELO = "the expectation has the refused address for the HELO name"
_LOGIN = "the expectation has the refused recipient for a login, and takes a refusal for a failed login"
DISAGREEMENTS = {
    "crowdsec-hub-0004": _HELO,
    "crowdsec-hub-0005": _HELO,
    **{f"crowdsec-hub-00{number}": _LOGIN for number in (13, 14, 17, 18, 25, 26, 29, 30)},
    "crowdsec-hub-0020": "thousandths of a second, which we have too, in another form",
    "crowdsec-hub-0035": "Dovecot's process is that of its logger, and joins nothing: it is no column there",
}


class Field(NamedTuple):
    """One expected field: which line's, of which file, and what came of it: "right" or a reason."""

    file: str
    mta: str
    name: str
    outcome: str
    detail: str = ""


def _moment(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"]).astimezone(UTC)


def fields(path: Path) -> Iterator[Field]:
    """Every expected field of a corpus."""
    for text in path.read_text().splitlines():
        entry = json.loads(text)
        for name, value in (entry.get("expect") or {}).items():
            found = scanned(entry["line"].encode() + b"\n")
            outcome, detail = _outcome(entry, name, value, _one(found))
            yield Field(path.name, entry["mta"], name, outcome, detail)


def _one(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """One event for a line; of a delivery to several at once, with all of them."""
    several = [event["recipient"] for event in events[1:]] and [event["recipient"] for event in events]
    return {**events[0], **({"recipient": several} if several else {})} if events else None


def _outcome(entry: Mapping[str, Any], name: str, value: Any, event: Mapping[str, Any] | None) -> tuple[str, str]:
    if name in VOCABULARY or (entry["mta"], name) in _OTHER_MEANING:
        return "vocabulary", ""
    if event is None:
        why = _no_event(entry["line"])
        return ("no event", f"{entry['id']}: {why}") if why else ("unexplained", f"unreadable: {entry['line']}")
    right = _JUDGED[name](event, value) if name in _JUDGED else event.get(name) == value
    if right:
        return "right", ""
    reason = DISAGREEMENTS.get(entry["id"])
    detail = f"{entry['id']} {name}: expected {value!r}, found {event.get(name)!r}"
    return ("other", f"{detail}: {reason}") if reason else ("unexplained", detail)


def _words(text: str) -> str:
    return " ".join(text.split())


def _no_event(line: str) -> str:
    """Why a line is no event; "" where it should be one, but could not be read."""
    match = compiled().regex.match(b"\n" + line.encode() + b"\n")
    if match is None:
        return "of a program that is not known here, or known to say nothing of mail"
    if compiled().kinds[match.lastindex or 0].split()[1] == UNREADABLE:
        return ""
    fragment = re.search(r"\]: (?:to=<|from=<|uid=[0-9]|message-id=|sender non-)", line)
    return "a fragment without a queue id, which no MTA writes" if fragment else "counted as other: no such event"


def uncounted(path: Path) -> list[str]:
    """Lines of daemons that we know, single or in sequences, that are no events, not counted, and not silent."""
    missed = []
    for text in path.read_text().splitlines():
        entry = json.loads(text)
        for line in entry.get("lines") or [entry["line"]]:
            reader = scanner()
            events = reader.scan(line.encode() + b"\n")["event"]
            if not (len(events) or reader.other or reader.unreadable or _silent(line)):
                missed.append(line)
    return missed


def _silent(line: str) -> bool:
    """Whether a line is no daemon's that we know, or says what its dialect calls silent."""
    found = re.match(r"(?:[^\[\]]* )?[^ \[\]]*?([a-z-]+)\[[0-9]+\]: (.*)", line)
    dialects = [dialect for dialect in DIALECTS if found and found[1] in dialect.KINDS]
    silent = [dialect.SILENT for dialect in dialects if hasattr(dialect, "SILENT")]
    return not dialects or any(found is not None and start.matches(found[2], parse_all=False) for start in silent)


def main(folder: str) -> int:
    """Print the table; the exit status."""
    found = [field for path in sorted(Path(folder).glob("*.jsonl")) for field in fields(path)]
    print(f"{'file':34}{'MTA':10}{'field':16}{'expected':>9}{'right':>7}  otherwise")
    grouped: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for field in found:
        grouped[field.file, field.mta, field.name][field.outcome] += 1
    for (file, mta, name), outcomes in sorted(grouped.items()):
        others = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if outcome != "right")
        print(f"{file:34}{mta:10}{name:16}{sum(outcomes.values()):9}{outcomes['right']:7}  {others}")
    print()
    for line in dict.fromkeys(f"{field.outcome}: {field.detail}" for field in found if field.detail):
        print(line)
    return max([_summary(mta, found) for mta in ("postfix", "sendmail", "exim")] + [_missed(folder)])


def _summary(mta: str, found: list[Field]) -> int:
    outcomes = Counter(field.outcome for field in found if field.mta == mta)
    possible = sum(outcomes.values()) - outcomes["vocabulary"] - outcomes["no event"]
    share = outcomes["right"] / possible if possible else 1.0
    print(
        f"{mta}: {sum(outcomes.values())} fields expected; {outcomes['vocabulary']} have no column of ours, "
        f"{outcomes['no event']} are of lines that are no event; of the other {possible}, "
        f"{outcomes['right']} are right: {share:.1%}"
    )
    return int(share < ENOUGH or outcomes["unexplained"] > 0) if mta != "exim" else 0


def _missed(folder: str) -> int:
    missed = [line for path in sorted(Path(folder).glob("*.jsonl")) for line in uncounted(path)]
    print(f"lines of a known daemon that go uncounted: {len(missed)}")
    for line in missed:
        print(f"  {line}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
