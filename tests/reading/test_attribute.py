"""For whom events count: one name for each account, and each refusal counted once; in any chunks."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logwatch.reading.attribute import Attribution
from logwatch.schema import ATTRIBUTED

from .lines import (
    ALICE,
    BOB,
    CONNECT,
    ECHO,
    FAILURE,
    LOGIN,
    LOOPBACK,
    REJECT,
    SCANNER,
    VERDICT,
    accept,
    accounts,
    attributed,
    counts,
    delivery,
    log,
    queued,
    removed,
    sender,
)
from .samples import samples


def test_a_login_is_one_account_however_it_is_written() -> None:
    """Case and the site's own domain make no difference, and a domain may be added."""
    by = Attribution("example.com")
    lines = [accept("AAAAA1", "Bob"), accept("AAAAA2", "bob@EXAMPLE.com")]
    assert [row[0] for row in attributed(log(*lines), by)] == [BOB, BOB]


@pytest.mark.parametrize(("keep_case", "account"), [(False, "account:alice"), (True, "account:Alice")])
def test_an_account_is_what_the_milter_looks_up(keep_case: bool, account: str) -> None:
    found = attributed(log(accept("4jZ4r31", "Alice")), Attribution(keep_case=keep_case))
    assert found[0][0] == account


def test_a_failed_login_counts_for_the_login_that_was_tried() -> None:
    """Not for the one under which the session sent before, and it changes nothing for what comes after it."""
    lines = [CONNECT, accept("AAAAA1"), FAILURE, REJECT]
    assert accounts(*lines) == [None, ALICE, "account:nobody", ALICE]


def test_a_refusal_that_names_a_login_counts_for_that() -> None:
    """Postfix from 3.10 on (line written after its source)."""
    assert accounts(CONNECT, f"{REJECT} sasl_method=PLAIN sasl_username=bob@example.com") == [None, BOB]


def test_the_echo_of_our_verdict_does_not_count_again() -> None:
    """The milter-reject line has the same case reference; it names the same account."""
    lines = [CONNECT, VERDICT, ECHO, VERDICT, ECHO]
    assert counts(*lines) == [True, True, False, True, False]
    assert accounts(*lines)[1:] == [ALICE] * 4


def test_a_milter_reject_alone_counts() -> None:
    """Verdict lines do not reach this log, or another milter refused."""
    assert counts(CONNECT, ECHO, ECHO) == [True] * 3
    assert counts(CONNECT, VERDICT, ECHO.replace("ABC123", "XYZ999")) == [True] * 3
    assert counts(CONNECT, VERDICT, ECHO.replace(" (case ABC123)", "")) == [True] * 3


@pytest.mark.parametrize("action", ["throttle", "tempfail", "block", "hold", "cap"])
def test_a_verdict_counts_where_the_message_was_not_accepted(action: str) -> None:
    """What is held, or capped, is queued as well, and counts then; the MTA's line for it is an echo all the same."""
    assert counts(CONNECT, VERDICT.replace("tempfail", action), ECHO) == [
        True,
        action in ("throttle", "tempfail", "block"),
        False,
    ]


def test_an_observed_verdict_is_no_attempt() -> None:
    """Nothing was refused: the message is counted when it is queued, and a real refusal is nobody's echo."""
    observed = VERDICT.replace("verdict: tempfail, mode=enforce", "verdict: would-tempfail, mode=observe")
    assert counts(CONNECT, observed, ECHO) == [True, False, True]


# ---- Sendmail (real lines of 8.17.1, shortened)


def test_sendmails_refusals_are_no_messages() -> None:
    """A line without recipients or without a message follows a refusal; only the refusal counts."""
    refused = "sendmail[30580]: 6AP3si0p030580: Milter: from=<a@example.org>, reject=450 4.7.1 slow down (case ABC123)"
    by = Attribution()
    rows = attributed(log(LOGIN, VERDICT, refused, sender("6AP3si0p030580", "nrcpts=0")), by)
    assert [row[0] for row in rows] == [ALICE] * 4
    assert [row[3] for row in rows] == [True, True, False, True]
    assert len(by.messages.queue) == 0


def test_a_refusal_after_the_final_dot_is_no_second_attempt() -> None:
    """Sendmail has logged the message by then."""
    late = "sendmail[30580]: 6AP3si0p030580: Milter: data, reject=554 5.7.1 not this one"
    assert counts(LOGIN, sender("6AP3si0p030580"), late) == [True, True, False]


START = datetime(2026, 11, 25, tzinfo=UTC)
AHEAD = ((accept("AAAAA1"), 0), (CONNECT, 7), (delivery("AAAAA1"), 1))  # line, day


def hours(number: float) -> timedelta:
    """How far apart lines are."""
    return timedelta(hours=number)


def test_late_lines_are_judged_as_of_the_newest() -> None:
    """A line that is some minutes late does not turn the clock back; one that is hours late does, and is counted."""
    by = Attribution()
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    clocks = [
        by.attribute(SCANNER.scan(log(CONNECT, start=noon + hours(late))))["clock"][0] - noon.timestamp()
        for late in (0, -0.5, 0.5, -3, -2.5)
    ]
    assert clocks == [0, 0, 1800, -3 * 3600, -2.5 * 3600]
    assert by.clocks.steps == 1


