"""The deny table: three answers whatever the files hold, atomic commits, leases, and a writer that recovers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enforce.table import (
    FORMAT,
    NOT_LISTED,
    Denied,
    NotListed,
    Reader,
    Record,
    Swept,
    TableError,
    Unusable,
    Writer,
    decode,
    encode,
    files,
    peek,
)
from enforce.table.files import records as records_of_value

from .records import FAR, NOW, record, records_of

BOB = "account:bob@example.com"
LEASE = 3600.0


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table"


def publish(table: Path, changes: dict[str, Sequence[Record]]) -> None:
    with Writer(table) as writer:
        writer.publish(changes, NOW)


def put_raw(table: Path, key: bytes, value: bytes) -> None:
    with lmdb.open(str(table), map_size=1 << 24) as env, env.begin(write=True) as txn:
        txn.put(key, value)


def look_up(table: Path, *keys: str, now: float = NOW) -> object:
    return Reader(table).look_up(keys or (BOB,), now)


def reason(answer: object) -> str:
    assert isinstance(answer, Unusable)
    return answer.reason


# Look-ups


def test_a_listed_key_is_denied_with_its_records_and_others_are_not_listed(table: Path) -> None:
    publish(table, {BOB: [record()]})
    assert look_up(table) == Denied(((BOB, record()),))
    assert look_up(table, "account:eve@example.com") is NOT_LISTED
    assert look_up(table, "account:" + "x" * 600) == NotListed()


def test_records_come_in_the_order_of_the_keys_asked_for_and_enforced_beside_observed(table: Path) -> None:
    both = [record(), record("block", "observe", "OBS")]
    publish(table, {"net:192.0.2.0/24": [record(ref="NET")], "client:192.0.2.1": both})
    assert look_up(table, "client:192.0.2.1", "net:192.0.2.0/24") == Denied(
        (("client:192.0.2.1", both[0]), ("client:192.0.2.1", both[1]), ("net:192.0.2.0/24", record(ref="NET")))
    )


def test_once_any_record_was_a_cap_recipients_are_counted_until_the_table_is_written_anew(table: Path) -> None:
    block, cap = record("block"), record("cap", max_recipients=25)
    steps: list[tuple[Callable[..., int], dict[str, list[Record]], bool]] = [
        (Writer.publish, {BOB: [block]}, False),
        (Writer.publish, {BOB: [block], "account:eve": [block, cap]}, True),
        (Writer.publish, {"account:eve": []}, True),
        (Writer.replace, {BOB: [block]}, False),
        (Writer.replace, {BOB: [block], "account:eve": [cap]}, True),
    ]
    assert not Reader(table).capped()
    for write, records, capped in steps:
        with Writer(table) as writer:
            write(writer, records, NOW)
        assert Reader(table).capped() == capped


@pytest.mark.parametrize(("until", "lease"), [(NOW, FAR), (FAR, NOW), (NOW - 1, NOW - 1)])
def test_a_record_ends_at_its_until_and_with_its_lease(table: Path, until: float, lease: float) -> None:
    publish(table, {BOB: [record(until=until, lease=lease)]})
    assert look_up(table) is NOT_LISTED
    assert isinstance(look_up(table, now=min(until, lease) - 1), Denied)


@given(st.lists(records_of(), min_size=1, max_size=4))
def test_records_come_back_as_they_were_written(records: list[Record]) -> None:
    assert decode(encode(records)) == tuple(records)


GOOD = {"action": "block", "mode": "enforce", "until": FAR, "lease": FAR, "ref": "4F7K2A", "rule": "strangers"}
_anything = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4)
_nearly = st.dictionaries(st.sampled_from([*vars(record())]), _anything, max_size=2).map(lambda some: GOOD | some)


@given(
    st.binary() | (_anything | _nearly | st.lists(_nearly, max_size=2)).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_in_a_value_are_records_or_unusable(raw: bytes) -> None:
    """And what is read as records can be written, and is then the same."""
    found = records_of_value(BOB, raw)
    assert isinstance(found, Unusable) or decode(encode(found)) == found


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("nonsense", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("7", "expected an object, found 7"),
        ("[]", "expected at least one record"),
        ("[[]]", "expected an object, found []"),
        (GOOD | {"action": "reject"}, "action cannot be 'reject'"),
        (GOOD | {"action": ["block"]}, "action cannot be ['block']"),
        (GOOD | {"mode": None}, "mode cannot be None"),
        (GOOD | {"until": "tomorrow"}, "until cannot be 'tomorrow'"),
        (GOOD | {"until": True}, "until cannot be True"),
        (GOOD | {"lease": float("nan")}, "lease cannot be nan"),
        (GOOD | {"lease": float("inf")}, "lease cannot be inf"),
        (GOOD | {"lease": 10**400}, "lease cannot be 1000"),
        (GOOD | {"ref": "4F7K2A) \r\n250 OK"}, "ref cannot be"),
        (GOOD | {"rule": "a, key=client"}, "rule cannot be 'a, key=client'"),
        (GOOD | {"rule": "\ud800"}, "rule cannot be"),
        (GOOD | {"rule": ""}, "rule cannot be ''"),
        (GOOD | {"share": 1.5}, "share cannot be 1.5"),
        (GOOD | {"max_recipients": 2.5}, "max_recipients cannot be 2.5"),
        (GOOD | {"text": "two\nlines"}, "text cannot be 'two\\nlines'"),
        ({name: v for name, v in GOOD.items() if name != "ref"}, "ref is missing"),
        ([GOOD, GOOD | {"mode": "Observe"}], "mode cannot be 'Observe'"),
    ],
)
def test_a_broken_record_makes_its_look_up_unusable_and_no_other(table: Path, value: object, problem: str) -> None:
    publish(table, {"account:eve": [record()]})
    put_raw(table, BOB.encode(), value.encode() if isinstance(value, str) else json.dumps(value).encode())
    assert f"the record of {BOB} is broken: {problem}" in reason(look_up(table))
    assert isinstance(look_up(table, "account:eve"), Denied)


def test_fields_of_a_later_version_are_ignored(table: Path) -> None:
    publish(table, {})
    put_raw(table, BOB.encode(), json.dumps(GOOD | {"colour": "red"}).encode())
    assert look_up(table) == Denied(((BOB, record("block")),))


# Files that are no table


def test_a_missing_table_is_unusable_and_looking_creates_nothing(tmp_path: Path) -> None:
    assert "no table there" in reason(look_up(tmp_path / "table"))
    (tmp_path / "empty").mkdir()
    assert "no table there" in reason(look_up(tmp_path / "empty"))
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


@pytest.mark.parametrize(
    ("garbage", "problem"),
    [
        (b"", "not an LMDB file"),
        (b"hello\n", "not an LMDB file"),
        (bytes(65536), "not an LMDB file"),
        (bytes(range(256)) * 256, "not an LMDB file"),
    ],
)
def test_garbage_is_unusable(table: Path, garbage: bytes, problem: str) -> None:
    publish(table, {BOB: [record()]})
    (table / "data.mdb").write_bytes(garbage)
    assert problem in reason(look_up(table))


def test_a_directory_in_the_place_of_the_data_is_unusable(table: Path) -> None:
    publish(table, {})
    (table / "data.mdb").unlink()
    (table / "data.mdb").mkdir()
    assert "directory" in reason(look_up(table))


def test_a_file_cut_short_at_any_length_is_unusable(table: Path) -> None:
    publish(table, {f"account:{number}": [record()] for number in range(200)})
    whole = (table / "data.mdb").read_bytes()
    for length in [*range(0, len(whole), 1000), len(whole) - 1]:
        (table / "data.mdb").write_bytes(whole[:length])
        reason(look_up(table, "account:150"))
    (table / "data.mdb").write_bytes(whole)
    assert isinstance(look_up(table, "account:150"), Denied)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=20_000))
def test_any_bytes_as_a_file_are_unusable(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    table = tmp_path_factory.mktemp("any") / "table"
    publish(table, {})
    (table / "data.mdb").write_bytes(raw)
    reason(look_up(table))


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ({"format": FORMAT + 1, "generation": 1, "heartbeat": NOW}, "it has format 2, this mailbrake knows 1"),
        ({"format": 0, "generation": 1, "heartbeat": NOW}, "it has format 0"),
        ({"format": "1", "generation": 1, "heartbeat": NOW}, "it has format '1'"),
        ({"format": FORMAT, "generation": -1, "heartbeat": NOW}, "its meta record is broken"),
        ({"format": FORMAT, "generation": 1, "heartbeat": None}, "its meta record is broken"),
        ({"format": FORMAT}, "its meta record is broken"),
        ([], "its meta record is broken"),
    ],
)
def test_a_format_that_is_not_known_is_unusable(table: Path, meta: object, problem: str) -> None:
    publish(table, {BOB: [record()]})
    put_raw(table, b"meta", json.dumps(meta).encode())
    assert problem in reason(look_up(table))
    assert problem in peek(table, NOW).reason


def test_somebody_elses_lmdb_is_unusable(table: Path) -> None:
    table.mkdir()
    put_raw(table, b"key", b"value")
    assert "no meta record" in reason(look_up(table))


def test_without_write_permission_on_the_lock_there_is_no_reading(table: Path) -> None:
    publish(table, {BOB: [record()]})
    (table / "lock.mdb").unlink()
    assert "lock.mdb must be there and writable by the milter's user" in reason(look_up(table))


def test_in_one_process_a_reader_beside_a_writer_says_why_it_cannot(table: Path) -> None:
    with Writer(table) as writer:
        writer.publish({BOB: [record()]}, NOW)
        assert "already open in this process" in reason(look_up(table))


# A reader that stays


class Clock:
    """A monotonic clock that stands still until told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def move_in(table: Path, new: Path) -> None:
    shutil.rmtree(table)
    new.rename(table)


