"""What is left to do about a hijacked account, from real log lines."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tests.commands.test_commands import mailbrake, objects

LOG = Path(__file__).parents[2] / "samples" / "incident.log"


def since() -> str:
    """Midnight before the attack, in the year that the log's stamps are read to be of."""
    year = datetime.now().year
    return f"{year if datetime.now() > datetime(year, 11, 24) else year - 1}-11-25T00:00"


def test_everything_that_is_left_to_do() -> None:
    """Mail still queued, recipients reached, the new address and its other login; not the home address."""
    (found,) = objects("cleanup", "bob", LOG, "--since", since(), "--json")
    assert found["queued"] == ["4jZ1x362FKzJ9Hb"]
    assert found["reached"] == ["a@example.net"]
    assert list(found["suspects"]) == ["client:203.0.113.7"]  # type: ignore[call-overload]
    assert found["others"] == {"account:carol": ["client:203.0.113.7"]}
    assert found["failures"] == 1


def test_lists_for_pipes() -> None:
    """Queue ids for postsuper, recipients for a notice; nothing else on standard output."""
    assert mailbrake("cleanup", "bob", LOG, "--since", since(), "--queue-ids").stdout == "4jZ1x362FKzJ9Hb\n"
    assert mailbrake("cleanup", "bob", LOG, "--since", since(), "--recipients").stdout == "a@example.net\n"


def test_the_list_is_for_people() -> None:
    """It says what to do next."""
    told = mailbrake("cleanup", "bob", LOG, "--since", since()).stdout
    assert "Still in the queue: 1 message" in told
    assert "postsuper -d -" in told
    assert "account:carol" in told
