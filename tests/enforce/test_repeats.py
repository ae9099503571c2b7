"""Storms of verdicts: few lines, bounded memory, and each verdict counted for the key that refused it."""

from __future__ import annotations

import re
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import logwatch
from enforce.repeats import Repeats
from enforce.verdict import LoggedVerdict, Note, line

ACCOUNT = Note("tempfail", "enforce", "R", "r", "account")
CLIENT = Note("tempfail", "enforce", "C", "r", "client")
NET = Note("block", "enforce", "N", "r", "net")
A_SECOND = 210  # lines: a hundred first ones, a hundred with a count, and a few that cannot be made less
ROOM = 2048


def counted(text: str) -> int:
    """How many verdicts a line stands for."""
    found = re.search(r", count=([0-9]+), client_ip=", text)
    return int(found[1]) if found else 1


def address(text: str) -> str:
    return text.partition("client_ip=")[2].partition(",")[0]


def test_repeats_are_told_at_the_flush_and_forgotten_after_a_quiet_one() -> None:
    told = list[str]()
    repeats = Repeats(told.append)
    said = LoggedVerdict(ACCOUNT, "MAIL", "192.0.2.1", "bob")
    for expected in (", count=4", ", count=5", ", count=5"):
        for _ in range(5):
            repeats.add(said)
        repeats.flush()
        assert expected in told[-1]
    repeats.flush()
    repeats.add(said)
    assert told.count(line(said)) == 2
    assert len(told) == 5


def test_verdicts_by_any_number_of_logins_are_remembered_within_bounds_and_none_is_lost() -> None:
    told = list[str]()
    repeats = Repeats(told.append)
    for number in range(10_000):
        for _ in range(3):
            repeats.add(LoggedVerdict(ACCOUNT, "MAIL", "192.0.2.1", str(number)))
        assert len(repeats) <= ROOM
    repeats.close()
    found = Counter[str]()
    for text in told:
        found[text.rpartition("=")[2]] += counted(text)
    assert found == {str(number): 3 for number in range(10_000)}


@pytest.mark.parametrize("addresses", [1_000, 30_000])
def test_a_botnet_on_one_account_is_few_lines_a_second_and_each_attempt_is_counted(addresses: int) -> None:
    """1,000 refusals a second, for half a minute, in turn from all of its addresses."""
    told = list[str]()
    repeats = Repeats(told.append)
    for second in range(30):
        before = len(told)
        for number in range(1_000):
            which = (1_000 * second + number) % addresses
            repeats.add(LoggedVerdict(ACCOUNT, "MAIL", f"2001:db8::{which:x}", "bob"))
        repeats.flush()
        assert len(told) - before <= A_SECOND
        assert len(repeats) <= ROOM
    repeats.close()
    assert sum(map(counted, told)) == 30_000
    named = sum(counted(text) for text in told if address(text) != "unknown")
    assert named == 30_000 if addresses == 1_000 else named > 5_000


def test_a_storm_on_a_network_is_counted_in_that_network() -> None:
    told = list[str]()
    repeats = Repeats(told.append)
    for number in range(20_000):
        repeats.add(LoggedVerdict(NET, "CONNECT", f"2001:db8:7:{number % 3:x}::{number:x}"))
        if number % 1_000 == 0:
            repeats.flush()
    repeats.close()
    assert sum(map(counted, told)) == 20_000
    assert len(told) <= 20 * A_SECOND + ROOM
    assert all(ip_address(address(text)) in ip_network("2001:db8:7::/48") for text in told)


def test_a_storm_by_a_client_that_makes_up_logins_is_counted_for_the_client() -> None:
    told = list[str]()
    repeats = Repeats(told.append)
    for number in range(10_000):
        repeats.add(LoggedVerdict(CLIENT, "RCPT", "192.0.2.1", f"guess{number}"))
    repeats.close()
    assert sum(map(counted, told)) == 10_000
    assert {address(text) for text in told} == {"192.0.2.1"}
    assert len(told) < A_SECOND + ROOM


def test_the_first_verdict_of_a_case_does_not_wait_in_the_midst_of_a_storm() -> None:
    """The MTA's own line comes next, and is known for an echo only by ours."""
    told = list[str]()
    repeats = Repeats(told.append)
    for number in range(500):
        repeats.add(LoggedVerdict(ACCOUNT, "MAIL", f"192.0.2.{number % 250}", str(number)))
    other = LoggedVerdict(ACCOUNT._replace(ref="OTHER"), "MAIL", "192.0.2.1", "eve")
    repeats.add(other)
    assert told[-1] == line(other)
    repeats.add(other._replace(client_ip="192.0.2.2"))
    assert told[-1] == line(other)


VERDICTS = st.builds(
    LoggedVerdict,
    st.sampled_from([ACCOUNT, CLIENT, NET]),
    st.sampled_from(["CONNECT", "MAIL", "RCPT"]),
    st.integers(1, 200).map(lambda last: f"192.0.2.{last}") | st.just("unknown"),
    st.sampled_from([None, "bob", "eve"]),
)


@given(st.lists(VERDICTS | st.none(), max_size=300))
def test_whatever_comes_each_verdict_is_told_once(steps: list[LoggedVerdict | None]) -> None:
    """None is a second that passes."""
    told = list[str]()
    repeats = Repeats(told.append)
    for said in steps:
        if said:
            repeats.add(said)
        else:
            repeats.flush()
    repeats.close()
    expected = Counter(line(said) for said in steps if said)
    found = Counter[str]()
    for text in told:
        found[re.sub(r", count=[0-9]+", "", text)] += counted(text)
    assert found == expected


def test_what_a_storm_was_made_of_is_read_back_with_its_number(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    with log.open("w") as out:
        repeats = Repeats(lambda text: print(f"2026-11-25T10:00:00+00:00 mx1 mailbrake[7]: {text}", file=out))
        for number in range(5_000):
            repeats.add(LoggedVerdict(ACCOUNT, "MAIL", f"2001:db8::{number:x}", "bob"))
        repeats.close()
    found = logwatch.rates([log])
    attempts = found.loc["account:bob"].filter(like="attempts")
    assert set(attempts) == {5_000}
