"""Every command as a user runs it: what it prints, what it says when something is wrong, its exit status."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from enforce.config import Config
from logwatch.commands import COMMANDS
from logwatch.commands.summary import Summary
from logwatch.judging.language import load
from logwatch.settings import core_of
from tests.telling.decisions import NOW, decision

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "logwatch" / "data" / "demo.log"
LIGHT = ("--help", "table list", "why 7K2M9Q", "status", "check --policy shipped", f"replay {DEMO}")


def mailbrake(*arguments: str | Path, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with some variables of its environment set."""
    command = [sys.executable, "-m", "logwatch", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, input=text, check=False, env={**os.environ, **variables}
    )


def objects(*arguments: str | Path, text: str = "", **variables: str) -> list[dict[str, object]]:
    """The JSON objects that a command prints."""
    done = mailbrake(*arguments, text=text, **variables)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _login(queue_id: str, login: str) -> list[str]:
    """A failed login of somebody's, and a message."""
    return [
        "postfix/smtpd[7]: warning: pc[192.0.2.9]: SASL PLAIN authentication failed: no, sasl_username=eve",
        f"postfix/smtpd[7]: {queue_id}: client=pc[192.0.2.9], sasl_method=PLAIN, sasl_username={login}",
        f"postfix/qmgr[7]: {queue_id}: from=<{login}@example.com>, size=3, nrcpt=1 (queue active)",
    ]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose state is below tmp_path."""
    path = tmp_path / "mailbrake.toml"
    path.write_text(f'[state]\ndirectory = "{tmp_path}/state"\n[milter]\nsocket = "unix:{tmp_path}/milter.sock"\n')
    return path


def test_help_names_every_command() -> None:
    """`--help` lists all commands; each has a help of its own."""
    told = mailbrake("--help").stdout
    assert [name for name in COMMANDS if f"\n    {name} " not in told] == []


@pytest.mark.parametrize("command", LIGHT)
def test_what_needs_no_dataframe_does_not_import_pandas(command: str, config: Path) -> None:
    """Help, table, why, status and check answer at once; replay counts in arrays, and frames are made for people."""
    with_config = [] if command == "--help" else ["--config", str(config)]
    code = (
        "import sys\nfrom logwatch.commands import main\n"
        f"try:\n    main({[*command.split(), *with_config]!r})\nexcept SystemExit:\n    pass\n"
        "sys.exit(f'{sorted(sys.modules)}' if {'pandas', 'watchdog'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version() -> None:
    """Of mailbrake, and of what it runs on: where a report of a mistake begins."""
    done = mailbrake("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"mailbrake [0-9.]+ \(Python [0-9.]+, pandas [0-9.]+, .*lmdb [0-9.]+, .*\)\n", done.stdout)


@pytest.mark.parametrize(
    ("words", "usage", "said"),
    [
        ("tabel list", "mailbrake [-h]", "(choose from demo, "),
        ("tabel list", "mailbrake [-h]", "; did you mean table?"),
        ("table lst", "mailbrake table [-h]", "; did you mean list?"),
        ("release bob", "mailbrake [-h]", "; did you mean table release?"),
        ("frobnicate", "mailbrake [-h]", "status, ship, sync, cluster)\n"),
        ("replay --polcy=x y", "mailbrake replay [-h]", "unrecognized arguments: --polcy=x; did you mean --policy?\n"),
        ("report x --output y", "mailbrake report [-h]", "unrecognized arguments: --output; did you mean --out?\n"),
        ("why bob --zone UTC x --wat", "mailbrake why [-h]", "unrecognized arguments: --wat\n"),
        ("table list bob", "mailbrake table list [-h]", "unrecognized arguments: bob\n"),
        ("why", "mailbrake why [-h]", "required: REF|KEY\n"),
    ],
)
def test_a_mistaken_command_is_answered_by_the_command_that_was_meant(words: str, usage: str, said: str) -> None:
    """Its own usage, what was wrong, and what may have been meant."""
    done = mailbrake(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: {usage}")
    assert said in done.stderr.replace("'", "")  # in which Python puts choices up to 3.11


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


class TestRates:
    def test_counts_of_the_sample(self) -> None:
        """Bob's nine messages to 25, and the one to Dave."""
        rows = {row["key"]: row for row in objects("rates", DEMO, "--json", "--window", "1h")}
        assert rows["account:bob"]["recipients_1h"] == 226
        assert rows["account:alice"]["messages_1h"] == 4
        assert rows["site"]["messages_1h"] == 14
        assert rows["net:203.0.113.0/24"]["recipients_1h"] == 225

    def test_as_of_an_earlier_time(self) -> None:
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

    def test_decisions_as_json(self, tmp_path: Path) -> None:
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

    def test_against_another_policy(self, tmp_path: Path) -> None:
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

    def test_against_another_cap(self, tmp_path: Path) -> None:
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


