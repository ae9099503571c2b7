"""Every folder of samples/scenarios is a log, a policy, and the decisions that they give.

After a change that is meant, write the decisions anew and look at the difference:

    python -m tests.test_scenarios
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.language import load, parse
from logwatch.judging.pending_reviews import Confirmation, Release
from logwatch.judging.policy import render
from logwatch.schema import Decision, iso

SCENARIOS = sorted(path for path in (Path(__file__).parents[1] / "samples/scenarios").iterdir() if path.is_dir())


def decided(folder: Path) -> list[Decision]:
    """What the folder's policy decides over its log."""
    core = Core(Judge(load(folder / "policy")), zone=UTC)
    for file, word in {"releases": Release, "confirmations": Confirmation}.items():
        for said in _json_lines(folder / f"{file}.jsonl"):
            core.hear(word(said["key"], datetime.fromisoformat(said["time"]).timestamp()))
    return core.feed((folder / "log").read_bytes()).decisions


def as_json(decision: Decision) -> dict[str, Any]:
    """As `replay --json` prints it, with stamps in UTC."""
    return {**decision.as_json(), "time": iso(decision.time, UTC), "until": iso(decision.until, UTC)}


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_the_decisions_are_those_on_record(folder: Path) -> None:
    expected = [Decision.from_json(fields) for fields in _json_lines(folder / "decisions.jsonl")]
    assert decided(folder) == expected
    assert expected, "a scenario without a decision shows nothing"


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_the_policy_says_the_same_when_printed_back(folder: Path) -> None:
    policy = load(folder / "policy")
    assert parse(render(policy)) == policy


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _write_anew() -> None:
    for folder in SCENARIOS:
        lines = [json.dumps(as_json(decision)) + "\n" for decision in decided(folder)]
        (folder / "decisions.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    _write_anew()
