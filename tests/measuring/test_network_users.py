"""Who used a place first: as many as are watched, and in the journal as a JSON object."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from logwatch.measuring.condemned_days import DAY
from logwatch.measuring.network_users import WATCHED, Users
from logwatch.memory import unplaced

PLACE = "net:192.0.2.0/24"


@given(st.lists(st.sampled_from([0, 1, 256, 257, 1 << 40, *range(2, 12)]).map("{:012x}".format), max_size=30))
def test_the_first_users_of_a_place_are_kept(names: list[str]) -> None:
    """Also where one name, or a time, ends as another begins."""
    users, expected = Users(), dict[str, float]()
    for second, name in enumerate(names):
        users.note(PLACE, bytes.fromhex(name), float(second), float(second))
        if len(expected) < WATCHED:
            expected.setdefault(name, float(second))
    assert users.of(PLACE, 100.0) == expected
    assert users.of("net:198.51.100.0/24", 100.0) == {}


def test_a_place_in_use_is_written_once_a_day() -> None:
    users = Users()
    users.note(PLACE, bytes.fromhex("0a1b2c3d4e5f"), 5.0, 9.0)
    users.memory.settle()
    users.note(PLACE, bytes.fromhex("0a1b2c3d4e5f"), 5.0, DAY)
    assert users.memory.changes() == []
    users.note(PLACE, bytes.fromhex("0a1b2c3d4e5f"), 5.0, DAY + 10)
    assert [time for _, time, _ in users.memory.changes()] == [DAY + 10]


def test_users_are_forgotten_half_a_year_after_the_last_use() -> None:
    users = Users()
    users.note(PLACE, bytes.fromhex("0a1b2c3d4e5f"), 1.0, 1.0)
    assert users.of(PLACE, 1.0 + 182 * DAY)
    assert not users.of(PLACE, 2.0 + 182 * DAY)
    users.note(PLACE, bytes.fromhex("ffffffffffff"), 183 * DAY, 183 * DAY)
    assert users.of(PLACE, 183 * DAY) == {"ffffffffffff": 183 * DAY}


def test_in_the_journal_they_are_a_json_object() -> None:
    """As they always were: what an older version wrote is taken up, and written in the same way again."""
    written = b'{"0a1b2c3d4e5f": 1764028800.25, "ffffffffffff": 1764028801.5}'
    users = Users()
    users.memory.restore([(PLACE, 1764028801.5, bytes(8) + written)])
    assert users.of(PLACE, 1764028802.0) == json.loads(written)
    users.note(PLACE, bytes.fromhex("000000000007"), 1764028802.0, 1764028802.0)
    ((_, _, changed),) = users.memory.changes()
    assert changed is not None
    assert json.loads(unplaced(changed)) == {**json.loads(written), "000000000007": 1764028802.0}
