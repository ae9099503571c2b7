"""`mailbrake rollout`: where each rule stands, and its next step."""

from __future__ import annotations

import json
import shlex
import time
from typing import cast

import pytest

from logwatch.telling.journal import Journal, Review
from tests.commands.running import mailbrake, objects
from tests.test_watch import POLICY, Machine

from .running import config


class TestRollout:
    def test_shows_where_each_rule_stands_and_the_line_for_the_next_step(self, machine: Machine) -> None:
        """Cases, mail that went through, reviews, borderline cases; a rule that enforces fully has no next step."""
        mailbrake("review", "release", "carol", *config(machine))
        (row,) = objects("rollout", "--json", "--last", "365d", *config(machine))
        assert (row["rule"], row["stands"], row["cases"], row["recipients"]) == ("flood", "enforce", 2, 7)
        assert (row["released"], row["next"]) == (1, None)
        machine.policy.write_text(POLICY.replace("enforce", "observe"))
        told = mailbrake("rollout", "--last", "365d", *config(machine)).stdout
        assert "next step: line 1: `mode observe` becomes `mode enforce 10%`" in told
        assert f"change its line in {machine.policy}" in told
        assert "at 100 % it would have hit all of them, 1 message to 7 recipients; false alarms among them" in told

    def test_names_what_to_look_at_first(self, machine: Machine) -> None:
        """Whom nobody has looked at yet, with the command that explains it."""
        mailbrake("review", "confirm", "carol", *config(machine))
        (row,) = objects("rollout", "--json", "--last", "365d", *config(machine))
        (case,) = cast("list[dict[str, str]]", row["borderline"])
        assert case["key"] == "account:bob"
        told = mailbrake("rollout", "--last", "365d", *config(machine)).stdout
        assert (
            f"mailbrake why {case['case']} {shlex.join(config(machine))}   account:bob: recipients in 10m 25, limit 20"
            in told
        )

    @pytest.mark.parametrize("last", ["1", "0d", "a fortnight"])
    def test_says_which_option_is_wrong(self, machine: Machine, last: str) -> None:
        """And how it is written."""
        done = mailbrake("rollout", "--last", last, *config(machine))
        assert done.returncode == 2
        assert done.stderr.startswith('mailbrake: --last: expected a duration such as "90s", "10m", "1h" or "7d"')

    def test_names_exemptions_that_were_never_needed(self, machine: Machine) -> None:
        """Those of the policy and of reviews; one that was needed says when and by which rule."""
        journal = Journal.open(machine.config.journal)
        for key in ("account:bob", "account:carol"):
            journal.review(Review(machine.now, key, "exempted", "root", until=time.time() + 86400))
        journal.close()
        machine.policy.write_text('exempt account in "dave", "erin"\nexempt account in "frank"\n' + POLICY)
        machine.now += 60
        for login in ("carol", "dave"):
            machine.send(login=login)
        with machine.controller():
            pass
        rows = objects("rollout", "--json", "--last", "365d", *config(machine))
        needed = {row["exemption"]: row["rule"] for row in rows if "exemption" in row}
        assert needed == {
            "account:bob": "",
            "account:carol": "flood",
            'exempt account in "dave", "erin"': "flood",
            'exempt account in "frank"': "",
        }
        told = mailbrake("rollout", "--last", "365d", *config(machine)).stdout
        assert 'exempt account in "frank": never needed since' in told

    def test_json_is_one_object_a_rule(self, machine: Machine) -> None:
        """Rules without a case are there too."""
        machine.policy.write_text(POLICY + POLICY.replace("flood", "other"))
        rows = [json.loads(row) for row in mailbrake("rollout", "--json", *config(machine)).stdout.splitlines()]
        assert [row["rule"] for row in rows] == ["flood", "other"]
