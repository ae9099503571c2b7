"""`why` for somebody at the help desk: the case, and what the key sends now, with or without a case."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from logwatch.commands.current import bars
from logwatch.commands.output import clock, when
from logwatch.telling.journal import Journal, Review
from tests import maillog
from tests.commands.running import ROOT, config, mailbrake, objects
from tests.test_watch import Machine

DAY = 86400


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Alice has sent two messages in two hours, Bob one to many."""
    machine = Machine(tmp_path)
    machine.send(login="alice", recipients=3)
    machine.now += 3600
    machine.send(login="alice", recipients=4)
    machine.send(login="bob")
    with machine.controller():
        pass
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    return machine


def test_an_account_that_was_not_hit_has_its_current_values(machine: Machine) -> None:
    """ "What is its current value?" is answered; that there is no case is said, exit status 1."""
    done = mailbrake("why", "alice", *config(machine))
    assert done.returncode == 1
    assert "no case alice" in done.stderr
    rows = [row.split() for row in done.stdout.splitlines()]
    assert ["10m", "1h", "24h", "usual"] in rows
    assert ["recipients", "4", "4", "7"] in rows
    assert "recipients by hour, at most 4" in done.stdout
    assert "192.0.2.0/24" in done.stdout


def test_logs_may_stand_behind_the_options(tmp_path: Path) -> None:
    """argparse takes what may be left out where it could first stand, and knows nothing of what comes later."""
    (tmp_path / "log").write_bytes(
        b"Nov 25 03:27:47 mx1 postfix/submission/smtpd[7]: AAAAA1: client=c[192.0.2.1], sasl_method=PLAIN, "
        b"sasl_username=bob\nNov 25 03:27:48 mx1 postfix/qmgr[8]: AAAAA1: from=<b@x.example>, size=1, nrcpt=3 "
        b"(queue active)\n"
    )
    before = mailbrake("why", "bob", tmp_path / "log", "--zone", "Europe/Rome")
    behind = mailbrake("why", "bob", "--zone", "Europe/Rome", tmp_path / "log")
    assert before.stdout == behind.stdout
    assert "192.0.2.0/24" in behind.stdout
    wrong = mailbrake("why", "bob", "--zone", "Europe/Rome", tmp_path / "log", "--no-such-option")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "unrecognized arguments: " in wrong.stderr


def test_json_has_the_values_by_signal_and_window(machine: Machine) -> None:
    """One object, with the values by signal and window, and where the account was used."""
    done = mailbrake("why", "alice", "--json", *config(machine))
    current = json.loads(done.stdout)["current"]
    assert current["values"]["messages"] == {"10m": 1, "1h": 1, "24h": 2}
    assert current["hours"][-2:] == [3, 4]
    assert list(current["places"]["networks"]) == ["net:192.0.2.0/24"]


def test_what_is_usual_stands_beside_what_is(machine: Machine) -> None:
    """What nine in ten days stayed within and the most of any day, once there are days; a week's course."""
    machine.policy.write_text(
        "rule more per account: when recipients in 1h > 100 * usual or messages in 7d > 900 block for 1h"
    )
    for day, recipients in enumerate((3, 9, 4), 1):
        machine.send(login="alice", recipients=recipients, at=machine.now + day * DAY)
    with machine.controller():
        pass
    told = mailbrake("why", "alice", *config(machine)).stdout
    (row,) = (row for row in told.splitlines() if row.startswith("  recipients"))
    assert row.split()[1:] == ["4", "4", "4", "16", "up", "to", "9", "in", "1h", "(most:", "9)"]
    assert "by six hours, at most 9" in told


def test_a_case_is_followed_by_what_the_key_sends_now(machine: Machine) -> None:
    """Rule, numbers, where it came from and lines first."""
    done = mailbrake("why", "bob", *config(machine))
    assert done.returncode == 0
    parts = [
        "Case ",
        "rule      flood",
        "because   recipients in 10m: 25, limit 20",
        "from      192.0.2.1",
        "log lines",
    ]
    places = [done.stdout.index(part) for part in (*parts, "next  ", "account:bob now")]
    assert places == sorted(places)


