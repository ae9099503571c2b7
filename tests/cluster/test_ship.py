"""A log into the stream: every line once and in order, whatever dies in between."""

from __future__ import annotations

import dataclasses
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enforce import config as configuration
from enforce.config import Config
from logwatch.cluster import ship, wire
from logwatch.cluster.ship import LINES, Shipper
from logwatch.cluster.wire import Batch
from logwatch.commands.ship import begun
from logwatch.reading.follow import Follower
from logwatch.reading.log_file import Position
from logwatch.telling.journal import Journal


class AwayError(OSError):
    """The stream is."""


class Sink:
    """A stream that keeps batches as the server would, and is away when told."""

    def __init__(self) -> None:
        self.messages: list[Batch] = []
        self.away_after = 1 << 30
        self.unanswered = False  # the message arrives, its acknowledgement does not

    def send(self, message: bytes, _: str) -> None:
        if not self.away_after:
            if self.unanswered:
                self.messages.append(wire.decode(message))
            raise AwayError
        self.away_after -= 1
        self.messages.append(wire.decode(message))

    def log(self, name: str) -> bytes:
        """What a reader has that drops what it has had."""
        found, end, epoch = b"", 0, ""
        for batch in self.messages:
            if batch.log == name and batch.epoch != epoch:
                end, epoch = batch.at, batch.epoch
            if batch.log == name and batch.end > end:
                assert batch.at <= end
                found += batch.lines[end - batch.at :]
                end = batch.end
        return found


class Gateway:
    """A log and a shipper; `now` is the clock."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.log = directory / "mail.log"
        self.log.touch()
        self.now = 1_800_000_000.0
        self.sink = Sink()
        state = {"directory": str(directory / "state")}
        cluster = {"name": "mx1", "servers": ["nats://127.0.0.1:1"], **options}
        self.config: Config = configuration.parse(
            {"log": {"files": [str(self.log)]}, "state": state, "cluster": cluster}, "test"
        )
        self.shipper = self.started()

    def started(self, first: dict[str, Any] | None = None) -> Shipper:
        def follow(positions: dict[str, Any]) -> Follower:
            return Follower([str(self.log)], {path: Position(**at) for path, at in positions.items()})

        return Shipper(self.config, follow, first or {}, lambda: self.now)

    def write(self, *lines: bytes) -> None:
        with self.log.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def step(self) -> None:
        self.now += ship.EVERY
        try:
            self.shipper.read(self.sink.send)
            self.shipper.send(self.sink.send)
        except AwayError:
            pass

    def kill(self) -> None:
        """A new process, which knows what is on disk."""
        self.shipper._spool.close()
        self.shipper._log.close()
        self.shipper = self.started()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.shipper.close()


@settings(deadline=None, max_examples=60)
@example(["write", "step", "kill", "rotate", "step", "write", "kill"])  # a segment is left before that is written down
@given(st.lists(st.sampled_from(["write", "many", "step", "kill", "cut", "heal", "unanswered", "rotate"]), max_size=30))
def test_every_line_comes_once_whatever_dies(deeds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        gateway, written, dice = Gateway(Path(directory)), b"", random.Random(len(deeds))
        for deed in [*deeds, "heal", "step", "step", "step"]:
            if deed in ("write", "many"):
                lines = [b"line %d" % dice.randint(0, 9999) for _ in range(3 if deed == "write" else 3 * LINES)]
                gateway.write(*lines)
                written += b"".join(line + b"\n" for line in lines)
            elif deed == "rotate" and gateway.log.stat().st_size:
                gateway.step()
                older = sorted(Path(directory).glob("mail.log.*"), reverse=True)
                for path in older:
                    path.rename(path.with_name(f"mail.log.{int(path.suffix[1:]) + 1}"))
                gateway.log.rename(gateway.log.with_name("mail.log.1"))
                gateway.log.touch()
            elif deed in ("cut", "unanswered"):
                gateway.sink.away_after, gateway.sink.unanswered = dice.randint(0, 2), deed == "unanswered"
            elif deed == "heal":
                gateway.sink.away_after, gateway.sink.unanswered = 1 << 30, False
            elif deed != "rotate":
                getattr(gateway, deed)()
        assert gateway.sink.log(str(gateway.log)) == written
        gateway.shipper.close()


def test_what_is_new_is_no_duplicate_after_a_backup_was_put_back(gateway: Gateway, tmp_path: Path) -> None:
    """It is read from the current log's beginning, as the one of then is gone, and has places that were used since."""
    gateway.write(b"before")
    gateway.step()
    gateway.shipper.save()
    shutil.copytree(tmp_path / "state", tmp_path / "backup")
    gateway.write(b"since then, and longer than what comes now")
    gateway.step()
    gateway.shipper.close()
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "backup").rename(tmp_path / "state")
    gateway.log.unlink()
    gateway.write(b"new")
    gateway.shipper = gateway.started()
    gateway.step()
    assert gateway.sink.log(str(gateway.log)) == b"before\nsince then, and longer than what comes now\nnew\n"


