"""Which logs commands read, and in what order: directories, patterns, archives, standard input; and the bar."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from rich.progress import Task, TaskID

import logwatch
from logwatch.commands.output import Remaining
from tests.commands.running import DEMO, mailbrake, objects
from tests.reading.logger import PACK


def line(number: int) -> bytes:
    return b"Nov 25 03:%02d:00 mx1 postfix/smtpd[7]: connect from unknown[192.0.2.%d]\n" % (number, number)


def written(directory: Path) -> Path:
    """A directory with a log in three parts, and what is no log."""
    (directory / "mail.log.2.gz").write_bytes(gzip.compress(line(1)))
    (directory / "mail.log.1").write_bytes(line(2))
    (directory / "mail.log").write_bytes(line(3))
    (directory / "old").mkdir()
    (directory / ".hidden").write_bytes(line(9))
    return directory


def clients(*arguments: str | Path, text: str = "") -> list[object]:
    return [event["client_ip"] for event in objects("events", *arguments, text=text)]


def test_a_directory_means_the_files_in_it_oldest_first(tmp_path: Path) -> None:
    assert clients(written(tmp_path)) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert list(logwatch.read(tmp_path)["client_ip"]) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_logs_that_hold_the_same_lines_are_told_of(tmp_path: Path) -> None:
    """As `/var/log` on Debian, where syslog has the mail server's lines too."""
    for name in ("mail.log", "syslog"):
        (tmp_path / name).write_bytes(b"".join(map(line, range(20))))
    config = tmp_path / "etc" / "mailbrake.toml"
    config.parent.mkdir()
    config.write_text(f'[log]\nfiles = ["{tmp_path}"]\n')
    said = f"{tmp_path}/mail.log and {tmp_path}/syslog hold the same lines, which count twice: name only one of them\n"
    assert mailbrake("rates", tmp_path).stderr == f"mailbrake: {said}"
    assert mailbrake("check", "--config", config).stderr == f"mailbrake: {config}: [log] files: {said}"
    assert mailbrake("rates", tmp_path / "syslog").stderr == ""


def test_a_pattern_and_a_name_that_mean_one_file_read_it_once(tmp_path: Path) -> None:
    written(tmp_path)
    assert clients(tmp_path / "mail.log", f"{tmp_path}/mail.log*") == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_a_directory_without_files_is_an_error(tmp_path: Path) -> None:
    done = mailbrake("events", tmp_path)
    assert (done.returncode, done.stderr) == (1, f"mailbrake: {tmp_path}: no files in it\n")


def test_standard_input_is_replayed_as_the_file_is() -> None:
    assert objects("replay", "--json", "-", text=DEMO.read_text()) == objects("replay", "--json", DEMO)


def test_damage_is_an_error_after_what_could_be_read(tmp_path: Path) -> None:
    log = tmp_path / "mail.log.gz"
    log.write_bytes(gzip.compress(line(1) * 5000)[:-9])
    done = mailbrake("events", log)
    assert done.returncode == 1
    assert done.stdout.count("\n") > 4000
    size = log.stat().st_size
    assert f"mailbrake: {log}: damaged or cut short, noticed at byte {size:,} of {size:,}: " in done.stderr
    assert "for the rest put a whole copy in its place (`gzip -t` tests one)" in done.stderr


def message(day: int, login: str = "bob") -> bytes:
    """One to 300 recipients, for which the policy below is made."""
    stamp, queue_id = f"Nov {day} 03:00:00 mx1 postfix", f"4jZ1x{day}{login}zJ9Hg"
    return (
        f"{stamp}/submission/smtpd[7]: {queue_id}: client=unknown[192.0.2.{day}], sasl_method=PLAIN, "
        f"sasl_username={login}\n"
        f"{stamp}/qmgr[8]: {queue_id}: from=<{login}@example.org>, size=300, nrcpt=300 (queue active)\n"
    ).encode()


POLICY = "rule flood per account: when recipients in 10m > 200 block for 1h\n"
PACKED = {**PACK, ".zst": zstandard.ZstdCompressor(write_checksum=True).compress}
CHECK = {".gz": -8, ".bz2": -8, ".xz": -8, ".zst": -1}  # where a byte of a check sum is
DAMAGE: dict[str, Callable[[bytes, str], bytes]] = {
    "cut short": lambda packed, _: packed[:-10],
    "of another kind": lambda packed, _: b"no" + packed[2:],
    "check sum": lambda packed, ending: (
        packed[: CHECK[ending]] + bytes([packed[CHECK[ending]] ^ 1]) + packed[len(packed) + CHECK[ending] + 1 :]
    ),
}


