"""When a line was written, though it says neither year nor zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.reading.stamp import Course, Stamps, first_year

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def syslog(moment: datetime) -> bytes:
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S}".encode()


def read(texts: list[bytes], zone: ZoneInfo | None, start: float) -> list[float | None]:
    stamps = Stamps(zone, start)
    return [stamps.read(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-25T03:27:47Z", "2026-11-25T03:27:47+00:00"),
        ("2026-11-25T03:27:47.123456+01:00", "2026-11-25T03:27:47.123456+01:00"),
        ("2026-11-25T03:27:47,5+0100", "2026-11-25T03:27:47.500+01:00"),
        ("2026-11-25T03:27:47.123456789-08:00", "2026-11-25T03:27:47.123456-08:00"),
    ],
)
def test_a_stamp_with_a_zone_needs_no_other(text: str, meant: str) -> None:
    """RFC 3339 and what is near it says all by itself, whatever the zone configured."""
    assert read([text.encode()], BERLIN, 0.0) == [at(meant)]


def test_new_year_is_crossed_by_order_of_lines() -> None:
    """The year goes up from December to January, and back down for a line that comes late."""
    texts = [b"Dec 31 23:59:59", b"Jan  1 00:00:00", b"Dec 31 23:59:58", b"Jan  1 00:00:01"]
    found = read(texts, ZoneInfo("UTC"), at("2025-12-01T00:00:00Z"))
    assert found == [
        at("2025-12-31T23:59:59Z"),
        at("2026-01-01T00:00:00Z"),
        at("2025-12-31T23:59:58Z"),
        at("2026-01-01T00:00:01Z"),
    ]


def test_leap_day_belongs_to_a_leap_year() -> None:
    """29 February takes the nearest year that has one; a day that no near year has is no moment."""
    assert read(
        [b"Feb 28 12:00:00", b"Feb 29 12:00:00", b"Mar  1 12:00:00"], ZoneInfo("UTC"), at("2028-02-01T00Z")
    ) == [
        at("2028-02-28T12:00:00Z"),
        at("2028-02-29T12:00:00Z"),
        at("2028-03-01T12:00:00Z"),
    ]
    assert read([b"Feb 29 12:00:00"], ZoneInfo("UTC"), at("2026-02-01T00Z")) == [None]


@pytest.mark.parametrize("text", [b"Feb 31 12:00:00", b"Xyz 12 12:00:00", b"Jan  0 12:00:00", b"Jan  1 27:00:00"])
def test_what_names_no_moment_is_none_and_misleads_no_other(text: bytes) -> None:
    """What names no moment is None, and the next line is read as if it had not been there."""
    assert read([b"Jan  1 00:00:00", text, b"Jan  1 00:00:01"], ZoneInfo("UTC"), at("2026-01-01T00Z")) == [
        at("2026-01-01T00:00:00Z"),
        None,
        at("2026-01-01T00:00:01Z"),
    ]


def test_a_malformed_rfc_3339_stamp_is_no_moment() -> None:
    """A thirteenth month fits the shape and no calendar."""
    assert read([b"2026-13-01T00:00:00Z", b"2026-02-30T00:00:00+01:00"], None, 0.0) == [None, None]


def test_of_the_hour_that_comes_twice_the_second_begins_where_stamps_step_back() -> None:
    """When clocks go back, the second pass begins where stamps step back by more than half an hour."""
    texts = [b"Oct 25 01:59:59", b"Oct 25 02:00:00", b"Oct 25 02:59:59", b"Oct 25 02:00:00", b"Oct 25 03:00:00"]
    first = at("2026-10-25T01:59:59+02:00")
    assert read(texts, BERLIN, at("2026-10-01T00Z")) == [first, first + 1, first + 3600, first + 3601, first + 7201]


def test_a_stamp_in_the_hour_that_does_not_come_is_next_to_its_neighbours() -> None:
    """When clocks go forward, a stamp in the gap (a clock not set) still gives a moment next to its neighbours."""
    before, within, after = read(
        [b"Mar 29 01:59:59", b"Mar 29 02:30:00", b"Mar 29 03:00:01"], BERLIN, at("2026-03-01T00Z")
    )
    assert after is not None
    assert before is not None
    assert after - before == 2
    assert within is not None
    assert abs(within - after) <= 3600


def test_a_logger_may_change_its_format_in_the_midst_of_a_file() -> None:
    """A logger that changes its format in the middle of a file keeps the year of its lines."""
    texts = [b"Dec 31 23:00:00", b"2026-12-31T23:30:00+00:00", b"Jan  1 00:10:00"]
    assert read(texts, ZoneInfo("UTC"), at("2026-12-01T00Z")) == [
        at("2026-12-31T23:00:00Z"),
        at("2026-12-31T23:30:00Z"),
        at("2027-01-01T00:10:00Z"),
    ]


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),
    st.lists(st.integers(0, 170 * 86400), max_size=12),
)
def test_the_order_of_stamps_gives_them_their_years(begin: datetime, gaps: list[int]) -> None:
    """Stamps less than half a year apart get their years back, from nothing but the newest line's moment."""
    moments = [begin.replace(microsecond=0, tzinfo=UTC)]
    for gap in gaps:
        moments.append(moments[-1] + timedelta(seconds=gap))
    texts = [syslog(moment) for moment in moments]
    start = first_year(texts, ZoneInfo("UTC"), moments[-1].timestamp() + 60)
    assert read(texts, ZoneInfo("UTC"), start) == [moment.timestamp() for moment in moments]


