"""What comes of cases: mail accepted while they stood, and attempts refused, whatever the chunks are."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.core import Core
from logwatch.judging import language
from logwatch.judging.decide import Judge
from logwatch.telling.effects import Effects
from tests import maillog
from tests.telling.decisions import NOW, decision

POLICY = """
rule burst per account:
    when recipients in 10m > 6
    tempfail for 10m
    mode observe
rule fast per client:
    when messages in 10m > 3
    block for 1h
    mode observe
"""
WIDE = """
rule busy per net:
    when messages in 10m > 1
    block for 1h
rule all per site:
    when messages in 10m > 1
    tempfail for 1h
"""
DAY = 1440  # minutes
Effect = dict[tuple[str, str, str], tuple[int, ...]]


def effects(chunks: Iterable[bytes], policy: str = POLICY) -> Effect:
    """The effects over a log that comes in these chunks, summed up by case."""
    core = Core(Judge(language.parse(policy)), start=maillog.START)
    following = Effects()
    sums: defaultdict[tuple[str, str, str], tuple[int, ...]] = defaultdict(lambda: (0, 0, 0))
    for chunk in chunks:
        step = core.feed(chunk)
        for effect in following.take(step.events, step.decisions, step.tips):
            sums[effect[:3]] = tuple(a + b for a, b in zip(sums[effect[:3]], effect[3:], strict=True))
    return dict(sums)


def sending(minutes: Iterable[float], login: str = "bob", client: str = "192.0.2.7") -> list[bytes]:
    """A message to four recipients in each of these minutes, in their order."""
    to = [f"r{i}@example.net" for i in range(4)]
    lines = [
        (60.0 * minute + 5 * number, line)
        for number, minute in enumerate(minutes)
        for line in maillog.submission(f"4cX{number:04d}{login}", login, to, client=client)
    ]
    return maillog.log(lines)


def test_what_follows_counts_and_what_tipped_it_does_not() -> None:
    """The second message tips the rule; the third stood in its way, the fourth came after its end."""
    found = effects([b"".join(sending([0, 1, 2, 40]))])
    assert {name[1:]: counts for name, counts in found.items()} == {("account:bob", "burst"): (1, 4, 0)}


def test_nothing_comes_of_a_case_at_whose_end_the_next_message_is_taken() -> None:
    """It lasts ten minutes from the second message, at 65 seconds; of nothing, nothing is told."""
    assert not effects([b"".join(sending([0, 1, (665 - 10) / 60]))])


def test_what_has_ended_is_forgotten() -> None:
    """At an event of the moment at which it ends, whatever it was about: nothing is left."""
    core, following = Core(Judge(language.parse(WIDE)), start=maillog.START), Effects()
    nothing = pickle.dumps(following)
    kept = []
    for lines in (sending([0, 1]), sending([(65 + 3600) / 60], "alice")):
        step = core.feed(b"".join(lines))
        following.take(step.events, step.decisions, step.tips)
        kept.append(pickle.dumps(following))
    assert kept[0] != nothing
    assert kept[1] == nothing


def test_an_extension_within_a_chunk_loses_nothing() -> None:
    """A case that is extended at every message counts all of them but the first two."""
    found = effects([b"".join(sending(range(0, 20, 2)))])
    assert {counts for name, counts in found.items() if name[2] == "burst"} == {(8, 32, 0)}


def test_what_a_network_or_everybody_sent_counts_as_well() -> None:
    """Such a case is about many clients, none of which is its key; and of another network's mail it is not."""
    lines = sending([0, 1, 2, 3])
    lines[15:15] = sending([2.5], "alice", "198.51.100.7")
    local = [
        "pickup[9]: 4cX0009www: uid=33 from=<www>",
        "qmgr[10]: 4cX0009www: from=<www>, size=352, nrcpt=3 (queue active)",
    ]
    lines += maillog.log((200.0, f"postfix/{text}") for text in local)
    found = effects([b"".join(lines)], WIDE)
    assert effects(lines, WIDE) == found
    assert {name[1:]: counts for name, counts in found.items()} == {
        ("net:192.0.2.0/24", "busy"): (2, 8, 0),
        ("site", "all"): (4, 15, 0),
    }


def test_what_is_refused_is_counted_apart() -> None:
    """A line of the milter's may stand for many attempts."""
    verdict = maillog.verdict("bob", "7K2M9Q", "burst")
    again = f"mailbrake[77]: message repeated 3 times: [{verdict.removeprefix('mailbrake[77]:')}]"
    lines = [*sending([0, 1]), *maillog.log([(70.0, verdict), (80.0, again)])]
    found = effects([b"".join(lines)])
    assert {name[1:]: counts for name, counts in found.items()} == {("account:bob", "burst"): (0, 0, 4)}


def test_recipients_that_exim_names_later_count_but_those_of_the_message_that_tipped_it() -> None:
    """Ten of the first message, of which the seventh tips the rule; the second has five."""
    lines = []
    for number, (second, recipients) in enumerate(((0, 10), (30, 5))):
        queue_id, fate = f"1xW4Y{number}-00043P-2H", "R=dnslookup T=remote_smtp H=mx.x.example [198.51.100.5]"
        lines.append((second, f"{queue_id} <= bob@example.org H=(c) [192.0.2.1] P=esmtpsa A=plain:bob S=333"))
        lines += [(second + 1 + i, f'{queue_id} => r{i}@x.example {fate} C="250 ok"') for i in range(recipients)]
    log = [f"2025-11-25 03:00:{at:02d} {text}\n".encode() for at, text in lines]
    found = effects([b"".join(log)])
    assert {name[1:]: counts for name, counts in found.items()} == {("account:bob", "burst"): (1, 5, 0)}
    assert effects(log) == found


