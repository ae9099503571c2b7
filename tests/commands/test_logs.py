"""Which logs commands read, and in what order: directories, patterns, archives, standard input; and the bar."""

from __future__ import annotations

import gzip
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.progress import Task, TaskID

import logwatch
from logwatch.commands.output import Remaining
from tests.commands.test_commands import DEMO, mailbrake, objects


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
    assert f"mailbrake: {log}: damaged or cut short: " in done.stderr


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
