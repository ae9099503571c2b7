"""`watch` on the logs of many hosts, more than a shell lets a process open."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from logwatch.telling.journal import Journal
from tests.mta.waiting import wait_for

HOSTS = 60
TIMEOUT = 60.0


def test_a_log_of_each_host_is_read_though_the_shell_allows_fewer_files(tmp_path: Path) -> None:
    """And so is the log of a host that is heard of only later."""
    hosts, state, config = tmp_path / "hosts", tmp_path / "state", tmp_path / "mailbrake.toml"
    config.write_text(f'[log]\nfiles = ["{hosts}/*/mail.log"]\n[state]\ndirectory = "{state}"\n')

    def write(host: int) -> None:
        (hosts / f"mx{host}").mkdir(parents=True)
        (hosts / f"mx{host}" / "mail.log").write_text(
            f"2026-11-25T12:00:00+00:00 mx{host} postfix/smtpd[7]: connect from unknown[192.0.2.1]\n"
        )

    def read() -> int:
        with Journal.read(state / "journal.sqlite") as journal:
            return len(journal.noted("positions") or {})

    for host in range(HOSTS):
        write(host)
    limited = ["prlimit", "--nofile=50:4096", sys.executable, "-m", "logwatch", "watch", "--config", str(config)]
    with subprocess.Popen(limited, stderr=subprocess.DEVNULL) as watch:
        try:
            wait_for((state / "table" / "data.mdb").exists, TIMEOUT, "the controller to begin")
            wait_for(lambda: read() == HOSTS, TIMEOUT, "all logs to be read")
            write(HOSTS)
            wait_for(lambda: read() == HOSTS + 1, TIMEOUT, "the new host's log to be read")
            watch.send_signal(signal.SIGTERM)
            assert watch.wait(TIMEOUT) == 0
        finally:
            watch.kill()
