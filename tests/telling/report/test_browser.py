"""The report in a real browser: it shows what it should, at the width of a phone and of a desk, dark and light."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import maillog
from tests.telling.report.browser import LaidOut, look, sheets

EVIL = '<script>document.title="owned"</script>"><img/src=x/onerror=alert(1)>'
FLOOD = "rule flood per account: when recipients in 10m > 200 tempfail for 1h mode observe\n"
SECTIONS = ["summary", "rules", "timelines", "senders", "near", "guard", "loss", "agreement", "cases"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report about a sender with a hostile name, one just below the limit, and refusals by the milter."""
    folder = tmp_path_factory.mktemp("report")
    lines: list[maillog.Timed] = []
    for number in range(30):
        for login, recipients in ((EVIL, 20), ("near@example.com", 6)):
            queue_id = f"4cX{number:03d}{len(login):04d}z"
            to = [f"r{number}.{i}@example.net" for i in range(recipients)]
            lines += [(number * 10.0, line) for line in maillog.submission(queue_id, login, to)]
    lines.append((400.0, maillog.verdict("near@example.com", "ABCDEF", "elsewhere", mode="observe")))
    log = folder / "mail.log"
    log.write_bytes(b"".join(maillog.log(lines)))
    out, policy = folder / "page.html", folder / "policy"
    policy.write_text(FLOOD)
    options = ["--zone", "UTC", "--policy", str(policy), "--out", str(out)]
    command = [sys.executable, "-m", "logwatch", "report", str(log), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def phone(page: Path, tmp_path_factory: pytest.TempPathFactory) -> LaidOut:
    return look(page, tmp_path_factory.mktemp("phone"), 360, dark=True)


@pytest.fixture(scope="module")
def desk(page: Path, tmp_path_factory: pytest.TempPathFactory) -> LaidOut:
    return look(page, tmp_path_factory.mktemp("desk"), 1280)


def test_every_section_is_there(desk: LaidOut) -> None:
    """In the order of the page, under its title."""
    assert desk.sections == SECTIONS
    assert desk.title == "Mail flow report"


def test_it_tells_who_would_have_been_hit_and_why(desk: LaidOut) -> None:
    """Sender, rule, number and limit; and who came near."""
    assert "recipients in 10m: 220, limit 200" in desk.text
    assert "account:near@example.com" in desk.text
    assert "90%" in desk.text
    assert "cases that are not among these" in desk.text


def test_a_hostile_login_is_only_text(desk: LaidOut) -> None:
    """It is shown as it stands, and makes no element."""
    assert EVIL in desk.text
    assert (desk.scripts, desk.images) == (0, 0)


def test_charts_are_drawn(desk: LaidOut, phone: LaidOut) -> None:
    """Bars of some height, on both."""
    assert desk.rects > 5
    assert desk.tall > 2
    assert phone.tall > 2


def test_nothing_sticks_out(desk: LaidOut, phone: LaidOut) -> None:
    """Neither on a phone nor on a desk does the page scroll sideways."""
    assert desk.scrolls <= 1280
    assert phone.scrolls <= 360


def test_letters_are_large_enough_to_read(desk: LaidOut, phone: LaidOut) -> None:
    """Also those in charts, which do not shrink with the width."""
    assert desk.smallest >= 11
    assert phone.smallest >= 11


def test_dark_is_dark_and_light_is_light(desk: LaidOut, phone: LaidOut) -> None:
    """As the reader's system prefers."""
    assert desk.paper == "rgb(255, 255, 255)"
    assert phone.paper == "rgb(18, 22, 28)"


def test_a_table_is_printed_as_a_table(page: Path, tmp_path: Path) -> None:
    """Paper is narrow, but no phone: a month with two hundred cases takes twenty sheets, not a hundred."""
    row = re.search(r"<tr><td[^>]*><span><code>.*?</tr>", page.read_text(), re.DOTALL)
    assert row
    many = tmp_path / "many.html"
    many.write_text(page.read_text().replace(row[0], row[0] * 60))
    assert sheets(many, tmp_path) <= sheets(page, tmp_path) + 4
