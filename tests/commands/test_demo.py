"""The demo tells its story to the end, in under a minute, and leaves nothing behind."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.commands.test_commands import mailbrake


def test_the_demo_shows_the_closed_loop() -> None:
    """Accept, flood, decision, 450 with a case, why, release, accept; the neighbour is accepted throughout."""
    before, begun = set(Path("/tmp").glob("mailbrake-demo-*")), time.monotonic()
    done = mailbrake("demo")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 60
    told = done.stdout
    case = re.search(r"bob +MAIL FROM  →  450 4\.7\.1 .* \(case ([0-9A-Z]{6})\)", told)
    assert case, told
    story = [
        "alice  MAIL FROM  →  accepted",
        "bob    MAIL FROM  →  accepted",
        "a message to 25 recipients",
        "recipients in 10m is 201, the limit is 200",
        "alice  MAIL FROM  →  accepted",
        "bob    MAIL FROM  →  450",
        f"mailbrake why {case[1]}",
        "sasl_username=bob",
        "mailbrake table release bob",
        "bob    MAIL FROM  →  accepted",
        "mailbrake replay /var/log/mail.log",
    ]
    place = 0
    for part in story:
        place = told.find(part, place) + 1
        assert place, f"{part!r} is missing, or out of order, in\n{told}"
    assert "alice  MAIL FROM  →  4" not in told
    assert set(Path("/tmp").glob("mailbrake-demo-*")) == before