ODD = [b"Mar  1 00:00:00", b"Aug  1 00:00:00"]  # from November on, each is nearer to the one before than a year before
TRUE = [b"Nov 25 01:%02d:00" % minute for minute in range(60)]


@pytest.mark.parametrize("odd", [ODD, ODD * 9, [b"2036-01-01T00:00:00Z"]])
def test_odd_stamps_do_not_lead_a_log_round_the_year(odd: list[bytes]) -> None:
    """What a stranger sends to a central syslog, or a host without a battery."""
    stamps = [*TRUE[:30], *odd, b"Nov 25 02:00:00", *odd, b"Dec  1 00:00:00"]
    found = read(stamps, ZoneInfo("UTC"), at("2026-11-01T00Z"))
    assert (found[29], found[30 + len(odd)], found[-1]) == (
        at("2026-11-25T01:29Z"),
        at("2026-11-25T02:00Z"),
        at("2026-12-01T00Z"),
    )


def test_a_log_goes_on_where_it_stays() -> None:
    """After a gap of some months the log is where its lines are; nearly a year later that is another year."""
    stamps = [*TRUE, *(b"%b 20 %02d:00:00" % (month, hour) for month in (b"Apr", b"Sep", b"Nov") for hour in range(24))]
    assert read(stamps, ZoneInfo("UTC"), at("2026-11-01T00Z"))[-1] == at("2027-11-20T23Z")


@pytest.mark.parametrize("place", [0, 8])
def test_odd_samples_do_not_move_the_first_year(place: int) -> None:
    """Backwards, it is those of spring and then of winter that would lead round a year; where they stand is all one."""
    samples = [b"Nov %2d 01:00:00" % day for day in range(1, 30)]
    samples[place:place] = [b"Jan  1 00:00:00", b"Jun 10 00:00:00"]
    start = first_year(samples, ZoneInfo("UTC"), at("2026-11-30T00Z"))
    assert abs(start - at("2026-11-01T00Z")) < 86400


@given(st.lists(st.sampled_from([*TRUE[:3], *ODD]), max_size=60), st.integers(0, 60))
def test_a_course_that_was_written_down_goes_on(texts: list[bytes], cut: int) -> None:
    """The same moments, and the same course, whether a log was read in one go or taken up again."""
    cut = min(cut, len(texts))
    whole, before = Stamps(ZoneInfo("UTC"), 1.79e9), Stamps(ZoneInfo("UTC"), 1.79e9)
    expected = [whole.read(text) for text in texts]
    found = [before.read(text) for text in texts[:cut]]
    after = Stamps(ZoneInfo("UTC"), 0.0)
    after.course = Course(before.last, *before.course.state())
    again = [after.read(text) for text in texts[max(0, cut - 1) : cut]]  # the last once more: chunks begin anew
    assert again == found[-1:]
    assert found + [after.read(text) for text in texts[cut:]] == expected
    assert after.course.state() == whole.course.state()


def test_a_log_without_a_stamp_is_as_good_as_new() -> None:
    """A log without a stamp is as good as new."""
    assert first_year([], None, 1e9) == 1e9


def test_an_archive_takes_its_year_from_a_stamp_that_has_one() -> None:
    """An archive that ends with an RFC 3339 stamp long ago takes its year from that."""
    texts = [b"Dec 30 00:00:00", b"2019-01-02T00:00:00+00:00"]
    start = first_year(texts, ZoneInfo("UTC"), at("2026-11-25T00Z"))
    assert read(texts, ZoneInfo("UTC"), start) == [at("2018-12-30T00Z"), at("2019-01-02T00Z")]


@pytest.mark.parametrize("text", [b"Nov 25 03:60:00", b"Nov 25 03:00:61", b"Nov 25 03:  :00", b"Nov 25 03-00-00"])
def test_what_is_no_time_of_day_is_no_moment(text: bytes) -> None:
    """What has the shape of a time and is none is no moment."""
    assert read([text], ZoneInfo("UTC"), at("2026-11-25T00Z")) == [None]


def test_a_leap_second_is_the_one_after_it() -> None:
    assert read([b"Dec 31 23:59:60"], ZoneInfo("UTC"), at("2016-12-31T23Z")) == [at("2017-01-01T00Z")]


def test_a_day_may_be_written_with_one_blank_with_two_or_with_a_zero() -> None:
    """Some loggers write `Jan 6` and some `Jan 06` where others write two blanks."""
    texts = [b"Jan 6 08:39:06", b"Jan  6 08:39:06", b"Jan 06 08:39:06"]
    assert set(read(texts, ZoneInfo("UTC"), at("2026-01-01T00Z"))) == {at("2026-01-06T08:39:06Z")}


@given(st.from_regex(rb"[A-Z][a-z]{2}[ 0-9:]{10,11}[0-9]|[0-9]{4}-[0-9T:.,+Z-]{12,31}", fullmatch=True))
def test_whatever_has_the_shape_of_a_stamp_is_a_moment_or_none(text: bytes) -> None:
    """No stamp that a line can have raises, whatever the zone."""
    for zone in (None, BERLIN):
        found = Stamps(zone, 1.79e9).read(text)
        assert found is None or 0 <= found + 86400 < 253402300800 + 86400
