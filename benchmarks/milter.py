"""What the milter costs Postfix, side by side with others, interleaved in one run.

    python -m benchmarks.milter [--rounds 5] [--messages 1500]

Needs root, Postfix, gcc and libmilter's headers. Contestants take turns, round after round, on one Postfix, because a
shared machine is faster in one minute than in the next: only ratios within a round mean anything. Each round sends the
same messages by 20 sessions at once, each logged in (one login look-up per message), to discard(8).

    none            no milter
    null            a C program on libmilter that reads the login and accepts at MAIL: nothing can be cheaper
    empty           mailbrake, with a table that lists nobody
    million         mailbrake, with 1,000,000 accounts listed (not these)
    map             no milter: check_sasl_access with an exported hash map of 1,000 accounts
    rspamd          its proxy as a milter, with the ratelimit module by login and a Redis, and next to nothing else
    policyd         policyd-rate-limit by login, SQLite, as a policy service at RCPT

The last two only where the Debian packages rspamd, redis-server and policyd-rate-limit are installed; their limits are
never reached.

Then the time to a verdict at the milter's socket, with 1, 100 and 500 connections open, and its private memory.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from enforce.config import Config
from enforce.table import Record, Writer
from logwatch.telling.export import export
from tests.mta.postfix import Postfix
from tests.mta.waiting import wait_for

HERE = Path(__file__).parent
FAR = 4e9
SESSIONS = 20
POLICY = "smtpd_recipient_restrictions"
PEERS = {"rspamd": ("rspamd", "redis-server"), "policyd": ("policyd-rate-limit",)}
RSPAMD = """\
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
  rates {{ bench {{ selector = "user.lower"; bucket = {{ burst = 10000000; rate = "10000000 / 1min"; }} }} }}
}}
"""
POLICYD = """\
debug: false
user: root
group: root
pidfile: "{0}/pid"
sqlite_config: {{database: "{0}/db"}}
backend: 0
SOCKET: "{0}/sock"
socket_permission: 0666
limits: [[10000000, 60], [10000000, 86400]]
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
LOGIN = "bob@example.com"


