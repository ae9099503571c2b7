"""Which files are parts of one log, by their names, and in which order of age."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.names import age, current_name, dated_inside, is_rotated, ordered, parts

ROTATIONS = {
    "numbered": ["mail.log.10.gz", "mail.log.2.gz", "mail.log.1", "mail.log.0", "mail.log"],
    "dated": ["mail.log-20251231.xz", "mail.log-20261101.gz", "mail.log-20261102", "mail.log"],
    "dated with dashes": ["mail.log-2025-12-31", "mail.log-2026-01-01.gz", "mail.log"],
    "dated to the second": ["mail.log-20261101-1790812800", "mail.log-20261101-1790816400.gz", "mail.log"],
    "seconds alone": ["mail.log-1790812800", "mail.log-1790816400.zst", "mail.log"],
    "dated by the hour": ["maillog-20261101.03", "maillog-20261101.11", "maillog"],
    "dated before the ending": ["mail-20261101.log.gz", "mail-20261102.log", "mail.log"],
}


@pytest.mark.parametrize("names", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_rotated_logs_come_in_order_of_their_age(names: list[str]) -> None:
    shuffled = random.Random(1).sample(names, len(names))
    assert ordered(shuffled) == names
    assert [is_rotated(name) for name in names] == [True] * (len(names) - 1) + [False]
    assert {current_name(name) for name in names} == {names[-1]}


def test_different_logs_come_one_after_the_other() -> None:
    assert ordered(["b", "a", "b.1", "a.1"]) == ["a.1", "a", "b.1", "b"]
    assert ordered([Path("/x/a"), "-"]) == ["-", "/x/a"]


@pytest.mark.parametrize(
    "name", ["192.0.2.1", "192.0.2.1.log", "mail.info", "mail-2", "mx1.log", "2026/mail.log", "maillog"]
)
def test_what_only_looks_rotated_is_a_log_of_its_own(name: str) -> None:
    assert not is_rotated(name)
    assert current_name(name) == name


def test_a_date_before_the_ending_alone_is_ambiguous() -> None:
    assert dated_inside("mail-20261101.log")
    assert not dated_inside("mail-20261101.log.gz")
    assert not dated_inside("mail.log-20261101")


@given(st.text(alphabet="m.log-0129gzx/ \n"))
def test_any_name_has_an_age(name: str) -> None:
    assert age(name).path == name


def test_the_parts_of_a_log_are_found_by_name(tmp_path: Path) -> None:
    names = ["mail-20261101.log", "mail.log-20261102", "mail.log.2.gz", "mail.log.1", "mail.log.1.gz"]
    for name in (*names, "mail.log", "mail.err", "mail.log.d", "other.log.1"):
        (tmp_path / name).touch()
    found = [[Path(name).name for name in group] for group in parts(str(tmp_path / "mail.log"))]
    assert found == [
        ["mail-20261101.log"],
        ["mail.log-20261102"],
        ["mail.log.2.gz"],
        ["mail.log.1", "mail.log.1.gz"],
        ["mail.log"],
    ]


def test_the_parts_of_a_link_are_what_it_may_have_pointed_to(tmp_path: Path) -> None:
    for name in ("log-8.gz", "log-9", "log-10", "log-11", "log-10.1", "else-1"):
        (tmp_path / name).touch()
    link = tmp_path / "current"
    link.symlink_to("log-10")
    found = [[Path(name).name for name in group] for group in parts(os.fspath(link))]
    assert found == [["log-8.gz"], ["log-9"], ["log-10.1"], ["current"]]
