"""A private Postfix: a whole mail system below one directory in /tmp, real in all but where its mail goes to.

    with Postfix(accounts={"alice": "secret"}, milter="unix:/tmp/x/milter.sock") as postfix:
        submit(postfix.submission_port, "alice@example.org", ["x@sink.example"], login="alice")
        postfix.wait_for_line("status=sent")

It needs root (master does), but no /etc/postfix, syslog or service manager. Several run side by side.

Where mail goes to, by the recipient's domain:

    bounce.example, policy.example   the next host refuses it, 5.1.1 and 5.7.1; a bounce goes to the sender
    defer.example                    the next host defers it, 4.2.1; it stays in the queue
    sink.example and below           the next host takes it, unless `postfix.replies` says otherwise
    reject.example                   our own smtpd refuses it at RCPT, 550 5.1.1
    any other                        discard(8) takes it: the quickest, and the log is that of a delivery

Things that cost others an hour:

- Postfix waits for main.cf to be two seconds old before it starts or reloads: it is written back-dated.
- The directory must be open to user postfix (pytest's `tmp_path` is not), its path short (sockets lie in it).
- `postfix stop` looks once a second whether master has ended: `stop` signals, and watches all processes.
- Stamps are in the zone that the variable TZ names; the host in the log is the first label of `myhostname`.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from random import SystemRandom
from tempfile import mkdtemp
from time import time
from types import TracebackType
from typing import Any, Self

from .sasl import AuthServer
from .sink import REPLIES, SinkServer
from .waiting import tail, wait_for

PROGRAMS = "/usr/sbin:/usr/lib/postfix/sbin"
TIMEOUT = 60  # seconds, far more than anything here takes
PORTS = range(20000, 32768)
BACK_DATED_SECONDS = 60

MAIN = {
    "compatibility_level": "3.6",
    "myhostname": "mx1.example.com",
    "mydestination": "$myhostname",
    "local_recipient_maps": "",
    "local_transport": "discard:",  # root's mail would end in the machine's own /var/mail
    "default_transport": "discard:",
    "alias_maps": "",
    "alias_database": "",
    "mynetworks": "127.0.0.0/8",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "smtpd_peername_lookup": "no",
    "smtp_host_lookup": "native",
    "enable_long_queue_ids": "yes",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_error_sleep_time": "0",
    "smtpd_sasl_type": "dovecot",
    "milter_default_action": "accept",
}
"""Settings that need no value of the instance; `extra` overrides them."""

SERVICES = """\
postlog    unix-dgram n - n -     1 postlogd
pickup     unix       n - n 60    1 pickup
cleanup    unix       n - n -     0 cleanup
qmgr       unix       n - n 300   1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n -     - trivial-rewrite
bounce     unix       - - n -     0 bounce
defer      unix       - - n -     0 bounce
trace      unix       - - n -     0 bounce
flush      unix       n - n 1000? 0 flush
proxymap   unix       - - n -     - proxymap
smtp       unix       - - n -     - smtp
showq      unix       n - n -     - showq
error      unix       - - n -     - error
retry      unix       - - n -     - error
discard    unix       - - n -     - discard
anvil      unix       - - n -     1 anvil
scache     unix       - - n -     1 scache
"""
"""master.cf without the ports; none is chrooted, so paths of sockets may be absolute."""


class Postfix:
    """One instance, from the directory's making to its removal.

    `accounts`  login to password for the submission port; kept, not copied, so it may be changed later
    `milter`    a socket as for smtpd_milters, `unix:PATH` or `inet:HOST:PORT`; without it mail flows on
    `extra`     more settings for main.cf, or other values for those above

    `smtp_port` takes mail from this machine without AUTH; `submission_port` with AUTH only, and logs as
    `postfix/submission`. `replies` is the next host's answer per recipient domain, and may be changed too.
    """

    def __init__(
        self,
        accounts: dict[str, str] | None = None,
        milter: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        require_postfix()
        self.accounts = {"alice": "secret"} if accounts is None else accounts
        self.replies = dict(REPLIES)
        self.smtp_port, self.submission_port = islice(free_ports(), 2)
        self.directory = Path(mkdtemp(prefix="mb-", dir="/tmp"))
        self.config_directory = self.directory / "conf"
        self.log_path = self.directory / "log" / "mail.log"
        self._servers = ExitStack()
        self._settings = self._main(milter) | dict(extra or {})

    # ---- life

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.close)
            self.start()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start, or start again what was stopped: queue, log and ports are the same. On return it answers."""
        if not self.config_directory.exists():
            self._furnish()
        self._configure()
        starts = len(self.lines("daemon started"))
        self.run("postfix", "start")
        self.wait_for_line("daemon started", count=starts + 1)  # so postlogd runs, and has the log open

    def stop(self) -> None:
        """Stop Postfix, and return when its last process has ended. Harmless when it does not run.

        It takes 0.02 s, or 1 s when the signal meets a child that master has only just forked.
        """
        self._signal(self._master(), signal.SIGTERM)
        try:
            self._wait_until(lambda: not self.processes(), "Postfix to stop")
        finally:
            self._signal(self.processes(), signal.SIGKILL)

    def close(self) -> None:
        """Stop all there is, and remove the directory."""
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
            undo.callback(self._servers.close)
            self.stop()

    def reload(self, extra: Mapping[str, str] | None = None) -> None:
        """Change settings and reload; on return no process with the old ones is left.

        No SMTP session may be open meanwhile, for its smtpd would go on to the session's end.
        """
        self._settings |= extra or {}
        self._configure()
        old = self.processes() - self._master()
        self.run("postfix", "reload")
        self._wait_until(lambda: not old & self.processes(), "the end of the old processes")

    def rotate(self) -> Path:
        """Rotate the log as logrotate does, mail.log.1 being the newest old one, and return that one's path.

        Postfix does not notice that its log was renamed: postlogd has it open and goes on writing to it until
        master gets SIGHUP (`postfix logrotate` sends it too, before it sleeps for a second and calls gzip).
        Then postlogd ends, and the next one opens the log anew: mail.log is *not there* until the next line
        is logged. It has mode 0600 then, where the first one had 0644. No line is lost, as the socket that
        lines wait in is master's. On return nobody has the old log open. Sessions may go on meanwhile.
        """
        logs = self.logs()
        for number, path in zip(range(len(logs), 0, -1), logs, strict=True):
            path.rename(self._rotated(number))
        self._signal(self._master(), signal.SIGHUP)
        self._wait_until(lambda: not self._is_open(self._rotated(1)), "postlogd to let go of its log")
        return self._rotated(1)

    # ---- use

    def run(self, program: str, *arguments: str, text: str = "") -> str:
        """What a command of Postfix's prints about, or does to, this instance: `run("postqueue", "-f")`."""
        config = "-C" if program == "sendmail" else "-c"
        command = [_program(program), config, str(self.config_directory), *arguments]
        done = subprocess.run(
            command, check=False, input=text, capture_output=True, text=True, errors="ignore", timeout=TIMEOUT
        )
        if done.returncode != 0:
            # It tells the log what is wrong, and standard error only where that is a terminal.
            raise RuntimeError(f"{program}: status {done.returncode}; {done.stderr}{tail(self.log_path)}")
        return done.stdout

    def sendmail(self, sender: str, recipients: list[str], body: str = "Subject: test\n\ntest\n") -> None:
        """Hand mail in as a program on this machine does: pickup(8) logs it, with a uid and no client."""
        self.run("sendmail", "-f", sender, *recipients, text=body)

    def queue(self) -> list[dict[str, Any]]:
        """The messages in the queue, as `postqueue -j` has them: queue_name, queue_id, sender, recipients…"""
        return [json.loads(line) for line in self.run("postqueue", "-j").splitlines()]

    def queue_ids(self, queue_name: str | None = None) -> list[str]:
        """The ids of all messages in the queue, or in one of active, deferred, hold, incoming."""
        return [entry["queue_id"] for entry in self.queue() if queue_name in (None, entry["queue_name"])]

    def logs(self) -> list[Path]:
        """The logs there are, in the order of their writing: … mail.log.2, mail.log.1, mail.log."""
        old = list(self.log_path.parent.glob(f"{self.log_path.name}.*"))
        there = [self.log_path] if self.log_path.exists() else []
        return [self._rotated(number) for number in range(len(old), 0, -1)] + there

    def lines(self, pattern: str = "") -> list[str]:
        """The lines written so far that `pattern` is found in, the rotated logs included."""
        texts = (path.read_text(errors="surrogateescape") for path in self.logs())
        return [line for text in texts for line in text.split("\n") if line and re.search(pattern, line)]

    def wait_for_line(self, pattern: str, count: int = 1, timeout: float = TIMEOUT) -> list[str]:
        """`lines(pattern)`, as soon as there are `count` of them."""

        def enough() -> list[str] | None:
            found = self.lines(pattern)
            return found if len(found) >= count else None

        return wait_for(enough, timeout, f"{count} lines with {pattern!r}", self.log_path) or []

    def processes(self) -> set[int]:
        """The ids of this instance's processes: all of them work in its queue directory."""
        everybody = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return {pid for pid in everybody if self.directory in _target(Path(f"/proc/{pid}/cwd")).parents}

    # ---- below

    def _main(self, milter: str | None) -> dict[str, str]:
        spool, data, log = (str(self.directory / name) for name in ("spool", "data", "log"))
        return MAIN | {
            "queue_directory": spool,
            "data_directory": data,
            "maillog_file_prefixes": log,
            "maillog_file": str(self.log_path),
            "smtpd_sasl_path": str(self.directory / "auth.sock"),
            "smtpd_milters": milter or "",
        }

    def _furnish(self) -> None:
        self.directory.chmod(0o755)
        for name in ("conf", "spool", "data", "log"):
            (self.directory / name).mkdir()
        shutil.chown(self.directory / "data", "postfix")
        self._servers.enter_context(AuthServer(self.directory / "auth.sock", self.accounts))
        sink = self._servers.enter_context(SinkServer(self.replies))
        self._settings.setdefault("transport_maps", _transports(sink.port))

    def _configure(self) -> None:
        main = "".join(f"{name} = {value}\n" for name, value in self._settings.items())
        for name, text in (("main.cf", main), ("master.cf", self._ports() + SERVICES)):
            path = self.config_directory / name
            new = path.with_name(f"{name}.new")  # a service that starts just now must not find half of it
            new.write_text(text)
            os.utime(new, (time() - BACK_DATED_SECONDS,) * 2)
            new.replace(path)

    def _ports(self) -> str:
        return (
            f"{self.smtp_port} inet n - n - - smtpd\n"
            f"{self.submission_port} inet n - n - - smtpd\n"
            "  -o syslog_name=postfix/submission\n"
            "  -o smtpd_sasl_auth_enable=yes\n"
            "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n"
        )

    def _master(self) -> set[int]:
        # The file outlives master, whose number may be another's by now: only a process of ours counts.
        path = self.directory / "spool" / "pid" / "master.pid"
        return self.processes() & {int(path.read_text())} if path.exists() else set()

    def _signal(self, pids: set[int], number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        wait_for(condition, TIMEOUT, what, next(reversed(self.logs()), None))

    def _rotated(self, number: int) -> Path:
        return self.log_path.with_name(f"{self.log_path.name}.{number}")

    def _is_open(self, path: Path) -> bool:
        return any(path in _open_files(pid) for pid in self.processes())


def require_postfix(path: str = PROGRAMS) -> None:
    """Raise RuntimeError, with the remedy, when Postfix cannot be run: then a test must fail, not skip."""
    if shutil.which("postfix", path=path) is None:
        raise RuntimeError("no Postfix here to test with: `make test` installs the Debian package postfix")
    if os.geteuid() != 0:
        raise RuntimeError("Postfix can only be started by root: run these tests as root")


def _target(link: Path) -> Path:
    try:
        return link.readlink()
    except OSError:  # the process ended while we looked
        return Path()


def _open_files(pid: int) -> set[Path]:
    with suppress(OSError):  # the process ended while we looked
        return {_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return set()


def _program(name: str) -> str:
    return shutil.which(name, path=PROGRAMS) or name


def free_ports() -> Iterator[int]:
    """Ports of 127.0.0.1 that nobody listens on, in any order."""
    # Not those that the kernel gives out by itself, from 32768 on: the sink, or any connection that is made
    # before Postfix has started, might get the very port that was found free here.
    return filter(_is_free, SystemRandom().sample(PORTS, len(PORTS)))


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def _transports(port: int) -> str:
    next_host = f"smtp:[127.0.0.1]:{port}"
    to_next_host = "".join(f"{{{domain}={next_host}}} " for domain in [*REPLIES, ".sink.example"])
    return f"inline:{{ {to_next_host}{{reject.example=error:5.1.1 User unknown}} }}"