def test_a_change_is_visible_to_the_next_look_up(table: Path) -> None:
    publish(table, {})
    reader = Reader(table, Clock())
    assert reader.look_up([BOB], NOW) is NOT_LISTED
    publish_elsewhere(table, {BOB: [GOOD]})
    assert isinstance(reader.look_up([BOB], NOW), Denied)
    publish_elsewhere(table, {BOB: []})
    assert reader.look_up([BOB], NOW) is NOT_LISTED


def publish_elsewhere(table: Path, changes: dict[str, list[dict[str, object]]]) -> None:
    """By another process, as in life: this one may hold the table open."""
    code = (
        "import json, sys; from enforce.table import Record, Writer\n"
        "changes = {key: [Record(**r) for r in records] for key, records in json.loads(sys.argv[2]).items()}\n"
        "with Writer(sys.argv[1]) as writer: writer.publish(changes, 1.0)"
    )
    subprocess.run([sys.executable, "-c", code, str(table), json.dumps(changes)], check=True)


def test_a_table_that_appears_is_noticed_at_once_and_one_that_vanishes_or_is_replaced_soon(
    table: Path, tmp_path: Path
) -> None:
    clock = Clock()
    reader = Reader(table, clock)
    reason(reader.look_up([BOB], NOW))
    publish(table, {BOB: [record()]})
    assert isinstance(reader.look_up([BOB], NOW), Denied)
    publish(tmp_path / "other", {})
    move_in(table, tmp_path / "other")
    clock.now += 0.05
    assert reader.look_up([BOB], NOW) is NOT_LISTED
    shutil.rmtree(table)
    clock.now += 0.05
    assert "no table there" in reason(reader.look_up([BOB], NOW))
    publish(table, {BOB: [record()]})
    assert isinstance(reader.look_up([BOB], NOW), Denied)