def test_a_clock_that_ran_ahead_forgets_the_same_in_any_chunks() -> None:
    """What was too old while the clock was wrong stays forgotten, whether or not a chunk ended just then."""
    text = [log(line, start=START + timedelta(days=days)) for line, days in AHEAD]
    for chunks in ([b"".join(text)], text):
        by = Attribution()
        assert [row[0] for chunk in chunks for row in attributed(chunk, by)] == [ALICE, None, None], len(chunks)


def test_in_the_end_nothing_is_remembered_of_anybody() -> None:
    """After a week without a line of it; only of a host is known by which clock it goes."""
    named = "postfix/cleanup[13615]: AAAAA1: message-id=<one@example.org>"
    exim = "exim[7]: 1xW4Y4-00043P-2H <= a@example.org H=(c) [192.0.2.7] P=esmtpa A=plain:alice S=205"
    by = Attribution()
    lines = [CONNECT, accept("NOQUEUE"), accept("AAAAA1"), named, queued("AAAAA1"), exim, VERDICT]
    attributed(log(*lines, start=START), by)
    memories = [memory for memory in by.memories() if memory is not by.clocks.heard]
    assert [memory.name for memory in memories if not len(memory)] == []
    attributed(log(removed("BBBBB2"), start=START + timedelta(days=7)), by)
    assert [memory.name for memory in memories if len(memory)] == []


@pytest.mark.parametrize(
    ("message", "session"),
    [
        pytest.param(b'["account:alice", null, null, true]', b'["account:alice", null, null]', id="short"),
        pytest.param(b'["account:alice", null, null, true, 2]', b'["account:alice", null, null, 0, null]', id="long"),
        pytest.param(
            b'["account:alice", null, null, true, 2, null, null, "local:33"]',
            b'["account:alice", null, null, 0, "6AP3si"]',
            id="came back, Sendmail's",
        ),
    ],
)
def test_what_earlier_versions_kept_is_taken_up(message: bytes, session: bytes) -> None:
    """Open messages and sessions stand in the journal as flat lists, some of them short."""
    by, time = Attribution(), datetime(2026, 11, 25, 3, 27, tzinfo=UTC).timestamp()
    by.messages.queue.restore([("mx1 AAAAA1", time, bytes(8) + message)])
    by.sessions.memory.restore([("mx1 13612", time, bytes(8) + session)])
    rows = attributed(log(delivery("AAAAA1"), queued("AAAAA1"), REJECT.replace("NOQUEUE", "6AP3si")), by)
    assert rows == [
        (ALICE, None, None, True),
        (ALICE, None, None, False),
        (ALICE, LOOPBACK, None, True),
    ]


CAPTURED = [sample.line.partition(" mx1 ")[2] for sample in samples() if sample.dialect in ("postfix", "sendmail")]
JUMPS = st.sampled_from([1.0, 1000.0, 4000.0, 90_000.0, 700_000.0]).flatmap(
    lambda seconds: st.sampled_from([seconds, -seconds])
)


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Captured lines: some run of them, some lost, some twice, and a clock that jumps now and then."""
    begin = draw(st.integers(0, max(0, len(CAPTURED) - 40)))
    lines = [line for line in CAPTURED[begin : begin + 40] for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2])))]
    jumps = draw(st.dictionaries(st.integers(0, len(lines)), JUMPS, max_size=4))
    time, stamped = datetime(2026, 11, 25, tzinfo=UTC), []
    for number, line in enumerate(lines):
        time += timedelta(seconds=jumps.get(number, 0.0))
        stamped.append(log(line, start=time))
    return stamped


def restarted(old: Attribution, kept: dict[str, dict[str, Any]]) -> Attribution:
    """Attribution as a checkpoint brings it back; `kept` is what the journal holds of each memory."""
    new = Attribution()
    new.clocks.restore(old.clocks.now, old.clocks.steps, json.loads(json.dumps(old.clocks.state())))
    new.orphans = old.orphans
    for memory, restored in zip(old.memories(), new.memories(), strict=True):
        rows = kept.setdefault(memory.name, {})
        rows.update((key, (time, value)) for key, time, value in memory.changes())
        restored.restore((key, time, value) for key, (time, value) in rows.items() if value is not None)
    return new


def table(parts: list[Any]) -> list[list[Any]]:
    """The columns of several chunks, one after the other."""
    names = (*ATTRIBUTED, "count", "opens", "clock")
    return [[value for part in parts for value in part[name].tolist()] for name in names]


@settings(max_examples=200, deadline=None)
@given(logs(), st.data())
def test_chunks_make_no_difference(lines: list[bytes], data: st.DataObject) -> None:
    """Any split into chunks of whole lines gives the same columns and counters, across restarts as well."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=6)))
    whole, parts = Attribution(), Attribution()
    together = [whole.attribute(SCANNER.scan(b"".join(lines)))]
    apart: list[Any] = []
    kept: dict[str, dict[str, Any]] = {}
    for begin, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        apart.append(parts.attribute(SCANNER.scan(b"".join(lines[begin:end]))))
        parts = restarted(parts, kept)
    assert table(apart) == table(together)
    assert (parts.orphans, parts.clocks.steps) == (whole.orphans, whole.clocks.steps)
    assert json.dumps(table(apart), default=bytes.decode)  # plain values, as they are printed
