"""Every command of the operators' pages runs, in the order of the page, on a machine that begins with nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guide.machine import ROOT, Machine
from tests.mta.client import Reply, submit

GUIDE = ROOT / "docs" / "rollout.md"
TONIGHT = ROOT / "docs" / "tonight.md"
OTHERS = [ROOT / "docs" / f"{name}.md" for name in ("help-desk", "troubleshooting", "privacy")]
# exit status 1 says something, too: what is wrong, that there is no case, nothing found, that `head` has seen enough
MAY_SAY_NO = (
    "mailbrake status",
    "mailbrake why alice",
    "grep",
    "mailbrake table release",
    "mailbrake events /var/log/mail.log | head",
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each."""
    return [(found[1], found[2]) for found in BLOCK.finditer(page)]


def follow(page: str, machine: Machine) -> list[str]:
    """Do what a page says; the commands that were run."""
    done = []
    for language, text in blocks(page):
        if language == "toml":
            machine.configure(text)
            continue
        assert language == "sh"
        for command in text.splitlines():
            ran = machine.run(command)
            allowed = (0, 1) if command.startswith(MAY_SAY_NO) else (0,)
            assert ran.returncode in allowed, f"{command}\n{ran.stdout}\n{ran.stderr}"
            assert "Traceback" not in ran.stderr
            done.append(command)
    return done


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machine() as machine:
        yield machine


def test_the_guide_leads_from_nothing_to_enforcing(machine: Machine) -> None:
    """And back: the rule of the canary is enforced by then, others observe; the milter answers until it is stopped."""
    there, back = GUIDE.read_text().split("## Back")
    assert len(follow(there, machine)) > 40
    stands = [json.loads(row) for row in machine.run("mailbrake rollout --json").stdout.splitlines()]
    assert {row["stands"] for row in stands if row.get("rule") == "password-guessing"} == {"enforce"}
    assert {row["stands"] for row in stands if row.get("rule") == "stolen"} == {"observe"}
    assert sum(row["confirmed"] for row in stands if "confirmed" in row) > 0
    assert machine.run("mailbrake status").returncode == 0
    follow(back, machine)
    assert "no milter answers" in machine.run("mailbrake status").stderr
    stands = [json.loads(row) for row in machine.run("mailbrake rollout --json").stdout.splitlines()]
    assert {row["stands"] for row in stands if "stands" in row} == {"observe"}


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.stem)
def test_the_other_pages_hold_on_the_machine_that_the_guide_made(machine: Machine, page: Path) -> None:
    """In the order in which they are read."""
    assert follow(page.read_text(), machine)


def test_tonight_a_login_is_stopped_its_mail_held_and_released_in_the_morning() -> None:
    """With what the page tells to type, on a Postfix that has his mail in its queue and refuses nobody yet."""
    with Machine({"bob@example.com": "secret", "alice@example.com": "secret"}) as machine:
        send(machine, "bob@example.com", "stranger@defer.example")
        machine.postfix.wait_for_line("status=deferred")
        with (machine.root / "var/log/mail.log").open("a") as log:
            log.writelines(f"{line}\n" for line in machine.postfix.lines())
        night, morning = TONIGHT.read_text().split("## 5.")
        assert len(follow(night, machine)) > 15
        assert machine.postfix.queue_ids("hold") == machine.postfix.queue_ids()
        refused = send(machine, "bob@example.com", "stranger@example.net")
        assert refused.code == 550
        assert "Sending is blocked for this account (case" in refused.text
        assert send(machine, "alice@example.com", "stranger@example.net").code == 250
        follow(morning, machine)
        assert send(machine, "bob@example.com", "stranger@example.net").code == 250


def send(machine: Machine, login: str, recipient: str) -> Reply:
    """A message through the submission service."""
    (reply,) = submit(machine.postfix.submission_port, login, [recipient], login=login)
    return reply


@pytest.mark.parametrize(
    "command",
    ["mailbrake nonsense", "mailbrake status --nonsense", "mailbrake why nobody", "grep x /nowhere | tail", "false"],
)
def test_a_command_that_fails_is_found(machine: Machine, command: str) -> None:
    """Else none of this shows anything; what may say no may not be misspelt."""
    with pytest.raises(AssertionError):
        follow(f"```sh\n{command}\n```\n", machine)


def test_pages_whose_commands_are_run_have_no_others() -> None:
    """A command stands in a block of its language, so that none escapes."""
    for page in (GUIDE, TONIGHT, *OTHERS):
        left = BLOCK.sub("", page.read_text())
        assert not re.findall(r"^(?:    |\$ ).*", left, re.MULTILINE), page.name
        assert "```" not in left