def test_several_cases_are_the_newest_in_full_and_a_line_for_each_before(machine: Machine) -> None:
    """A screen, not a scroll; each earlier one can be asked for."""
    for _ in range(3):
        machine.now += 7200
        machine.send(login="bob")
    with machine.controller():
        pass
    told = mailbrake("why", "bob", *config(machine)).stdout
    assert told.count("because ") == 1
    earlier = told[told.index("Other cases") :].splitlines()[1:]
    refs = [row.split()[1].removesuffix(":") for row in earlier if row]
    assert len(refs) == 3
    assert "because   recipients in 10m: 25" in mailbrake("why", refs[-1], *config(machine)).stdout


def test_the_case_in_force_comes_first(machine: Machine) -> None:
    """Not the newest: a milder one that begins beside it never was in the table, and nobody was answered for it."""
    rule = "when recipients in 10m > 20"
    machine.policy.write_text(
        f"rule worse per account: {rule} block for 1h mode enforce\n"
        f"rule mild per account: {rule} throttle to 5 per 1h for 1h mode enforce"
    )
    machine.now += 7200
    machine.send(login="carol")
    with machine.controller():
        pass
    told = mailbrake("why", "carol", *config(machine)).stdout
    assert told.splitlines()[1:3] == ["  what      its mail was refused with 550", "  rule      worse (enforce)"]
    worse, mild = re.findall(r"Case (\w{6})", told)
    told = mailbrake("why", mild, *config(machine)).stdout
    assert f"would have been answered 450 (try again later), all but a share of it; case {worse} is more severe" in told
    assert f"in table  never itself: case {worse} was" in told


def test_what_a_rule_wants_to_be_small_is_told_as_below() -> None:
    """`hour < 22` has no limit that was passed: 3 is below it."""
    scenario = ROOT / "samples" / "scenarios" / "overrides"
    told = mailbrake("why", "stu@students.example.com", scenario / "log", "--policy", scenario / "policy").stdout
    assert "messages in 1h: 4, limit 3" in told
    assert "hour: 3, below 22" in told


def test_text_and_json_have_the_same_content(machine: Machine) -> None:
    """What came of it, addresses, reviews and what to do next, with every decision."""
    journal = Journal.open(machine.config.journal)
    journal.review(Review(machine.now + 60, "account:bob", "confirmed", "root", "phished"))
    journal.close()
    machine.send(login="bob", recipients=7)
    with machine.controller():
        pass
    told = mailbrake("why", "bob", *config(machine)).stdout
    (decision,) = objects("why", "bob", "--json", *config(machine))
    assert decision["recipients"] == 7
    assert "1 message to 7 recipients accepted while it stood, 0 attempts refused" in told
    assert decision["addresses"] == [{"client": "192.0.2.1", "country": None, "lines": 1}]
    (review,) = decision["reviews"]  # type: ignore[misc]
    assert review["note"] == "phished"  # type: ignore[has-type]
    assert "confirmed by root: phished" in told
    for step in decision["next"]:  # type: ignore[attr-defined]
        assert f"{step['what']}" in told
        assert step["command"] in told


@pytest.fixture
def today(tmp_path: Path) -> Machine:
    """A machine whose clock is that of the commands, on which nothing has happened."""
    machine = Machine(tmp_path)
    machine.now = time.time()
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    return machine


def test_when_a_case_was_in_the_table_and_why_no_longer(today: Machine) -> None:
    """To the second, as the milter could see it; the command that takes it off writes that down itself."""
    machine = today
    machine.send(login="dave")
    with machine.controller():
        pass
    mailbrake("table", "release", "dave", *config(machine))
    told = mailbrake("why", "dave", *config(machine)).stdout
    begun, ended = told[told.index("in table") :].splitlines()[:2]
    assert begun.endswith(": decided")
    assert f"{when(machine.now)} tempfail (enforce) until {clock(int(machine.now) + 3600)}" in begun
    assert re.fullmatch(r" +\S+ \S+ taken off: released by \w+", ended)
    (decision,) = objects("why", "dave", "--json", *config(machine))
    put: Any = decision["published"]
    assert [one["change"] for one in put] == ["add", "remove"]
    assert put[0]["why"] == "decided"


def test_a_release_by_a_clock_that_was_ahead_says_nothing_of_a_case_of_later(today: Machine) -> None:
    """It is enforced, so somebody has to look at it."""
    machine = today
    right = machine.now
    machine.now += 3 * 3600
    machine.send()
    with machine.controller() as controller:
        controller.journal.review(Review(machine.now, "account:bob", "released", "root"))
        controller.once()
        for at, login in ((machine.now + 60, "alice"), (right, "bob"), (right + 1, "bob")):
            machine.now = at
            machine.send(login=login)
            controller.once()
        assert machine.listed()["account:bob"] == ["enforce"]
    decisions = {str(one["ref"]): one for one in objects("why", "bob", "--json", *config(machine))}
    of_before, of_later = sorted(decisions.values(), key=lambda one: str(one["state"]))
    assert (of_later["state"], of_before["state"]) == ("standing", "released")
    assert "nothing: it was released" not in str(of_later["next"])
    assert str(of_later["ref"]) in mailbrake("review", *config(machine)).stdout


