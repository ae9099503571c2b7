"""What holds of every command: its help, its streams, what it says before anything ran; and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from logwatch.commands import COMMANDS

from .running import DEMO, ROOT, mailbrake

LIGHT = ("--help", "table list", "why 7K2M9Q", "status", "check --policy shipped", f"replay {DEMO}")


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


@pytest.mark.parametrize("zone", ["XXX24", "XXX-30"])
def test_a_zone_that_is_a_day_away_is_said(zone: str) -> None:
    """The C library knows it, Python does not."""
    done = mailbrake("events", "-", TZ=zone)
    assert done.returncode == 2
    assert done.stderr.startswith(f"mailbrake: TZ={zone}: ")


def test_the_version_is_told_with_what_it_runs_on() -> None:
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


def test_letters_that_the_terminal_cannot_show_hide_nothing_else(tmp_path: Path) -> None:
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
def test_a_command_works_though_its_streams_are_closed(command: str) -> None:
    """Started with the standard streams closed, a command does its work all the same."""
    closed = 'exec "$@" <&- >&- 2>&-'
    call = ["sh", "-c", closed, "sh", sys.executable, "-m", "logwatch", *command.split()]
    assert subprocess.run(call, check=False).returncode == 0


def test_a_relative_path_is_told_as_what_it_was_taken_for(tmp_path: Path) -> None:
    """It begins where a command runs: `check` beside the policy finds it, the service, which runs in /, does not."""
    path = tmp_path / "mailbrake.toml"
    path.write_text('[policy]\nfile = "site.policy"\n')
    done = mailbrake("check", "--config", path)
    assert f"{path}:2: [policy] file: {Path.cwd()}/site.policy cannot be read: No such file" in done.stderr


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
        assert done.stderr.endswith(f"mailbrake: {path}:5: {problem}\n")
        named = mailbrake("replay", DEMO, "--config", path, "--policy", tmp_path / "other")
        assert named.stderr == f"mailbrake: {tmp_path}/other: cannot be read: No such file or directory\n"