def test_a_table_damaged_in_place_under_a_reader_is_noticed_and_so_is_its_repair(table: Path) -> None:
    publish(table, {BOB: [record()]})
    whole = (table / "data.mdb").read_bytes()
    clock = Clock()
    reader = Reader(table, clock)
    assert isinstance(reader.look_up([BOB], NOW), Denied)
    for damaged in (b"", whole[:5000], b"text" * 9000, os.urandom(len(whole))):
        (table / "data.mdb").write_bytes(damaged)
        reason(reader.look_up([BOB], NOW))
    (table / "data.mdb").write_bytes(whole)
    clock.now += 1
    assert isinstance(reader.look_up([BOB], NOW), Denied)


def test_a_table_overwritten_with_as_many_bytes_is_noticed_soon(table: Path) -> None:
    publish(table, {BOB: [record()]})
    clock = Clock()
    reader = Reader(table, clock)
    assert isinstance(reader.look_up([BOB], NOW), Denied)
    data = table / "data.mdb"
    with data.open("r+b") as file:
        file.write(os.urandom(data.stat().st_size))
    clock.now += 0.05
    assert "not an LMDB file" in reason(reader.look_up([BOB], NOW))


def test_a_format_that_changes_under_a_reader_is_noticed_within_a_second(table: Path) -> None:
    publish(table, {BOB: [record()]})
    clock = Clock()
    reader = Reader(table, clock)
    assert isinstance(reader.look_up([BOB], NOW), Denied)
    code = (
        "import lmdb, sys\n"
        "with lmdb.open(sys.argv[1], map_size=1 << 24).begin(write=True) as txn: txn.put(b'meta', b'{\"format\": 2}')"
    )
    subprocess.run([sys.executable, "-c", code, str(table)], check=True)
    clock.now += 1
    assert "format 2" in reason(reader.look_up([BOB], NOW))


