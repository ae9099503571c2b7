"""Keeps the deny table equal to what stands, whatever happens to its files.

What cannot be written now is written later: the table is opened anew at the next beat, and then made to hold all that
stands, by the journal, the policy and the reviews as they are at that moment. So no change is lost, and none needs a
queue.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence

from enforce.config import Config
from enforce.table import Record, TableError, Unusable, Writer
from logwatch.schema import Decision
from logwatch.telling.export import Exporter
from logwatch.telling.publish import Publisher
from logwatch.telling.published import DECIDED, ENDED, FOUND, OPENED, Change, changes, together, unsaid
from logwatch.wall_clock import lately

BEAT = 5.0  # seconds between signs of life

log = logging.getLogger("mailbrake.table")


class Keeper:
    """Writes the deny table at the configured path (`ports.Table`).

    `standing` gives the decisions that it should hold at a time, `say` takes trouble (about, problem); `written`: the
    changes after which the table is what it is, by the journal and by what was given out here.
    """

    def __init__(
        self,
        config: Config,
        standing: Callable[[float], Iterable[Decision]],
        say: Callable[[str, str], None],
        written: Callable[[], Iterable[Change]],
        exporter: Exporter | None = None,
    ) -> None:
        self._path = config.table
        self._lease = config.state.lease
        self._standing = standing
        self._say = say
        self._written = written
        self._exporter = exporter
        self._changes: list[Change] = []
        self._writer: Writer | None = None
        self._publisher: Publisher | None = None
        self._beaten = float("-inf")
        self._at, self._why = 0.0, DECIDED  # of what is being written

    def publish(self, decisions: Iterable[Decision], now: float, why: str = DECIDED) -> None:
        """Take up decisions, in their order."""
        self._attempt(lambda publisher: publisher.publish(decisions, now), now, why)

    def forget(self, key: str, now: float, why: str) -> None:
        """Take a key off."""
        self._attempt(lambda publisher: publisher.forget(key, now), now, why)

    def changes(self) -> list[Change]:
        """What was written since this was last asked, in its order."""
        found, self._changes = self._changes, []
        return found

    def beat(self, now: float) -> None:
        """Once in a while: say that the controller lives, renew leases, and open the table if it is not open.

        After a jump of the clock (this process stood still, or the clock was set) leases may have run out of what still
        stands, or last too long: all that stands is written anew.
        """
        if lately(self._beaten, now, BEAT):
            return
        passed, self._beaten = now - self._beaten, now
        jumped = not 0 <= passed <= max(self._lease / 4, 2 * BEAT)
        if jumped or self._writer is None or not self._writer.in_place():
            self._open(now)
        self._attempt(lambda publisher: publisher.beat(now), now, ENDED)
        if self._exporter and self._writer:
            self._export(self._exporter, self._writer, now)

    def health(self, now: float) -> tuple[int, int, float] | None:
        """Commits, keys listed, and seconds since the last sign of life; None while the table cannot be written."""
        try:
            state = self._writer.state(now) if self._writer else None
        except TableError:
            return None
        return (state.generation, state.entries, state.age) if state else None

    def to_tell(self, decisions: Sequence[Decision], now: float) -> Sequence[Decision]:  # noqa: ARG002 - the port's
        """All of them: nobody else decides."""
        return decisions

    def speaks_for_all(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Let go of the files; what is listed stands until its leases run out."""
        self._let_go()
        if self._exporter:
            self._exporter.close()

    def _let_go(self) -> None:
        if self._writer:
            self._writer.close()
        self._writer = self._publisher = None

    def _open(self, now: float) -> None:
        self._let_go()
        try:
            self._writer = Writer(self._path, seen=self._note)
            self._compare(self._writer, now)
            if self._writer.afresh:
                log.warning("%s: made from the journal (%s)", self._path, self._writer.afresh)
            self._publisher = Publisher(self._writer, self._lease)
            self._at, self._why = now, OPENED
            self._publisher.restart(self._standing(now), now)
        except (TableError, sqlite3.Error) as error:
            self._let_go()
            self._say("table", f"{error}; decisions are journalled, and published when it can be written")

    def _export(self, exporter: Exporter, writer: Writer, now: float) -> None:
        def records() -> list[tuple[str, Record]]:
            listed = ((key, found) for key, found in writer.records() if not isinstance(found, Unusable))
            return [(key, record) for key, found in listed for record in found]

        try:
            exporter.update(records, writer.state(now).generation, now)
        except TableError as error:
            self._say("export", f"the table cannot be read: {error}")

    def _compare(self, writer: Writer, now: float) -> None:
        """Note what is in the table without anybody having written that down, and what is gone from it."""
        listed = {key: found for key, found in writer.records() if not isinstance(found, Unusable)}
        said = together(self._written())
        differing = []
        for key in sorted(listed.keys() | said.keys()):
            found = [*unsaid(key, said.get(key, ()), listed.get(key, ()), now)]
            self._changes += found
            differing += [key for change in found[:1] if change.why == FOUND]
        if differing and not writer.afresh:
            log.warning(
                "%s: is not as the journal left it (%s keys: %s%s), and is made so again; if that is an older journal, "
                "put back, releases and orders given since then have to be given again",
                self._path, len(differing), ", ".join(differing[:3]), ", …" if len(differing) > 3 else "",
            )  # fmt: skip

    def _note(self, key: str, before: Sequence[Record], after: Sequence[Record]) -> None:
        self._changes += changes(key, before, after, self._at, self._why)

    def _attempt(self, act: Callable[[Publisher], None], now: float, why: str) -> None:
        if self._publisher is None:
            return
        self._at, self._why = now, why
        try:
            act(self._publisher)
        except TableError as error:
            self._let_go()
            self._say("table", str(error))
