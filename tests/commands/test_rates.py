"""`mailbrake rates`: what everybody sent."""

from __future__ import annotations

import csv
import io

import pytest

from .running import DEMO, mailbrake, objects


class TestRates:
    def test_the_counts_of_the_sample_are_right(self) -> None:
        """Bob's nine messages to 25, and the one to Dave."""
        rows = {row["key"]: row for row in objects("rates", DEMO, "--json", "--window", "1h")}
        assert rows["account:bob"]["recipients_1h"] == 226
        assert rows["account:alice"]["messages_1h"] == 4
        assert rows["site"]["messages_1h"] == 14
        assert rows["net:203.0.113.0/24"]["recipients_1h"] == 225

    def test_rates_may_be_as_of_an_earlier_time(self) -> None:
        """What came after `--at` is not counted."""
        events = objects("events", DEMO)
        first = next(str(event["time"]) for event in events if event["event"] == "queued")
        rows = objects("rates", DEMO, "--json", "--at", first, "--kind", "site")
        queued = sum(event["event"] == "queued" and str(event["time"]) <= first for event in events)
        assert rows[0]["messages_1h"] == queued < 14

    def test_csv_has_all_columns_and_top_the_largest(self) -> None:
        """CSV for spreadsheets; `--top 1` is the key with the most recipients."""
        rows = list(csv.DictReader(io.StringIO(mailbrake("rates", DEMO, "--csv", "--kind", "account").stdout)))
        assert {row["key"] for row in rows} == {"account:alice", "account:bob"}
        top = objects("rates", DEMO, "--json", "--kind", "account", "--top", "1")
        assert [row["key"] for row in top] == ["account:bob"]

    @pytest.mark.parametrize("bad", [("--window", "10x"), ("--at", "yesterday"), ("--zone", "Mars/Olympus")])
    def test_bad_values_are_usage_errors(self, bad: tuple[str, str]) -> None:
        """Exit status 2, the value and what is expected."""
        done = mailbrake("rates", DEMO, *bad)
        assert done.returncode == 2
        assert bad[1] in done.stderr
        assert "expected" in done.stderr
