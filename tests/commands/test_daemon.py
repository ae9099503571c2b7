"""Commands that stay: what they say goes to syslog, too, and whatever becomes of that holds up nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.enforce.daemon import wait_until


@contextmanager
def watching(directory: Path) -> Iterator[Path]:
    """`watch`, with a syslog in this directory; what it says on standard error."""
    (directory / "mail.log").touch()
    settings = directory / "mailbrake.toml"
    settings.write_text(
        f'[log]\nfiles = ["{directory}/mail.log"]\n[state]\ndirectory = "{directory}/state"\n'
        f'[milter]\nsyslog = "{directory}/log"\n'
    )
    errors = directory / "stderr"
    with errors.open("wb") as file:
        command = [sys.executable, "-m", "logwatch", "watch", "--config", str(settings)]
        with subprocess.Popen(command, stderr=file) as watch:
            try:
                wait_until((directory / "state" / "table" / "data.mdb").exists, "the table", 60)
                yield errors
            finally:
                watch.send_signal(signal.SIGTERM)
                assert watch.wait(60) == 0


def syslog(directory: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.bind(str(directory / "log"))
    bound.settimeout(60)
    return bound


def test_a_syslog_that_takes_no_lines_holds_up_nothing(tmp_path: Path) -> None:
    """As rsyslog does while the host that it sends to is away: a controller that waits for it renews no lease."""
    with closing(syslog(tmp_path)), watching(tmp_path):
        pass


def test_a_syslog_that_is_away_is_said_once(tmp_path: Path) -> None:
    """It left its socket behind; each line was a traceback of forty."""
    syslog(tmp_path).close()
    with watching(tmp_path) as errors:
        wait_until(lambda: "does not take lines" in errors.read_text(), "the trouble")
    assert "Traceback" not in errors.read_text()
    assert errors.read_text().count(f"WARNING syslog at {tmp_path}/log does not take lines") == 1


def test_lines_have_facility_daemon_and_their_severity(tmp_path: Path) -> None:
    with closing(syslog(tmp_path)) as bound, watching(tmp_path):
        said = [bound.recv(65536).decode() for _ in range(10)]
        assert all(re.match(r"<30>mailbrake-watch: (configuration: |\[)", line) for line in said)
        wait_until(lambda: bound.recv(65536).startswith(b"<28>mailbrake-watch: "), "a warning: there was no table")


def test_a_standard_error_that_takes_no_lines_holds_up_nothing(tmp_path: Path) -> None:
    """As of a container whose logs are taken away too slowly."""
    (tmp_path / "mail.log").touch()
    settings = tmp_path / "mailbrake.toml"
    log = f'[log]\nfiles = ["{tmp_path}/mail.log"]\n[milter]\nsyslog = ""\n'
    settings.write_text(f'{log}[state]\ndirectory = "{tmp_path}/state"\n')
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    command = [sys.executable, "-m", "logwatch", "watch", "--config", str(settings)]
    with subprocess.Popen(command, stderr=writing) as watch:
        try:
            wait_until((tmp_path / "state" / "table" / "data.mdb").exists, "the table", 60)
        finally:
            watch.send_signal(signal.SIGTERM)
            assert watch.wait(60) == 0
    os.close(reading)
    os.close(writing)


CODE = """
import logging, os, sys
from pathlib import Path
from enforce.config import Config, Milter
from logwatch.commands.daemon import log_to
stream, syslog, journal = sys.argv[1:]
here = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{here.st_dev}:{here.st_ino}" if stream == "journal" else "1:2"
log_to(Config(milter=Milter(syslog=syslog)), "watch", Path(journal))
logging.getLogger("mailbrake").info("once")
"""


@pytest.mark.parametrize(
    ("stream", "socket_of", "twice"),
    [("journal", "journal", False), ("journal", "another", True), ("terminal", "journal", True)],
)
def test_a_line_reaches_systemds_journal_once(tmp_path: Path, stream: str, socket_of: str, twice: bool) -> None:
    """By syslog's socket, if that is the journal's own; whoever looks at standard error sees everything."""
    with closing(syslog(tmp_path)) as bound:
        (tmp_path / "dev-log").symlink_to("log")
        journal = tmp_path / ("log" if socket_of == "journal" else "other")
        command = [sys.executable, "-c", CODE, stream, str(tmp_path / "dev-log"), str(journal)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while b"mailbrake-watch: once" not in bound.recv(65536):
                pass
            _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert ("INFO once" in said) is twice


ENDING = """
import logging, sys
from enforce.config import Config, Milter
from logwatch.commands import Failure, say
from logwatch.commands.daemon import log_to
log_to(Config(milter=Milter(syslog="")), "watch")
for _ in range(2000):
    logging.getLogger("mailbrake").info("before")
sys.exit(say(Failure("the end")))
"""


def test_what_ends_it_is_the_last_line(tmp_path: Path) -> None:
    """Said beside the log's thread it was lost now and then: a controller that would not start, and no word of why."""
    errors = tmp_path / "stderr"
    with errors.open("wb") as file:
        assert subprocess.run([sys.executable, "-c", ENDING], stderr=file, check=False).returncode == 1
    lines = errors.read_text().splitlines()
    assert lines[-1] == "mailbrake: the end"
    assert sum(line.endswith("INFO before") for line in lines) == 2000


def test_without_the_journals_socket_lines_go_to_standard_error(tmp_path: Path) -> None:
    """Its unit for syslog may be masked, and `/dev/log` point to nothing."""
    (tmp_path / "dev-log").symlink_to("log")
    command = [sys.executable, "-c", CODE, "journal", str(tmp_path / "dev-log"), str(tmp_path / "log")]
    assert "INFO once" in subprocess.run(command, capture_output=True, text=True, check=True).stderr