def test_mail_of_others_is_not_counted() -> None:
    """Though it comes from the same client while the case stands."""
    lines = sending([0, 1, 2])
    lines[10:10] = sending([1.5], "alice")
    found = effects([b"".join(lines)])
    assert {name[1:]: counts for name, counts in found.items()} == {("account:bob", "burst"): (1, 4, 0)}


def test_a_case_ends_where_the_clock_is_set_back() -> None:
    """By a day: the third message stood in its way; the fourth came after the case was released, and began none."""
    lines = sending([DAY, DAY + 1, DAY + 2, 0])
    for chunks in ([b"".join(lines)], lines, [b"".join(lines[:15]), b"".join(lines[15:])]):
        found = effects(chunks)
        assert {name[1:]: counts for name, counts in found.items()} == {("account:bob", "burst"): (1, 4, 0)}


def test_what_has_ended_does_not_stand_again_where_the_clock_is_set_back_into_it() -> None:
    """It ended after ten minutes; another one's mail shows that, two hours later, and then it is the fifth minute."""
    lines = sending([0, 1])
    for other in (sending([120], "alice"), sending([120])):
        whole = [*lines, *other, *sending([5])]
        assert effects(whole) == effects([b"".join(whole)]) == effects([b"".join(whole[:10]), b"".join(whole[10:])])
        assert not effects(whole)


def test_what_is_extended_where_the_clock_is_set_back_stands_again() -> None:
    """From the second message on, which holds the rule anew; the third counts."""
    lines = [*sending([0, 1]), *sending([120], "alice"), *sending([5, 6, 7])]
    for chunks in ([b"".join(lines)], lines):
        assert {name[1:]: counts for name, counts in effects(chunks).items()} == {("account:bob", "burst"): (1, 4, 0)}


def test_an_order_counts_from_its_second_on_until_it_is_taken_back() -> None:
    """Nothing that is older though it is read later, as after a restart; and a rule's case is none."""
    core, following = Core(Judge(language.parse(POLICY)), start=maillog.START), Effects()
    pieces = [b"".join(sending(minutes)) for minutes in ([0, 1], [2], [3])]
    following.order(
        decision(1, key="account:bob", rule="by-hand", time=maillog.START + 60.9, until=maillog.START + 900)
    )
    found = []
    for piece in pieces:
        step = core.feed(piece)
        found.append({one[2]: one[3:] for one in following.take(step.events, step.decisions, step.tips)})
        if len(found) == 2:
            following.release("account:bob")
    assert found == [
        {"by-hand": (1, 4, 0)},
        {"by-hand": (1, 4, 0), "burst": (1, 4, 0)},
        {"burst": (1, 4, 0)},
    ]


ORDERED = """\
AUTH=server, relay=mx1.example.com [192.0.2.7], authid=bob, mech=PLAIN, bits=0
6B11emZX015362: Milter: from=<bob@example.org>, reject=550 5.7.1 Sending is blocked for this account (case PG8S3A)
6B11emZX015362: Milter: from=<bob@example.org>, reject=550 5.7.1 Sending is blocked for this account (case PG8S3A)
6B11emZX015362: from=<bob@example.org>, size=0, class=0, nrcpts=0, proto=ESMTPA, daemon=MSA, relay=mx1.example.com \
[192.0.2.7]
"""


@pytest.mark.parametrize("verdicts", [True, False])
def test_what_sendmail_refuses_for_an_order_is_counted_once(*, verdicts: bool) -> None:
    """With the milter's lines in the log, which stand for its own, and without."""
    sendmail = [(20.0, f"sendmail[15362]: {line}") for line in ORDERED.splitlines()]
    said = maillog.verdict("bob", "PG8S3A", "by-hand")
    ours = [(20.0, said), (21.0, f"mailbrake[77]: message repeated 1 times: [{said.removeprefix('mailbrake[77]:')}]")]
    log = maillog.log([sendmail[0], *(ours if verdicts else ()), *sendmail[1:]])
    for chunks in ([b"".join(log)], log):
        core, following = Core(Judge(language.parse(POLICY)), start=maillog.START), Effects()
        order = decision(-1, key="account:bob", rule="by-hand", ref="PG8S3A", time=maillog.START, until=NOW + 1e9)
        following.order(order)
        steps = [core.feed(chunk) for chunk in chunks]
        found = [one for step in steps for one in following.take(step.events, step.decisions, step.tips)]
        assert {one[:3] for one in found} == {("PG8S3A", "account:bob", "by-hand")}
        assert sum(one.messages for one in found) == 0
        assert sum(one.refused for one in found) == 2


@settings(deadline=None, max_examples=30)
@given(
    late=st.lists(st.integers(0, 60), max_size=10).map(sorted),
    minutes=st.lists(st.integers(0, 60), max_size=20).map(sorted),
    cuts=st.sets(st.integers(0, 250)),
)
def test_chunks_make_no_difference(late: list[int], minutes: list[int], cuts: set[int]) -> None:
    """Line by line, or all at once, also where the clock is set back by a day, or into what has ended."""
    lines = sending([*minutes, *(DAY + minute for minute in late), *minutes])
    places = [0, *sorted(cut for cut in cuts if cut < len(lines)), len(lines)]
    chunks = [b"".join(lines[begin:end]) for begin, end in pairwise(places)]
    assert effects(chunks) == effects([b"".join(lines)])
