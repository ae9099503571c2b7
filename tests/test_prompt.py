"""The functions for a Python prompt: the numbers of the command line, times with zone, and sweeps over thresholds."""

from __future__ import annotations

import json
import pydoc
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

import logwatch
from logwatch.judging import language
from logwatch.judging.language import PolicyError
from logwatch.telling.journal import Journal, Review
from logwatch.telling.journal_file import JournalError
from tests import maillog
from tests.telling.decisions import NOW, decision

DEMO = Path(__file__).parents[1] / "logwatch" / "data" / "demo.log"
BURST = """
rule burst per account:
    when recipients in 10m > 6 or recipients in 1h > 50
    tempfail for 10m
    mode observe
rule other per client: when messages in 1h > 1000 block for 1h
"""

STRANGERS = """
rule strangers per account: when new_recipients in 24h > 20 throttle to 20 messages per 1h for 1h
"""


def told(*arguments: str | Path) -> list[dict[str, object]]:
    """The JSON objects that a command prints."""
    command = [sys.executable, "-m", "logwatch", *map(str, arguments), "--zone", "UTC", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def stamp(at: float) -> str:
    """With year and zone, so that no test depends on today's date."""
    return datetime.fromtimestamp(maillog.START + at, UTC).isoformat()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bob writes to four people every two minutes, Alice to one every ten; after half an hour the clock is put back."""
    lines: list[maillog.Timed] = []
    for number in range(15):
        to = [f"r{number}.{i}@example.net" for i in range(4)]
        lines += [(20_000 + 120.0 * number, line) for line in maillog.submission(f"4cX{number:04d}bob", "bob", to)]
    for number in range(3):
        lines += [
            (20_000 + 600.0 * number, line)
            for line in maillog.submission(f"4cX{number:04d}alice", "alice", [f"a{number}@example.net"])
        ]
    lines.sort(key=lambda timed: timed[0])
    lines += [(100.0, line) for line in maillog.submission("4cX9999bob", "bob", ["late@example.net"])]
    path = tmp_path_factory.mktemp("prompt") / "mail.log"
    path.write_text("".join(f"{stamp(at)} mx1 {text}\n" for at, text in lines))
    return path


@pytest.fixture(scope="module")
def events(log: Path) -> pd.DataFrame:
    return logwatch.read(log, zone="UTC")


class TestRead:
    def test_times_have_a_zone(self, log: Path) -> None:
        """That which was asked for."""
        frame = logwatch.read(log, zone="Europe/Berlin")
        assert str(frame["time"].dt.tz) == "Europe/Berlin"
        assert frame["time"][0] == pd.Timestamp(maillog.START + 20_000, unit="s", tz="UTC")

    def test_every_event_of_a_message_has_its_login(self, events: pd.DataFrame) -> None:
        """Also those whose line does not name it."""
        assert set(events.loc[events["event"] == "queued", "account"]) == {"account:bob", "account:alice"}

    def test_with_a_policy_it_says_who_is_exempt(self, log: Path) -> None:
        """All keys of the event must be; what counts for nobody is not."""
        policy = 'exempt account in "bob"\nexempt client in 192.0.2.7\n' + BURST
        plain, frame = logwatch.read(log), logwatch.read(log, policy)
        pd.testing.assert_frame_equal(frame.drop(columns="exempt"), plain)
        counts = frame.dropna(subset="account")
        assert set(counts.loc[counts["exempt"], "account"]) == {"account:bob"}
        assert not frame.loc[frame[["account", "client", "local"]].isna().all(axis=1), "exempt"].any()
        assert not logwatch.read(log, 'exempt account in "bob"\n' + BURST)["exempt"].any()

    def test_a_missing_log_is_an_error(self) -> None:
        """Rather than an empty frame."""
        with pytest.raises(FileNotFoundError, match=r"no log matches /nowhere/\*"):
            logwatch.read("/nowhere/*")


class TestRates:
    @pytest.mark.parametrize("path", [DEMO, "log"])
    def test_they_are_those_of_the_command(self, path: Path | str, log: Path) -> None:
        """Every key, signal and window; and after the clock was set back."""
        path = log if path == "log" else path
        frame = logwatch.rates(logwatch.read(path, zone="UTC"), windows=["10m", "24h"])
        rows = {row.pop("key"): row for row in told("rates", path, "--window", "10m,24h")}
        assert list(frame.index) == list(rows)
        for key, row in rows.items():
            assert list(frame.loc[str(key)]) == list(row.values()), key

    def test_logs_themselves_will_do(self, log: Path, events: pd.DataFrame) -> None:
        """A path in the place of events."""
        assert logwatch.rates(log).equals(logwatch.rates(events))

    def test_rates_may_be_as_of_a_time(self, events: pd.DataFrame) -> None:
        """Nothing that came later counts; a time without zone is in that of the events."""
        at = events["time"][0] + timedelta(minutes=5)
        before = events.iloc[:-5]  # until the clock is set back
        for moment in (at, at.tz_localize(None), str(at)):
            assert logwatch.rates(before, ["1h"], moment).loc["account:bob", ("messages", 3600)] == 3


class TestHistory:
    def test_it_ends_with_the_rates(self, events: pd.DataFrame) -> None:
        """The last value of a key is that of the frame as of its time."""
        before = events.iloc[:-5]  # until the clock is set back
        found = logwatch.history(before, "recipients", "1h")
        bob = found[found["key"] == "account:bob"]
        assert bob["value"].tolist()[-1] == 60
        assert bob["value"].is_monotonic_increasing
        assert logwatch.rates(before, ["1h"]).loc["account:bob", ("recipients", 3600)] == 60

    def test_a_clock_set_back_forgets(self, events: pd.DataFrame) -> None:
        """As it does for the controller."""
        assert logwatch.history(events, "recipients", "24h")["value"].tolist()[-1] == 1

    @pytest.mark.parametrize(("signal", "kind"), [("recipient", "account"), ("recipients", "user")])
    def test_what_is_unknown_is_named(self, events: pd.DataFrame, signal: str, kind: str) -> None:
        """With what is known."""
        with pytest.raises(ValueError, match=r"unknown .* known are"):
            logwatch.history(events, signal, "1h", kind)


class TestReplay:
    @pytest.mark.parametrize("policy", [None, BURST])
    def test_it_decides_as_the_command_does(self, policy: str | None, log: Path, tmp_path: Path) -> None:
        """From a frame and from the log, with the shipped policy and another."""
        path = tmp_path / "policy"
        path.write_text(policy or language.SHIPPED.read_text())
        rows = told("replay", log, "--policy", path)
        by_log = logwatch.replay(log, policy, zone="UTC")
        by_events = logwatch.replay(logwatch.read(log, zone="UTC"), policy)
        assert by_log.equals(by_events)
        assert by_log["ref"].tolist() == [row["ref"] for row in rows]
        assert by_log["until"].tolist() == [pd.Timestamp(str(row["until"])) for row in rows]
        assert by_log["evidence"].tolist() == [row["evidence"] for row in rows]

    def test_no_decision_gives_the_same_columns(self, events: pd.DataFrame) -> None:
        """So that code goes on."""
        none = logwatch.replay(events, "rule never per account: when bytes in 1h > 999999999 tempfail for 1h\n")
        some = logwatch.replay(events, BURST)
        assert len(none) == 0 < len(some)
        assert none.columns.tolist() == some.columns.tolist()
        assert str(none["time"].dtype) == str(some["time"].dtype)
        assert str(some["time"].dt.tz) == "UTC"

    def test_a_policy_may_be_a_value(self, events: pd.DataFrame) -> None:
        """Parsed before."""
        assert logwatch.replay(events, language.parse(BURST)).equals(logwatch.replay(events, BURST))

    def test_a_policy_that_cannot_be_used_is_an_error(self, events: pd.DataFrame) -> None:
        """With its place."""
        with pytest.raises(PolicyError, match=r"policy:3:1"):
            logwatch.replay(events, "\nrule\n")


class TestSweep:
    def test_each_value_is_what_a_replay_with_it_does(self, events: pd.DataFrame) -> None:
        """Cases and keys."""
        curve = logwatch.sweep(events, BURST, "burst", "recipients in 10m", [3, 6, 11, 100])
        for value, row in curve.iterrows():
            found = logwatch.replay(events, BURST.replace("10m > 6", f"10m > {value}"))
            found = found[found["rule"] == "burst"]
            assert row["cases"] == found["ref"].nunique()
            assert row["hit"] == found["key"].nunique()

    def test_what_would_have_been_stopped(self, events: pd.DataFrame) -> None:
        """All that follows the second of fifteen messages, of which each keeps the case alive"""
        curve = logwatch.sweep(events, BURST, "burst", "recipients in 10m", [6])
        assert list(curve.loc[6, ["hit", "messages", "recipients"]]) == [1, 13, 52]

    def test_a_case_older_than_what_the_clock_is_set_back_to_stands(self, tmp_path: Path) -> None:
        """Begun at the second message, for a day; both that follow are stopped, the last by a clock 90 minutes back."""
        times = [0, 60, 7200, 1800]
        lines = [(float(at), line) for at in times for line in maillog.submission(f"4cX{at:04d}bob", "bob", "abcd")]
        path = tmp_path / "mail.log"
        path.write_text("".join(f"{stamp(at)} mx1 {text}\n" for at, text in lines))
        policy = "rule burst per account: when recipients in 10m > 6 tempfail for 24h\n"
        curve = logwatch.sweep(logwatch.read(path), policy, "burst", "recipients", [6])
        assert list(curve.loc[6, ["cases", "messages", "recipients"]]) == [1, 2, 8]

    def test_labels_tell_what_was_caught_missed_and_wrong(self, events: pd.DataFrame) -> None:
        """Bob was hijacked, all the time or from some time on; Alice never."""
        always = logwatch.sweep(events, BURST, "burst", "recipients in 10m", [0, 6], labels=["account:bob"])
        assert list(always.loc[6, ["caught", "missed", "wrong", "leak", "leak_total"]]) == [1, 0, 0, 9, 9]
        assert list(always.loc[0, ["caught", "wrong"]]) == [1, 1]
        begin = events["time"][0]
        later = {"account:bob": (begin + timedelta(minutes=20), begin + timedelta(hours=1))}
        found = logwatch.sweep(events, BURST, "burst", "recipients in 10m", [6], labels=later).loc[6]
        assert list(found[["caught", "missed", "wrong", "wrong_recipients", "leak"]]) == [0, 1, 1, 32, 0]

    @pytest.mark.parametrize("signal", ["recipients", "bytes", "recipients in 7d"])
    def test_a_comparison_must_be_named_without_doubt(self, events: pd.DataFrame, signal: str) -> None:
        """The message shows which there are."""
        with pytest.raises(ValueError, match="recipients in 10m > 6, recipients in 1h > 50"):
            logwatch.sweep(events, BURST, "burst", signal, [1])

    def test_a_rule_must_be_there(self, events: pd.DataFrame) -> None:
        """The message shows which are."""
        with pytest.raises(ValueError, match="burst, other"):
            logwatch.sweep(events, BURST, "bursts", "recipients", [1])


class TestLabels:
    """What operators found out, for `sweep`."""

    def journal(self, path: Path, *reviews: tuple[str, str]) -> Path:
        """Two cases on Bob, one on Carol and Dave each; then what was said about whom."""
        journal = Journal.open(path / "journal.sqlite")
        with journal.transaction():
            for seq, login in enumerate(("bob", "bob", "carol", "dave"), 1):
                journal.record([decision(seq, key=f"account:{login}", time=NOW + seq, until=NOW + 100 * seq)], {})
        for place, (login, verdict) in enumerate(reviews):
            journal.review(Review(NOW + 50 + place, f"account:{login}", verdict, "root"))
        journal.close()
        return path / "journal.sqlite"

    def test_who_was_confirmed_from_a_day_before_to_the_end_of_the_last_case(self, tmp_path: Path) -> None:
        """Released once the password was changed, too; not who was a false alarm, nor whom nobody has looked at."""
        said = [("bob", "confirmed"), ("bob", "released"), ("carol", "released")]
        found = logwatch.labels(self.journal(tmp_path, *said))
        assert list(found) == ["account:bob"]
        first, last = found["account:bob"]
        assert (first.timestamp(), last.timestamp()) == (NOW + 1 - 86400, NOW + 200)

    def test_who_was_exempted_in_the_end_was_a_false_alarm(self, tmp_path: Path) -> None:
        """Whatever was said first."""
        assert logwatch.labels(self.journal(tmp_path, ("bob", "confirmed"), ("bob", "exempted"))) == {}

    def test_a_sweep_takes_them(self, log: Path, tmp_path: Path) -> None:
        """As they are."""
        core = pd.Timestamp(maillog.START, unit="s", tz="UTC")
        labels = {"account:bob": (core, core + pd.Timedelta(days=1))}
        journal = Journal.open(tmp_path / "journal.sqlite")
        with journal.transaction():
            case = decision(key="account:bob", time=maillog.START + 20_000.0, until=maillog.START + 30_000.0)
            journal.record([case], {})
        journal.review(Review(maillog.START + 40_000, "account:bob", "confirmed", "root"))
        journal.close()
        given = logwatch.sweep(log, BURST, "burst", "recipients in 10m", [6, 20], labels)
        found = logwatch.labels(tmp_path / "journal.sqlite")
        read = logwatch.sweep(log, BURST, "burst", "recipients in 10m", [6, 20], found)
        assert read["caught"].tolist() == given["caught"].tolist() == [1, 1]
        assert read["wrong"].tolist() == [0, 0]

    def test_there_must_be_a_journal(self, tmp_path: Path) -> None:
        """Rather than no labels."""
        with pytest.raises(JournalError, match="there is no journal yet"):
            logwatch.labels(tmp_path / "journal.sqlite")


class TestThePage:
    PAGE = (Path(__file__).parents[1] / "docs" / "analysis.md").read_text()

    @pytest.mark.parametrize("name", logwatch.__all__)
    def test_it_names_every_function(self, name: str) -> None:
        """In its table."""
        assert f"| `{name}` |" in self.PAGE

    def test_its_examples_run(self, log: Path, tmp_path: Path) -> None:
        """One after the other, as they stand, but for the names of files."""
        Journal.open(tmp_path / "journal.sqlite").close()
        blocks = re.findall(r"\n\n((?:    .*\n)+)", self.PAGE)
        python = [textwrap.dedent(block) for block in blocks if "logwatch" in block or "import" in block]
        assert len(python) == 3
        names = {"/var/log/mail.log*": str(log), "/var/lib/mailbrake": str(tmp_path), '"draft.policy"': repr(STRANGERS)}
        code = "".join(python)
        for written, meant in names.items():
            assert written in code
            code = code.replace(written, meant)
        code += "print(len(curve), labels, len(decisions.columns), len(reviews.columns))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "11 {} 12 9\n"), done.stderr


class TestMistakes:
    """What somebody types at a prompt is answered in his own terms."""

    def test_help_tells_of_the_functions(self) -> None:
        """Though they are loaded when first used."""
        told = pydoc.plain(pydoc.render_doc(logwatch))
        for name in logwatch.__all__:
            assert f"\n    {name}(" in told

    def test_a_frame_that_lacks_columns_is_told_with_them(self, events: pd.DataFrame) -> None:
        """It says what is missing."""
        with pytest.raises(ValueError, match="or a part of it; it lacks event, account, "):
            logwatch.rates(pd.DataFrame({"a": [1]}))
        with pytest.raises(ValueError, match="it lacks nrcpt"):
            logwatch.replay(events.drop(columns=["nrcpt"]), BURST)

    def test_events_in_another_order_are_refused_with_the_remedy(self, events: pd.DataFrame) -> None:
        """A clock that goes back makes all that was counted be forgotten: a sorted frame would decide nothing."""
        with pytest.raises(ValueError, match=r'events.sort_values\("line"\) puts them in it'):
            logwatch.replay(events.sort_values("account"), BURST)
        shuffled = events.sample(frac=1, random_state=1).sort_values("line")
        assert len(logwatch.replay(shuffled, BURST)) == len(logwatch.replay(events, BURST)) > 0

    def test_a_log_whose_clock_goes_back_and_frames_of_two_logs_are_in_order(self, events: pd.DataFrame) -> None:
        """The one that all tests here read has such a clock."""
        later = events.assign(clock=events["clock"] + pd.Timedelta("1D"))
        assert len(logwatch.history(pd.concat([events, later]), "recipients", "1h")) > 0

    def test_a_part_without_rows_gives_an_empty_frame(self, events: pd.DataFrame) -> None:
        """Nobody of it: an empty frame, as everywhere."""
        nobody = events[events["account"] == "account:nobody"]
        assert logwatch.rates(nobody).empty
        assert logwatch.replay(nobody, BURST).empty

    def test_one_window_will_do_and_none_will_not(self, events: pd.DataFrame) -> None:
        """One is a window, too; none are not."""
        assert logwatch.rates(events, windows="1h").equals(logwatch.rates(events, windows=["1h"]))
        with pytest.raises(ValueError, match="at least one window"):
            logwatch.rates(events, windows=[])

    @pytest.mark.parametrize("labels", ["account:bob", ["bob"], {"bob": ("2026-01-01", "2026-01-02")}])
    def test_labels_that_are_no_keys_are_refused(self, events: pd.DataFrame, labels: object) -> None:
        """They would count as nobody, and every catch as wrong."""
        with pytest.raises(ValueError, match="expected keys such as account:bob"):
            logwatch.sweep(events, BURST, "other", "messages", [5], labels)  # type: ignore[arg-type]

    def test_a_sweep_without_values_is_refused(self, events: pd.DataFrame) -> None:
        """There is no curve of nothing."""
        with pytest.raises(ValueError, match="at least one value to try"):
            logwatch.sweep(events, BURST, "other", "messages", [])

    def test_a_zone_or_realm_that_is_none_is_refused_with_the_remedy(self, log: Path) -> None:
        """As in the configuration."""
        with pytest.raises(ValueError, match="did you mean Europe/Berlin"):
            logwatch.read(log, zone="Berlin")
        with pytest.raises(ValueError, match="expected a domain such as"):
            logwatch.read(log, default_realm="@example.com")

    def test_labels_of_a_state_directory_are_those_of_its_journal(self, tmp_path: Path) -> None:
        """Its journal is meant; that there is none is said as of the file."""
        with pytest.raises(JournalError, match="there is no journal yet"):
            logwatch.labels(tmp_path)


class TestNoLog:
    def test_a_file_that_is_no_mail_log_is_warned_of(self, tmp_path: Path) -> None:
        """With how many lines it has, and how many of them look like cut ones; whoever reads it."""
        file, other = tmp_path / "kern.log", tmp_path / "user.log"
        file.write_text("Nov 25 03:27:47 mx1 kernel: hello\n" * 1200)
        other.write_text("Nov 25 03:27:47 mx1 postfix/smtp[4]: 4ABCDEF: to=<a@b>, relay=none\n")
        said = r"kern\.log: of 1,200 lines none tells of mail: is this the mail log\? `mailbrake explain LINE`"
        with pytest.warns(UserWarning, match=said) as warned:
            assert logwatch.read(file).empty
        assert warned[0].filename == __file__
        with pytest.warns(UserWarning, match=said):
            assert logwatch.replay(file).empty
        with pytest.warns(UserWarning, match=r"user\.log: of 1 lines none tells of mail \(1 begin like known ones"):
            assert logwatch.rates(other).empty
        with pytest.warns(UserWarning, match=r"kern\.log and 1 more: of 1,201 lines"):
            assert logwatch.history([file, other], "recipients", "1h").empty

    def test_lines_that_cannot_be_read_are_warned_of(self, tmp_path: Path) -> None:
        """Where others can: whoever reads it."""
        log = tmp_path / "mail.log"
        log.write_text(DEMO.read_text() + "Nov 25 03:27:47 mx1 postfix/smtp[4]: 4ABCDEF: to=<a@b>, relay=none\n")
        lines = len(log.read_text().splitlines())
        said = rf"mail\.log: of {lines:,} lines 1 begin like known ones and do not go on so: `mailbrake explain LINE`"
        for ask in (logwatch.read, logwatch.replay):
            with pytest.warns(UserWarning, match=said):
                ask(log)

    def test_an_empty_log_is_warned_of(self, tmp_path: Path) -> None:
        """It may have been rotated a moment ago."""
        (tmp_path / "mail.log").touch()
        with pytest.warns(UserWarning, match=r"mail\.log: there is no line in it"):
            logwatch.read(tmp_path / "mail.log")
