"""The milter becomes another user once its socket is open, and has all that it needs then."""

import grp
import os
import pwd
import re
import shutil
import stat
import tempfile
from pathlib import Path

import lmdb
import pytest

from .answers import TEMPFAIL
from .daemon import Daemon
from .records import record
from .test_main import failure


def open_to_all(directory: Path) -> None:
    """pytest's directories are the owner's alone."""
    for path in [directory, *directory.parents][: -len(Path(tempfile.gettempdir()).parts)]:
        path.chmod(0o755)


def test_root_becomes_another_user_and_the_socket_is_that_users(tmp_path: Path) -> None:
    """After the socket is open; it then reads the table through that user's group, and takes its socket along."""
    open_to_all(tmp_path)
    nobody, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    daemon = Daemon(tmp_path, more='user = "nobody"\nsocket_group = "daemon"\n')
    daemon.publish(account_bob=record())
    for path in (daemon.table, *daemon.table.iterdir()):
        os.chown(path, 0, nobody.pw_gid)
    with daemon:
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        assert re.search(rf"^Uid:(\t{nobody.pw_uid}){{4}}$", status, re.MULTILINE)
        assert re.search(rf"^Gid:(\t{nobody.pw_gid}){{4}}$", status, re.MULTILINE)
        assert re.search(rf"^Groups:\t{nobody.pw_gid} ?$", status, re.MULTILINE)
        found = daemon.socket.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (nobody.pw_uid, group.gr_gid, 0o660)
        with daemon.session() as session:
            session.connect()
            assert session.mail("bob") == TEMPFAIL


def test_who_may_not_read_where_packages_are_has_all_that_is_needed(tmp_path: Path) -> None:
    """As when they were installed below /root; lmdb 3 imports a part of itself only when it opens a table."""
    open_to_all(tmp_path)
    packages = tmp_path / "packages"
    packages.mkdir(mode=0o700)
    shutil.copytree(Path(lmdb.__file__).parent, packages / "lmdb")
    group = pwd.getpwnam("nobody").pw_gid
    daemon = Daemon(tmp_path, more='user = "nobody"\n', environment={"PYTHONPATH": str(packages)})
    daemon.publish(account_bob=record())
    for path in (daemon.table, *daemon.table.iterdir()):
        os.chown(path, 0, group)
    with daemon, daemon.session() as session:
        session.connect()
        assert session.mail("bob") == TEMPFAIL


def test_a_root_that_may_not_become_another_user_says_so(tmp_path: Path) -> None:
    """As in a container that was given few capabilities."""
    drop = "import os, sys; os.execvp('setpriv', ['setpriv', '--bounding-set=-setgid', sys.executable, *sys.argv[1:]])"
    command = ("-c", drop, "-m", "enforce.main")
    options = f'[milter]\nsocket = "unix:{tmp_path}/m"\nuser = "nobody"\nsyslog = ""'
    assert failure(tmp_path, options, command).startswith("1 mailbrake: [milter] user, group: root may not become")


@pytest.mark.parametrize("option", ["user", "group", "socket_group"])
def test_who_does_not_exist_is_a_mistake_in_the_configuration(tmp_path: Path, option: str) -> None:
    told = failure(tmp_path, f'[milter]\n{option} = "n-o-b-o-d-y"')
    kind = "user" if option == "user" else "group"
    assert told == (
        f"2 mailbrake: {tmp_path}/mailbrake.toml: [milter] {option}: there is no {kind} 'n-o-b-o-d-y' on this machine"
    )
