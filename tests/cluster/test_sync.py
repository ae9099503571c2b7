"""A gateway's table: equal to the cluster's while its controllers live, and then until its leases run out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from enforce.table import Reader, Record, Unusable, encode
from logwatch.cluster.bucket import Entry
from logwatch.cluster.layout import BEAT
from logwatch.cluster.names import partition, plain, raw
from logwatch.cluster.sync import Mirror

NOW = 1_800_000_000.0
LEASE = 3600.0
BOB = "account:bob"


def record(action: str = "block", until: float = NOW + 7200) -> Record:
    return Record(action, "enforce", until, 0.0, "ABC123", "rule")


def entry(key: str, *records: Record, revision: int = 1) -> Entry:
    return Entry(raw(key), encode(records) if records else None, revision)


def beat(generation: int, *, whole: Sequence[int] = range(8), partitions: int = 8) -> Entry:
    said = {"generation": generation, "partitions": partitions, "whole": list(whole)}
    return Entry(BEAT, json.dumps(said).encode(), 9)


class Gateway:
    """A table and what its milter sees in it; from a copy, as a process cannot open it twice."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "table"
        self.copy = directory / "copy"
        self.mirror = Mirror(self.path, LEASE)

    def listed(self, now: float) -> dict[str, list[str]]:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.path, self.copy)
        found = {}
        for key, records in Reader(self.copy).records():
            assert not isinstance(records, Unusable)
            found[key] = [record.action for record in records if record.counts(now)]
        return {key: actions for key, actions in found.items() if actions}

    def generation(self) -> int:
        self.listed(NOW)
        return Reader(self.copy).state(NOW).generation


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.mirror.close()


@pytest.mark.parametrize("key", [BOB, "account:bøb @\n", "net:2001:db8::/48", "client:192.0.2.1"])
def test_any_key_has_a_name_in_the_bucket(key: str) -> None:
    assert plain(raw(key)) == key
    assert raw(key).replace(".", "").replace("_", "").replace("-", "").isalnum()


@pytest.mark.parametrize("name", ["beat", "1.", "1.é", "1.gAAA"])
def test_other_names_are_no_keys(name: str) -> None:
    assert plain(name) is None


def test_the_table_is_what_the_bucket_holds(gateway: Gateway) -> None:
    gateway.mirror.begin([entry(BOB, record()), beat(1)])
    gateway.mirror.apply([beat(1)], NOW)
    assert gateway.listed(NOW) == {BOB: ["block"]}
    gateway.mirror.apply([entry("client:192.0.2.1", record("tempfail"), revision=2)], NOW)
    gateway.mirror.apply([entry(BOB, revision=3)], NOW)
    assert gateway.listed(NOW) == {"client:192.0.2.1": ["tempfail"]}
    assert gateway.generation() == 3


def test_nothing_is_written_before_the_controllers_give_a_sign_of_life(gateway: Gateway) -> None:
    """What is in the bucket may be hours old; its leases must not begin anew."""
    gateway.mirror.begin([entry(BOB, record()), beat(1)])
    assert not gateway.path.exists()


def test_a_cut_leaves_the_last_table_until_its_leases_run_out(gateway: Gateway) -> None:
    gateway.mirror.begin([entry(BOB, record())])
    gateway.mirror.apply([beat(1)], NOW)
    assert gateway.listed(NOW + LEASE - 1) == {BOB: ["block"]}
    assert gateway.listed(NOW + LEASE) == {}


def test_signs_of_life_push_leases_out_to_the_records_end(gateway: Gateway) -> None:
    gateway.mirror.begin([entry(BOB, record())])
    for minute in range(0, 130, 10):
        gateway.mirror.apply([beat(1)], NOW + minute * 60)
        assert gateway.listed(NOW + minute * 60) == ({BOB: ["block"]} if minute < 120 else {})


def test_what_still_stands_is_in_force_again_when_the_controllers_are_back(gateway: Gateway) -> None:
    gateway.mirror.begin([entry(BOB, record(until=NOW + 5 * LEASE))])
    gateway.mirror.apply([beat(1)], NOW)
    assert gateway.listed(NOW + 2 * LEASE) == {}
    gateway.mirror.apply([beat(1)], NOW + 2 * LEASE)
    assert gateway.listed(NOW + 2 * LEASE) == {BOB: ["block"]}


