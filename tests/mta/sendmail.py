"""A private Sendmail, as private as the Postfix beside it: one directory in /tmp, no file of the machine is touched.

    with Sendmail(accounts={"alice": "secret"}) as sendmail:
        submit(sendmail.submission_port, "alice@example.org", ["x@sink.example"], login="alice")
        sendmail.wait_for_line("stat=Sent")

It runs in the foreground in a mount and host-name namespace of its own, in which /dev holds our log socket, /etc/hosts
a full host name (without one, Sendmail sleeps for a minute) and SASL's folder our configuration. It needs root.

All mail goes to one next host, which answers by the recipient's domain as for `Postfix`, but for

    reject.example      our own Sendmail refuses it at RCPT, 550 5.1.1

The milter socket must be `inet:`; Sendmail trusts no unix socket below /tmp.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from .postfix import TIMEOUT, free_ports
from .saslauthd import Saslauthd
from .sink import REPLIES, SinkServer
from .syslog import Syslog
from .unpack import SENDMAIL, libraries, unpacked
from .waiting import tail, wait_for

HOST = "mx1.example.com"
DEVICES = ("null", "zero", "random", "urandom")

CONFIGURATION = """\
define(`_CF_DIR_', `{prefix}/usr/share/sendmail/cf/')dnl
include(`{prefix}/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`MAIL_SETTINGS_DIR', `{folder}/')define(`QUEUE_DIR', `{folder}/queue')dnl
define(`confDOMAIN_NAME', `mx1.example.com')define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`ALIAS_FILE', `')define(`STATUS_FILE', `{folder}/statistics')define(`confPID_FILE', `{folder}/sendmail.pid')dnl
define(`confDONT_BLAME_SENDMAIL', `MapInUnsafeDirPath')define(`confTO_IDENT', `0')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/service.switch')dnl
define(`confQUEUE_LA', `1000')define(`confREFUSE_LA', `1000')dnl
define(`confLOG_LEVEL', `{log_level}')define(`confAUTH_MECHANISMS', `PLAIN')dnl
TRUST_AUTH_MECH(`PLAIN')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {sink}')dnl
FEATURE(`accept_unresolvable_domains')FEATURE(`nocanonify')FEATURE(`no_default_msa')dnl
FEATURE(`mailertable', `text -o -k0 -v1 -z| {folder}/mailertable')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port={smtp}{mta}')dnl
DAEMON_OPTIONS(`Name=MSA, Family=inet, Addr=127.0.0.1, Port={submission}, M=Ea{msa}')dnl
{extra}
MAILER(`smtp')dnl
"""

FILES = {
    "mailertable": "reject.example|error:5.1.1:550 User unknown\n.|relay:[127.0.0.1]\n",
    "hosts": f"127.0.0.1 {HOST} mx1 localhost\n",
    "service.switch": "hosts files\naliases files\n",
    "statistics": "",
}

START = """\
set -e
hostname {host}
mount -t tmpfs none {folder}/dev
for device in {devices}; do : >{folder}/dev/$device; mount --bind /dev/$device {folder}/dev/$device; done
ln -s {folder}/log.sock {folder}/dev/log
mount --rbind {folder}/dev /dev
mount --bind {folder}/hosts /etc/hosts
mount --bind {folder}/sasl2 {plugins}
exec "$@"
"""


class Sendmail:
    """One instance, from the directory's making to its removal.

    `accounts`   login to password for the submission port; kept, not copied, so it may be changed later
    `milter`     `inet:HOST:PORT`; without it mail flows on
    `extra`      more lines for the m4 configuration: `FEATURE(...)dnl`
    `listeners`  more options of the daemons "MTA" (`smtp_port`) and "MSA" (`submission_port`): `InputMailFilters=m1`
    `name`       under which it logs (`-L`)
    `log_level`  9 is Sendmail's default; more is written from 10 on

    `smtp_port` takes mail without AUTH (for any domain: it is a relay to this machine), `submission_port` with AUTH
    only. `replies` is the next host's answer per recipient domain, and may be changed too.
    """

    def __init__(  # noqa: PLR0917 - what a test may want otherwise
        self,
        accounts: dict[str, str] | None = None,
        milter: str | None = None,
        extra: str = "",
        name: str = "sendmail",
        log_level: int = 9,
        listeners: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix = unpacked(SENDMAIL)
        self.accounts = {"alice": "secret"} if accounts is None else accounts
        self.replies = dict(REPLIES)
        self.smtp_port, self.submission_port = islice(free_ports(), 2)
        self.directory = Path(mkdtemp(prefix="mb-", dir="/tmp"))
        self.log_path = self.directory / "mail.log"
        self._extra = _milter(milter) + extra
        self._name, self._log_level = name, log_level
        self._listeners = {name.lower(): f", {options}" for name, options in (listeners or {}).items()}
        self._servers = ExitStack()
        self._daemon: subprocess.Popen[str] | None = None

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
        if not (self.directory / "queue").exists():
            self._furnish()
        starts = len(self.lines("starting daemon"))
        self._daemon = subprocess.Popen(
            self._inside("-L", self._name, "-bD", "-q1h"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        wait_for(
            lambda: len(self.lines("starting daemon")) > starts or self._ended(), TIMEOUT, "Sendmail", self.log_path
        )
        wait_for(lambda: self._listens() or self._ended(), TIMEOUT, "Sendmail to listen", self.log_path)

    def stop(self) -> None:
        """Stop Sendmail and whatever it still has running. Harmless when it does not run."""
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        with daemon:
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(TIMEOUT)
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not self.processes(), TIMEOUT, "Sendmail to stop", self.log_path)

    def close(self) -> None:
        """Stop all there is, and remove the directory."""
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
            undo.callback(self._servers.close)
            self.stop()

    # ---- use

    def run(self, *arguments: str, text: str = "") -> str:
        """What Sendmail prints when called beside the daemon: `run("-bp")` for the queue, `run("-q")` to work on it."""
        command = self._inside(*arguments)
        done = subprocess.run(command, check=False, input=text, capture_output=True, text=True, timeout=TIMEOUT)
        if done.returncode != 0:
            raise RuntimeError(f"sendmail: status {done.returncode}; {done.stderr}{tail(self.log_path)}")
        return done.stdout

    def lines(self, pattern: str = "") -> list[str]:
        """The lines written so far that `pattern` is found in."""
        if not self.log_path.exists():
            return []
        text = self.log_path.read_text(errors="surrogateescape")
        return [line for line in text.split("\n") if line and re.search(pattern, line)]

    def wait_for_line(self, pattern: str, count: int = 1, timeout: float = TIMEOUT) -> list[str]:
        """`lines(pattern)`, as soon as there are `count` of them."""

        def enough() -> list[str] | None:
            found = self.lines(pattern)
            return found if len(found) >= count else None

        return wait_for(enough, timeout, f"{count} lines with {pattern!r}", self.log_path) or []

    def processes(self) -> set[int]:
        """The ids of this instance's processes: Sendmail and its children work in the queue's directory."""
        return {int(link.parent.name) for link in Path("/proc").glob("[0-9]*/cwd") if self._is_queue(link)}

    # ---- below

    def _furnish(self) -> None:
        self.directory.chmod(0o755)
        for name in ("queue", "dev"):
            (self.directory / name).mkdir(mode=0o700)
        for name, text in FILES.items():
            (self.directory / name).write_text(text)
        shutil.copytree(_plugins(self.prefix), self.directory / "sasl2", symlinks=True)
        (self.directory / "sasl2" / "Sendmail.conf").write_text(
            f"pwcheck_method: saslauthd\nsaslauthd_path: {self.directory}/mux\nmech_list: PLAIN\n"
        )
        self._servers.enter_context(Syslog(self.directory / "log.sock", self.log_path, "mx1"))
        self._servers.enter_context(Saslauthd(self.directory / "mux", self.accounts))
        sink = self._servers.enter_context(SinkServer(self.replies))
        self._configure(sink.port)

    def _configure(self, sink: int) -> None:
        text = CONFIGURATION.format(
            prefix=self.prefix,
            folder=self.directory,
            sink=sink,
            smtp=self.smtp_port,
            submission=self.submission_port,
            log_level=self._log_level,
            extra=self._extra,
            **{"mta": "", "msa": "", **self._listeners},
        )
        m4 = [str(self.prefix / "usr/bin/m4")]
        done = subprocess.run(m4, check=True, input=text, capture_output=True, text=True, timeout=TIMEOUT)
        (self.directory / "sendmail.cf").write_text(done.stdout)

    def _inside(self, *arguments: str) -> list[str]:
        script = START.format(
            host=HOST,
            folder=self.directory,
            devices=" ".join(DEVICES),
            plugins=f"/{_plugins(self.prefix).relative_to(self.prefix)}",
        )
        program = str(self.prefix / SENDMAIL.program)
        environment = f"LD_LIBRARY_PATH={libraries(self.prefix)}"
        command = ["env", environment, program, "-C", str(self.directory / "sendmail.cf"), *arguments]
        return ["unshare", "--mount", "--uts", "sh", "-c", script, "sh", *command]

    def _listens(self) -> bool:
        ports = {f"{port:04X}" for port in (self.smtp_port, self.submission_port)}
        sockets = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return ports <= {fields[1].partition(":")[2] for fields in sockets if fields[3] == "0A"}

    def _ended(self) -> bool:
        if self._daemon is not None and self._daemon.poll() is not None:
            raise RuntimeError(
                f"Sendmail ended: {self._daemon.stderr and self._daemon.stderr.read()}{tail(self.log_path)}"
            )
        return False

    def _is_queue(self, link: Path) -> bool:
        try:
            return link.readlink() == self.directory / "queue"
        except OSError:  # the process ended while we looked
            return False


def _plugins(prefix: Path) -> Path:
    (folder,) = prefix.glob("usr/lib/*/sasl2")
    return folder


def _milter(socket: str | None) -> str:
    if socket is None:
        return ""
    _, host, port = socket.split(":")
    return f"INPUT_MAIL_FILTER(`m1', `S=inet:{port}@{host}, T=C:10s;S:10s;R:10s;E:30s')dnl\n"
