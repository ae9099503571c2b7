"""`mailbrake-milter` as a process: it starts, is told to read its configuration again, and ends."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from enforce.config import Config
from enforce.main import rules_of
from tests.mta.waiting import listens

from .answers import TEMPFAIL
from .daemon import ROOT, Daemon, Session, wait_until
from .records import record


def test_it_stops_at_once_with_status_0_and_takes_its_socket_along(daemon: Daemon, session: Session) -> None:
    assert session.mail("free") == "accept"
    assert daemon.stop() == 0
    assert not daemon.socket.exists()


def test_a_socket_in_the_place_of_its_own_is_left_there(tmp_path: Path) -> None:
    """Somebody took it for a stale one, removed it, and started another milter, which is to be reached hereafter."""
    first, second = Daemon(tmp_path), Daemon(tmp_path)
    first.publish(account_bob=record())
    with first:
        first.socket.unlink()
        lost = f"{first.socket}: the socket was removed or replaced, and no MTA reaches this milter: restart it\n"
        first.wait_for(lost)
        second.start()
        wait_until(lambda: listens(second.socket), "the second milter")
    with second.session() as session:
        session.connect()
        assert session.mail("bob") == TEMPFAIL
    second.kill()


def test_told_to_stop_the_moment_that_it_listens_it_does_so_too(tmp_path: Path) -> None:
    """Not libmilter, which takes five seconds and may call it a failure."""
    for _ in range(10):
        with Daemon(tmp_path) as daemon:
            assert daemon.stop(within=4) == 0


def test_a_signal_before_it_listens_ends_it_as_it_would_any_program(tmp_path: Path) -> None:
    """And the socket that is left behind is replaced."""
    daemon = Daemon(tmp_path)
    for _ in range(3):
        daemon.start()
        wait_until(daemon.socket.exists, "the socket")
        assert daemon.stop(within=4) in (0, -signal.SIGTERM)
    with daemon, daemon.session() as session:
        assert session.connect() == "continue"


def test_an_interrupt_stops_it_too_and_a_hangup_does_not(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.publish(account_bob=record())
    with daemon:
        daemon.signal(signal.SIGHUP)
        with daemon.session() as session:
            session.connect()
            assert session.mail("bob") == TEMPFAIL
        assert daemon.stop(signal.SIGINT) == 0


def test_a_hangup_reads_the_configuration_again(daemon: Daemon, session: Session) -> None:
    """In effect with the next MAIL of an open session: wording, realm, whom to judge, and where the table is."""
    daemon.publish_keys({"account:bob@example.net": [record()]})
    assert session.mail("bob") == "accept"
    daemon.configure("example.com", "example.net")
    daemon.configure('syslog = ""', 'syslog = ""\nhelp = "call 4711"')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("configuration read again\n")
    assert session.mail("bob") == TEMPFAIL.replace(" (case", "; call 4711 (case")
    daemon.configure('syslog = ""', f'syslog = ""\ntable = "{daemon.directory}/other"\nsocket_mode = "0600"')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("configuration read again; only a restart changes socket_mode\n")
    assert session.mail("bob") == "accept"


def test_a_broken_configuration_changes_nothing_at_a_hangup(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record())
    daemon.configure("[milter]", "[mitler]")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("the configuration stays as it was: ")
    daemon.wait_for("[mitler]: no such section; did you mean milter?")
    assert session.mail("bob") == TEMPFAIL


@pytest.mark.parametrize("text", ["", "[log]\n# nothing\n"])
def test_a_configuration_that_has_become_empty_changes_nothing_at_a_hangup(
    daemon: Daemon, session: Session, text: str
) -> None:
    """As it is for a moment while an editor writes it, and stays on a full disk: every brake would be off."""
    daemon.publish(account_bob=record())
    path = daemon.directory / "mailbrake.toml"
    path.write_text(text)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(f"the configuration stays as it was: {path} is empty now; a restart would take it so\n")
    assert session.mail("bob") == TEMPFAIL


def test_metrics_that_only_a_restart_would_serve_are_said(daemon: Daemon) -> None:
    daemon.configure("[milter]", '[metrics]\nmilter = "127.0.0.1:9632"\n[milter]')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("configuration read again; only a restart changes [metrics] milter\n")


@pytest.mark.parametrize("closing", ["os.close(2)", "os.dup2(os.open('/dev/full', os.O_WRONLY), 2)"])
def test_without_a_standard_error_it_serves_mail(tmp_path: Path, closing: str) -> None:
    """As it is started by a script that closes what it does not need, or has it in a file on a full disk."""
    code = "os.execv(sys.executable, [sys.executable, '-m', 'enforce.main', *sys.argv[1:]])"
    daemon = Daemon(tmp_path, command=("-c", f"import os, sys; {closing}; {code}"))
    daemon.publish(account_bob=record())
    daemon.start()
    wait_until(lambda: listens(daemon.socket), "the milter")
    with daemon.session() as session:
        session.connect()
        assert session.mail("bob") == TEMPFAIL
    daemon.kill()


def test_hangups_under_load_end_nothing(daemon: Daemon, session: Session) -> None:
    """libmilter, which would stop at one, never gets it."""
    daemon.publish(account_bob=record())
    for _ in range(200):
        daemon.signal(signal.SIGHUP)
        assert session.mail("bob") == TEMPFAIL
    with daemon.session() as other:
        assert other.connect() == "continue"


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o660])
def test_the_socket_has_its_mode_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    configuration = f'[state]\ndirectory = "{tmp_path}"\n[milter]\nsyslog = ""\nsocket_mode = "{mode:04o}"\n'
    before = os.umask(0o077)
    try:
        with Daemon(tmp_path, configuration + f'socket = "unix:{tmp_path}/milter.sock"\n') as daemon:
            assert stat.S_IMODE(daemon.socket.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_options_in_effect_are_told_at_start(daemon: Daemon) -> None:
    told = daemon.told()
    assert f"configuration: {daemon.directory}/mailbrake.toml\n" in told
    assert '[log] default_realm = "example.com"\n' in told
    assert f'[milter] socket = "unix:{daemon.socket}"\n' in told
    assert f"table: {daemon.table}\n" in told


def test_a_socket_left_by_a_killed_milter_is_replaced(tmp_path: Path) -> None:
    killed = Daemon(tmp_path)
    killed.start()
    try:
        killed.wait_for("listening on")
    finally:
        killed.kill()
    assert killed.socket.is_socket()
    with Daemon(tmp_path) as daemon, daemon.session() as session:
        assert session.connect() == "continue"


def failure(directory: Path, configuration: str = "", command: tuple[str, ...] = ("-m", "enforce.main")) -> str:
    """Standard error of a milter that must not start, after its options."""
    daemon = Daemon(directory, configuration, command)
    daemon.start()
    status = daemon.end()
    return f"{status} {daemon.told().splitlines()[-1]}"


def test_it_does_not_start_where_another_one_listens(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    configuration = f'[milter]\nsocket = "unix:{daemon.socket}"\n'
    assert failure(tmp_path / "second", configuration) == (
        f"1 mailbrake: {daemon.socket}: address in use: another milter answers there; stop it first"
    )
    with daemon.session() as session:
        assert session.connect() == "continue"


def test_it_does_not_start_over_a_file_or_without_a_directory(tmp_path: Path) -> None:
    (tmp_path / "milter.sock").touch()
    assert "1 mailbrake: " in failure(tmp_path)
    assert "there is something that is no socket: move it away" in failure(tmp_path)
    assert (tmp_path / "milter.sock").exists()
    missing = failure(tmp_path, f'[milter]\nsocket = "unix:{tmp_path}/no/m"')
    assert missing == (
        f"1 mailbrake: {tmp_path}/no/m: there is no directory {tmp_path}/no: make it, writable by the milter's user"
    )


def test_it_says_who_may_not_write_where_and_which_group_is_missing() -> None:
    """As somebody who is not root."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    code = (
        "import encodings.utf_8_sig, os, sys; from enforce import main, milter\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(main.main(sys.argv[1:]))"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        told = failure(directory, command=("-c", code))
        assert told == (
            f"1 mailbrake: {directory}/milter.sock: permission denied: {directory} must be writable by the milter's "
            "user, and be allowed to it by SELinux or AppArmor where these are in force (here user 65534, group 65534)"
        )
        directory.chmod(0o777)
        where = f'[milter]\nsocket = "unix:{directory}/milter.sock"\nsocket_group = "daemon"'
        assert failure(directory, where, ("-c", code)).endswith(
            "the milter's user must be in the group of [milter] socket_group to give it the socket"
        )