def test_a_lock_file_that_is_made_anew_is_followed(table: Path) -> None:
    publish(table, {BOB: [record()]})
    clock = Clock()
    reader = Reader(table, clock)
    assert isinstance(reader.look_up([BOB], NOW), Denied)
    (table / "lock.mdb").rename(table / "old")
    shutil.copy(table / "old", table / "lock.mdb")
    clock.now += 1
    assert isinstance(reader.look_up([BOB], NOW), Denied)


def test_threads_get_answers_while_the_table_is_replaced_under_them(table: Path, tmp_path: Path) -> None:
    """And nothing crashes, which is what closing an environment under a thread would do."""
    publish(table, {BOB: [record()]})
    reader = Reader(table, count(step=0.05).__next__)  # so that each look-up finds out
    done = threading.Event()
    answers: list[set[str]] = [set() for _ in range(4)]

    def look(seen: set[str]) -> None:
        while not done.is_set():
            seen.add(type(reader.look_up([BOB], NOW)).__name__)

    threads = [threading.Thread(target=look, args=(seen,)) for seen in answers]
    for thread in threads:
        thread.start()
    whole = (table / "data.mdb").read_bytes()
    for content in [whole, b"garbage", whole, whole[:-1]] * 25:
        (tmp_path / "new").write_bytes(content)
        (tmp_path / "new").rename(table / "data.mdb")
    done.set()
    for thread in threads:
        thread.join()
    assert set().union(*answers) == {"Denied", "Unusable"}


# Writing


def test_a_new_table_is_writable_by_its_owner_and_readable_through_its_group(table: Path) -> None:
    before = os.umask(0o077)
    try:
        with Writer(table) as writer:
            assert writer.afresh == "there was none"
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [table, *table.iterdir()]}
    assert modes == {"table": 0o750, "data.mdb": 0o640, "lock.mdb": 0o660}


