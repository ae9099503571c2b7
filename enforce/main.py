"""`mailbrake-milter`: runs the milter in the foreground until it is told to stop.

Standard error gets the options in effect, then verdict lines and why mail was let through; syslog (facility mail) gets
the latter two. SIGTERM and SIGINT end it within a second, with exit status 0: sessions open at that moment are left to
the MTA's default action (`milter_default_action = accept`).

SIGHUP reads the configuration again: what concerns judging and wording, and where the table is, is in effect with the
next command of every session. Socket, user and syslog need a restart, which it says; a broken file is told, and changes
nothing. Nor does one that has become empty, as a file is while it is being written, or since the disk is full. Started
as root it can become another user (`[milter] user`): after everything is imported and the socket is open, before the
first session and before the table is opened.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import resource
import socket
import stat
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from enforce import config as configuration
from enforce import exposition, identity, key, metrics, signals
from enforce.checks import Network
from enforce.config import Config, ConfigError
from enforce.errors import ReportedError
from enforce.notify import Notifier
from enforce.repeats import Repeats
from enforce.syslog import Outlet, Syslog
from enforce.table import Reader, import_all
from enforce.verdict import LoggedVerdict, Wording

if TYPE_CHECKING:
    from enforce.milter import Brake, Doubts, Rules, Table

_NO_PYMILTER = (
    "the milter needs pymilter: pip install 'mailbrake[milter]', which compiles it and therefore needs "
    "the Debian packages gcc, libmilter-dev and python3-dev"
)
_FIXED = ("socket", "socket_mode", "socket_group", "user", "group", "syslog")  # of [milter]: a restart changes them
_LONGEST = 512  # characters of a login that is remembered
_PATIENCE = 0.4  # seconds for each log to take the last lines


class SocketError(ReportedError):
    """The milter's socket cannot be opened: which one, why, and what to do."""

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


def main(argv: list[str] | None = None) -> int:
    """The command line; it returns only where the milter could not start: 2 for the configuration, 1 otherwise."""
    if sys.stderr is None:  # whoever started this has closed it (`2>&-`, a daemon): there is still syslog
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")
    parser = argparse.ArgumentParser(prog="mailbrake-milter", description="The enforcing half of mailbrake, a milter.")
    configuration.argument(parser, os.environ.get(configuration.ENVIRONMENT))
    try:
        return run(configuration.load(parser.parse_args(argv).config))
    except ReportedError as error:
        _say(str(error))
        return error.status


def run(config: Config) -> int:
    """Serve until a signal ends the process; ReportedError if the milter cannot start."""
    whom = identity.of(config)
    try:
        from enforce import milter  # here: a compiled extra, which nothing else of mailbrake needs
    except ImportError as error:
        raise ReportedError(f"{_NO_PYMILTER} ({error})") from None
    _allow_files()
    signals.keep_from_threads()
    outlets = _outlets(config)
    for option in [*configuration.effective(config), f"table: {config.table}"]:
        outlets["stderr"].put(option)
    tell = partial(_tell, outlets)
    doubts = milter.Doubts(tell, time.monotonic)
    repeats = Repeats(tell)
    meter = metrics.Meter() if config.metrics.milter else None
    said = partial(_both, repeats.add, meter.said) if meter else repeats.add
    brake = milter.Brake(rules_of(config, _opener(meter)), time.time, said, doubts)
    try:
        _open(config, whom, partial(milter.listen, brake, doubts))
        import_all()
        became = identity.become(whom)
    except ReportedError:
        outlets["stderr"].close(_PATIENCE)  # what it has comes before the reason
        raise
    if became:
        tell(became)
    _look_at_table(brake.rules, tell)
    place = _Place(config.milter.socket, tell)
    notifier = Notifier()
    again = Again(config, brake, tell, notifier, _opener(meter))
    if meter:
        _serve_metrics(config.metrics.milter, meter, tell)
    look = partial(_look, brake, metrics.Pulse(tell), meter, doubts, outlets)
    ready = partial(_ready, config.milter.socket, tell, notifier)
    failure = signals.until_stopped(milter.serve, ready, [repeats.flush, notifier.alive, look, place.look], again)
    notifier.stopping()
    repeats.close()
    lost = ", ".join(f"{outlet.lost} log lines were lost ({name})" for name, outlet in outlets.items() if outlet.lost)
    tell(failure or f"stopped; mail was let through in doubt {doubts.total} times{lost and f'; {lost}'}")
    place.leave()
    return _end(outlets, 1 if failure else 0)


