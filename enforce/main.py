"""`mailbrake-milter`: runs the milter in the foreground until it is told to stop.

Standard error gets the options in effect, then verdict lines and why mail was let through; syslog (facility mail) gets
the latter two. SIGTERM and SIGINT end it within a second, with exit status 0: sessions open at that moment are left to
the MTA's default action (`milter_default_action = accept`). SIGHUP does nothing, as there is no file to open anew.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from enforce import config as configuration
from enforce import key
from enforce.config import Config, ConfigError
from enforce.syslog import Outlet, Syslog
from enforce.table import Reader, Unusable

_NO_PYMILTER = (
    "the milter needs pymilter: pip install 'mailbrake[milter]', which compiles it and therefore needs "
    "the Debian packages gcc, libmilter-dev and python3-dev"
)
_STOPS = {signal.SIGTERM, signal.SIGINT}
_LONGEST_PATH = 107  # bytes that fit in a sockaddr_un
_PATIENCE = 0.4  # seconds for each log to take the last lines


class SocketError(Exception):
    """The milter's socket cannot be opened: which one, why, and what to do."""

    def __init__(self, where: object, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


def main(argv: list[str] | None = None) -> int:
    """The command line; it returns only where the milter could not start: 2 for the configuration, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="mailbrake-milter", description="The enforcing half of mailbrake, a milter.")
    parser.add_argument("--config", metavar="FILE", help="configuration file (default: every option at its default)")
    try:
        return run(configuration.load(parser.parse_args(argv).config))
    except ConfigError as error:
        _say(str(error))
        return 2


def run(config: Config) -> int:
    """Serve until a signal ends the process; 1 if the milter could not start."""
    try:
        from enforce import milter  # here: a compiled extra, which nothing else of mailbrake needs
    except ImportError as error:
        _say(f"{_NO_PYMILTER} ({error})")
        return 1
    for option in [*configuration.effective(config), f"table: {config.table}"]:
        _say(option)
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # before any thread starts
    outlets = _outlets(config)
    tell = partial(_tell, outlets)
    doubts = milter.Doubts(tell, time.monotonic)
    account = partial(key.account, default_realm=config.log.default_realm, keep_case=config.log.keep_case)
    brake = milter.Brake(_reader(config).look_up, account, time.time, tell, doubts)
    try:
        _open(config, partial(milter.listen, brake, doubts))
    except SocketError as error:
        _say(str(error))
        return 1
    tell(f"listening on {config.milter.socket}")
    failure = _until_stopped(milter.serve)
    tell(failure or f"stopped; mail was let through in doubt {doubts.total} times")
    return _end(config, outlets, 1 if failure else 0)


def _say(line: str) -> None:
    sys.stderr.write(f"mailbrake: {line}\n")
    sys.stderr.flush()


def _outlets(config: Config) -> list[Outlet]:
    errors = Outlet(_say)
    path = config.milter.syslog
    if not path:
        return [errors]
    trouble = partial(_without_syslog, errors, path)
    return [errors, Outlet(Syslog(path, f"mailbrake[{os.getpid()}]: "), trouble)]


def _without_syslog(errors: Outlet, path: str, why: str) -> None:
    errors.put(f"syslog at {path} does not take lines ({why}); trying again with each line")


def _tell(outlets: list[Outlet], line: str) -> None:
    for outlet in outlets:
        outlet.put(line)


def _reader(config: Config) -> Reader:
    reader = Reader(config.table)
    answer = reader.look_up((), time.time())
    if isinstance(answer, Unusable):
        _say(f"all mail is let through until there is a table: {answer.reason}")
    return reader


def _open(config: Config, listen: Callable[[str], None]) -> None:
    where = config.milter.socket
    kind, _, name = where.partition(":")
    if kind == "unix":
        _clear(Path(name))
    else:
        _probe(kind, name)
    before = os.umask(0o777 & ~config.milter.socket_mode)  # right from the first moment
    try:
        listen(where)
        if kind == "unix":
            Path(name).chmod(config.milter.socket_mode)  # also where the directory's default ACL overrides the umask
    except OSError as error:
        raise SocketError(where, str(error)) from None
    finally:
        os.umask(before)


def _clear(path: Path) -> None:
    """Remove the socket that a killed milter left at `path`; SocketError if a new one cannot be made there."""
    if not path.parent.is_dir():
        raise SocketError(path, f"there is no directory {path.parent}: make it, writable by the milter's user")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise SocketError(path, f"the path of a unix socket may have {_LONGEST_PATH} bytes: use a shorter one")
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketError(path, "there is something that is no socket: move it away, or use another path")
        _refuse_if_answered(path)
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SocketError(path, f"the socket there cannot be replaced: {error.strerror}") from None


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


def _until_stopped(serve: Callable[[], None]) -> str:
    """Run `serve` beside this thread until a signal comes or it ends; why it failed, if it did.

    libmilter handles the signals too, but looks only every 5 s. The kernel hands them to this thread first, the
    process's main one, as long as it waits for them; elsewhere libmilter takes its time and then `serve` ends.
    """
    failures: list[str] = []
    waiting = threading.get_ident()

    def serving() -> None:
        try:
            serve()
        except OSError as error:
            failures.append(str(error))
        finally:
            signal.pthread_kill(waiting, signal.SIGTERM)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # libmilter would stop
    threading.Thread(target=serving, daemon=True).start()
    signal.sigwait(_STOPS)
    return failures[0] if failures else ""


def _end(config: Config, outlets: list[Outlet], status: int) -> NoReturn:
    """End the process; libmilter's threads do not end by themselves, and must not meet a finished interpreter."""
    kind, _, name = config.milter.socket.partition(":")
    if kind == "unix":
        Path(name).unlink(missing_ok=True)
    for outlet in outlets:
        outlet.close(_PATIENCE)
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