def one_damaged(directory: Path, ending: str, damage: str) -> Path:
    """The second oldest of four; whole ones before and after it."""
    for part, day in ((3, 22), (2, 23), (1, 24)):
        packed = PACKED[ending](message(day))
        broken = part == 2
        path = directory / f"mail.log.{part}{ending}"
        path.write_bytes(DAMAGE[damage](packed, ending) if broken else packed)
    (directory / "mail.log").write_bytes(message(25))
    return directory / f"mail.log.2{ending}"


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("ending", PACK)
def test_a_damaged_archive_among_others_is_named_and_the_others_are_read(
    tmp_path: Path, ending: str, damage: str
) -> None:
    """All of them: before it and after it; with exit status 1 at the end."""
    damaged = one_damaged(tmp_path, ending, damage)
    logs = sorted(str(path) for path in tmp_path.iterdir())
    found = mailbrake("events", *logs)
    seen = [event.get("client_ip") for event in map(json.loads, found.stdout.splitlines())]
    assert [client for client in seen if client not in (None, "192.0.2.23")] == [f"192.0.2.{n}" for n in (22, 24, 25)]
    (tmp_path / "policy").write_text(POLICY)
    replayed = mailbrake("replay", *logs, "--policy", tmp_path / "policy", "--json")
    cases = [json.loads(row)["time"][8:10] for row in replayed.stdout.splitlines()]
    assert [day for day in cases if day != "23"] == ["22", "24", "25"]
    for done in (found, replayed):
        assert done.returncode == 1
        (said,) = done.stderr.splitlines()
        assert said.startswith(f"mailbrake: {damaged}: damaged or cut short, noticed at byte ")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["replay"], "3 messages accepted"),
        (["replay", "--against", "default"], "Read 6 lines"),
        (["rates", "--csv"], "account:bob"),
        (["report"], "<html"),
        (["cleanup", "bob"], "Still in the queue: 3 messages"),
        (["why", "bob"], "account:bob"),
        (["rollout"], "flood"),
    ],
)
def test_every_command_tells_what_could_be_read(tmp_path: Path, command: list[str], told: str) -> None:
    """And then what could not."""
    damaged = one_damaged(tmp_path, ".gz", "of another kind")
    logs = sorted(str(path) for path in tmp_path.iterdir())
    policy = tmp_path / "policy"
    policy.write_text(POLICY)
    options = {"rates": [], "cleanup": ["--since", "2020-01-01"]}
    by = options.get(command[0], ["--policy", str(policy)])
    done = mailbrake(*command, *logs, *by)
    assert done.returncode == 1
    assert told in done.stdout
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"mailbrake: {damaged}: damaged or cut short, ")


@pytest.mark.parametrize(
    "command",
    [
        ["events", "--json"],
        ["replay"],
        ["replay", "--json"],
        ["replay", "--against", "default"],
        ["replay", "--against", "default", "--json"],
        ["rates"],
        ["rates", "--json"],
        ["report"],
        ["cleanup", "bob", "--since", "2020-01-01", "--json"],
        ["why", "bob", "--json"],
        ["rollout"],
    ],
)
def test_no_command_is_silent_about_lines_that_it_cannot_read(tmp_path: Path, command: list[str]) -> None:
    """It ends well all the same, and says on standard error how many of which kind; also where there are no others."""
    log, cut = tmp_path / "mail.log", message(25).splitlines(keepends=True)[1].replace(b"size=300", b"size=")
    log.write_bytes(message(25) + cut * 2)
    (tmp_path / "policy").write_text(POLICY)
    policy = ["--policy", str(tmp_path / "policy")] if command[0] in {"replay", "report", "why", "rollout"} else []
    done = mailbrake(*command, log, *policy)
    assert done.returncode == 0
    (said,) = done.stderr.splitlines()
    assert said.startswith("mailbrake: unreadable lines of a known kind: 2 queued; ")
    log.write_bytes(cut * 2)
    assert said in mailbrake(*command, log, *policy).stderr.splitlines()


def test_an_unreadable_line_cannot_write_on_the_terminal_that_it_is_shown_on(tmp_path: Path) -> None:
    """Escapes and turns of direction are shown as such."""
    log = tmp_path / "mail.log"
    log.write_bytes(
        message(25) + "Nov 25 03:00:00 mx1 postfix/qmgr[8]: 4jZ1x: from=<\x1b[2J\u202e\x9b>, size=\n".encode()
    )
    done = mailbrake("events", log)
    assert r"the latest: Nov 25 03:00:00 mx1 postfix/qmgr[8]: 4jZ1x: from=<\x1b[2J\u202e\x9b>, size=" in done.stderr