def test_batches_are_small_and_say_whose_they_are(gateway: Gateway) -> None:
    gateway.write(*(b"line %d" % n for n in range(250)))
    gateway.step()
    batches = [batch for batch in gateway.sink.messages if batch.lines]
    assert [batch.count for batch in batches] == [100, 100, 50]
    assert {(batch.host, batch.log) for batch in batches} == {("mx1", str(gateway.log))}
    assert len({batch.epoch for batch in gateway.sink.messages}) == 1


def test_a_quiet_gateway_promises_that_it_has_sent_all(gateway: Gateway) -> None:
    gateway.write(b"line")
    for _ in range(3):
        gateway.step()
    promises = [batch for batch in gateway.sink.messages if batch.log == wire.ALL]
    assert promises[-1].promise == pytest.approx(gateway.now - ship.SETTLED)
    assert not promises[-1].lines


def test_a_clock_that_was_ahead_and_is_set_right_holds_no_promise_back(gateway: Gateway) -> None:
    """For them every controller waits."""
    gateway.step()
    gateway.now -= 3600
    gateway.step()
    assert gateway.sink.messages[-1].promise == pytest.approx(gateway.now - ship.SETTLED)


def test_no_promise_is_made_while_lines_wait(gateway: Gateway) -> None:
    gateway.sink.away_after = 0
    gateway.write(b"line")
    for _ in range(5):
        gateway.step()
    gateway.sink.away_after = 1 << 30
    gateway.shipper.send(gateway.sink.send)
    assert [bool(batch.lines) for batch in gateway.sink.messages] == [True]


def test_a_full_spool_drops_the_oldest_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gateway = Gateway(tmp_path, spool="64kB")
    gateway.sink.away_after = 0
    for n in range(60):
        gateway.write(*(random.Random(n * 100 + k).randbytes(30).hex().encode() for k in range(100)))
        gateway.step()
    assert "the spool is full" in caplog.text
    assert gateway.shipper.waiting() <= 64_000
    gateway.sink.away_after = 1 << 30
    gateway.step()
    gateway.write(b"the last")
    gateway.now += ship._NOTE
    gateway.step()
    (*_, last) = (batch for batch in gateway.sink.messages if batch.lines)
    assert last.lines == b"the last\n"
    lost = last.state["lost"]
    assert lost == 6001 - sum(batch.count for batch in gateway.sink.messages)
    assert lost > 0
    gateway.shipper.close()


def test_a_log_whose_lines_name_no_host_is_said(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody could tell then whose they are."""
    gateway.write(
        b"2025-11-25 10:00:00 1uABCD-000000001ab-2cde <= bob@example.com H=x [192.0.2.1] P=esmtpsa A=login:bob"
    )
    gateway.step()
    assert f"{gateway.log}: its lines name no host, and will be left out: have Exim log through syslog" in caplog.text


def test_a_clock_that_is_set_back_stops_nothing(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """What was acknowledged is written down, and trouble said, although the clock shows less than the last time."""
    state = Path(gateway.config.state.directory) / "spool" / "state.json"
    gateway.write(b"one")
    gateway.step()
    gateway.shipper.say("spool", "it is full")
    before = state.read_text()
    gateway.now -= 3600
    gateway.write(b"two")
    gateway.step()
    gateway.shipper.say("spool", "it is full")
    assert state.read_text() != before
    assert caplog.text.count("it is full") == 2


def test_a_first_start_goes_on_where_this_machines_own_controller_stopped(tmp_path: Path) -> None:
    """From one machine to many: what `watch` has read is not sent again."""
    gateway = Gateway(tmp_path)
    gateway.shipper.close()
    gateway.write(b"read by watch", b"new")
    before = Follower([str(gateway.log)], {})
    list(before.read())
    position = dataclasses.asdict(before.tails[str(gateway.log)].position())
    before.close()
    gateway.write(b"newer")
    (tmp_path / "state" / "spool" / "state.json").unlink()
    journal = Journal.open(gateway.config.journal)
    journal.note("positions", {str(gateway.log): position})
    journal.close()
    gateway.shipper = gateway.started(begun(gateway.config))
    gateway.step()
    assert gateway.sink.log(str(gateway.log)) == b"newer\n"
    gateway.shipper.close()
