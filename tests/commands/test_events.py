"""`mailbrake events`: one event a line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd

from .running import DEMO, mailbrake, objects


class TestEvents:
    def test_one_object_a_line_with_the_fields_of_the_line(self) -> None:
        """Columns of DESIGN's vocabulary, absent where the line has none; `line` is the 1-based number."""
        found = objects("events", DEMO)
        accept = next(event for event in found if event["event"] == "accept")
        line = DEMO.read_text().splitlines()[int(str(accept["line"])) - 1]
        assert f"sasl_username={accept['sasl_username']}" in line
        assert accept["service"] == "submission"
        assert accept["daemon"] == "smtpd"
        assert str(accept["time"])[-6] in "+-"
        assert "recipient" not in accept

    def test_reads_standard_input_and_archives_alike(self, tmp_path: Path) -> None:
        """`-` and `.gz` give the same events as the plain file."""
        packed = tmp_path / "mail.log.1.gz"
        packed.write_bytes(gzip.compress(DEMO.read_bytes()))
        assert objects("events", packed) == objects("events", DEMO) == objects("events", "-", text=DEMO.read_text())

    def test_writes_parquet(self, tmp_path: Path) -> None:
        """A file that pandas reads, times with zone."""
        target = tmp_path / "events.parquet"
        assert mailbrake("events", DEMO, "--parquet", target).returncode == 0
        frame = pd.read_parquet(target)
        assert len(frame) == len(objects("events", DEMO))
        assert str(frame["time"].dt.tz) == "UTC"

    def test_a_broken_line_is_said(self) -> None:
        """A line of a known kind that cannot be read gives no event, but a word on standard error."""
        broken = "Nov 25 03:28:14 mx1 postfix/qmgr[1]: 4jZ4rZ24wCzJ9wR: from=<a@example.org>, size=x (queue active)\n"
        done = mailbrake("events", "-", text=broken)
        assert (done.returncode, done.stdout) == (0, "")
        assert "1 queued" in done.stderr
        assert "size=x" in done.stderr

    def test_a_missing_file_is_an_error(self) -> None:
        """Exit status 1, naming the file."""
        done = mailbrake("events", "/nowhere/mail.log")
        assert (done.returncode, done.stderr) == (1, "mailbrake: /nowhere/mail.log: no such file\n")

    def test_a_directory_is_told_from_a_log(self, tmp_path: Path) -> None:
        """It is either read or refused with a word."""
        done = mailbrake("events", tmp_path)
        assert "Traceback" not in done.stderr
