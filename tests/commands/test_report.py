"""`mailbrake report` as a user runs it: from logs, from a journal, and what it says when it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse
from logwatch.telling.journal import Effect, Journal, Review
from tests import maillog

FLOOD = "rule flood per account: when recipients in 10m > 200 tempfail for 1h mode enforce\n"
DEMO = Path(__file__).parents[2] / "logwatch" / "data" / "demo.log"


def report(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "logwatch", "report", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a controller wrote that followed a flood by bob, whom an operator released."""
    path = tmp_path_factory.mktemp("state") / "journal.sqlite"
    core = Core(Judge(parse(FLOOD)), start=maillog.START)
    lines = [
        (10.0 * number, line)
        for number in range(15)
        for line in maillog.submission(f"4cX{number:04d}bob", "bob", [f"r{i}@example.net" for i in range(20)])
    ]
    step = core.feed(b"".join(maillog.log(lines)))
    (path.parent / "policy").write_text(FLOOD)
    written = Journal.open(path)
    with written.transaction():
        written.record(step.decisions, {})
        written.affect([Effect(step.decisions[0].ref, "account:bob", "flood", 4, 80, 6)])
        written.note("facts", core.facts())
        written.remember(core.memories())
    written.review(Review(maillog.START + 200, "account:bob", "released", "eve", "a mailing to members"))
    written.close()
    return path


def test_a_log_gives_a_page_that_names_what_replay_decides(tmp_path: Path) -> None:
    """The same cases."""
    policy = tmp_path / "policy"
    policy.write_text(FLOOD)
    done = report(DEMO, "--policy", policy, "--out", tmp_path / "page.html")
    assert (done.returncode, done.stdout) == (0, "")
    command = [sys.executable, "-m", "logwatch", "replay", str(DEMO), "--policy", str(policy), "--json"]
    replayed = subprocess.run(command, capture_output=True, text=True, check=True)
    refs = {json.loads(line)["ref"] for line in replayed.stdout.splitlines()}
    assert refs
    assert all(ref in (tmp_path / "page.html").read_text() for ref in refs)


def test_a_journal_tells_what_happened(journal: Path) -> None:
    """Cases, what came of them, the operator's word, and the senders that the controller counted."""
    done = report("--journal", journal, "--policy", journal.parent / "policy")
    assert done.returncode == 0, done.stderr
    for told in ("The policy acted once, on 1 sender", "account:bob", "released", ">80<", "Top senders", ">300<"):
        assert told in done.stdout


def test_a_journal_is_found_by_the_configuration(journal: Path, tmp_path: Path) -> None:
    """`--journal` without a file."""
    config = tmp_path / "mailbrake.toml"
    config.write_text(f'[state]\ndirectory = "{journal.parent}"\n[policy]\nfile = "{journal.parent}/policy"\n')
    found = report("--journal", "--config", config).stdout
    assert "account:bob" in found
    assert f"mailbrake why CASE --config {config}</code>" in found


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "needs either logs or --journal"),
        ((DEMO, "--journal"), 2, "needs either logs or --journal"),
        (("/nowhere/mail.log",), 1, "no such file"),
        (("--journal", "/nowhere/journal.sqlite"), 1, "there is no journal yet"),
        ((DEMO, "--out", "/nowhere/page.html"), 1, "/nowhere/page.html: No such file or directory"),
        ((DEMO, "--policy", "/nowhere/policy"), 2, "/nowhere/policy"),
        ((Path(__file__),), 1, "none of its lines is one that mailbrake knows"),
    ],
)
def test_what_cannot_be_reported_is_said_in_a_sentence(
    arguments: tuple[str | Path, ...], status: int, said: str
) -> None:
    """In a sentence, with an exit status."""
    done = report(*arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