class TestCheck:
    def test_prints_the_policy_so_that_it_can_be_read_again(self, tmp_path: Path) -> None:
        """The shipped policy, normalised, is itself a policy with the same text."""
        shipped = mailbrake("check", "--policy", "shipped")
        assert shipped.returncode == 0, shipped.stderr
        copy = tmp_path / "policy"
        copy.write_text(shipped.stdout)
        assert mailbrake("check", "--policy", copy).stdout == shipped.stdout

    def test_a_copy_to_change_keeps_its_comments(self, tmp_path: Path) -> None:
        """`--as-written`: byte for byte, and it says the same."""
        written = mailbrake("check", "--policy", "shipped", "--as-written").stdout
        assert written == (ROOT / "logwatch" / "data" / "default.policy").read_text()
        copy = tmp_path / "policy"
        copy.write_text(written)
        assert mailbrake("check", "--policy", copy).stdout == mailbrake("check", "--policy", "shipped").stdout

    def test_a_rule_that_cannot_hold_is_said(self, tmp_path: Path) -> None:
        """Exit status 1 with the rule and the reason."""
        policy = tmp_path / "policy"
        policy.write_text("rule odd per account: when recipients in 1h > 200 and recipients in 1h < 100 block for 1h\n")
        done = mailbrake("check", "--policy", policy)
        assert done.returncode == 1
        assert 'rule "odd"' in done.stderr

    @pytest.mark.parametrize(
        ("text", "severity", "place"),
        [
            (
                "rule odd per account: when recipients in 1h > 2 and recipients in 1h < 1 block for 1h\n",
                "error",
                (1, 6),
            ),
            ("rule odd per account: when recipiens in 1h > 2 block for 1h\n", "error", (1, 28)),
            ('let nobody = "a.example"\n', "note", (1, 1)),
        ],
    )
    def test_json_has_an_object_for_each_thing_to_say(
        self, tmp_path: Path, text: str, severity: str, place: tuple[int, int]
    ) -> None:
        """And nothing else; the exit status is as without."""
        policy = tmp_path / "policy"
        policy.write_text(text)
        done = mailbrake("check", "--policy", policy, "--json")
        (found,) = map(json.loads, done.stdout.splitlines())
        assert (found["severity"], found["file"], found["line"], found["column"]) == (severity, str(policy), *place)
        assert (done.returncode, done.stderr) == (int(severity == "error"), "")

    def test_shows_the_options_in_force(self, config: Path) -> None:
        """With `--config`: every option as it is, as comments before the policy."""
        told = mailbrake("check", "--config", config).stdout
        assert '# [policy] mode = "observe"' in told

    @pytest.mark.parametrize("bad", sorted((ROOT / "samples" / "bad-configs").glob("*.toml")), ids=lambda p: p.stem)
    def test_bad_configurations_are_explained(self, bad: Path) -> None:
        """Each has its message beside it, from the line on: key, remedy; exit status 1."""
        done = mailbrake("check", "--config", bad)
        assert (done.returncode, done.stderr) == (1, f"mailbrake: {bad}:{bad.with_suffix('.expected').read_text()}")

    def test_what_this_machine_has_not_is_noted(self, tmp_path: Path) -> None:
        """A log, a group; it may be for another machine. A file in place of the state directory is an error."""
        config = tmp_path / "toml"
        log = f'[log]\nfiles = ["{tmp_path}/mail*.log"]\n'
        config.write_text(f'{log}[milter]\nsocket_group = "nobodys"\n[state]\ndirectory = "{tmp_path}"\n')
        done = mailbrake("check", "--config", config)
        assert done.returncode == 0
        assert f"{config}: [log] files: there is nothing at {tmp_path}/mail*.log yet\n" in done.stderr
        assert f"{config}: [milter] socket_group: there is no group 'nobodys' on this machine\n" in done.stderr
        (tmp_path / "mail.1.log").touch()
        config.write_text(f'{log}[state]\ndirectory = "{config}"\n')
        done = mailbrake("check", "--config", config)
        assert (done.returncode, done.stderr) == (
            1,
            f"mailbrake: {config}: [state] directory: {config} is no directory\n",
        )

    def test_lists_in_the_dns_are_refused_in_a_cluster(self, config: Path, tmp_path: Path) -> None:
        """With where they stand, and what to do; `watch` says the same."""
        policy = tmp_path / "policy"
        policy.write_text('score 5 for dnsbl "bl.example"\n\nrule r per account: when reputation >= 5 block for 1h\n')
        config.write_text(f'{config.read_text()}[policy]\nfile = "{policy}"\n')
        assert "in a cluster" not in mailbrake("check", "--config", config).stderr
        config.write_text(f'{config.read_text()}[cluster]\nservers = ["nats://127.0.0.1:1"]\n')
        done = mailbrake("check", "--config", config)
        assert done.returncode == 1
        assert f'{policy}:1:19: dnsbl "bl.example" cannot be asked in a cluster' in done.stderr
        assert "leave it out of the policy" in done.stderr


