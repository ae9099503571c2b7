"""Many logs as one: the order is that of the stamps, and hangs on nothing but the messages and their order."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.cluster.merging import AHEAD, BYTES, PRESENCE, RETURN, SILENCE, Limits, Merger
from logwatch.cluster.merging import HOSTS as MOST
from logwatch.cluster.wire import ALL, Batch
from logwatch.reading.merge import merged
from logwatch.reading.stamp import Stamps
from tests.maillog import START

Message = tuple[int, float, Batch | None]  # place in the stream, the server's stamp, what it holds
HOSTS = ("mx1", "mx2", "mx3")
LIMITS = Limits(hold=30.0, late=900.0)


def own(host: str, named: str) -> bool:
    return host == named


def line(host: str, at: float, text: str = "postfix/qmgr[1]: x", *, coarse: bool = False) -> bytes:
    moment = datetime.fromtimestamp(START + at, UTC)
    stamp = f"{moment:%b} {moment.day:2} {moment:%H:%M:%S}" if coarse else moment.isoformat(timespec="milliseconds")
    return f"{stamp} {host} {text}\n".encode()


def batch(host: str, at: int, lines: bytes) -> Batch:
    return Batch(host, "mail.log", "e1", at, at + len(lines), lines, lines.count(b"\n"))


def promise(host: str, until: float) -> Batch:
    return Batch(host, ALL, "e1", 0, 0, promise=START + until)


class Sender:
    """A gateway that counts its bytes."""

    def __init__(self, host: str) -> None:
        self.host, self.sent = host, 0

    def send(self, lines: bytes) -> Batch:
        made = batch(self.host, self.sent, lines)
        self.sent += len(lines)
        return made


def run(messages: Sequence[Message], restarts: Sequence[int] = (), limits: Limits = LIMITS) -> tuple[bytes, Merger]:
    """All lines that come out; before the messages numbered in `restarts` a new process takes up the state.

    It is killed at once, and once more while it takes again what waits: each time its state was written down before.
    """
    merger, out = Merger(limits, UTC, own), b""
    for place, (seq, stamp, what) in enumerate(messages):
        if place in restarts:
            out += merger.out()
            for some in (0, 1, 3, place):
                merger = Merger(limits, UTC, own, json.loads(json.dumps(merger.state())))
                for again in [message for message in messages[:place] if message[0] >= merger.resume][:some]:
                    merger.take(*again)
                assert merger.out() == b""
        merger.take(seq, stamp, what)
    return out + merger.out(), merger


def stream(*pairs: tuple[float, Batch]) -> list[Message]:
    return [(seq, START + stamp, what) for seq, (stamp, what) in enumerate(pairs, 1)]


@st.composite
def traffic(draw: st.DrawFn) -> tuple[dict[str, list[bytes]], list[tuple[float, Batch]]]:
    """Logs of some hosts, and the batches in which they were sent with little delay, in the order of their coming."""
    dice = random.Random(draw(st.integers(0, 2**32)))
    hosts = HOSTS[: draw(st.integers(1, 3))]
    logs: dict[str, list[bytes]] = {}
    events: list[tuple[float, Batch]] = []
    for host in hosts:
        sender, coarse, at = Sender(host), dice.random() < 0.3, dice.choice([0.0, 0.0, 0.4])
        logs[host] = []
        events.append((0.0, promise(host, 0.001)))
        while at < 20:
            made = [
                line(host, at + n * 0.01, f"postfix/qmgr[{dice.randint(1, 99)}]: x", coarse=coarse)
                for n in range(dice.randint(0, 4))
            ]
            logs[host] += made
            arrives = at + 0.05 + dice.random()
            events += [(arrives, sender.send(b"".join(made)))] * bool(made) + [(arrives, promise(host, at + 0.05))]
            at += dice.choice([0.06, 0.06, 0.5, 2.0])
        events.append((24.0, promise(host, 23.0)))
    return logs, _in_order_by_host(events)


def _in_order_by_host(events: list[tuple[float, Batch]]) -> list[tuple[float, Batch]]:
    """What one host sends comes in its order, whatever the network does: the places are kept, batches put in order."""
    queues: dict[str, list[Batch]] = {}
    for _, what in events:
        queues.setdefault(what.host, []).append(what)
    return [(stamp, queues[what.host].pop(0)) for stamp, what in sorted(events, key=lambda event: event[0])]


@settings(deadline=None, max_examples=150)
@given(traffic(), st.lists(st.integers(0, 60), max_size=4), st.lists(st.integers(0, 60), max_size=4))
def test_what_comes_in_time_is_merged_as_a_replay_merges_it(
    sent: tuple[dict[str, list[bytes]], list[tuple[float, Batch]]], restarts: list[int], twice: list[int]
) -> None:
    """Whatever the interleaving on the way, restarts in between, and batches that come twice."""
    logs, events = sent
    events = [event for n, event in enumerate(events) for _ in range(1 + (n in twice))]
    found, merger = run(stream(*events), restarts)
    in_stamps = merged([(iter([b"".join(lines)]), Stamps(UTC, START)) for _, lines in sorted(logs.items())])
    assert found == b"".join(in_stamps)
    assert not any(counts["late"] for counts in merger.counts.values())


@st.composite
def turmoil(draw: st.DrawFn) -> list[Message]:
    """Anything may happen: hosts away for long, clocks that are wrong, gaps, messages that are no batches."""
    dice = random.Random(draw(st.integers(0, 2**32)))
    senders = {host: Sender(host) for host in HOSTS}
    at, messages, skew = 0.0, list[Message](), {host: dice.choice([0, 0, 0, -5, -2000, 20, 4000]) for host in HOSTS}
    for seq in range(1, draw(st.integers(1, 60))):
        at += dice.choice([0.0, 0.01, 0.2, 1.0, 4.0, 40.0, 1200.0])
        host = dice.choice(HOSTS)
        lines = [
            line(
                dice.choice([host, host, host, "elsewhere"]), at + skew[host] - dice.choice([0, 0, 0.3, 3, 700]) + n / 9
            )
            for n in range(dice.randint(0, 3))
        ]
        senders[host].sent += dice.choice([0, 0, 0, 0, 50])  # bytes that never came
        what = senders[host].send(b"".join(lines)) if lines else promise(host, at - 0.2)
        messages.append((seq, START + at - dice.choice([0, 0, 0.1]), dice.choice([what, what, what, None])))
    return messages


@settings(deadline=None, max_examples=150)
@given(turmoil(), st.lists(st.integers(0, 60), max_size=5))
def test_restarts_change_nothing_whatever_comes(messages: list[Message], restarts: list[int]) -> None:
    found, merger = run(messages, restarts)
    expected, other = run(messages)
    assert found == expected
    assert merger.state() == other.state()


def test_a_line_waits_for_the_hosts_that_are_there() -> None:
    one = Sender("mx1")
    messages = stream((0.0, promise("mx1", 0.001)), (0.0, promise("mx2", 0.001)), (1.0, one.send(line("mx1", 0.9))))
    assert run(messages)[0] == b""
    arrived = [*messages, (4, START + 1.1, promise("mx2", 1.0))]
    assert run(arrived)[0] == line("mx1", 0.9)


def test_nobody_waits_for_a_host_that_is_gone() -> None:
    one = Sender("mx1")
    pairs = [(0.0, promise("mx2", 0.001)), (1.0, one.send(line("mx1", 0.9)))]
    signs = [(at, promise("mx1", at - 0.1)) for at in (1.8, 2.6, PRESENCE - 0.1, PRESENCE + 0.1)]
    assert run(stream(*pairs, *signs[:3]))[0] == b""
    assert run(stream(*pairs, *signs))[0] == line("mx1", 0.9)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(PRESENCE + 0.1, 1e6), st.permutations(HOSTS), st.floats(0, RETURN / 2 - 0.2), st.lists(st.integers(0, 99))
)
def test_an_outage_of_the_server_makes_nobody_late(
    away: float, order: list[str], apart: float, restarts: list[int]
) -> None:
    """All that were there before it are waited for, in whatever order they come back; so nothing is out of order."""
    senders, pairs = {host: Sender(host) for host in HOSTS}, list[tuple[float, Batch]]()
    pairs += [(n / 10, promise(host, n / 10 - 0.1)) for n in range(1, 20) for host in HOSTS]
    back = 2.0 + away
    for number, host in enumerate(order):
        come = back + number * apart
        first = b"".join(line(host, 2.0 + away * share) for share in (0.0, 0.3, 0.8, 1.0))
        signs = [(come + n / 10, promise(host, come + n / 10 - 0.2)) for n in range(1, 150)]
        pairs += [(come, senders[host].send(first)), *signs]
    pairs.sort(key=lambda pair: pair[0])
    found, merger = run(stream(*pairs), restarts)
    assert sorted(found.splitlines()) == found.splitlines()
    assert len(found.splitlines()) == 4 * len(HOSTS)
    assert merger.counts == {}


def test_after_an_outage_nobody_waits_long_for_a_host_that_does_not_come_back() -> None:
    one = Sender("mx1")
    pairs = [(n / 10, promise(host, n / 10 - 0.1)) for n in range(1, 20) for host in ("mx1", "mx2")]
    pairs.append((600.0, one.send(line("mx1", 500.0))))
    signs = [(600 + n / 10, promise("mx1", 600 + n / 10 - 0.2)) for n in range(1, round(10 * RETURN) + 2)]
    assert run(stream(*pairs, *signs[:-4]), limits=Limits(hold=60))[0] == b""
    assert run(stream(*pairs, *signs), limits=Limits(hold=60))[0] == line("mx1", 500.0)


def test_a_servers_clock_that_is_set_back_holds_up_nothing() -> None:
    """It was a quarter of an hour ahead; mx2 has died since, and is not waited for until that time comes again."""
    one, two = Sender("mx1"), Sender("mx2")
    pairs = [(900.0, promise("mx1", 0.5)), (900.0, promise("mx2", 0.5)), (900.5, two.send(line("mx2", 1.0)))]
    signs = [(at / 10, promise("mx1", at / 10 - 0.1)) for at in range(30, 70)]
    found, merger = run(stream(*pairs, (2.0, one.send(line("mx1", 2.0))), *signs))
    assert found == line("mx2", 1.0) + line("mx1", 2.0)
    assert merger.counts == {}


def test_nothing_waits_longer_than_the_bound() -> None:
    """A host that is there, and says nothing of its time, holds others up for `hold` seconds."""
    one = Sender("mx1")
    pairs = [(0.0, promise("mx2", 0.001)), (1.0, one.send(line("mx1", 0.9)))]
    for second in range(2, 40):
        if second == 31:
            assert run(stream(*pairs))[0] == b""
        pairs.append((second + 0.5, Batch("mx2", "other.log", "e1", 0, 0)))
    assert run(stream(*pairs))[0] == line("mx1", 0.9)


def test_late_lines_are_counted_and_very_late_ones_left_out() -> None:
    one, two = Sender("mx1"), Sender("mx2")
    cut_off = line("mx2", 10.0) + line("mx2", 500.0)
    messages = stream((1000.0, one.send(line("mx1", 1000.0))), (1001.0, two.send(cut_off)))
    found, merger = run(messages)
    assert found == line("mx1", 1000.0) + line("mx2", 500.0)
    assert merger.counts["mx2"] == {"stale": 1, "late": 1}


def test_a_clock_ahead_pulls_nobody_along() -> None:
    one = Sender("mx1")
    ahead = line("mx1", 100.0 + AHEAD + 1)
    found, merger = run(stream((100.0, one.send(line("mx1", 99.0) + ahead + line("mx1", 100.0)))))
    assert found == line("mx1", 99.0) + line("mx1", 100.0)
    assert merger.counts["mx1"] == {"ahead": 1}


def test_a_promise_is_believed_up_to_the_servers_time_only() -> None:
    one, two = Sender("mx1"), Sender("mx2")
    messages = stream((1.0, promise("mx1", 1e6)), (2.0, one.send(line("mx1", 1.5))), (3.0, two.send(line("mx2", 1.6))))
    found, merger = run(messages)
    assert found == line("mx1", 1.5)  # of a time that is over; mx2 waits for what may come
    assert run([*messages, (4, START + 4, promise("mx1", 3.0))])[0] == found + line("mx2", 1.6)
    assert "late" not in merger.counts.get("mx2", {})


def test_a_gateway_speaks_for_itself_only() -> None:
    one = Sender("mx1")
    mine, other = line("mx1", 1.0), line("mx2", 1.0)
    found, merger = run(stream((1.0, one.send(mine + other + b"no header at all\n"))))
    assert found == mine
    assert merger.counts["mx1"] == {"foreign": 1, "headless": 1}


def test_a_batch_that_overlaps_brings_what_is_new_and_a_gap_is_counted() -> None:
    first, second, third = (line("mx1", n) for n in (1.0, 2.0, 3.0))
    both = batch("mx1", 0, first + second)
    after = batch("mx1", 2 * len(first) + 500, third)
    found, merger = run(stream((3.0, batch("mx1", 0, first)), (3.1, both), (3.2, both), (3.3, after)))
    assert found == first + second + third
    assert merger.counts["mx1"] == {"duplicates": 2, "unshipped": 500}


def test_another_epoch_begins_anew() -> None:
    first, second = line("mx1", 1.0), line("mx1", 2.0)
    again = replace(batch("mx1", 0, second), epoch="e2")
    found, merger = run(stream((1.0, batch("mx1", 0, first)), (2.0, again)))
    assert found == first + second
    assert merger.counts == {}


def test_lines_that_are_left_out_are_counted_while_others_of_their_batch_wait() -> None:
    """They are kept as long: 600 KB of such batches, which pack well, took a controller 600 MB of memory."""
    mx1, foreign = Sender("mx1"), line("mx9", 1.0, "x" * (1 << 20))
    number = 2 + (BYTES >> 20)
    batches = [mx1.send(line("mx1", 1 + n / 1000) + foreign) for n in range(number)]
    out, _ = run(stream((0.0, promise("mx2", 0.0)), *((0.1, batch) for batch in batches)))
    assert 1 <= out.count(b"\n") < number


def test_beyond_the_bound_the_oldest_lines_wait_no_longer_and_the_others_do() -> None:
    """Another host may have older ones; each mebibyte that comes pushes one out."""
    one = Sender("mx1")
    lines = [line("mx1", n / 1000, "x" * (1 << 20)) for n in range(1, 2 + (BYTES >> 20))]
    messages = stream((0.0, promise("mx2", 0.0001)), *((1.0, one.send(some)) for some in lines))
    limits = Limits(hold=1e6)
    assert [len(run(messages[:-some], limits=limits)[0].splitlines()) for some in (2, 1)] == [0, 1]
    assert run(messages, limits=limits)[0] == b"".join(lines[:2])


def test_of_a_hosts_many_logs_those_that_have_been_silent_for_longest_are_forgotten() -> None:
    pairs = []
    for n in range(150):
        made = replace(batch("mx1", 0, line("mx1", n)), log=f"log{n}")
        pairs += [(n + 0.5, made), (n + 0.9, promise("mx1", n + 0.8))]
    found, merger = run(stream(*pairs))
    assert len(found.splitlines()) == 150
    assert {name for _, name, *_ in merger.state()["logs"]} == {f"log{n}" for n in range(50, 150)}


def test_lines_of_one_log_too_many_are_counted() -> None:
    """All of the host's others still wait, for mx2; a restart counts nothing twice."""
    logs = [(1.0, replace(batch("mx1", 0, line("mx1", 0.5)), log=f"log{n}")) for n in range(102)]
    messages = stream((0.0, promise("mx2", 0.001)), *logs, (1.1, promise("mx1", 1.0)))
    assert run(messages)[1].counts == {"mx1": {"refused": 2}}
    assert run(messages, [len(messages) - 1])[1].counts == {"mx1": {"refused": 2}}