def test_it_listens_on_tcp_and_does_not_start_on_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"inet:{taken.getsockname()[1]}@127.0.0.1"
        told = failure(tmp_path, f'[milter]\nsocket = "{where}"')
        assert told == f"1 mailbrake: {where}: cannot listen there: Address already in use"
    with Daemon(tmp_path, f'[milter]\nsocket = "{where}"\nsyslog = ""\ntable = "{tmp_path}/t"\n'):
        socket.create_connection(("127.0.0.1", int(where[5:].partition("@")[0]))).close()
    assert "cannot listen there: " in failure(tmp_path, '[milter]\nsocket = "inet:8891@no.such.host.invalid"')


def test_the_environment_names_the_configuration_as_for_every_command(tmp_path: Path) -> None:
    """One that is named on the command line comes first."""
    wrong = tmp_path / "named.toml"
    wrong.write_text("[milter]\nsokcet = 1")
    command = [sys.executable, "-m", "enforce.main"]
    for arguments, file in (((), wrong), (("--config", "other"), Path("other"))):
        run = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env={**os.environ, "MAILBRAKE_CONFIG": str(wrong)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (run.returncode, run.stderr.startswith(f"mailbrake: {file}:")) == (2, True)


def test_a_mistake_in_the_configuration_is_status_2(tmp_path: Path) -> None:
    told = failure(tmp_path, "[milter]\nsokcet = 1")
    assert told == f"2 mailbrake: {tmp_path}/mailbrake.toml:2: [milter] sokcet: no such option; did you mean socket?"


def test_without_pymilter_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['milter'] = None; from enforce.main import main; sys.exit(main(sys.argv[1:]))"
    told = failure(tmp_path, command=("-c", code))
    assert told.startswith("1 mailbrake: the milter needs pymilter: pip install 'mailbrake[milter]'")
    assert all(package in told for package in ("gcc", "libmilter-dev", "python3-dev"))


def test_help_names_the_program() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "enforce.main", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("usage: mailbrake-milter [-h] [--config FILE]")


def test_logins_as_long_as_a_packet_are_not_kept() -> None:
    """Whoever may connect to the milter's port could have it take all memory with them."""
    account = rules_of(Config()).account
    tracemalloc.start()
    for number in range(2000):
        account(f"{number:030000}")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
    assert account("Bob") == "account:bob"
