"""Two weeks from observing to enforcing, on a real Postfix: each step, what it costs, and the report at the end.

Time is compressed where nothing is decided: the first thirteen days are a log of lines that this very Postfix wrote,
with earlier stamps, which the controller reads at its first start as it reads any log. The last day is live: the steps
to a canary and to enforcing are restarts of the controller with another policy; every answer comes from Postfix.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from logwatch.judging.restraint import within
from tests.loop.site import PATIENCE, Site
from tests.mta.waiting import wait_for
from tests.telling.report.browser import look

POLICY = """\
rule flood per account:
    when recipients in 1h > 40 and recipients in 1h > 3 * usual
    tempfail for 1h, doubling to 24h
    mode {mode}
"""
USERS = [f"user{number:02}" for number in range(16)]
CANARY, OTHER, *MANY = ["user03", "user05", *USERS[6:]]
NEWS, STOLEN = "news", "dora"
MANY_RECIPIENTS = 60
REFERENCE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{6}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?|\b\d\d:\d\d\b")
DAY = re.compile(r"(?:[A-Z][a-z]{2} )?\b\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b")
GOLDEN = Path(__file__).with_name("rollout.expected")
STAMP = re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d", re.MULTILINE)


def key(login: str) -> str:
    return f"account:{login}@example.org"


class Weeks(Site):
    """A site with thirteen days behind it: everybody wrote to two people a day, and three times somebody to sixty."""

    def prepare(self) -> None:
        """Have Postfix write the lines of two messages, and copy them to earlier days."""
        self._copied = 0
        few, many = (self._captured(recipients) for recipients in (2, MANY_RECIPIENTS))
        self.postfix.rotate()  # what was only sent to be copied is not of these weeks
        self.send(USERS[0], 2)
        history = self.directory / "history.log"
        today = datetime.now().replace(hour=11, minute=0, second=0)
        with history.open("w") as log:
            for day in range(14, 1, -1):
                noon = today - timedelta(days=day)
                for number, login in enumerate([*USERS, NEWS, STOLEN]):
                    log.write(self._copy(few, login, noon + timedelta(seconds=number)))
                for login in {11: [NEWS], 8: [STOLEN], 4: [NEWS], 3: [STOLEN]}.get(day, []):
                    log.write(self._copy(many, login, noon + timedelta(minutes=5)))
                    log.write(self._copy(few, login, noon + timedelta(minutes=10)))
        self.logs.insert(0, history)

    def _captured(self, recipients: int) -> str:
        """The lines of one message."""
        (reply,) = self.send("user00", recipients)
        assert not reply.refused
        self.postfix.wait_for_line(f"{reply.queue_id}: removed")
        return "\n".join(self.postfix.lines(reply.queue_id)) + "\n"

    def _copy(self, lines: str, login: str, at: datetime) -> str:
        """The same message on another day, from somebody else, under an id of its own."""
        self._copied += 1
        (queue_id,) = set(re.findall(r"(\S+): client=", lines))
        moved = STAMP.sub(at.strftime("%b %e %H:%M:%S"), lines).replace(queue_id, f"4jX{self._copied:05}zJ9Hg")
        return moved.replace("user00", login)

    def promote(self, mode: str) -> None:
        """Another step: the policy's line, and the controller started again."""
        self.stop("watch")
        self.configure(POLICY.format(mode=mode), "enforce")
        self.start("watch")

    def wait_for_the_next_second(self) -> None:
        """What is said holds for what is logged later, and stamps have no fractions."""
        said = int(time.time())
        wait_for(lambda: int(time.time()) > said, PATIENCE, "the next second")

    def burst(self, login: str) -> dict[str, object]:
        """A message to sixty, and the case that it makes."""
        (reply,) = self.send(login, MANY_RECIPIENTS)
        assert reply.code == 250

        def case() -> dict[str, object] | None:
            found = [row for row in self.json("table", "list") if row["key"] == key(login)]
            return found[0] if found else None

        found = wait_for(case, PATIENCE, f"a case on {login}", self.errors("watch"))
        assert found
        return found


