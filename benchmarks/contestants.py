"""What takes turns in the benchmarks of the milter: how each is started, and how Postfix is told of it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from enforce.config import Config
from enforce.table import Record, Writer
from logwatch.telling.export import export
from tests.mta.postfix import Postfix
from tests.mta.waiting import wait_for

_HERE = Path(__file__).parent
_FAR = 4e9
NEVER = 10_000_000  # a limit that is not reached
POLICY = "smtpd_recipient_restrictions"
PEERS = {"rspamd": ("rspamd", "redis-server"), "policyd": ("policyd-rate-limit",)}
_RSPAMD = """\
lua = "$RULESDIR/rspamd.lua"
options {{
  pidfile = "{0}/pid"; filters = ""; tempdir = "{0}"; hs_cache_dir = "{0}"; control_socket = "{0}/control";
  url_tld = "{0}/domains"; dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; }}
}}
logging {{ type = "file"; filename = "{0}/log"; level = "warning"; }}
worker "rspamd_proxy" {{
  bind_socket = "{0}/sock mode=0666"; milter = yes; timeout = 30s; count = 2;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
metric {{ name = "default"; actions {{ reject = 1000; }} }}
modules {{ path = "${{PLUGINSDIR}}"; }}
redis {{ servers = "{0}/redis"; }}
ratelimit {{
  rates {{ bench {{ selector = "user.lower"; bucket = {{ burst = {1}; rate = "1 / 1min"; }} }} }}
}}
"""
_POLICYD = """\
debug: false
user: root
group: root
pidfile: "{0}/pid"
sqlite_config: {{database: "{0}/db"}}
backend: 0
SOCKET: "{0}/sock"
socket_permission: 0666
limits: [[{1}, 60], [{2}, 86400]]
limits_by_id: {{}}
limit_by_sasl: true
limit_by_sender: false
limit_by_ip: false
limited_networks: []
success_action: dunno
fail_action: defer_if_permit Rate limit reached
db_error_action: dunno
report: false
delay_to_close: 300
"""


def installed(who: str) -> bool:
    """Whether a peer's programs are there."""
    return all(shutil.which(program) for program in PEERS.get(who, ()))


def compiled(directory: Path, name: str) -> Path:
    """The program of NAME.c."""
    program = directory / name
    libraries = ["-lmilter"] if name == "milter_null" else []
    subprocess.run(["gcc", "-O2", "-o", program, _HERE / f"{name}.c", *libraries, "-lpthread"], check=True)  # noqa: S603, S607
    return program


@contextlib.contextmanager
def running(command: list[str], path: Path) -> Iterator[tuple[str, int]]:
    """A command that listens at `path`: where, in the MTA's notation, and its process id."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            wait_for(path.exists, 60, f"{command[0]} to listen")
            if path.is_socket():
                path.chmod(0o666)
            yield f"unix:{path}", process.pid
        finally:
            process.terminate()  # rspamd has children, which it ends
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def null(program: Path, directory: Path) -> contextlib.AbstractContextManager[tuple[str, int]]:
    """The milter in C that does nothing."""
    path = directory / "null.sock"
    return running([str(program), f"unix:{path}"], path)


def ours(directory: Path, name: str, entries: int) -> contextlib.AbstractContextManager[tuple[str, int]]:
    """mailbrake's milter, before a table of so many accounts."""
    state, path = directory / name, directory / f"{name}.sock"
    with Writer(state / "table") as writer:
        record = Record("tempfail", "enforce", _FAR, _FAR, "BENCH1", "bench")
        writer.publish({f"account:user{n:07}@example.com": [record] for n in range(entries)}, time.time())
    config = directory / f"{name}.toml"
    config.write_text(f'[state]\ndirectory = "{state}"\n[milter]\nsocket = "unix:{path}"\nsyslog = ""\n')
    return running([sys.executable, "-m", "enforce.main", "--config", str(config)], path)


@contextlib.contextmanager
def rspamd(directory: Path, burst: int = NEVER) -> Iterator[tuple[str, int]]:
    """rspamd's proxy as a milter, with its ratelimit module alone, and a Redis: `burst` messages, then one a minute."""
    directory.mkdir()
    directory.chmod(0o777)
    (directory / "conf").write_text(_RSPAMD.format(directory, burst))
    (directory / "domains").write_text("com\norg\n")  # compiling the whole list takes a quarter of a minute
    redis = ["redis-server", "--port", "0", "--unixsocket", str(directory / "redis"), "--unixsocketperm", "777"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(running([*redis, "--save", "", "--logfile", "/dev/null"], directory / "redis"))
        command = ["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(directory / "conf")]
        yield stack.enter_context(running(command, directory / "sock"))


def policyd(
    directory: Path, minute: int = NEVER, day: int = NEVER
) -> contextlib.AbstractContextManager[tuple[str, int]]:
    """policyd-rate-limit as a policy service, with so many recipients a minute and a day."""
    directory.mkdir()
    directory.chmod(0o777)
    (directory / "conf.yaml").write_text(_POLICYD.format(directory, minute, day))
    return running(["policyd-rate-limit", "--file", str(directory / "conf.yaml")], directory / "sock")


def exported_map(postfix: Postfix, directory: Path) -> Path:
    """A hash map of 1,000 accounts, as mailbrake exports it."""
    record = Record("tempfail", "enforce", _FAR, _FAR, "BENCH1", "bench")
    listed = [(f"account:user{n:07}@example.com", record) for n in range(1000)]
    path = directory / "map"
    path.write_text(export("postfix-sasl", listed, time.time(), Config()).text)
    postfix.run("postmap", f"hash:{path}")
    return path
