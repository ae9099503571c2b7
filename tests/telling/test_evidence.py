"""The log lines behind a decision: those that count for its key, up to its event, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from logwatch.reading.attribute import Attribution
from logwatch.reading.scan import Scanner
from logwatch.reading.stamp import Stamps
from logwatch.telling.evidence import Recent
from tests import maillog
from tests.telling.decisions import NOW, decision

DEMO = Path(__file__).parents[2] / "logwatch" / "data" / "demo.log"


def recent(bound: int = 1 << 20, pieces: int = 1) -> tuple[Recent, float]:
    """The demo's log taken in, in pieces of whole lines, and the time of its end."""
    scanner, attribution, kept = Scanner(Stamps(None, NOW)), Attribution(), Recent(bound)
    lines = DEMO.read_bytes().splitlines(keepends=True)
    size = -(-len(lines) // pieces)
    for start in range(0, len(lines), size):
        chunk = b"".join(lines[start : start + size])
        kept.add(chunk, attribution.attribute(scanner.scan(chunk)))
    return kept, attribution.clocks.now


@pytest.mark.parametrize("pieces", [1, 40, 10_000])
def test_lines_of_the_key_are_found_across_chunks(pieces: int) -> None:
    """The latest ones, oldest first, whatever the chunks; not what only says that all went well."""
    kept, end = recent(pieces=pieces)
    found = kept.lines(decision(key="account:bob", time=end))
    assert len(found) == 12
    assert all("client=" in line or "nrcpt=" in line for line in found)
    text = DEMO.read_text()
    places = [text.index(line) for line in found]
    assert places == sorted(places)
    alice = kept.lines(decision(key="account:alice", time=end))
    assert not set(alice) & set(found)


def test_asked_again_and_again_it_finds_what_it_finds_at_once() -> None:
    """A search joins pieces, and more come after it."""
    scanner, attribution = Scanner(Stamps(None, NOW)), Attribution()
    asked, at_the_end = Recent(), Recent()
    for line in DEMO.read_bytes().splitlines(keepends=True):
        events = attribution.attribute(scanner.scan(line))
        for kept in (asked, at_the_end):
            kept.add(line, events)
        asked.lines(decision(key="account:bob", time=attribution.clocks.now))
    last = decision(key="account:bob", time=attribution.clocks.now)
    assert asked.lines(last) == at_the_end.lines(last) != []


def test_refusals_do_not_hide_what_was_refused() -> None:
    """A flood that is answered 450 has hundreds of lines that are all alike."""
    sent = [line for number in range(6) for line in maillog.submission(f"4cX{number:04d}bob", "bob", ["a@example.net"])]
    refused = [maillog.verdict("bob", "7K2M9Q", "flood")] * 40
    chunk = b"".join(maillog.log([(float(n), line) for n, line in enumerate([*sent, *refused])]))
    attribution, kept = Attribution(), Recent()
    kept.add(chunk, attribution.attribute(Scanner(Stamps(None, maillog.START)).scan(chunk)))
    found = kept.lines(decision(key="account:bob", time=attribution.clocks.now))
    assert ["verdict" in line for line in found] == [False] * 9 + [True] * 3


@pytest.mark.parametrize("key", ["client:203.0.113.77", "net:203.0.113.0/24"])
def test_clients_and_networks_have_lines_too(key: str) -> None:
    """A network's are those of its clients."""
    kept, end = recent()
    assert all("203.0.113.77" in line or "nrcpt=" in line for line in kept.lines(decision(key=key, time=end)))


def test_nothing_after_the_event() -> None:
    """A decision is explained by what had happened by then."""
    kept, _ = recent()
    assert kept.lines(decision(key="account:bob", time=0.0)) == []


def test_old_chunks_are_let_go() -> None:
    """Beyond the bound only the latest chunk is kept."""
    kept, end = recent(bound=1, pieces=40)
    assert len(kept.lines(decision(key="account:bob", time=end))) < 12
