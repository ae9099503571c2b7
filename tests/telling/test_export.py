"""Exports: what each format says of each action and key, and that a file changes as a whole or not at all."""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforce import key as keys
from enforce.checks import FORMATS
from enforce.config import Config, Export, Log, Milter
from enforce.table import Record
from logwatch.telling.export import Exporter, export, write
from tests.enforce.records import FAR, record
from tests.mta.waiting import wait_for

NOW = 1000.0
CONFIG = Config(log=Log(default_realm="example.com"))
BOB, EVE = "account:bob@example.com", "account:eve@other.example"
REFUSAL = "550 5.7.1 Sending is blocked for this account (case 4F7K2A)"
LATER = "450 4.7.1 Too much mail from this account, try again later (case 4F7K2A)"


def text(name: str, *listed: tuple[str, Record]) -> list[str]:
    return export(name, listed, NOW, CONFIG).text.splitlines()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("postfix-sasl", [f"bob@example.com\t{REFUSAL}", f"bob\t{REFUSAL}", f"eve@other.example\t{LATER}"]),
        (
            "sendmail-access",
            [
                'Brake:bob@example.com\tERROR:5.7.1:"550 Sending is blocked for this account (case 4F7K2A)"',
                'Brake:bob\tERROR:5.7.1:"550 Sending is blocked for this account (case 4F7K2A)"',
                "Brake:eve@other.example\tERROR:4.7.1:"
                '"450 Too much mail from this account, try again later (case 4F7K2A)"',
                'Connect:192.0.2.1\tERROR:5.7.1:"550 Sending is blocked for your address (case 4F7K2A)"',
                "Connect:198.51.100\tQUARANTINE:mailbrake case 4F7K2A",
            ],
        ),
        (
            "rspamd",
            [
                "bob@example.com MAILBRAKE_ACCOUNT_BLOCK",
                "bob MAILBRAKE_ACCOUNT_BLOCK",
                "eve@other.example MAILBRAKE_ACCOUNT_TEMPFAIL",
            ],
        ),
        ("rspamd-ip", ["192.0.2.1 MAILBRAKE_CLIENT_BLOCK", "198.51.100.0/24 MAILBRAKE_CLIENT_HOLD"]),
        (
            "postfix-client",
            [
                "192.0.2.1\t550 5.7.1 Sending is blocked for your address (case 4F7K2A)",
                "198.51.100\tHOLD mailbrake (case 4F7K2A)",
            ],
        ),
        (
            "exim",
            [
                '"bob@example.com": deny 5.7.1 Sending is blocked for this account (case 4F7K2A)',
                '"bob": deny 5.7.1 Sending is blocked for this account (case 4F7K2A)',
                '"eve@other.example": defer 4.7.1 Too much mail from this account, try again later (case 4F7K2A)',
            ],
        ),
        (
            "exim-client",
            [
                '"192.0.2.1": deny 5.7.1 Sending is blocked for your address (case 4F7K2A)',
                '"198.51.100.0/24": freeze mailbrake (case 4F7K2A)',
            ],
        ),
    ],
)
def test_each_format_says_it_in_its_own_way(name: str, expected: list[str]) -> None:
    listed = [
        ("net:198.51.100.0/24", record("hold")),
        (EVE, record("tempfail")),
        (BOB, record("block")),
        ("client:192.0.2.1", record("block")),
    ]
    assert text(name, *listed) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_only_what_is_enforced_and_counts_is_exported_and_json_says_which(name: str) -> None:
    """Invariant 2: who reads a list of keys must not act upon what is only observed."""
    for key in (BOB, "client:192.0.2.1"):
        observed = text(name, (key, record("block", "observe")))
        assert [json.loads(line)["mode"] for line in observed] == (["observe"] if name == "json" else [])
        assert text(name, (key, record("block", until=NOW)), (key, record("block", lease=NOW))) == []
        assert text(name, (key, record("observe"))) == []


def test_what_a_map_cannot_say_is_left_out_and_counted() -> None:
    listed = [
        (BOB, record("throttle", share=0.5)),
        (EVE, record("cap", max_recipients=5)),
        ("account:two words@example.com", record("block")),
        (keys.EVERYBODY, record("cap", max_recipients=25)),
        ("net:2001:db8::/48", record("block")),
        ("client:192.0.2.1", record("block")),
    ]
    assert export("postfix-sasl", listed, NOW, CONFIG) == ("", 4)
    assert export("postfix-client", listed, NOW, CONFIG).left_out == 1
    assert export("json", listed, NOW, CONFIG).left_out == 0
    assert len(text("text", *listed)) == 6


