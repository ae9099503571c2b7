"""The milter's metrics: what a scrape finds, that it costs nobody anything, and what is said of a silent controller."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from enforce import exposition
from enforce.exposition import PLAIN, EndpointError, Metric, Snapshot
from enforce.metrics import METRICS, Meter, Pulse
from enforce.table import NOT_LISTED, Denied, State, Unusable, Writer
from enforce.table.files import SILENT
from enforce.verdict import LoggedVerdict, Note
from tests.mta.postfix import free_ports

from .daemon import ROOT, Daemon, wait_until
from .records import record


def scraped(where: str) -> dict[str, float]:
    """What Prometheus would read there, by metric with its labels."""
    with urllib.request.urlopen(f"http://{where}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (li.rpartition(" ") for li in lines if not li.startswith("#"))}


def _scraped_now(where: str) -> dict[str, float]:
    """Nothing where all places are still taken."""
    try:
        return scraped(where)
    except OSError:
        return {}


def _end_of(connection: socket.socket) -> bytes:
    try:
        return connection.recv(100)
    except ConnectionError:
        return b""


class TestEndpoint:
    def test_serves_the_snapshot_that_is_there(self) -> None:
        """With each scrape the newest one; a metric without values is left out."""
        metrics = (
            Metric("x_total", "counter", "X", ("of",)),
            Metric("y", "gauge", "Y"),
            Metric("z", "gauge", "never set"),
        )
        snapshots: list[Snapshot] = [{"x_total": {("a",): 1.0}, "y": {PLAIN: 0.5}}]
        where = f"127.0.0.1:{next(free_ports())}"
        close = exposition.serve(where, metrics, lambda: snapshots[-1])
        try:
            assert scraped(where) == {'x_total{of="a"}': 1.0, "y": 0.5}
            snapshots.append({"x_total": {("a",): 2.0, ('b"\n',): 1.0}, "y": {PLAIN: 0.5}})
            assert scraped(where) == {'x_total{of="a"}': 2.0, 'x_total{of="b\\"\\n"}': 1.0, "y": 0.5}
        finally:
            close()

    def test_gives_its_port_back_when_it_is_closed(self) -> None:
        """So that it can be opened again."""
        where = f"127.0.0.1:{next(free_ports())}"
        for _ in range(2):
            exposition.serve(where, (), dict)()

    def test_who_only_begins_requests_is_hung_up_on(self) -> None:
        """They hold neither the port nor the process: at once if there are many of them, else after a while."""
        where = f"127.0.0.1:{next(free_ports())}"
        threads = threading.active_count()
        close = exposition.serve(where, (Metric("y", "gauge", "Y"),), lambda: {"y": {PLAIN: 0.5}}, patience=0.3)
        begun = [socket.create_connection(("127.0.0.1", int(where.partition(":")[2])), timeout=60) for _ in range(60)]
        try:
            for one in begun:
                with contextlib.suppress(ConnectionError):
                    one.send(b"GET /metrics HTTP/1.1\r\nX: ")
            assert threading.active_count() <= threads + 1 + 8
            assert {_end_of(one) for one in begun} == {b""}
            wait_until(lambda: _scraped_now(where) == {"y": 0.5}, "a scrape")
        finally:
            for one in begun:
                one.close()
            close()

    def test_figures_are_served_by_ipv6_as_well(self) -> None:
        """[ADDRESS]:PORT."""
        where = f"[::1]:{next(free_ports())}"
        close = exposition.serve(where, (Metric("y", "gauge", "Y"),), lambda: {"y": {PLAIN: 0.5}})
        try:
            assert scraped(where) == {"y": 0.5}
        finally:
            close()

    def test_says_where_it_cannot_be_served(self) -> None:
        """The port is taken."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(EndpointError, match=f"{where}: metrics cannot be served there: Address already in use"):
                exposition.serve(where, (), dict)

    def test_says_what_to_install(self) -> None:
        """Where prometheus-client is missing: here, a Python that sees nothing but the standard library."""
        code = (
            "from enforce import exposition\ntry: exposition.serve('127.0.0.1:1', (), dict)\n"
            "except exposition.EndpointError as error: print(error)"
        )
        run = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert "127.0.0.1:1: metrics need prometheus-client: pip install 'mailbrake[metrics]'" in run.stdout


