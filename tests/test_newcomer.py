"""Somebody who has a week of logs, this repository, and a quarter of an hour: what the README promises comes true."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
from pathlib import Path

import pytest

import logwatch
from logwatch.judging import language

ROOT = Path(__file__).parents[1]


def run(*words: str | Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the sample month the week in which accounts went wrong, as after a rotation."""
    days = tuple(f"Oct {day} ".encode() for day in range(21, 28))
    week = tmp_path_factory.mktemp("logs") / "mail.log"
    with lzma.open(ROOT / "samples" / "month" / "mail.log.xz") as month:
        week.write_bytes(b"".join(line for line in month if line.startswith(days)))
    return week


def test_a_week_of_logs_shows_what_the_shipped_policy_would_have_done_and_why(log: Path, tmp_path: Path) -> None:
    """Cases, three of them understood from `why` alone; another threshold; what it means to turn that rule on."""
    cases = [json.loads(line) for line in run("logwatch", "replay", log, "--json").splitlines()]
    senders = sorted(dict.fromkeys(case["key"] for case in cases))  # accounts first
    assert senders[0].startswith("account:")
    assert len(senders) >= 3
    for key in senders[:3]:
        told = run("logwatch", "why", key, log)
        assert re.search(r"^  because   \w+.*: [\d.,]+, limit [\d.,]+$", told, re.MULTILINE)
        parts = ("would have been", "  from      ", "  log lines", f"{key} now", "messages to")
        assert [part for part in parts if part not in told] == []

    rule = next(case["rule"] for case in cases if case["key"] == senders[0])
    shipped = language.SHIPPED.read_text()
    compared = re.search(rf"^rule {rule} .*?\b([a-z_]+ in \w+ >=? (\d+))\b(?! \*)", shipped, re.DOTALL | re.MULTILINE)
    assert compared
    curve = logwatch.sweep(log, "default", rule, compared[1], [int(compared[2]), 10_000])
    assert curve["cases"].iloc[0] >= curve["cases"].iloc[1]

    draft = tmp_path / "draft.policy"
    draft.write_text(shipped)
    (row,) = [
        row
        for row in map(json.loads, run("logwatch", "rollout", log, "--json", "--policy", draft).splitlines())
        if row.get("rule") == rule
    ]
    assert row["cases"] >= 1
    line = draft.read_text().splitlines()[row["next"]["line"] - 1]
    assert line.strip() == row["next"]["old"] == "mode observe"
    assert row["next"]["steps"][-1]["senders"] == row["senders"]