def test_many_changes_are_the_first_and_the_last(today: Machine) -> None:
    """A case is written anew while its rule still holds."""
    machine = today
    machine.send(login="dave")
    with machine.controller() as controller:
        for _ in range(6):
            machine.now += 400
            machine.send(login="dave")
            controller.once()
    told = mailbrake("why", "dave", *config(machine)).stdout
    shown = told[told.index("in table") : told.index("came of")].splitlines()[:-1]
    assert [row.split()[-1] for row in shown] == ["decided", "more", "decided", "decided", "decided"]
    assert "… 3 changes more" in shown[1]


def test_an_order_stands_in_the_journal_without_a_controller(machine: Machine) -> None:
    """The command that put it on the table writes it down."""
    mailbrake("table", "block", "erin", "--for", "2h", *config(machine))
    (change,) = machine.journalled(Journal.published, "account:erin")
    assert (change.change, change.action, change.rule) == ("add", "block", "by-hand")
    assert change.why.startswith("ordered by ")


@pytest.mark.parametrize(
    ("verdict", "first"),
    [
        ("", "ask the owner"),
        ("confirmed", "when the password has been changed"),
        ("released", "nothing: it was released"),
    ],
)
def test_what_to_do_next_depends_on_what_was_said(machine: Machine, verdict: str, first: str) -> None:
    """A case that stands: find out; confirmed: change the password, then release; released: nothing."""
    machine.policy.write_text(machine.policy.read_text().replace("for 1h", "for 364d"))
    machine.send(login="carol")
    with machine.controller():
        pass
    if verdict:
        journal = Journal.open(machine.config.journal)
        journal.review(Review(machine.now + 60, "account:carol", verdict, "root"))
        journal.close()
    told = mailbrake("why", "carol", *config(machine)).stdout
    (row,) = (row for row in told.splitlines() if row.startswith("  next"))
    assert row.removeprefix("  next").strip().startswith(first)


@pytest.mark.parametrize(
    "login",
    ["o'hara;reboot", 'two words "quoted"', "$(reboot)`x`!!", "zoë\\", "-n", "\x1b[2J'\\\u202e0"],
    ids=ascii,
)
def test_a_login_in_a_command_is_one_word_of_a_shell(machine: Machine, login: str) -> None:
    """Whatever a sender called himself: the command can be copied, and nothing in it reaches the terminal as it is."""
    machine.send(login=login)
    with machine.controller():
        pass
    (decision,) = objects("why", f"account:{login}", "--json", *config(machine))
    commands = [step["command"] for step in decision["next"]]  # type: ignore[attr-defined]
    assert commands[-1].isprintable()
    words = subprocess.run(
        ["bash", "-c", f"set -- {commands[-1]}; printf '%s\\0' \"$@\""], capture_output=True, check=True
    )
    told = words.stdout.decode().split("\0")[:-1]
    assert told[:4] == ["mailbrake", "cleanup", decision["key"], "--since"]
    assert told[5:] == list(config(machine))