def _ready(socket: str, tell: Callable[[str], None], notifier: Notifier) -> None:
    tell(f"listening on {socket}")
    notifier.ready(f"listening on {socket}")


def _allow_files() -> None:
    """As many open files as the system lets us have: each session of an MTA is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def rules_of(config: Config, opened: Callable[[Path], Table] = Reader) -> Rules:
    """What a configuration means to the milter; its table is opened at the first look-up."""
    from enforce.milter import Rules

    account = partial(key.account, default_realm=config.log.default_realm, keep_case=config.log.keep_case)
    return Rules(
        opened(config.table),
        _remembered(account),
        accounts=config.milter.judge != "clients",
        clients=config.milter.judge != "accounts",
        exempt=_within(config.milter.exempt),
        wording=Wording(config.milter.texts, config.milter.help),
    )


def _remembered(account: Callable[[str], str | None]) -> Callable[[str], str | None]:
    """The same, known of who sends again; but not what is too long to be a login: 4096 whole packets fill a machine."""
    known = lru_cache(maxsize=4096)(account)
    return lambda login: known(login) if len(login) <= _LONGEST else account(login)


def _within(networks: tuple[Network, ...]) -> Callable[[str], bool]:
    @lru_cache(maxsize=65536)
    def is_within(address: str) -> bool:
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in networks)

    return is_within


class Again:
    """Reads the configuration again, at SIGHUP."""

    def __init__(
        self,
        config: Config,
        brake: Brake,
        tell: Callable[[str], None],
        notifier: Notifier,
        opened: Callable[[Path], Table] = Reader,
    ) -> None:
        self._config = config
        self._opened = opened
        self._brake = brake
        self._tell = tell
        self._notifier = notifier

    def __call__(self) -> None:
        """Do so; a configuration that cannot be used changes nothing."""
        self._notifier.reloading(time.monotonic())
        self._tell(self._read())
        self._notifier.ready("configuration read again")

    def _read(self) -> str:
        if not Path(self._config.file).is_file() and self._config == Config():
            return "there is no configuration file to read again"
        try:
            config = configuration.load(self._config.file)
        except ConfigError as error:
            return f"the configuration stays as it was: {error}"
        if self._config.lines and not config.lines:
            return f"the configuration stays as it was: {config.file} is empty now; a restart would take it so"
        rules = rules_of(config, self._opened)
        same = config.table == self._config.table  # then its files stay open
        self._brake.rules = rules._replace(table=self._brake.rules.table) if same else rules
        old, self._config = self._config, config
        late = [name for name in _FIXED if getattr(old.milter, name) != getattr(config.milter, name)]
        late += ["[metrics] milter"] if old.metrics.milter != config.metrics.milter else []
        return "configuration read again" + (f"; only a restart changes {', '.join(late)}" if late else "")


def _say(line: str) -> None:
    sys.stderr.write(f"mailbrake: {line}\n")
    sys.stderr.flush()


def _outlets(config: Config) -> dict[str, Outlet]:
    errors = Outlet(_say)
    path = config.milter.syslog
    if not path:
        return {"stderr": errors}
    trouble = partial(_without_syslog, errors, path)
    return {"stderr": errors, "syslog": Outlet(Syslog(path, f"mailbrake[{os.getpid()}]: "), trouble)}


def _without_syslog(errors: Outlet, path: str, why: str) -> None:
    errors.put(f"syslog at {path} does not take lines ({why}); trying again with each line")


def _tell(outlets: dict[str, Outlet], line: str) -> None:
    for outlet in outlets.values():
        outlet.put(line)


def _both(first: Callable[[LoggedVerdict], None], second: Callable[[LoggedVerdict], None], said: LoggedVerdict) -> None:
    first(said)
    second(said)


def _opener(meter: metrics.Meter | None) -> Callable[[Path], Table]:
    """What opens a table: one whose look-ups are counted, if anybody wants to know."""
    return (lambda path: metrics.Counted(Reader(path), meter.answered)) if meter else Reader


def _serve_metrics(where: str, meter: metrics.Meter, tell: Callable[[str], None]) -> None:
    """Serve them, or say why not: mail is braked without them too, and Prometheus notices that they are missing."""
    try:
        exposition.serve(where, metrics.METRICS, lambda: meter.snapshot)
        tell(f"metrics are served at http://{where}/metrics")
    except exposition.EndpointError as error:
        tell(str(error))


def _look(
    brake: Brake, pulse: metrics.Pulse, meter: metrics.Meter | None, doubts: Doubts, outlets: dict[str, Outlet]
) -> None:
    """Once a second: whether the controller lives, and what there is to count."""
    now = time.time()
    state = brake.rules.table.state(now)
    pulse.feel(state)
    if meter:
        meter.tick(state, doubts.total, pulse.stopped, {name: outlet.lost for name, outlet in outlets.items()}, now)


def _look_at_table(rules: Rules, tell: Callable[[str], None]) -> None:
    if reason := rules.table.state(time.time()).reason:
        tell(f"all mail is let through until there is a table: {reason}")


def _open(config: Config, whom: identity.Identity, listen: Callable[[str], None]) -> None:
    where = config.milter.socket
    kind, _, name = where.partition(":")
    before = os.umask(0o777 & ~config.milter.socket_mode)  # right from the first moment
    try:
        if kind == "unix":
            _clear(Path(name))
        else:
            _probe(kind, name)
        listen(where)
        if kind == "unix":
            identity.hand_over(name, whom)
            Path(name).chmod(config.milter.socket_mode)  # also where the directory's default ACL overrides the umask
    except OSError as error:
        raise SocketError(where, str(error)) from None
    finally:
        os.umask(before)


def _clear(path: Path) -> None:
    """Remove the socket that a killed milter left at `path`; SocketError if a new one cannot be made there."""
    if not path.parent.is_dir():
        raise SocketError(path, f"there is no directory {path.parent}: make it, writable by the milter's user")
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketError(path, "there is something that is no socket: move it away, or use another path")
        _refuse_if_answered(path)
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SocketError(path, f"the socket there cannot be replaced: {error.strerror}") from None
    _try_out(path)


def _try_out(path: Path) -> None:
    """SocketError, with the reason that libmilter would keep to itself, if no socket can be made at `path`."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(path))
        path.unlink()
    except PermissionError:
        whom = f"here user {os.geteuid()}, group {os.getegid()}"
        allowed = "writable by the milter's user, and be allowed to it by SELinux or AppArmor where these are in force"
        raise SocketError(path, f"permission denied: {path.parent} must be {allowed} ({whom})") from None
    except OSError as error:
        raise SocketError(path, f"cannot listen there: {error.strerror}") from None