def test_leases_that_a_clock_gave_which_was_ahead_are_given_anew(gateway: Gateway) -> None:
    gateway.mirror.begin([entry(BOB, record(until=NOW + 5 * LEASE))])
    gateway.mirror.apply([beat(1)], NOW + 2 * LEASE)
    gateway.mirror.apply([beat(1)], NOW)
    assert gateway.listed(NOW + LEASE) == {}


def test_after_a_cut_the_table_is_made_equal_again(gateway: Gateway) -> None:
    gateway.mirror.begin([entry(BOB, record())])
    gateway.mirror.apply([beat(1)], NOW)
    gateway.mirror.begin([entry("account:alice", record("tempfail"), revision=5), entry(BOB, revision=6)])
    assert gateway.listed(NOW) == {BOB: ["block"]}
    gateway.mirror.apply([beat(6)], NOW + 60)
    assert gateway.listed(NOW + 60) == {"account:alice": ["tempfail"]}
    assert gateway.generation() == 6


def test_a_bucket_that_is_just_being_filled_takes_no_brakes_off(gateway: Gateway) -> None:
    """The server lost its disk; the controllers fill the bucket anew, each its own partitions."""
    keys = ["account:bob", "account:alice", "account:carol", "account:dave"]
    gateway.mirror.begin([entry(key, record()) for key in keys])
    gateway.mirror.apply([beat(4)], NOW)
    first, others = partition(keys[0], 8), set(range(8)) - {partition(keys[0], 8)}
    gateway.mirror.begin([])
    gateway.mirror.apply([beat(0, whole=[first])], NOW + 1)
    assert set(gateway.listed(NOW + 1)) == {key for key in keys if partition(key, 8) != first}
    gateway.mirror.apply([beat(0, whole=sorted(others))], NOW + 2)
    assert gateway.listed(NOW + 2) == {}


def test_the_number_of_partitions_may_change_while_a_bucket_is_filled(gateway: Gateway) -> None:
    """What was named of eight says nothing of as many of twelve."""
    keys = [f"account:user{number}" for number in range(40)]
    gateway.mirror.begin([entry(key, record()) for key in keys])
    gateway.mirror.apply([beat(4)], NOW)
    gateway.mirror.begin([])
    gateway.mirror.apply([beat(0, whole=[0])], NOW + 1)
    gateway.mirror.apply([beat(0, whole=[1], partitions=12)], NOW + 2)
    said = {key for key in keys if partition(key, 8) == 0 or partition(key, 12) == 1}
    assert set(gateway.listed(NOW + 2)) == set(keys) - said


def test_a_key_under_another_name_is_the_same_key(gateway: Gateway) -> None:
    """Names held a number once, which changed with that of the partitions: the new one came, then the old one went."""
    before = Entry("3." + raw(BOB).partition(".")[2], encode([record("tempfail")]), 1)
    gateway.mirror.begin([before])
    gateway.mirror.apply([beat(1)], NOW)
    gateway.mirror.apply([entry(BOB, record(), revision=2)], NOW)
    assert gateway.listed(NOW) == {BOB: ["block"]}
    gateway.mirror.apply([before._replace(value=None, revision=3)], NOW)
    assert gateway.listed(NOW) == {BOB: ["block"]}
    gateway.mirror.apply([entry(BOB, revision=4)], NOW)
    assert gateway.listed(NOW) == {}


def test_a_table_that_was_removed_is_made_again(gateway: Gateway) -> None:
    gateway.mirror.begin([entry(BOB, record())])
    gateway.mirror.apply([beat(1)], NOW)
    shutil.rmtree(gateway.path)
    gateway.mirror.apply([beat(1)], NOW + 2)
    assert gateway.listed(NOW + 2) == {BOB: ["block"]}


def test_a_broken_record_is_left_out_and_said(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    gateway.mirror.begin([Entry(raw(BOB), b"{}", 1), entry("account:alice", record()), Entry("1.gA", b"", 2)])
    gateway.mirror.apply([beat(1)], NOW)
    assert gateway.listed(NOW) == {"account:alice": ["block"]}
    assert "the record of 'account:bob' is broken: action is missing" in caplog.text


def test_files_to_export_are_told_of_changes(tmp_path: Path) -> None:
    told: list[tuple[int, list[str]]] = []
    mirror = Mirror(
        tmp_path / "t", LEASE, lambda listed, number, _: told.append((number, [key for key, _ in listed()]))
    )
    mirror.begin([entry(BOB, record())])
    mirror.apply([beat(1)], NOW)
    assert told[-1] == (1, [BOB])
    mirror.close()
