"""A controller whose own thread waits, as for a disk that hangs, while its connection lives: others take its keys."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .site import Site, wait_for

LOGINS = [f"user{number}" for number in range(8)]
WAITS = """
import runpy, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
signal.signal(signal.SIGUSR1, lambda *_: signal.sigwait({signal.SIGUSR2}))
runpy.run_module("logwatch", run_name="__main__")
"""


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), ("mx1",))
    try:
        command = [sys.executable, "-c", WAITS, "watch", "--config", str(made.directory / "c1.toml")]
        made.start("server")
        made.running["c1 watch"] = subprocess.Popen(command)
        made.start("c2 watch", "mx1 ship", "mx1 sync")
        yield made
    finally:
        made.close()


def held(site: Site) -> dict[str, int]:
    return {name: row["held"] for name, row in site.status("c2").get("controllers", {}).items()}


def test_what_a_stuck_controller_held_is_taken_over(site: Site) -> None:
    """Its keys had no new brakes for as long as it waited, and nothing told of it."""
    wait_for(lambda: held(site) == {"c1": 4, "c2": 4}, f"both to hold their part; {site.said()}")
    site.running["c1 watch"].send_signal(signal.SIGUSR1)
    wait_for(lambda: held(site) == {"c1": 0, "c2": 8}, f"the other to take over; {site.said()}")
    for login in LOGINS:
        site.send("mx1", login, recipients=25)
    wait_for(lambda: all(site.everywhere(login) for login in LOGINS), f"all refused; {site.said()}")
    site.running["c1 watch"].send_signal(signal.SIGUSR2)
    wait_for(lambda: held(site) == {"c1": 4, "c2": 4}, f"both to hold their part; {site.said()}")