def test_a_table_made_by_root_belongs_to_the_owner_of_the_state_directory(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 12345, 12346)
    Writer(tmp_path / "table").close()
    for path in [tmp_path / "table", *(tmp_path / "table").iterdir()]:
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_a_table_belongs_to_the_state_directorys_group_whatever_group_its_maker_has(tmp_path: Path) -> None:
    """Made by hand as `runuser -u mailbrake -G adm` does, and mended where it was made so."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    os.chown(tmp_path, 12345, 12346)
    code = (
        "import os, sys; from enforce.table import Writer, import_all; os.chdir(sys.argv[1]); import_all()\n"
        "os.setgroups([12346, 12347]); os.setgid(12347); os.setuid(12345)\n"
        "Writer('table').close(); print({os.stat(name).st_gid for name in ('table', 'table/data.mdb')})\n"
        "os.chown('table/data.mdb', -1, 12347); Writer('table').close(); print(os.stat('table/data.mdb').st_gid)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told == "{12346}\n12346\n"


def test_publishing_counts_generations_and_beats_unless_told_not_to(table: Path) -> None:
    with Writer(table) as writer:
        assert writer.publish({BOB: [record()]}, NOW) == 1
        assert writer.publish({BOB: []}, NOW + 10, alive=False) == 2
        assert writer.remove(BOB) is False
        assert writer.publish({BOB: [record()]}, NOW + 20, alive=False) == 3
        assert writer.remove(BOB) is True
        for never in ("local:33", "site", "meta"):
            assert writer.remove(never) is False
        assert writer.state(NOW + 30).generation == 4
        assert writer.state(NOW + 30).age == 30
    assert peek(table, NOW + 30) == peek(table, NOW + 30)
    assert peek(table, NOW + 30).entries == 0


def test_replace_leaves_exactly_what_it_is_given(table: Path) -> None:
    with Writer(table) as writer:
        writer.publish({BOB: [record()], "account:old": [record()]}, NOW)
        assert writer.replace({BOB: [record("block")], "net:192.0.2.0/24": [record()], "account:none": []}, NOW) == 2
        assert dict(writer.records()) == {BOB: (record("block"),), "net:192.0.2.0/24": (record(),)}
    assert dict(Reader(table).records()) == {BOB: (record("block"),), "net:192.0.2.0/24": (record(),)}


def test_what_cannot_be_read_back_cannot_be_written(table: Path) -> None:
    with Writer(table) as writer:
        for key, bad in [("bob", record()), ("account:" + "x" * 600, record()), (BOB, record("reject"))]:
            with pytest.raises(ValueError, match=r"expected a key such as|action cannot be 'reject'"):
                writer.publish({"account:good": [record()], key: [bad]}, NOW)
        assert list(writer.records()) == []


def test_two_writers_take_turns_and_generations_only_grow(table: Path) -> None:
    with Writer(table) as writer:
        writer.publish({}, NOW)
        publish_elsewhere(table, {BOB: [GOOD]})
        assert writer.publish({}, NOW) == 3
        assert dict(writer.records()) == {BOB: (record("block"),)}


def test_listing_shows_a_broken_record_as_such(table: Path) -> None:
    publish(table, {})
    put_raw(table, BOB.encode(), b"{}")
    assert list(Reader(table).records()) == [(BOB, Unusable(f"the record of {BOB} is broken: action is missing"))]
    with pytest.raises(TableError, match="no table there"):
        list(Reader(table / "nowhere").records())


# The heartbeat


def test_a_beat_pushes_out_a_lease_when_less_than_half_remains(table: Path) -> None:
    with Writer(table) as writer:
        writer.publish({BOB: [record(lease=NOW + LEASE)]}, NOW)
        assert writer.beat(NOW + LEASE / 2, LEASE) == Swept()
        assert writer.state(NOW + LEASE / 2).age == 0
        later = NOW + LEASE * 0.8
        assert writer.beat(later, LEASE) == Swept(renewed=1)
        assert dict(writer.records()) == {BOB: (record(lease=later + LEASE),)}
        assert writer.state(later).generation == 1


def test_a_beat_does_not_revive_a_record_whose_lease_ran_out(table: Path) -> None:
    dead = record(lease=NOW - 1)
    with Writer(table) as writer:
        writer.publish({BOB: [dead]}, NOW)
        assert writer.beat(NOW, LEASE) == Swept()
        assert dict(writer.records()) == {BOB: (dead,)}


def test_a_beat_takes_off_what_ended_or_is_broken(table: Path) -> None:
    standing = record(lease=NOW + LEASE, ref="STANDS")
    publish(table, {BOB: [record(until=NOW)], "account:both": [record(until=NOW), standing]})
    put_raw(table, b"account:broken", b"{}")
    with Writer(table) as writer:
        assert writer.beat(NOW, LEASE) == Swept(ended=1, broken=1)
        assert dict(writer.records()) == {"account:both": (standing,)}


def test_with_beats_at_any_pace_no_lease_runs_out_and_no_beat_visits_them_all(table: Path) -> None:
    """The promise for large tables: each beat does a share of the work, and every record is visited in time."""
    number = 2000
    with Writer(table) as writer:
        writer.publish({f"account:{n}": [record(lease=NOW + LEASE)] for n in range(number)}, NOW)
        writer.beat(NOW, LEASE)
        most = 0
        for now in range(int(NOW), int(NOW + 2.5 * LEASE), 90):
            most = max(most, writer.beat(now, LEASE).renewed)
            assert all(not isinstance(r, Unusable) and r[0].counts(now) for _, r in writer.records())
        assert 0 < most <= number / 5
        assert writer.beat(NOW + 4 * LEASE, LEASE) == Swept(), "after a pause longer than the lease nothing is revived"


def test_a_full_beat_goes_on_after_a_batch(table: Path) -> None:
    number = 20_500
    with Writer(table) as writer:
        writer.publish({f"account:{n}": [record(lease=NOW + 1)] for n in range(number)}, NOW)
        assert writer.beat(NOW, LEASE) == Swept(renewed=number)


# Recovery


@pytest.mark.parametrize("garbage", [b"hello", os.urandom(30_000), bytes(8192)])
def test_a_writer_sets_a_broken_table_aside_and_starts_afresh(table: Path, garbage: bytes) -> None:
    publish(table, {BOB: [record()]})
    stamps = count(NOW)
    for _ in range(2):
        (table / "data.mdb").write_bytes(garbage)
        with Writer(table, lambda: next(stamps)) as writer:
            assert "data.mdb is not an LMDB file; kept as data.mdb.broken-19700112T" in writer.afresh
            writer.publish({BOB: [record()]}, NOW)
    kept = list(table.glob("data.mdb.broken-*"))
    assert [path.read_bytes() for path in kept] == [garbage]
    assert isinstance(look_up(table), Denied)


def test_a_writer_starts_afresh_from_an_empty_file_and_from_somebody_elses(table: Path) -> None:
    table.mkdir()
    (table / "data.mdb").touch()
    with Writer(table) as writer:
        assert writer.afresh == "it was empty"
    with Writer(table) as writer:
        assert writer.afresh == ""
    shutil.rmtree(table)
    table.mkdir()
    put_raw(table, b"key", b"value")
    with Writer(table) as writer:
        assert writer.afresh.startswith("it has no meta record: not written by mailbrake; kept as ")


def test_a_writer_leaves_a_newer_format_alone(table: Path) -> None:
    publish(table, {})
    put_raw(table, b"meta", json.dumps({"format": 2, "generation": 1, "heartbeat": NOW}).encode())
    before = (table / "data.mdb").read_bytes()
    with pytest.raises(TableError, match="it has format 2, this mailbrake knows 1: use the same version on both sides"):
        Writer(table)
    assert (table / "data.mdb").read_bytes() == before


def test_a_writer_knows_when_its_files_are_gone(table: Path) -> None:
    with Writer(table) as writer:
        assert writer.in_place()
        shutil.rmtree(table)
        assert not writer.in_place()
        with Writer(table) as other:
            assert other.in_place()
            assert not writer.in_place()


def test_a_full_disk_is_told_and_leaves_the_table_as_it_was(table: Path) -> None:
    """In a process that may not write files larger than a little: the kernel then answers as for a full disk, EFBIG."""
    publish(table, {BOB: [record()]})
    code = (
        "import resource, signal, sys; from enforce.table import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "writer = Writer(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
        "record = Record('block', 'enforce', 4e9, 4e9, 'R', 'r')\n"
        "try: writer.publish({f'account:{n}': [record] for n in range(999)}, 1)\n"
        "except TableError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(table)], capture_output=True, text=True, check=True)
    assert "File too large" in told.stdout
    assert dict(Reader(table).records()) == {BOB: (record(),)}


def test_after_a_beat_what_is_decided_next_makes_the_file_no_longer_and_has_room_on_a_full_disk(table: Path) -> None:
    """A process that may write no byte beyond what is there, as on a full disk, beats and publishes all the same."""
    code = (
        "import os, resource, sys; from enforce.table import *\n"
        "writer = Writer(sys.argv[1]); writer.beat(1, 3600)\n"
        "size = os.path.getsize(sys.argv[1] + '/data.mdb')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))\n"
        "record = Record('block', 'enforce', 4e9, 4e9, 'R', 'r')\n"
        "for n in range(300): writer.publish({f'account:{n}': [record]}, 1)\n"
        "writer.beat(2, 3600)\n"
        "print(os.path.getsize(sys.argv[1] + '/data.mdb') - size)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(table)], capture_output=True, text=True, check=False)
    assert (told.stdout, told.stderr) == ("0\n", "")
    assert len([*Reader(table).records()]) == 300


def killed(code: str, table: Path) -> None:
    """Run this in a process of its own, which is killed at its end, with all that it holds."""
    code = f"import os, signal, sys, lmdb\n{code}\nos.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", code, str(table)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_writer_killed_in_the_midst_leaves_the_table_as_it_was_and_no_lock(table: Path) -> None:
    publish(table, {BOB: [record()]})
    killed("txn = lmdb.open(sys.argv[1], map_size=1 << 30).begin(write=True); txn.put(b'account:eve', b'half')", table)
    assert dict(Reader(table).records()) == {BOB: (record(),)}
    publish(table, {"account:eve": [record()]})
    assert set(dict(Reader(table).records())) == {BOB, "account:eve"}


def test_readers_that_were_killed_hold_no_space_of_the_table(table: Path) -> None:
    """Each had a snapshot open: what it pins can be used again once somebody else opens the table."""
    publish(table, {BOB: [record()]})
    look = "from enforce.table import Reader; Reader(sys.argv[1]).look_up(['account:bob'], 1)"
    with lmdb.open(str(table), map_size=files.MAP_SIZE, readonly=True) as env:
        for _ in range(3):
            killed("txn = lmdb.open(sys.argv[1], readonly=True).begin(); txn.get(b'meta')", table)
        assert len(env.readers().splitlines()) == 4  # a heading, and three who are gone
        subprocess.run([sys.executable, "-c", f"import sys; {look}", str(table)], check=True)
        assert env.readers().strip() == "(no active readers)"


def test_permission_denied_is_told_with_a_remedy(table: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    publish(table, {})
    code = (
        "import os, sys; from enforce.table import Reader, TableError, Writer\n"
        "os.chmod(sys.argv[2], 0o755); os.setgid(65534); os.setuid(65534)\n"
        "try: Writer(sys.argv[1])\n"
        "except TableError as error: print(error)\n"
        "print(Reader(sys.argv[1]).look_up(['account:bob'], 1))"
    )
    for path in [table, *table.parents]:
        if path.stat().st_uid == os.geteuid() and path != Path("/") and "pytest" in str(path):
            path.chmod(0o755)
    command = [sys.executable, "-c", code, str(table), str(table)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0] == f"{table}: permission denied: run this as the user of the controller, or as root"
    assert told[1].startswith(f"Unusable(reason=\"{table}: permission denied: the milter's user must be in the group")


def test_a_table_that_shrinks_and_grows_is_never_taken_for_a_cut_one(table: Path) -> None:
    """LMDB leaves out pages at the end that it freed before it wrote them."""
    for number in (0, 1000, 0, 700, 10):
        with Writer(table) as writer:
            writer.replace({f"account:user{n}@example.com": [record(text="x" * 400)] for n in range(number)}, NOW)
        found = peek(table, NOW)
        assert (found.reason, found.entries) == ("", number)