def test_commands_work_as_they_are_printed(machine: Machine, tmp_path: Path) -> None:
    """Pasted into a shell, each finds what the command found that printed it, whatever the files are called."""
    named = tmp_path / "a site's own.toml"
    named.write_text(
        f'[state]\ndirectory = "{tmp_path}/state"\n[log]\nfiles = ["{machine.log}"]\n'
        f'[policy]\nfile = "{machine.policy}"\n'
    )
    (tmp_path / "mailbrake.toml").unlink()
    given = ("--config", str(named))
    (decision,) = objects("why", "bob", "--json", *given)
    steps: list[dict[str, str]] = decision["next"]  # type: ignore[assignment]
    told = mailbrake("rollout", "--last", "3650d", *given).stdout
    (why,) = re.findall(r"(mailbrake why .*?)   account:bob", told)
    for command in (why, *(step["command"] for step in steps if step["command"])):
        done = subprocess.run(
            ["bash", "-c", command.replace("mailbrake", f"{sys.executable} -m logwatch", 1)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "MAILBRAKE_CONFIG"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command


def test_a_configuration_that_the_environment_names_is_not_repeated(machine: Machine) -> None:
    """It is there for what is pasted, too."""
    told = mailbrake("why", "bob", MAILBRAKE_CONFIG=config(machine)[1]).stdout
    assert "mailbrake cleanup account:bob --since" in told
    assert "--config" not in told


def test_it_answers_without_importing_pandas(machine: Machine) -> None:
    """Also where there is a case, and one of no key."""
    command = f"from logwatch.commands import main; main(['why', 'bob', '--config', {config(machine)[1]!r}])"
    code = f"import sys\ntry:\n    {command}\nexcept SystemExit:\n    pass\nsys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("asked", "meant"), [("dora", "account:dora@example.com"), ("alice@example.com", "account:alice")]
)
def test_an_account_under_another_name_is_suggested(machine: Machine, asked: str, meant: str) -> None:
    """With the domain or without: nobody knows how logins stand in a log."""
    machine.send(login="dora@example.com", recipients=1)
    with machine.controller():
        pass
    assert f"; did you mean {meant}?" in mailbrake("why", asked, *config(machine)).stderr
    assert "did you mean" not in mailbrake("why", "dor", *config(machine)).stderr


def test_an_account_that_sends_is_not_taken_for_its_neighbour(machine: Machine) -> None:
    """user17 has been shown and has no case: user11 is nobody that was meant. user16, who never sent, is mistyped."""
    for login in ("user11", "user17"):
        machine.send(login=login, recipients=1)
    with machine.controller():
        pass
    known = mailbrake("why", "user17", *config(machine))
    assert "account:user17 now" in known.stdout
    assert "did you mean" not in known.stderr
    assert "; did you mean account:user11, account:user17?" in mailbrake("why", "user16", *config(machine)).stderr


def test_an_unknown_key_has_nothing(machine: Machine) -> None:
    """No values, no case."""
    done = mailbrake("why", "nobody", *config(machine))
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(("values", "shown"), [([0, 1, 8], " ▁█"), ([0, 0], "  "), ([], "")])
def test_a_bar_shows_anything_but_nothing(values: list[int], shown: str) -> None:
    """Nothing is blank, anything is seen."""
    assert bars(values) == shown


class TestOfLogs:
    """Asked of an archive: what a controller that had followed it would say, without one."""

    def test_it_says_the_same_as_the_journal_but_for_verdicts_that_nobody_can_take(self, machine: Machine) -> None:
        """Case, numbers, lines and what is usual; of the next steps only those that an archive can answer."""
        logs = (machine.log, "--policy", machine.policy)
        live, of_logs = (objects("why", "bob", *where, "--json") for where in (config(machine), logs))
        for decision in (*live, *of_logs):
            steps = decision.pop("next")
            decision.pop("mode")  # the machine enforces, an archive cannot
            decision.pop("state")  # as of now, and as of the log's end
            decision.pop("published")  # an archive has no table
            assert isinstance(steps, list)
        assert of_logs == live != []
        told = mailbrake("why", "bob", *logs).stdout
        assert f"mailbrake cleanup account:bob {machine.log} --since" in told
        assert "mailbrake review" not in told

    def test_the_cleanup_that_it_names_reads_the_same_logs_in_the_same_way(self, machine: Machine) -> None:
        """From the same moment on, whatever the zones of machine and log are; for the same account."""
        away = "America/New_York"
        how = ("--zone", "Europe/Berlin", "--default-realm", "example.org")
        (decision,) = objects("why", "bob", machine.log, "--policy", machine.policy, *how, "--json", TZ=away)
        begun = datetime.fromisoformat(str(decision["time"]))
        command = cast("list[dict[str, str]]", decision["next"])[-1]["command"]
        (found,) = objects(*shlex.split(command)[1:], "--json", TZ=away)
        assert found["account"] == "account:bob@example.org"
        assert datetime.fromisoformat(str(found["since"])) == begun - timedelta(days=1)
        shown = mailbrake(*shlex.split(command)[1:], TZ=away).stdout
        again = shlex.split(shown.partition("postsuper")[0].rpartition(" mailbrake ")[2])
        assert datetime.fromisoformat(again[again.index("--since") + 1]) == begun - timedelta(days=1)

    def test_an_account_without_a_case_is_answered_too(self, machine: Machine) -> None:
        """With exit status 1, as always."""
        done = mailbrake("why", "alice", machine.log)
        assert done.returncode == 1
        assert "recipients by hour, at most 4" in done.stdout

    def test_rollout_tells_what_a_draft_would_do(self, machine: Machine) -> None:
        """Whom each step would have hit, and what to ask: a command to copy, of the same logs and draft."""
        done = mailbrake("rollout", machine.log, "--policy", machine.policy)
        assert done.returncode == 0, done.stderr
        assert f"by {machine.log}:" in done.stdout
        assert "flood  enforce, but the site only observes" in done.stdout
        ask = next(row for row in done.stdout.splitlines() if row.startswith("    mailbrake why "))
        command, told = ask.strip().split("   ", 1)
        assert told == "account:bob: recipients in 10m 25, limit 20"
        asked = mailbrake(*shlex.split(command)[1:])
        assert (asked.returncode, "account:bob" in asked.stdout) == (0, True)

    @pytest.mark.parametrize("command", ["why bob", "rollout"])
    def test_what_cannot_be_meant_is_said(self, machine: Machine, command: str) -> None:
        """A log that is not there; a policy for a controller that has its own; one that cannot be read."""
        words = command.split()
        missing = mailbrake(*words, "/nowhere/mail.log")
        assert (missing.returncode, missing.stderr) == (1, "mailbrake: /nowhere/mail.log: no such file\n")
        own = mailbrake(*words, "--policy", machine.policy, *config(machine))
        assert (own.returncode, "--policy needs LOG" in own.stderr) == (2, True)
        none = mailbrake(*words, machine.log, "--policy", "/nowhere/policy")
        assert (none.returncode, "/nowhere/policy" in none.stderr) == (2, True)


def test_an_order_that_follows_a_release_stands_though_no_controller_has_taken_up_either(tmp_path: Path) -> None:
    (tmp_path / "mailbrake.toml").write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    configured = ("--config", str(tmp_path / "mailbrake.toml"))

    def states() -> list[str]:
        return [str(found["state"]) for found in objects("why", "bob", "--json", *configured)]

    mailbrake("table", "block", "bob", "--for", "2h", *configured)
    assert states() == ["standing"]
    mailbrake("table", "release", "bob", *configured)
    assert states() == ["released"]
    mailbrake("table", "block", "bob", "--for", "3h", *configured)
    assert states() == ["standing", "released"]
    told = mailbrake("why", "bob", *configured).stdout
    assert told.count("mailbrake table release account:bob") == 1  # what to do next, of the one that stands


class TestNoRoom:
    """A disk that is full is what such nights begin with: it is said, and nothing made up of half a journal."""

    def test_too_little_room_for_temporary_files_is_said(self, machine: Machine) -> None:
        """A file system of 200 KB is at hand, in a mount namespace of its own."""
        small = machine.directory / "small"
        small.mkdir()
        done = told_within(f"mount -t tmpfs -o size=200k tmpfs {small}", "why", "bob", machine.log, TMPDIR=str(small))
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(
            rf"mailbrake: {small}/mailbrake-\w+: 0 MB are free there, which is not enough: make room, .*\n", done.stderr
        )

    def test_no_room_for_any_temporary_file_is_said(self) -> None:
        """Nothing can be written anywhere."""
        closed = "for at in /tmp /var/tmp; do mount --bind $at $at; mount -o remount,bind,ro $at; done; cd /proc"
        done = told_within(closed, "why", "bob", ROOT / "samples/incident.log", PYTHONPATH=str(ROOT))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("mailbrake: No usable temporary directory found in ['/tmp', ")

    def test_no_room_for_what_the_logs_tell_is_said(self, tmp_path: Path) -> None:
        """No file may become larger than the table is."""
        log = tmp_path / "mail.log"
        lines = (
            (n / 9, line)
            for n in range(3000)
            for line in maillog.submission(f"4jX{n:07}zJ9Hg", f"u{n}", ["a@b.example"])
        )
        log.write_bytes(b"".join(maillog.log(lines)))
        done = told_within("ulimit -f 600", "rollout", log)
        assert (done.returncode, done.stdout) == (1, "")
        assert ": what the logs tell did not fit there: make room, " in done.stderr


def told_within(setting: str, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command says where a shell has made this of its surroundings."""
    command = [sys.executable, "-m", "logwatch", *map(str, words)]
    return subprocess.run(
        ["unshare", "-m", "bash", "-c", f'{setting}; exec "$@"', "bash", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