def _refuse_if_answered(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return  # left over: nobody listens
        except TimeoutError:
            pass  # somebody does, and is busy
    raise SocketError(path, "address in use: another milter answers there; stop it first")


def _probe(kind: str, name: str) -> None:
    """SocketError, with the reason that libmilter would keep to itself, if PORT@HOST cannot be listened on."""
    port, _, host = name.partition("@")
    family = socket.AF_INET6 if kind == "inet6" else socket.AF_INET
    try:
        address = socket.getaddrinfo(host.strip("[]"), int(port), family, socket.SOCK_STREAM)[0][4]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SocketError(f"{kind}:{name}", f"cannot listen there: {error.strerror}") from None


class _Place:
    """Where the milter's unix socket is: others may remove it, or have put their own there."""

    def __init__(self, where: str, tell: Callable[[str], None]) -> None:
        kind, _, name = where.partition(":")
        self._path = Path(name) if kind == "unix" else None
        self._tell = tell
        self._ours = self._found()
        self._is_lost = False

    def look(self) -> None:
        """Say once that no MTA reaches the milter any more."""
        was_lost, self._is_lost = self._is_lost, self._found() != self._ours
        if self._is_lost and not was_lost:
            self._tell(f"{self._path}: the socket was removed or replaced, and no MTA reaches this milter: restart it")

    def leave(self) -> None:
        """Remove the socket, if it is ours."""
        if self._path and self._found() == self._ours:
            with contextlib.suppress(OSError):  # the directory may be one where whom we became can only listen
                self._path.unlink(missing_ok=True)

    def _found(self) -> tuple[int, int, int] | None:
        """What is there, so far as it may be seen; nothing else has all of this."""
        if self._path is None:
            return None
        try:
            found = self._path.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns


def _end(outlets: dict[str, Outlet], status: int) -> NoReturn:
    """End the process; libmilter's threads do not end by themselves, and must not meet a finished interpreter."""
    for outlet in outlets.values():
        outlet.close(_PATIENCE)
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
