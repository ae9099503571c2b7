"""Verdicts go to syslog, and nobody waits for it."""

import socket
import threading
from contextlib import closing
from pathlib import Path

from enforce import key
from enforce.syslog import Outlet, Syslog

from .answers import TEMPFAIL, verdict
from .daemon import Daemon
from .records import record


def logging_to(directory: Path) -> str:
    return (
        f'[log]\ndefault_realm = "example.com"\n[state]\ndirectory = "{directory}"\n'
        f'[milter]\nsocket = "unix:{directory}/milter.sock"\nsyslog = "{directory}/log"\n'
    )


def listening(directory: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(str(directory / "log"))
    listener.settimeout(60)
    return listener


def test_verdicts_go_to_syslog_as_facility_mail(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, logging_to(tmp_path))
    daemon.publish(account_bob=record())
    with listening(tmp_path) as log, daemon, daemon.session() as session:
        session.connect()
        session.mail("bob")
        received = [log.recv(4096).decode() for _ in range(2)]
    head, _, message = received[1].partition(": ")
    assert head.startswith("<22>mailbrake[")
    assert head.endswith("]")
    assert message == verdict("tempfail")
    assert daemon.verdicts(1) == [verdict("tempfail")]


def test_without_a_syslog_it_runs_and_a_later_one_is_used(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, logging_to(tmp_path))
    daemon.publish(account_bob=record())
    with daemon, daemon.session() as session:
        session.connect()
        assert session.mail("bob") == TEMPFAIL
        daemon.wait_for(f"syslog at {tmp_path}/log does not take lines (")
        with listening(tmp_path) as log:
            assert session.mail("bob") == TEMPFAIL
            assert ": log lines lost: " in log.recv(4096).decode()
            assert verdict("tempfail") in log.recv(4096).decode()


def test_a_stalled_syslog_holds_up_no_mail(tmp_path: Path) -> None:
    """A line for each login; the socket takes ten or so, and nobody reads them."""
    daemon = Daemon(tmp_path, logging_to(tmp_path))
    daemon.publish_keys({key.EVERYBODY: [record()]})
    with listening(tmp_path) as log, daemon, daemon.session() as session:
        session.connect()
        for number in range(500):
            assert session.mail(f"user{number}") == TEMPFAIL
        daemon.verdicts(90)
        log.close()


def test_a_syslog_of_the_stream_kind_gets_an_end_mark(tmp_path: Path) -> None:
    with listening(tmp_path, socket.SOCK_STREAM) as log:
        log.listen()
        write = Syslog(str(tmp_path / "log"), "mailbrake[1]: ")
        write("verdict")
        connection, _ = log.accept()
        with connection:
            assert connection.recv(4096) == b"<22>mailbrake[1]: verdict\0"
        write.close()


def test_an_outlet_drops_and_counts_what_does_not_fit() -> None:
    begun, go_on, written = threading.Event(), threading.Event(), list[str]()

    def write(line: str) -> None:
        begun.set()
        assert go_on.wait(10)
        written.append(line)

    outlet = Outlet(write)
    outlet.put("first")
    assert begun.wait(10)
    for number in range(5000):
        outlet.put(str(number))
    go_on.set()
    outlet.close(10)
    assert written[:3] == ["first", "log lines lost: 904", "0"]
    assert written[-1] == "4095"


def test_an_outlet_that_is_stalled_does_not_hold_up_the_end() -> None:
    go_on, went_on = threading.Event(), threading.Event()

    def write(_line: str) -> None:
        go_on.wait(10)
        went_on.set()

    outlet = Outlet(write)
    outlet.put("line")
    outlet.close(0.01)
    assert not went_on.is_set()
    go_on.set()


def test_a_line_that_is_no_text_ends_no_others(tmp_path: Path) -> None:
    """It may name a file, and Linux lets a file be called anything."""
    syslog = Syslog(str(tmp_path / "log"), "mailbrake: ")
    outlet = Outlet(syslog)
    with listening(tmp_path) as log, closing(syslog):
        for line in ("mail-\udcff.log", "next"):
            outlet.put(line)
        received = [log.recv(4096).decode() for _ in range(2)]
        outlet.close(10)
    assert received == [r"<22>mailbrake: mail-\udcff.log", "<22>mailbrake: next"]