class TestMeter:
    STATE = State("", generation=7, age=2.5, entries=3)

    def test_gives_a_value_of_every_metric(self) -> None:
        """And of none that is not described."""
        meter = Meter()
        meter.said(LoggedVerdict(Note("block", "enforce", "R", "rule", "account"), "MAIL", "192.0.2.1", "bob"))
        meter.tick(self.STATE, 1, 2, {"stderr": 3}, 1e9)
        assert meter.snapshot.keys() == {metric.name for metric in METRICS}
        for metric in METRICS:
            assert {len(labels) for labels in meter.snapshot[metric.name]} == {len(metric.labels)}

    def test_counts_verdicts_by_action_mode_and_stage_alone(self) -> None:
        """However many accounts, clients and cases there are, there are as many values."""
        meter = Meter()
        for number in range(100):
            note = Note("tempfail", "enforce", f"REF{number}", f"rule{number}", "account")
            meter.said(LoggedVerdict(note, "MAIL", f"192.0.2.{number}", f"login{number}"))
        meter.tick(self.STATE, 0, 0, {}, 1e9)
        verdicts = meter.snapshot["mailbrake_milter_verdicts_total"]
        assert len(verdicts) == 16  # all there are, from zero on
        assert {labels: count for labels, count in verdicts.items() if count} == {("tempfail", "enforce", "MAIL"): 100}

    @pytest.mark.parametrize(
        ("answer", "name"),
        [(Denied(()), "denied"), (NOT_LISTED, "not_listed"), (Unusable("gone"), "unusable")],
        ids=["denied", "not_listed", "unusable"],
    )
    def test_counts_look_ups_by_answer(self, answer: Denied, name: str) -> None:
        """The three that there are, from zero on."""
        meter = Meter()
        meter.answered(answer)
        meter.tick(self.STATE, 0, 0, {}, 1e9)
        counts = meter.snapshot["mailbrake_milter_lookups_total"]
        assert counts == {("denied",): 0, ("not_listed",): 0, ("unusable",): 0} | {(name,): 1}

    def test_an_unusable_table_has_no_age(self) -> None:
        """But is known to be unusable."""
        meter = Meter()
        meter.tick(State("there is none"), 0, 0, {}, 1e9)
        assert meter.snapshot["mailbrake_milter_table_usable"] == {PLAIN: 0}
        assert "mailbrake_milter_table_age_seconds" not in meter.snapshot

    def test_a_snapshot_does_not_change(self) -> None:
        """What a scrape is reading stays as it was."""
        meter = Meter()
        meter.tick(self.STATE, 0, 0, {}, 1e9)
        before = meter.snapshot
        meter.answered(NOT_LISTED)
        meter.tick(self.STATE, 0, 0, {}, 1e9)
        assert before["mailbrake_milter_lookups_total"]["not_listed",] == 0
        assert meter.snapshot["mailbrake_milter_lookups_total"]["not_listed",] == 1


