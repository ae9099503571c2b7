"""Who was written to before: remembered for half a year, in pages of a bounded size."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from logwatch.measuring.condemned_days import DAY
from logwatch.measuring.contacts import BEFORE, NEVER, Contacts, place_of
from logwatch.memory import unplaced

from .history import START


class TestContacts:
    def test_a_full_page_forgets_what_was_used_longest_ago(self) -> None:
        contacts = Contacts(pairs=1)
        met = [contacts.met("account:a", b"r%d@x" % n, START + n * 7 * DAY) for n in range(20_000)]
        assert not any(met)
        assert sum(len(weeks) for _, (_, weeks) in contacts.memory.items()) <= 1 << 14
        assert all(len(marks) == 8 * len(weeks) for _, (marks, weeks) in contacts.memory.items())
        assert contacts.met("account:a", b"r19999@x", START + 20_000 * 7 * DAY)

    def test_of_a_full_page_those_used_last_are_kept(self) -> None:
        """As in one that holds them all; half of the recipients are written to again, so that no order is kept."""
        small, large = Contacts(pairs=2), Contacts()
        for contacts in (small, large):
            for number in range(3000):
                for recipient in (number, number // 2):
                    contacts.met("account:a", b"r%d@x" % recipient, START + number * 7 * DAY)
        kept, all_pairs = (
            {name: _pairs(marks, weeks) for name, (marks, weeks) in contacts.memory.items()}
            for contacts in (small, large)
        )
        again = Contacts()
        again.memory.restore((name, time, value) for name, time, value in large.memory.changes() if value)
        assert dict(again.memory.items()) == dict(large.memory.items())
        assert kept == {name: dict(sorted(pairs.items(), key=_week)[-2:]) for name, pairs in all_pairs.items()}

    def test_five_hundred_of_a_day_can_be_forgotten(self) -> None:
        """Of six hundred; also where a full page has forgotten some already."""
        left = []
        for contacts in (Contacts(), Contacts(pairs=1)):
            for number in range(600):
                contacts.met("account:a", b"r%d@x" % number, START)
            contacts.met("account:a", b"s@x", START + DAY, forget=True)
            pages = [_pairs(marks, weeks) for _, (marks, weeks) in contacts.memory.items()]
            left.append(sum(map(len, pages)))
        assert left[1] <= left[0] == 100 + 1

    def test_a_pair_used_every_week_writes_once_a_week(self) -> None:
        contacts = Contacts()
        contacts.met("account:a", b"r@x", START)
        contacts.memory.settle()
        assert contacts.met("account:a", b"r@x", START + 60)
        assert contacts.memory.changes() == []
        assert contacts.met("account:a", b"r@x", START + 7 * DAY)
        assert len(contacts.memory.changes()) == 1

    def test_a_pair_is_remembered_for_half_a_year_and_for_a_week_that_it_was_new(self) -> None:
        contacts = Contacts()
        met = [contacts.met("account:a", b"r@x", START + weeks * 7 * DAY) for weeks in (0, 26, 52, 79)]
        assert met == [NEVER, BEFORE, BEFORE, NEVER]
        _, latest = contacts.memories()
        contacts.expire(START + 7 * DAY)
        assert len(latest) == 1
        contacts.expire(START + 7 * DAY + 1)
        assert len(latest) == 0

    def test_in_the_journal_the_latest_are_numbers_of_64_bits(self) -> None:
        """The day, then who was new on it, as they always were written; with them these can be forgotten."""
        contacts = Contacts()
        contacts.met("account:a", b"r@x", START)
        contacts.met("account:a", b"s@x", START)
        pages, latest = contacts.memories()
        ((_, _, written),) = latest.changes()
        assert written is not None
        day, *marks = array("Q", unplaced(written))
        assert day == START // DAY
        assert {mark.to_bytes(8, "little") for mark in marks} == {bytes(page[0]) for _, page in pages.items()}
        again = Contacts()
        for old, new in zip(contacts.memories(), again.memories(), strict=True):
            new.restore((key, time, value) for key, time, value in old.changes() if value)
        assert again.met("account:a", b"r@x", START + DAY)
        assert not again.met("account:a", b"s@x", START + DAY, forget=True)

    @given(st.lists(st.binary(min_size=1, max_size=2).map(lambda few: (few * 8)[:8]), unique=True, max_size=9))
    def test_a_fingerprint_is_found_where_it_is_and_never_across_two(self, marks: list[bytes]) -> None:
        """Though the end of one and the beginning of the next are the same bytes."""
        page = bytearray(b"".join(marks))
        for place, mark in enumerate(marks):
            assert place_of(page, mark) == place
            rest = page[: 8 * place] + page[8 * place + 8 :]
            assert place_of(rest, mark) == -1

    @given(
        st.lists(
            st.tuples(st.sampled_from("ab"), st.sampled_from((b"r@x", b"s@x")), st.integers(0, 3), st.booleans()),
            max_size=40,
        ),
        st.sampled_from((0.01, 0.4, 4.0)),
    )
    def test_those_of_a_chunk_are_new_or_not_as_they_are_one_by_one(
        self, drawn: list[tuple[str, bytes, int, bool]], days: float
    ) -> None:
        """Of one day in three it is forgotten who was new; and what is remembered is the same."""
        time, deliveries = START, []
        for sender, recipient, later, exists in drawn:
            time += later * days * DAY
            deliveries.append((f"account:{sender}", recipient, time, exists))
        together, alone = Contacts(), Contacts()
        assert together.met_by(deliveries, _third) == [alone.met_by([one], _third)[0] for one in deliveries]
        for some, other in zip(together.memories(), alone.memories(), strict=True):
            assert some.changes() == other.changes()


def _pairs(marks: bytearray, weeks: array[int]) -> dict[bytes, int]:
    """The weeks of the fingerprints of a page."""
    assert len(marks) == 8 * len(weeks)
    return {bytes(marks[8 * place : 8 * place + 8]): week for place, week in enumerate(weeks)}


def _week(pair: tuple[bytes, int]) -> int:
    return pair[1]


def _third(_: str, day: int, time: float) -> bool:
    return day % 3 == 0 and time // DAY > day