@pytest.mark.parametrize("login", ["boss#1", '"boss"1', "/boss/", "#boss"])
def test_what_rspamd_would_take_for_another_login_is_left_out(login: str) -> None:
    """It cuts a line at `#`, and takes quotes off: the boss would be blocked instead."""
    assert export("rspamd", [(f"account:{login}@example.com", record("block"))], NOW, CONFIG) == ("", 1)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("client:2001:db8::1", "2001:db8::1"),
        ("net:192.0.0.0/16", "192.0"),
        ("net:192.0.2.0/28", None),
        ("net:2001:db8:7::/48", "2001:db8:7"),
        ("net:2001:db8:7:a::/64", "2001:db8:7:a"),
        ("net:2001:db8:7::/64", None),
        ("net:2001:db8::/40", None),
        ("net:0.0.0.0/0", None),
    ],
)
def test_a_network_is_named_as_an_indexed_map_finds_it_or_not_at_all(key: str, expected: str | None) -> None:
    """An IPv6 address is looked for without its run of zeros, so a prefix with zeros may never be met."""
    assert [line.split("\t")[0] for line in text("postfix-client", (key, record("block")))] == (
        [expected] if expected else []
    )


@given(st.text(), st.sampled_from([name for name in FORMATS if name not in ("json", "text")]))
def test_a_login_cannot_add_a_line(login: str, name: str) -> None:
    """Invariant 7."""
    key = keys.account(login, "example.com")
    if key is not None:
        lines = export(name, [(key, record("block"))], NOW, CONFIG).text
        assert lines.count("\n") in (0, 1, 2, *((4,) if name == "exim" else ()))
        assert all(
            line.startswith(('"', "Brake:")) or name in ("rspamd", "postfix-sasl") for line in lines.split("\n") if line
        )


def test_the_sites_own_words_are_exported_on_one_line() -> None:
    config = Config(milter=Milter(texts={"block": "Closed\nfor good"}, help="call 4711"))
    found = export("postfix-sasl", [(EVE, record("block"))], NOW, config).text
    assert found == "eve@other.example\t550 5.7.1 Closed for good; call 4711 (case 4F7K2A)\n"


# Files


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "map"
    assert write(path, "one\n")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    with path.open() as reader:
        assert write(path, "two\n")
        assert reader.read() == "one\n"
    assert path.read_text() == "two\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    """Whoever reads what it leads to is not left with an old table."""
    (tmp_path / "elsewhere").mkdir()
    path, link = tmp_path / "elsewhere" / "map", tmp_path / "link"
    link.symlink_to("elsewhere/map")
    for text in ("one\n", "two\n"):
        assert write(link, text)
        assert (link.is_symlink(), path.read_text()) == (True, text)


def test_a_file_that_says_the_same_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "map"
    write(path, "one\n")
    inode = path.stat().st_ino
    assert not write(path, "one\n")
    assert path.stat().st_ino == inode


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write(tmp_path / "none" / "map", "one\n")
    (tmp_path / "map").mkdir()
    with pytest.raises(OSError):
        write(tmp_path / "map", "one\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "map"]


class Troubles:
    """What an exporter complains of."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, about: str, problem: str) -> None:
        self.said.append(f"{about}: {problem}")


def exporter(directory: Path, *command: str, file: str = "map") -> tuple[Exporter, Troubles]:
    troubles = Troubles()
    config = Config(export=Export(files={"text": str(directory / file)}, command=command))
    return Exporter(config, troubles), troubles


def test_an_exporter_writes_what_changed_and_runs_its_command_then(tmp_path: Path) -> None:
    """Arguments go to the command as they stand: no shell takes them apart."""
    mark = tmp_path / "ran $(date)"
    code = f"open({str(mark)!r}, 'a').write(open({str(tmp_path / 'map')!r}).read())"
    keeping, troubles = exporter(tmp_path, sys.executable, "-c", code)
    keeping.update(lambda: [(BOB, record("block"))], 1, NOW)
    wait_for(mark.exists, 60, "the command")
    assert BOB in (tmp_path / "map").read_text()
    inode = (tmp_path / "map").stat().st_ino
    keeping.update(lambda: [(BOB, record("block"))], 2, NOW)
    assert (tmp_path / "map").stat().st_ino == inode
    keeping.update(lambda: [(BOB, record("block", until=NOW))], 3, NOW)
    assert (tmp_path / "map").read_text() == ""
    keeping.close()
    assert troubles.said == []


def test_the_table_is_read_only_when_it_changed_or_something_ended_or_every_ten_minutes(tmp_path: Path) -> None:
    """A table may hold a million records."""
    keeping, _ = exporter(tmp_path)
    asked: list[float] = []

    def ask(generation: int, now: float) -> bool:
        def records() -> list[tuple[str, Record]]:
            asked.append(now)
            return [(BOB, record("block", until=NOW + 100))]

        before = len(asked)
        keeping.update(records, generation, now)
        return len(asked) > before

    found = [ask(1, NOW), ask(1, NOW + 99), ask(2, NOW + 99), ask(2, NOW + 100), ask(2, NOW + 699), ask(2, NOW + 700)]
    assert found == [True, False, True, True, False, True]
    assert (tmp_path / "map").read_text() == ""