def main() -> None:
    """Run, and print Markdown."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=1500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mb-bench-", dir="/tmp") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        programs = {name: _compiled(directory, name) for name in ("milter_null", "smtp_load")}
        milters = {
            "null": stack.enter_context(_null(programs["milter_null"], directory)),
            "empty": stack.enter_context(_ours(directory, "empty", 0)),
            "million": stack.enter_context(_ours(directory, "million", 1_000_000)),
        }
        postfix = stack.enter_context(Postfix({LOGIN: "secret"}))
        settings = {"none": {}, **{who: {"smtpd_milters": path} for who, (path, _) in milters.items()}}
        peers = {"rspamd": (_rspamd, "smtpd_milters", ""), "policyd": (_policyd, POLICY, "check_policy_service ")}
        for who, (start, option, prefix) in peers.items():
            if all(shutil.which(program) for program in PEERS[who]):
                (directory / who).mkdir(mode=0o777)
                (directory / who).chmod(0o777)
                settings[who] = {option: prefix + stack.enter_context(start(directory / who))[0]}
        settings["map"] = {"smtpd_sender_restrictions": f"check_sasl_access hash:{_map(postfix, directory)}"}
        _throughput(postfix, settings, programs["smtp_load"], args)
        _latency(milters)
        _memory(milters)


def _compiled(directory: Path, name: str) -> Path:
    program = directory / name
    libraries = ["-lmilter"] if name == "milter_null" else []
    subprocess.run(["gcc", "-O2", "-o", program, HERE / f"{name}.c", *libraries, "-lpthread"], check=True)  # noqa: S603, S607
    return program


# Contestants.


@contextlib.contextmanager
def _running(command: list[str], path: Path) -> Iterator[tuple[str, int]]:
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            wait_for(path.exists, 60, f"{command[0]} to listen")
            path.chmod(0o666)
            yield f"unix:{path}", process.pid
        finally:
            process.terminate()  # rspamd has children, which it ends
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _null(program: Path, directory: Path) -> contextlib.AbstractContextManager[tuple[str, int]]:
    path = directory / "null.sock"
    return _running([str(program), f"unix:{path}"], path)


def _ours(directory: Path, name: str, entries: int) -> contextlib.AbstractContextManager[tuple[str, int]]:
    state, path = directory / name, directory / f"{name}.sock"
    with Writer(state / "table") as writer:
        record = Record("tempfail", "enforce", FAR, FAR, "BENCH1", "bench")
        writer.publish({f"account:user{n:07}@example.com": [record] for n in range(entries)}, time.time())
    config = directory / f"{name}.toml"
    config.write_text(f'[state]\ndirectory = "{state}"\n[milter]\nsocket = "unix:{path}"\nsyslog = ""\n')
    return _running([sys.executable, "-m", "enforce.main", "--config", str(config)], path)


@contextlib.contextmanager
def _rspamd(directory: Path) -> Iterator[tuple[str, int]]:
    (directory / "conf").write_text(RSPAMD.format(directory))
    (directory / "domains").write_text("com\norg\n")  # compiling the whole list takes a quarter of a minute
    redis = ["redis-server", "--port", "0", "--unixsocket", str(directory / "redis"), "--unixsocketperm", "777"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_running([*redis, "--save", "", "--logfile", "/dev/null"], directory / "redis"))
        command = ["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(directory / "conf")]
        yield stack.enter_context(_running(command, directory / "sock"))


def _policyd(directory: Path) -> contextlib.AbstractContextManager[tuple[str, int]]:
    (directory / "conf.yaml").write_text(POLICYD.format(directory))
    return _running(["policyd-rate-limit", "--file", str(directory / "conf.yaml")], directory / "sock")


def _map(postfix: Postfix, directory: Path) -> Path:
    record = Record("tempfail", "enforce", FAR, FAR, "BENCH1", "bench")
    listed = [(f"account:user{n:07}@example.com", record) for n in range(1000)]
    path = directory / "map"
    path.write_text(export("postfix-sasl", listed, time.time(), Config()).text)
    postfix.run("postmap", f"hash:{path}")
    return path


# Measurements.


def _throughput(postfix: Postfix, settings: dict[str, dict[str, str]], load: Path, args: argparse.Namespace) -> None:
    response = base64.b64encode(f"\0{LOGIN}\0secret".encode()).decode()
    rates: dict[str, list[float]] = {who: [] for who in settings}
    replies: dict[str, list[tuple[float, float]]] = {who: [] for who in settings}
    plain = {"smtpd_milters": "", "smtpd_sender_restrictions": "", POLICY: ""}
    for number in range(args.rounds + 1):  # the first is to warm up
        for who in random.sample(list(settings), len(settings)):
            postfix.reload({**plain, **settings[who]})
            command = [str(load), str(postfix.submission_port), str(SESSIONS), str(args.messages), response]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
            seconds, accepted, median, worst = float(out[0]), int(out[1]), float(out[2]), float(out[3])
            wait_for(lambda: not postfix.queue_ids(), 60, "an empty queue")
            if number:
                rates[who].append(accepted / seconds)
                replies[who].append((median, worst))
    print(f"\n{args.rounds} rounds of {args.messages} messages, {SESSIONS} sessions, {os.cpu_count()} cores\n")
    print("| contestant | messages/s | of no milter | of the null milter | MAIL p50, ms | p99 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for who, mine in rates.items():
        shares = [f"{_ratio(mine, rates[other])}" for other in ("none", "null")]
        median, worst = (statistics.median(column) for column in zip(*replies[who], strict=True))
        print(f"| {who} | {statistics.median(mine):.0f} | {shares[0]} | {shares[1]} | {median:.2f} | {worst:.2f} |")


def _ratio(mine: list[float], others: list[float]) -> str:
    ratios = sorted(one / other for one, other in zip(mine, others, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def _latency(milters: dict[str, tuple[str, int]]) -> None:
    """Round trips of macros and MAIL, in turn on every open connection, from a client in Python."""
    print("\n| connections | " + " | ".join(f"{who} p50, µs | p99" for who in milters) + " |")
    print("| --- |" + " --- |" * 2 * len(milters))
    for number in (1, 100, 500):
        cells = []
        samples: dict[str, list[float]] = {who: [] for who in milters}
        with contextlib.ExitStack() as stack:
            opened = {who: [_opened(stack, path) for _ in range(number)] for who, (path, _) in milters.items()}
            for turn in range(6000):
                for who, connections in opened.items():
                    samples[who].append(_asked(connections[turn % number]))
        for mine in samples.values():
            mine.sort()
            cells += [f"{mine[len(mine) // 2] * 1e6:.0f}", f"{mine[len(mine) * 99 // 100] * 1e6:.0f}"]
        print(f"| {number} | " + " | ".join(cells) + " |")


def _packet(command: bytes, body: bytes) -> bytes:
    return (len(body) + 1).to_bytes(4, "big") + command + body


_MAIL = _packet(b"D", b"M{mail_addr}\0a@example.org\0{auth_authen}\0" + LOGIN.encode() + b"\0") + _packet(
    b"M", b"<a@example.org>\0"
)


def _opened(stack: contextlib.ExitStack, path: str) -> socket.socket:
    connection = stack.enter_context(socket.socket(socket.AF_UNIX))
    connection.connect(path.removeprefix("unix:"))
    connection.sendall(
        _packet(b"O", (6).to_bytes(4, "big") + (0x1FF).to_bytes(4, "big") + (0x1FFFFF).to_bytes(4, "big"))
    )
    connection.recv(4096)
    connection.sendall(_packet(b"D", b"Cv\0Postfix 3.7.11\0"))
    connection.sendall(_packet(b"C", b"mx.example\0" + b"4\x04\xd2192.0.2.1\0"))
    connection.recv(4096)
    return connection


def _asked(connection: socket.socket) -> float:
    before = time.perf_counter()
    connection.sendall(_MAIL)
    answer = connection.recv(64)
    after = time.perf_counter()
    if answer[4:5] != b"a":
        raise RuntimeError(f"expected an accept, found {answer!r}")
    return after - before


def _memory(milters: dict[str, tuple[str, int]]) -> None:
    print("\n| milter | private memory, MB |\n| --- | --- |")
    for who, (_, pid) in milters.items():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        fields = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
        print(f"| {who} | {(fields['Private_Clean'] + fields['Private_Dirty']) / 1024:.1f} |")


if __name__ == "__main__":
    main()