@contextmanager
def noon() -> Iterator[None]:
    """Make it noon here: what is told of days must not depend on when this runs, nor on a change to summer time."""
    now = time.gmtime()
    ahead = (12 - now.tm_hour) * 60 - now.tm_min  # minutes before UTC, as far as another zone is
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", f"NOON{'-' if ahead >= 0 else '+'}{abs(ahead) // 60}:{abs(ahead) % 60:02}")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="module")
def site() -> Iterator[Weeks]:
    with noon(), Weeks(POLICY.format(mode="observe"), "observe", [*USERS, NEWS, STOLEN]) as site:
        yield site


def hours(case: dict[str, object]) -> float:
    """How long a case was to stand when it began."""
    begin, end = (datetime.fromisoformat(str(case[name])) for name in ("time", "until"))
    return (end - begin).total_seconds() / 3600


class Text(HTMLParser):
    """A page's text, a line for each piece, without its style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._style = False
        self.feed(page)

    def handle_starttag(self, tag: str, _: object) -> None:
        """Style has text that nobody reads."""
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        """Everything else is read."""
        if data.strip() and not self._style:
            self.pieces.append(" ".join(data.split()))


def normal(text: str, site: Site) -> str:
    """A text without what differs from run to run: times, references, places, and Postfix's own lines."""
    refs: dict[str, str] = {}
    text = text.replace(str(site.directory), "DIRECTORY")
    text = REFERENCE.sub(lambda found: refs.setdefault(found[0], f"REF{len(refs) + 1}"), text)
    text = re.sub(r"[\d,]+(?=\nlines read)", "N", DAY.sub("DAY", TIME.sub("TIME", text)))
    text = re.sub(r"^\d+ s$", "SECONDS", text, flags=re.MULTILINE)
    return re.sub(r"^DAY\n", "", text, flags=re.MULTILINE)  # an axis: what it names depends on the time of day


def test_two_weeks_from_observing_to_enforcing(site: Weeks, tmp_path: Path) -> None:
    """Observe, canary, enforce; an escalation; a false alarm, exempted; the guard; and what is told of all that."""
    assert within(10, key(CANARY))
    assert not any(within(10, key(login)) for login in (OTHER, NEWS, STOLEN))
    site.wait_until_read()
    told = [("rollout, observing", site.run("rollout", "--last", "15d").stdout)]
    assert site.json("table", "list") == []

    site.promote("enforce 10%")
    assert site.burst(CANARY)["mode"] == "enforce"
    assert site.burst(OTHER)["mode"] == "observe"
    assert [reply.code for reply in site.send(CANARY, messages=3)] == [450, 450, 450]
    assert site.send(OTHER)[0].code == 250

    site.promote("enforce")
    site.burst(STOLEN)
    (stolen, *_, before, first) = site.json("why", key(STOLEN))
    assert [hours(case) for case in (first, before, stolen)] == pytest.approx([1, 2, 4], abs=0.01)
    assert site.send(STOLEN)[0].code == 450
    assert site.run("review", "confirm", str(stolen["ref"]), "--note", "phished").returncode == 0

    site.burst(NEWS)
    assert site.send(NEWS)[0].code == 450
    assert site.run("review", "exempt", NEWS, "--for", "30d", "--note", "a newsletter").returncode == 0
    site.wait_for_the_next_second()
    assert [site.send(NEWS, MANY_RECIPIENTS)[0].code for _ in range(2)] == [250, 250]

    assert [site.send(login, MANY_RECIPIENTS)[0].code for login in MANY] == [250] * len(MANY)
    site.wait_until_read()
    modes = {str(row["key"]): row["mode"] for row in site.json("table", "list")}
    assert key(NEWS) not in modes
    assert [modes[key(login)] for login in MANY] == ["enforce"] * 8 + ["observe"] * 2
    assert site.send(MANY[0])[0].code == 450
    assert site.send(MANY[-1])[0].code == 250
    assert "the guard held it back" in site.run("why", MANY[-1]).stdout
    status = site.run("status")
    assert (status.returncode, "the guard turned 2 decisions into observe" in status.stderr) == (1, True)
    site.wait_until_read()

    told.append(("rollout, enforcing", site.run("rollout", "--last", "15d").stdout))
    page = site.directory / "report.html"
    assert site.run("report", "--journal", "--out", str(page)).returncode == 0
    told.append(("report", "\n".join(Text(page.read_text()).pieces) + "\n"))
    found = normal("\n".join(f"# {what}\n\n{text}" for what, text in told), site)
    (tmp_path / GOLDEN.name).write_text(found)  # to be looked at, and copied where it is right
    assert found == GOLDEN.read_text()
    seen = look(page, tmp_path, 390)
    assert seen.scrolls == 390
    for sentence in ("The policy acted 18 times, on 14 senders.", "It turned 2 decisions into observe"):
        assert sentence in seen.text
