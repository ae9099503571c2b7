"""The log lines behind a decision: those that count for its key, up to its event, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize("bound", [1 << 20, 100])
def test_of_one_second_nothing_after_the_event(bound: int) -> None:
    """A flood may be over within the second in which it was noticed: what it was noticed by counts."""
    lines = maillog.log((0.0, maillog.refused("203.0.113.7", f"{number}@example.com")) for number in range(40))
    attribution, scanner, kept = Attribution(), Scanner(Stamps(None, maillog.START)), Recent(bound)
    for chunk in (lines[:10], lines[10:]):
        kept.add(b"".join(chunk), attribution.attribute(scanner.scan(b"".join(chunk))))
        found = kept.lines(decision(key="client:203.0.113.7", time=maillog.START), 4)
        assert [f"{line}\n".encode() for line in found][-5:] == chunk[:5]
    assert [f"{line}\n".encode() for line in found] == lines[3 if bound > 100 else 10 : 15]


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


def test_a_line_that_names_several_recipients_is_evidence_once() -> None:
    """Each of them is an event; the lines before it count, too."""
    several = ",".join(f"<no{number}@example.net>" for number in range(20))
    texts = [
        "sm-mta[7]: 6AP3si0p030580: from=<a@example.org>, size=9, class=0, nrcpts=20, msgid=<1@x>, relay=[203.0.113.7]",
        f"sm-mta[8]: 6AP3si0p030580: to={several}, delay=00:00:00, mailer=relay, dsn=5.1.1, stat=User unknown",
    ]
    lines = maillog.log((float(number), text) for number, text in enumerate(texts))
    attribution, kept = Attribution(), Recent()
    kept.add(b"".join(lines), attribution.attribute(Scanner(Stamps(None, maillog.START)).scan(b"".join(lines))))
    found = kept.lines(decision(key="client:203.0.113.7", time=attribution.clocks.now))
    assert [f"{line}\n".encode() for line in found] == lines


@pytest.mark.parametrize("key", ["client:203.0.113.77", "net:203.0.113.0/24"])
def test_clients_and_networks_have_lines_too(key: str) -> None:
    """A network's are those of its clients."""
    kept, end = recent()
    assert all("203.0.113.77" in line or "nrcpt=" in line for line in kept.lines(decision(key=key, time=end)))


def test_no_line_after_the_event_is_evidence() -> None:
    """A decision is explained by what had happened by then."""
    kept, _ = recent()
    assert kept.lines(decision(key="account:bob", time=0.0)) == []


CLIENTS = ("203.0.113.7", "203.0.113.8", "198.51.100.9")
TEXTS = {
    "telling": lambda client: maillog.refused(client, "nobody@example.com"),
    "refused": lambda client: maillog.verdict("bob", "7K2M9Q", "flood", client),
    "dull": lambda client: f"postfix/smtpd[13629]: disconnect from unknown[{client}] ehlo=1 quit=1 commands=2",
}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([*TEXTS]), st.sampled_from(CLIENTS)), min_size=1, max_size=60),
    st.integers(1, 60),
    st.sampled_from(["client:203.0.113.7", "net:203.0.113.0/24", "site"]),
    st.data(),
)
def test_they_are_the_latest_dozen_with_three_refusals(
    drawn: list[tuple[str, str]], size: int, key: str, data: st.DataObject
) -> None:
    """By a look at every line, backwards; whatever the pieces, and whatever came after the event."""
    lines = maillog.log((float(at), TEXTS[kind](client)) for at, (kind, client) in enumerate(drawn))
    attribution, scanner, kept = Attribution(), Scanner(Stamps(None, maillog.START)), Recent()
    for begin in range(0, len(lines), size):
        chunk = b"".join(lines[begin : begin + size])
        kept.add(chunk, attribution.attribute(scanner.scan(chunk)))
    last = data.draw(st.integers(0, len(lines) - 1))
    mine = {"client:203.0.113.7": CLIENTS[:1], "net:203.0.113.0/24": CLIENTS[:2], "site": CLIENTS}[key]
    expected: list[str] = []
    for (kind, client), line in reversed([*zip(drawn, lines, strict=True)][: last + 1]):
        refusals = sum("verdict" in one for one in expected)
        if client in mine and kind != "dull" and len(expected) < 12 and (kind == "telling" or refusals < 3):
            expected.insert(0, line.decode().rstrip("\n"))
    assert kept.lines(decision(key=key, time=maillog.START + last)) == expected


def test_a_line_without_a_client_is_no_networks() -> None:
    """Nor is one that is too long shown to its end, or with a carriage return."""
    pickup = "postfix/pickup[9]: 4cX0009www: uid=33 from=<www>"
    long = maillog.refused("203.0.113.7", f"{'n' * 1000}@example.com")
    chunk = b"".join(maillog.log([(0.0, pickup), (1.0, f"{maillog.refused('203.0.113.7', 'a@x')}\r"), (2.0, long)]))
    kept = Recent()
    kept.add(chunk, Attribution().attribute(Scanner(Stamps(None, maillog.START)).scan(chunk)))
    found = kept.lines(decision(key="net:203.0.113.0/24", time=maillog.START + 2))
    assert [len(line) for line in found] == [len(chunk.splitlines()[1]), 1000]


def test_old_blocks_are_let_go() -> None:
    """What is left is as much as the bound says, give or take a block; the latest of all blocks are found, in order."""
    attribution, scanner, kept, bound = Attribution(), Scanner(Stamps(None, maillog.START)), Recent(600_000), 600_000
    dull = maillog.log((0.0, TEXTS["dull"](CLIENTS[0])) for _ in range(900))
    sizes, others = [], list[bytes]()
    for number in range(25):
        others += (
            five := maillog.log((0.0, maillog.refused(CLIENTS[2], f"{number}{n}@example.com")) for n in range(5))
        )
        mine = maillog.log((0.0, TEXTS[kind](CLIENTS[0])) for kind in ("telling", "refused"))
        chunk = b"".join([*mine, *five, *dull])
        kept.add(chunk, attribution.attribute(scanner.scan(chunk)))
        refusals = ["verdict" in line for line in kept.lines(decision(key=f"client:{CLIENTS[0]}", time=maillog.START))]
        sizes.append(refusals.count(False) * len(chunk))
    assert bound - len(chunk) <= min(sizes[7:]) < max(sizes) <= bound + (256 << 10)
    assert refusals[-6:] == [False, True] * 3
    assert not any(refusals[:-6])
    found = kept.lines(decision(key=f"client:{CLIENTS[2]}", time=maillog.START))
    assert [f"{line}\n".encode() for line in found] == others[-12:]


@pytest.mark.parametrize(("pieces", "all_of_them"), [(1, True), (40, False)])
def test_of_little_room_the_latest_chunk_is_kept(pieces: int, all_of_them: bool) -> None:
    kept, end = recent(bound=1, pieces=pieces)
    assert (len(kept.lines(decision(key="account:bob", time=end))) == 12) is all_of_them