@pytest.mark.parametrize(
    "command", [["events"], ["why", "bob", "--json"], ["cleanup", "bob", "--since", "2020-01-01", "--json"], ["rates"]]
)
def test_what_a_stranger_wrote_cannot_steer_a_terminal(tmp_path: Path, command: list[str]) -> None:
    """In JSON too, which still says what it was: escapes of one byte, turns of direction, ends of lines."""
    evil = "\x1b[2J\x7f\u202e\u009b2J\u2028ש"
    told = message(25).replace(b"<bob@", f"<{evil}@".encode())
    guess = (
        f"Nov 25 03:01:00 mx1 dovecot: imap-login: Login: user=<{evil}>, method=PLAIN, rip=192.0.2.9, lip=192.0.2.1\n"
    )
    (tmp_path / "policy").write_text(POLICY)
    (tmp_path / "mail.log").write_bytes(told + guess.encode())
    policy = ["--policy", str(tmp_path / "policy")] if command[0] == "why" else []
    done = mailbrake(*command, tmp_path / "mail.log", *policy)
    assert done.stdout
    assert all(letter.isprintable() or letter == "\n" for letter in done.stdout + done.stderr)
    if command == ["events"]:
        assert [json.loads(row).get("sender") for row in done.stdout.split("\n")[:2]] == [None, f"{evil}@example.org"]


def test_every_damaged_archive_is_named(tmp_path: Path) -> None:
    """In a line each; of logs that are merged, too."""
    names = [tmp_path / f"{host}.log.1.gz" for host in ("mx1", "mx2")]
    for name in names:
        name.write_bytes(b"no archive")
        name.with_name(name.name.removesuffix(".1.gz")).write_bytes(message(25, name.name[:3]))
    done = mailbrake("replay", tmp_path)
    assert (done.returncode, "2 messages accepted" in done.stdout) == (1, True)
    assert [said.partition(": damaged ")[0] for said in done.stderr.splitlines()] == [f"mailbrake: {n}" for n in names]


def test_where_nothing_can_be_read_that_is_the_reason(tmp_path: Path) -> None:
    """Not that it is no mail log; and a parquet file of nothing is not written."""
    log = tmp_path / "mail.log.1.gz"
    log.write_bytes(b"no archive")
    for command in (["events", "--parquet", str(tmp_path / "found")], ["replay"], ["rates"], ["why", "bob"]):
        done = mailbrake(*command, log)
        assert done.returncode == 1
        assert done.stderr.startswith(f"mailbrake: {log}: damaged or cut short, ")
        assert "is this the mail log?" not in done.stderr
    assert not (tmp_path / "found").exists()


def test_the_bar_counts_bytes_of_the_files_and_ends_at_their_sum(tmp_path: Path) -> None:
    """Packed as they are, on a terminal only."""
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress(os.urandom(30_000)))
    (tmp_path / "mail.log").write_bytes(b"x\n" * 10_000)
    total = sum(path.stat().st_size for path in tmp_path.iterdir()) / 1000
    shown = on_a_terminal("events", tmp_path, status=1)  # not a mail log
    assert f"{total:.1f}/{total:.1f} kB" in shown
    assert "kB" not in mailbrake("events", tmp_path).stderr


def test_the_bar_of_a_replay_has_an_estimate_and_goes_over_all_archives(tmp_path: Path) -> None:
    """Two policies read them once."""
    written(tmp_path)
    total = sum(path.stat().st_size for path in tmp_path.glob("mail.log*"))
    for more in ((), ("--against", "default")):
        shown = on_a_terminal("replay", tmp_path, *more)
        assert f"{total}/{total} bytes" in shown
        assert "0:00:00" in shown


def test_the_estimate_knows_that_packed_logs_hold_more() -> None:
    """Half a minute for a tenth in bytes that is half of the work: another half."""
    remaining = Remaining([(100, True), (1000, False)])
    task = Task(TaskID(0), "reading", 1100, 0, _get_time=lambda: 30.0)
    assert remaining.render(task).plain == "-:--:--"
    task.start_time, task.completed = 0.0, 100
    assert remaining.render(task).plain == "0:00:30"
    task.completed = 600
    assert remaining.render(task).plain == "0:00:10"


def on_a_terminal(*arguments: str | Path, status: int = 0) -> str:
    """What a command shows on standard error, a terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "logwatch", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=its, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(its)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    assert process.returncode == status
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end was closed
        return b""


def test_each_log_has_years_of_its_own(tmp_path: Path) -> None:
    """The second begins months before the first one's end, in the same year."""
    for host in ("mx1", "mx2"):
        stamps = ("Mar 25 03:00:00", "Jul 25 03:00:00", "Oct 25 03:00:00")
        text = "".join(f"{stamp} {host} postfix/smtpd[7]: connect from unknown[192.0.2.1]\n" for stamp in stamps)
        (tmp_path / f"{host}.log").write_text(text)
    years = {str(event["time"])[:4] for event in objects("events", tmp_path)}
    assert len(years) == 1
    assert logwatch.read(tmp_path)["time"].dt.year.nunique() == 1
    assert list(logwatch.read(tmp_path)["host"])[:2] == ["mx1", "mx2"]