def test_lines_of_one_host_too_many_are_counted() -> None:
    names = [f"mx{n}" for n in range(MOST + 1)]
    signs = [(1.0, promise(name, 0.9)) for name in names]
    _, merger = run(stream(*signs, *((1.1, batch(name, 0, line(name, 1.0))) for name in names[-2:])))
    assert merger.counts == {"": {"refused": 1}}
    assert names[-1] not in merger.state()["seen"]


@pytest.mark.parametrize("restarts", [(), (MOST + 5,)])
def test_for_one_host_more_those_that_were_silent_for_a_week_make_room(restarts: tuple[int, ...]) -> None:
    """What they lost stays counted; nobody is forgotten before, and whoever was heard of stays."""
    names = [f"mx{n}" for n in range(MOST)]
    pairs = [(1.0, promise(name, 0.9)) for name in names] + [(1.0, batch("mx1", 0, line("stranger", 0.5)))]
    pairs += [(1.0 + n, promise("mx0", 0.9 + n)) for n in range(1, 11)]
    first = stream(*pairs, (12.0, batch("new", 0, line("new", 11.5))))
    _, merger = run(first, restarts)
    assert merger.counts == {"mx1": {"foreign": 1}, "": {"refused": 1}}
    state = {
        **merger.state(),
        "seen": {name: seen - (name != "mx0") * SILENCE for name, seen in merger.state()["seen"].items()},
    }
    merger = Merger(LIMITS, UTC, own, json.loads(json.dumps(state)))
    merger.take(len(first) + 1, START + 12.5, batch("new", 0, line("new", 12.0)))
    after = merger.state()
    assert set(after["seen"]) == set(after["states"]) == set(after["versions"]) == {"mx0", "new"}
    assert {row[0] for row in after["logs"]} == {"mx0", "new"}
    assert merger.counts == {"": {"refused": 1, "foreign": 1}}