class TestPulse:
    def test_tells_once_that_signs_of_life_ceased_and_once_that_they_are_back(self) -> None:
        """Each time."""
        told: list[str] = []
        pulse = Pulse(told.append)
        for age in (0, SILENT, SILENT + 1, SILENT + 2, 1, 2, SILENT + 1):
            pulse.feel(State("", age=age))
        assert [line[:32] for line in told] == [
            "the controller's last sign of li",
            "the controller gives signs of li",
            "the controller's last sign of li",
        ]
        assert pulse.stopped == 2

    def test_one_that_is_dated_ahead_is_no_sign_of_life(self) -> None:
        """The clock was set back; a controller that lives would have dated another one since."""
        told: list[str] = []
        Pulse(told.append).feel(State("", age=-86400.0))
        assert len(told) == 1
        assert "the controller's last sign of life is 86400 s ahead of the clock, which was set back: is" in told[0]

    def test_says_nothing_of_a_table_that_cannot_be_read(self) -> None:
        """The look-ups tell that."""
        told: list[str] = []
        Pulse(told.append).feel(State("broken"))
        assert told == []


@pytest.fixture
def metered(tmp_path: Path) -> tuple[Daemon, str]:
    """A milter that is not running yet, and where its metrics will be."""
    where = f"127.0.0.1:{next(free_ports())}"
    daemon = Daemon(tmp_path, more=f'[metrics]\nmilter = "{where}"\n')
    daemon.publish()
    return daemon, where


def reached(where: str, enough: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """What is scraped, once it is enough: snapshots are a second apart."""
    found: list[dict[str, float]] = []

    def look() -> bool:
        found.append(scraped(where))
        return enough(found[-1])

    wait_until(look, "the metrics")
    return found[-1]


def test_a_running_milter_serves_what_it_did(metered: tuple[Daemon, str]) -> None:
    """Verdicts, look-ups, the table; scraped while sessions are open."""
    daemon, where = metered
    with daemon:
        daemon.publish(account_bob=record("block"))
        with daemon.session() as session:
            session.connect()
            assert session.mail("bob").startswith("550")
            assert session.mail("free") == "accept"
            not_listed = 'mailbrake_milter_lookups_total{answer="not_listed"}'  # the client, and the other login
            verdict = 'mailbrake_milter_verdicts_total{action="block",mode="enforce",stage="MAIL"}'
            found = reached(where, lambda found: found.get(verdict) == 1 and found[not_listed] == 2)
    assert found['mailbrake_milter_lookups_total{answer="denied"}'] == 1
    assert found["mailbrake_milter_table_usable"] == 1
    assert found["mailbrake_milter_table_keys"] == 1
    assert 0 <= found["mailbrake_milter_table_age_seconds"] < SILENT
    assert found["mailbrake_milter_doubts_total"] == 0
    assert found['mailbrake_milter_log_lines_lost_total{log="stderr"}'] == 0


def test_a_milter_whose_port_is_taken_says_so_and_serves_mail(metered: tuple[Daemon, str]) -> None:
    """Mail is braked without metrics too."""
    daemon, where = metered
    host, _, port = where.partition(":")
    with socket.create_server((host, int(port))), daemon:
        daemon.publish(account_bob=record("block"))
        daemon.wait_for(f"{where}: metrics cannot be served there: Address already in use")
        with daemon.session() as session:
            session.connect()
            assert session.mail("bob").startswith("550")


def test_a_milter_notices_that_the_controller_is_silent_and_goes_on(tmp_path: Path) -> None:
    """Without metrics too: an old heartbeat ends no record, and is told."""
    daemon = Daemon(tmp_path)
    with daemon:
        with Writer(daemon.table) as writer:
            writer.publish({"account:bob@example.com": [record("block")]}, time.time() - 60)
        daemon.wait_for("the controller's last sign of life is 6")
        with daemon.session() as session:
            session.connect()
            assert session.mail("bob").startswith("550")
        daemon.publish()
        daemon.wait_for("the controller gives signs of life again")


def test_log_lines_that_were_lost_are_told_at_the_end(tmp_path: Path) -> None:
    """Here syslog takes none."""
    daemon = Daemon(tmp_path)
    daemon.configure('syslog = ""', f'syslog = "{tmp_path}/none"')
    with daemon:
        daemon.wait_for("trying again with each line")
    assert "log lines were lost (syslog)" in daemon.told()