def test_a_command_is_run_again_for_what_changed_while_it_ran_and_never_beside_itself(tmp_path: Path) -> None:
    go_on, log = tmp_path / "go", tmp_path / "log"
    os.mkfifo(go_on)
    code = f"open({str(log)!r}, 'a').write('x'); open({str(go_on)!r}).read()"
    keeping, _ = exporter(tmp_path, sys.executable, "-c", code)
    for number in range(4):
        keeping.update(partial(list, [(f"account:{number}", record("block"))]), number, NOW)
    wait_for(lambda: log.exists() and log.read_text() == "x", 60, "the command")
    threading.Thread(target=go_on.write_text, args=("",), daemon=True).start()

    def ran_twice() -> bool:
        keeping.update(lambda: [("account:3", record("block"))], 3, NOW)
        return log.read_text() == "xx"

    wait_for(ran_twice, 60, "the command again")
    go_on.write_text("")
    keeping.close()


def test_a_command_is_run_at_the_start_though_nothing_changes(tmp_path: Path) -> None:
    """The last controller may have been killed after it had written the file: the MTA would keep an older map."""
    write(tmp_path / "map", export("text", [(BOB, record("block"))], NOW, CONFIG).text)
    mark = tmp_path / "ran"
    keeping, _ = exporter(tmp_path, sys.executable, "-c", f"open({str(mark)!r}, 'w')")
    keeping.update(lambda: [(BOB, record("block"))], 1, NOW)
    keeping.close(60)
    assert mark.exists()


def test_a_command_that_failed_is_run_again_after_a_minute_or_a_change(tmp_path: Path) -> None:
    """Else the MTA would go on by an older map until something else changes."""
    log = tmp_path / "log"
    code = f"open({str(log)!r}, 'a').write('x'); raise SystemExit(1)"
    keeping, troubles = exporter(tmp_path, sys.executable, "-c", code)

    def runs(now: float, *listed: tuple[str, Record]) -> int:
        """How often it has been run once it is at rest again."""
        keeping.update(lambda: listed, len(listed), now)
        keeping.close(60)
        keeping.update(lambda: listed, len(listed), now)
        return len(log.read_text())

    bob, eve = (BOB, record("block", until=FAR)), (EVE, record("block", until=FAR))
    assert [runs(NOW, bob), runs(NOW + 59, bob), runs(NOW + 60, bob)] == [1, 1, 2]
    assert runs(NOW + 65, bob, eve) == 3
    assert runs(NOW - 1000, bob, eve) == 4
    assert len(troubles.said) == 4


def test_a_command_that_does_not_end_is_told(tmp_path: Path) -> None:
    """Maps are as old as its start. Once a minute: `sync` logs all that it is told."""
    go_on = tmp_path / "go"
    os.mkfifo(go_on)
    keeping, troubles = exporter(tmp_path, sys.executable, "-c", f"open({str(go_on)!r}).read()")
    keeping.update(lambda: [(BOB, record("block", until=FAR))], 1, NOW)
    keeping.update(lambda: [(BOB, record("block", until=FAR))], 1, NOW + 59)
    assert troubles.said == []
    keeping.update(lambda: [(BOB, record("block", until=FAR))], 1, NOW + 60)
    keeping.update(lambda: [(BOB, record("block", until=FAR))], 1, NOW + 119)
    told = f"export command: {sys.executable}: still running; what has changed since waits for its end"
    assert troubles.said == [told]
    keeping.update(lambda: [(BOB, record("block", until=FAR))], 1, NOW + 120)
    assert troubles.said == [told, told]
    go_on.write_text("")
    keeping.close()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("/nonexistent",), "export command: /nonexistent: No such file or directory; it is run again in a minute"),
        (
            (sys.executable, "-c", "raise SystemExit(3)"),
            f"export command: {sys.executable}: exit status 3; it is run again in a minute",
        ),
    ],
)
def test_a_command_that_fails_is_told(tmp_path: Path, command: tuple[str, ...], expected: str) -> None:
    keeping, troubles = exporter(tmp_path, *command)

    def told() -> bool:
        keeping.update(lambda: [(BOB, record("block", until=FAR))], 1, NOW)
        return troubles.said == [expected]

    wait_for(told, 60, expected)


def test_a_file_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    keeping, troubles = exporter(tmp_path, file="none/map")
    keeping.update(lambda: [(BOB, record("block"))], 1, NOW)
    (tmp_path / "none").mkdir()
    keeping.update(lambda: [(BOB, record("block"))], 1, NOW)
    assert (tmp_path / "none" / "map").exists()
    assert troubles.said == [
        f"export: {tmp_path}/none/map: cannot be written: No such file or directory; what stands there is older"
    ]
