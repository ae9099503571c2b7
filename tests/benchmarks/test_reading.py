"""The logs that reading is measured on: the same for the same seed, and made of lines that the reader knows."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from benchmarks.reading import SITES, expression
from benchmarks.reading_log import START, lines
from logwatch.core import COLUMNS
from logwatch.reading.reader import Reader


@pytest.mark.parametrize("mta", SITES)
def test_all_of_a_log_is_read(mta: str) -> None:
    """Otherwise what is measured would be how fast lines are skipped."""
    log = b"".join(lines(5000, site=SITES[mta]))
    assert log == b"".join(lines(5000, site=SITES[mta]))
    reader = Reader(COLUMNS, zone=UTC, start=START)
    events = reader.read(log)
    assert {"connect", "queued", "delivery", "reject", "auth_failure", "removed"} <= {*events["event"].tolist()}
    assert sum(account is not None for account in events["account"].tolist()) > 1000
    assert (reader.facts()["unreadable"], reader.facts()["other"], reader.facts()["orphans"]) == ({}, 0, 0)


@pytest.mark.parametrize("mta", SITES)
def test_the_expression_alone_can_be_measured(mta: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It reads the log, and prints its seconds and nothing else."""
    log = tmp_path / "mail.log"
    log.write_bytes(b"".join(lines(200, site=SITES[mta])))
    expression(str(log), mta)
    assert float(capsys.readouterr().out) >= 0
