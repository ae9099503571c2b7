"""`mailbrake replay`: what a policy would have done."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from enforce.config import Config
from logwatch.commands.summary import Summary
from logwatch.judging.language import load
from logwatch.settings import core_of
from tests.telling.decisions import NOW, decision

from .running import DEMO, ROOT, mailbrake, objects


def _login(queue_id: str, login: str) -> list[str]:
    """A failed login of somebody's, and a message."""
    return [
        "postfix/smtpd[7]: warning: pc[192.0.2.9]: SASL PLAIN authentication failed: no, sasl_username=eve",
        f"postfix/smtpd[7]: {queue_id}: client=pc[192.0.2.9], sasl_method=PLAIN, sasl_username={login}",
        f"postfix/qmgr[7]: {queue_id}: from=<{login}@example.com>, size=3, nrcpt=1 (queue active)",
    ]


class TestReplay:
    def test_tells_a_newcomer_what_would_have_happened(self, tmp_path: Path) -> None:
        """What was read, who would have been hit and why, that nothing was changed, what to do next."""
        policy = tmp_path / "policy"
        policy.write_text("rule flood per account: when recipients in 10m > 200 tempfail for 1h mode observe\n")
        told = mailbrake("replay", DEMO, "--policy", policy).stdout
        for part in (
            "2 accounts",
            "would have acted once",
            "account:bob",
            "recipients in 10m: 201, limit 200",
            "450, try again later",
            "only observe",
            "Nothing was changed",
        ):
            assert part in told

    def test_says_which_lists_it_went_by(self, tmp_path: Path) -> None:
        """By the first digits of what `sha256sum` prints; nothing of the kind where the policy names none."""
        policy, listed = tmp_path / "policy", tmp_path / "bulk.txt"
        listed.write_text("bulk@example.com\n")
        policy.write_text('exempt account in file "bulk.txt"\nrule r per site: when hour > 25 block for 1h\n')
        told = mailbrake("replay", DEMO, "--policy", policy).stdout
        assert f"{hashlib.sha256(listed.read_bytes()).hexdigest()[:16]}…  {listed}" in told
        assert "SHA-256" not in mailbrake("replay", DEMO).stdout

    def test_each_sender_is_one_row_the_most_urgent_first(self, tmp_path: Path) -> None:
        """Persons before addresses, the most severe answer first; of several cases its first is told."""
        policy = tmp_path / "policy"
        policy.write_text(
            "rule busy per account: when recipients in 10m > 0 throttle to 20 per 1h for 1h mode observe\n"
            "rule flood per account: when recipients in 10m > 200 tempfail for 1h mode observe\n"
            "rule net per net: when recipients in 10m > 200 block for 1h mode observe\n"
        )
        told = mailbrake("replay", DEMO, "--policy", policy).stdout.splitlines()
        rows = [line for line in told if line.startswith("20")]
        assert [row.split()[4] for row in rows][:2] == ["account:bob", "account:alice"]
        assert rows[2].split()[4].startswith("net:")
        assert "2      450, try again later" in rows[0]
        assert "recipients in 10m: 201, limit 200" in rows[0]

    def test_the_shipped_policy_says_nothing_against_a_login_of_which_it_knows_nothing_else(self) -> None:
        """Volume alone decides nothing: a newsletter's first run looks the same. Where to go from there is told."""
        told = mailbrake("replay", DEMO).stdout
        assert "2 accounts" in told
        assert "account:bob" not in told
        assert "Nothing was changed" in told
        assert "mailbrake check --policy shipped" in told

    def test_says_when_it_is_no_mail_log(self) -> None:
        """Any other text: whatever is asked of it, a hint and no clean bill of health."""
        for command in ("replay", "rates", "events", "rollout"):
            done = mailbrake(command, ROOT / "README.md")
            assert done.returncode == 1
            assert "is this the mail log?" in done.stderr

    def test_a_decision_is_one_json_object_a_line(self, tmp_path: Path) -> None:
        """DESIGN's decision object, one a line; the rule's own mode without a configuration."""
        policy = tmp_path / "policy"
        policy.write_text("rule flood per account: when recipients in 10m > 200 tempfail for 1h mode enforce\n")
        (decision,) = objects("replay", DEMO, "--json", "--policy", policy)
        fields = "time key action mode until rule ref seq queue_id share max_recipients evidence"
        assert set(decision) == set(fields.split())
        assert (decision["key"], decision["mode"], decision["seq"]) == ("account:bob", "enforce", 1)
        assert decision["evidence"] == {"recipients in 10m": {"value": 201, "threshold": 200}}

    def test_a_configuration_caps_the_mode(self, tmp_path: Path, config: Path) -> None:
        """With `--config` its `[policy] mode` counts: observe by default."""
        policy = tmp_path / "policy"
        policy.write_text("rule flood per account: when recipients in 10m > 200 tempfail for 1h mode enforce\n")
        (decision,) = objects("replay", DEMO, "--json", "--policy", policy, "--config", config)
        assert decision["mode"] == "observe"

    def test_only_a_span_is_told(self, tmp_path: Path) -> None:
        """Decisions since --from and before --to; the lines before are read to learn."""
        policy = tmp_path / "policy"
        policy.write_text("rule slow per account: when recipients in 10m > 0 tempfail for 10s\n")
        options = ("--policy", policy, "--zone", "UTC", "--json")
        every = objects("replay", DEMO, *options)
        middle = str(every[2]["time"])
        assert objects("replay", DEMO, *options, "--from", middle) == every[2:]
        assert objects("replay", DEMO, *options, "--to", middle) == every[:2]
        day = middle[:10]
        assert objects("replay", DEMO, *options, "--from", day, "--to", day) == every
        done = mailbrake("replay", DEMO, "--from", middle, "--to", middle)
        assert (done.returncode, done.stderr) == (2, f"mailbrake: --from {middle} is not before --to {middle}\n")

    def test_numbers_are_of_the_span(self, tmp_path: Path) -> None:
        """What was read beyond --to, as pieces are large, is not in the sums."""
        log = tmp_path / "mail.log"
        lines = [
            f"2026-11-{day}T10:00:00+00:00 mx1 {line}\n" for day in (24, 25) for line in _login(f"4AB{day}", "bob")
        ]
        lines += [f"2026-11-26T10:00:00+00:00 mx1 {line}\n" for line in _login("4AB26", "carol")]
        log.write_text("".join(lines))
        told = mailbrake("replay", log, "--zone", "UTC", "--to", "2026-11-25").stdout
        assert "from 2026-11-24 10:00 to 2026-11-25 10:00: 2 messages accepted, 1 account (" in told
        assert "1 account (SMTP AUTH logins), 2 failed logins." in told

    @pytest.mark.parametrize(
        ("span", "told"),
        [
            (("--to", "2020-01-01"), "it begins at 20"),
            (("--from", "2031-01-01"), "it ends at 20"),
        ],
    )
    def test_a_time_without_a_line_is_no_clean_bill_of_health(self, span: tuple[str, ...], told: str) -> None:
        """Nobody is said to have been left alone in it, nor treated as by another policy."""
        for against in ((), ("--against", "default")):
            done = mailbrake("replay", DEMO, "--zone", "UTC", *span, *against)
            assert done.returncode == 0
            assert f"Nothing in it is of the time that is asked for: {told}" in done.stdout
            assert "would have" not in done.stdout.partition("What next")[0]

    def test_the_end_of_a_case_that_began_before_is_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        """As where a log is older than the state that it is replayed from: its clock goes back, and cases end."""
        config = Config()
        core = core_of(config, load(), NOW, "enforce")
        step = core.feed(DEMO.read_bytes())
        summary = Summary(core)
        summary.add(replace(step, decisions=[decision(action="release", ref="RELEAS"), decision(2)]))
        summary.tell(config, ["mail.log"])
        told = capsys.readouterr().out
        assert "would have acted once, on 1 sender:" in told
        assert "450, try again later" in told

    def test_a_realm_is_a_domain(self) -> None:
        """With its @, every account would have two."""
        done = mailbrake("replay", DEMO, "--default-realm", "@example.com")
        assert done.returncode == 2
        assert "--default-realm: expected a domain such as" in done.stderr

    def test_it_is_told_who_another_policy_would_treat_otherwise(self, tmp_path: Path) -> None:
        """Who would be treated otherwise, and how much mail that is: for people, as JSON, as parquet."""
        policy = tmp_path / "policy"
        policy.write_text("rule flood per account: when recipients in 10m > 100 tempfail for 1h mode enforce\n")
        options = ("replay", DEMO, "--policy", policy, "--against", "default")
        (found,) = objects(*options, "--json")
        assert (found["key"], found["change"], found["rule"]) == ("account:bob", "newly hit", "flood")
        assert (found["messages"], found["recipients"], found["against_rule"]) == (5, 125, None)
        told = mailbrake(*options).stdout
        for part in ("1 sender otherwise", "newly hit      1", "tempfail (rule flood)", "Nothing was changed"):
            assert part in told
        assert mailbrake(*options, "--parquet", tmp_path / "differences.parquet").returncode == 0
        (row,) = pd.read_parquet(tmp_path / "differences.parquet").to_dict("records")
        assert (row["key"], row["recipients"], row["time"].isoformat()) == (
            "account:bob",
            125,
            pd.Timestamp(str(found["time"])).tz_convert("UTC").isoformat(),
        )
        same = mailbrake("replay", DEMO, "--policy", policy, "--against", policy).stdout
        assert "would have treated everybody as the policy" in same

    def test_it_is_told_what_another_cap_would_have_cut(self, tmp_path: Path) -> None:
        """What each would have cut; nothing where both cut the same."""
        texts = {"new": "cap per account: 10 recipients", "old": "cap per account: 25 recipients", "bare": ""}
        new, old, bare = (tmp_path / name for name in texts)
        for name, text in texts.items():
            (tmp_path / name).write_text(f"{text}\n")
        told = mailbrake("replay", DEMO, "--policy", new, "--against", old).stdout
        assert f"The cap of 10 recipients per message (observe) in the policy {new}: " in told
        assert "\nIt would have cut 9 messages of 1 account, 135 recipients of them, most often of:\n" in told
        assert f"The cap of 25 recipients per message (observe) in the policy {old}: " in told
        assert "\nIt would have cut 0 messages of 0 accounts, 0 recipients of them.\n" in told
        without = mailbrake("replay", DEMO, "--policy", new, "--against", bare).stdout
        assert f"No cap for everybody is in the policy {bare}." in without
        assert "would have cut" not in mailbrake("replay", DEMO, "--policy", new, "--against", new).stdout

    def test_writes_parquet(self, tmp_path: Path) -> None:
        """The decisions of --json, stamps as times and evidence as JSON."""
        policy, target = tmp_path / "policy", tmp_path / "decisions.parquet"
        policy.write_text("rule flood per account: when recipients in 10m > 200 tempfail for 1h\n")
        assert mailbrake("replay", DEMO, "--policy", policy, "--parquet", target).returncode == 0
        (row,) = pd.read_parquet(target).to_dict("records")
        assert json.loads(row["evidence"]) == {"recipients in 10m": {"value": 201, "threshold": 200}}
        assert row["until"] - row["time"] == pd.Timedelta("1h")
        nobody = mailbrake("replay", DEMO, "--parquet", target / "in" / "no" / "directory")
        assert nobody.returncode == 1
        assert "directory" in nobody.stderr

    def test_a_bad_policy_is_a_usage_error(self, tmp_path: Path) -> None:
        """Exit status 2 with file, line and column."""
        policy = tmp_path / "policy"
        policy.write_text("rule flood per account:\n    when recipient in 10m > 200 tempfail for 1h\n")
        done = mailbrake("replay", DEMO, "--policy", policy)
        assert done.returncode == 2
        assert f"{policy}:2:10: unknown signal" in done.stderr


def test_a_log_of_two_clocks_is_said_to_have_them(tmp_path: Path) -> None:
    """Replay names the host and says by how much it is off; under one name, the two show by their first turn."""
    log = tmp_path / "mail.log"
    stamps = [f"2026-11-25T{hour}:0{minute}:00+00:00" for minute in range(6) for hour in ("03", "06")]
    log.write_text("".join(f"{stamp} mx1 postfix/smtpd[7]: connect from pc[192.0.2.9]\n" for stamp in stamps))
    done = mailbrake("replay", log)
    assert done.returncode == 0, done.stderr
    assert "\nNot all clocks agree: mx1 is 3.0 h ahead. " in done.stdout
    assert "\nThe log's clock went back by more than an hour once: " in done.stdout
    assert "clock" not in mailbrake("replay", DEMO).stdout
