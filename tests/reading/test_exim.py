"""Exim beyond single lines: a whole log as an Exim 4.96 wrote it, shortened."""

from datetime import UTC, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from logwatch.reading.attribute import Attribution
from logwatch.reading.scan import Scanner
from logwatch.reading.source import stamps
from logwatch.reading.stamp import Stamps
from logwatch.schema import ATTRIBUTED

EXIM = """\
04:24:00 H=(c.example) [192.0.2.7] F=<a@example.org> A=plain:alice rejected RCPT <r@reject.example>: Unknown user
04:24:00 1xW4Y4-00043P-2H <= a@example.org H=(c.example) [192.0.2.7] P=esmtpa A=plain:alice S=205
04:24:00 1xW4Y4-00043P-2H => x@sink.example R=out T=remote H=mx.sink.example [198.51.100.5] C="250 2.0.0 Ok"
04:24:00 1xW4Y4-00043P-2H ** z@bounce.example R=out T=remote H=mx.bounce.example [198.51.100.6]: 550 5.1.1 no
04:24:00 1xW4Y4-00043T-2N <= <> R=1xW4Y4-00043P-2H U=Debian-exim P=local S=1583
04:24:00 1xW4Y4-00043T-2N => a@example.org R=out T=remote H=mx.example.org [198.51.100.7] C="250 2.0.0 Ok"
04:24:00 1xW4Y4-00043T-2N Completed
04:24:01 1xW4Y4-00043P-2H == d@defer.example R=out T=remote defer (-44) H=mx.defer.example [198.51.100.8]: 450 busy
04:54:01 1xW4Y4-00043P-2H => d@defer.example R=out T=remote H=mx.defer.example [198.51.100.8] C="250 ok"
04:54:01 1xW4Y4-00043P-2H Completed
04:54:02 1xW4Y6-000442-2W <= www@example.org U=www P=local S=294
04:54:03 1xW4Y7-000443-2X <= a@example.org H=mx.example.org [192.0.2.8] P=esmtp S=200
04:54:03 plain authenticator failed for (c.example) [192.0.2.9]: 535 Incorrect authentication data (set_id=bob)
"""
ALICE, CLIENT = "account:alice", "client:192.0.2.7"


def exim() -> bytes:
    """Its own file."""
    return "".join(f"2026-11-25 {line}\n" for line in EXIM.splitlines()).encode()


def test_exims_lines_count_for_whom_they_should() -> None:
    """A message's lines for its login; a bounce for nobody; local mail for its user."""
    by = Attribution()
    columns = by.attribute(Scanner(Stamps(UTC, 0.0)).scan(exim()))
    rows = list(zip(columns["event"].tolist(), *(columns[name].tolist() for name in ATTRIBUTED), strict=True))
    mine, nobody = (ALICE, CLIENT, None, True), (None, None, None, True)
    assert rows == [
        ("reject", *mine),
        ("queued", *mine),
        ("delivery", *mine),
        ("delivery", *mine),
        ("queued", *nobody),
        ("delivery", *nobody),
        ("removed", *nobody),
        ("delivery", *mine),
        ("delivery", *mine),
        ("removed", *mine),
        ("queued", None, None, "local:www", True),
        ("queued", None, "client:192.0.2.8", None, True),
        ("auth_failure", "account:bob", "client:192.0.2.9", None, True),
    ]
    assert (by.orphans, len(by.sessions.memory)) == (0, 0)  # without process ids there are no sessions to remember


PIECES = """\
[1/2] 2026-11-25 04:24:00 1xW4Y4-00043P-2H <= a@x.org H=(c) [192.0.2.7] P=esmtpa A=plain:alice S=2 for x@a.example y@b
[2/2] .example z@c.example
1xW4Y4-00043P-2H => x@a.example R=out T=remote H=mx.a.example [198.51.100.5] C="250 2.0.0 Ok"
1xW4Y4-00043P-2H => y@b.example R=out T=remote H=mx.b.example [198.51.100.6] C="250 2.0.0 Ok"
1xW4Y4-00043P-2H ** z@c.example R=out T=remote H=mx.c.example [198.51.100.7]: 550 5.1.1 no
"""


def test_a_message_whose_line_came_in_pieces_counts_for_all_its_recipients() -> None:
    """Through syslog, which cuts within an address: the deliveries tell of the others."""
    lines = "".join(f"Nov 25 04:24:00 mx1 exim[7]: {line}\n" for line in PIECES.splitlines())
    scanner = Scanner(Stamps(UTC, 1795600000.0))
    found = Attribution().attribute(scanner.scan(lines.encode()))
    assert found["account"].tolist() == [ALICE] * 4
    assert [found["nrcpt"][0], *found["count"].tolist()] == [b"1", None, None, b"1", b"1"]
    assert (scanner.other, sum(scanner.unreadable.values())) == (0, 0)


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2026-11-25 04:24:00", 3600 * 3 + 24 * 60),
        ("2026-11-25 04:24:00.250", 3600 * 3 + 24 * 60 + 0.25),
        ("2026-11-25 04:24:00 +0500", -3600 + 24 * 60),
        ("2026-11-25 04:24:00 -0330", 3600 * 7 + 54 * 60),
    ],
)
def test_exims_stamps_have_a_year_and_may_have_a_zone(stamp: str, seconds: float) -> None:
    """Without one they are in the zone that is configured (here an hour before UTC)."""
    midnight = 1795564800.0  # 2026-11-25, UTC
    assert Stamps(ZoneInfo("Europe/Berlin"), 0.0).read(stamp.encode()) == midnight + seconds
    assert Stamps(timezone(timedelta(hours=1)), 0.0).read(stamp.encode()) == midnight + seconds


def test_a_logs_stamps_are_found_in_exims_file_too(tmp_path: Path) -> None:
    """From them the year of lines without one is known, where both are read together."""
    log = tmp_path / "mainlog"
    log.write_bytes(exim())
    found = list(stamps(log))
    assert (found[0], found[-1]) == (b"2026-11-25 04:24:00", b"2026-11-25 04:54:03")