class TestBeforeAnythingRan:
    def test_status_says_what_is_missing(self, config: Path) -> None:
        """No journal, no table, no milter (where one is to enforce): each is named; exit status 1."""
        config.write_text(config.read_text() + '[policy]\nmode = "enforce"\n')
        done = mailbrake("status", "--config", config)
        assert done.returncode == 1
        for part in ("there is no journal yet", "no table there", "no milter answers"):
            assert part in done.stderr

    def test_status_says_that_the_disk_is_full(self, config: Path) -> None:
        """Nothing is ever free in /proc."""
        config.write_text('[state]\ndirectory = "/proc"\n')
        done = mailbrake("status", "--config", config)
        assert done.returncode == 1
        assert "mailbrake: /proc: the disk is full, or soon will be (0 MB are free): make room; " in done.stderr

    def test_table_list_says_that_there_is_no_table(self, config: Path) -> None:
        """Exit status 1."""
        done = mailbrake("table", "list", "--config", config)
        assert done.returncode == 1
        assert "no table there" in done.stderr

    def test_why_says_that_there_is_no_journal(self, config: Path) -> None:
        """Exit status 1."""
        done = mailbrake("why", "7K2M9Q", "--config", config)
        assert done.returncode == 1
        assert "no journal" in done.stderr

    def test_watch_refuses_a_bad_policy(self, tmp_path: Path, config: Path) -> None:
        """Before it touches anything: exit status 2."""
        bad = tmp_path / "policy"
        bad.write_text("rule\n")
        config.write_text(config.read_text() + f'[policy]\nfile = "{bad}"\n')
        done = mailbrake("watch", "--config", config)
        assert done.returncode == 2
        assert f"{bad}:2:1: expected a name" in done.stderr


def test_the_sample_configuration_is_the_one_in_the_code() -> None:
    """Every option with its meaning and default."""
    from enforce.config import render

    assert (ROOT / "samples" / "mailbrake.toml").read_text() == render()


@pytest.mark.parametrize("command", ["events", "rates", "replay"])
def test_a_full_disk_behind_the_output_is_said(command: str) -> None:
    """In a sentence; and what could not be written is no success, however little it was."""
    with Path("/dev/full").open("w") as full:
        call = [sys.executable, "-m", "logwatch", command, str(DEMO)]
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "mailbrake: not everything could be written: No space left on device"
    assert "Traceback" not in done.stderr


def test_letters_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    """A stranger who writes them cannot keep anybody from seeing the rest of the table."""
    log = tmp_path / "mail.log"
    accept = "4EVE00: client=pc[192.0.2.9], sasl_method=PLAIN, sasl_username=ev\N{CYRILLIC SMALL LETTER IE}"
    queued = "4EVE00: from=<a@b>, size=3, nrcpt=1 (queue active)"
    head = "Nov 25 03:27:47 mx1 postfix/"
    log.write_text(f"{head}smtpd[7]: {accept}\n{head}qmgr[7]: {queued}\n", encoding="utf-8")
    call = [sys.executable, "-m", "logwatch", "rates", str(log)]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"account:ev\u0435" in done.stdout


@pytest.mark.parametrize("command", [f"{name} {DEMO}" for name in ("events", "rates", "replay", "report", "rollout")])
def test_no_output_at_all(command: str) -> None:
    """Started with the standard streams closed, a command does its work all the same."""
    closed = 'exec "$@" <&- >&- 2>&-'
    call = ["sh", "-c", closed, "sh", sys.executable, "-m", "logwatch", *command.split()]
    assert subprocess.run(call, check=False).returncode == 0


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


@pytest.mark.parametrize("command", ["check", "watch", "replay LOG", "rollout", "check --json"])
def test_a_policy_that_cannot_be_opened_is_told_where_it_is_named(command: str, tmp_path: Path) -> None:
    """The file is fine to whoever wrote the policy elsewhere: it is the configuration that has to be looked at."""
    path, policy = tmp_path / "mailbrake.toml", tmp_path / "policy"
    path.write_text(f'[state]\ndirectory = "{tmp_path}/state"\n\n[policy]\nfile = "{policy}"\n')
    words = [str(DEMO) if word == "LOG" else word for word in command.split()]
    done = mailbrake(*words, "--config", path)
    problem = f"[policy] file: {policy} cannot be read: No such file or directory; check path and permissions"
    if "--json" in words:
        (found,) = map(json.loads, done.stdout.splitlines())
        assert (found["file"], found["line"], found["column"], found["problem"]) == (str(path), 5, None, problem)
    else:
        assert f"mailbrake: {path}:5: {problem}\n" in done.stderr
        named = mailbrake("replay", DEMO, "--config", path, "--policy", tmp_path / "other")
        assert named.stderr == f"mailbrake: {tmp_path}/other: cannot be read: No such file or directory\n"
