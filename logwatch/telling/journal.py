"""The journal: every decision with its evidence, every review, and where the controller was. One SQLite file (WAL).

Decisions, the log position and all that the core remembers change in one transaction, so that a controller killed at
any moment goes on exactly where this file says, with nothing counted twice or lost. Readers (`why`, `status`) do not
wait for it.

    decisions   one row per decision; times are epoch seconds
    lines       the log lines behind a decision
    guarded     decisions that the guard turned into observe
    effects     what came of a case or order: mail accepted while it stood, attempts refused
    published   what was written to the deny table: which record was added, changed, removed, when, and why
    answers     what DNS block lists said of a client, and for which event times it counts
    reviews     what operators said; `effective`: the event time from which it holds, empty until the controller saw it;
                `latest`: the last decision until then
    memory      what the core remembers by key, one row each
    checkpoint  named JSON values: log positions, facts, when they were written

Each is plain enough for an analyst to read it in a line: `pandas.read_sql("SELECT * FROM published", connection)`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from logwatch.memory import Memory
from logwatch.schema import Decision, Facts, Listing
from logwatch.telling.edit_distance import one_off
from logwatch.telling.journal_file import Archive, JournalError
from logwatch.telling.published import Change

Naming = Callable[[Sequence[str]], Iterable[int]]  # which of some log lines name somebody
_ALIKE = 5  # accounts
_AT_ONCE = 10_000  # log lines that are looked at together
TAKEN_BACK = ("released", "exempted")  # verdicts that end what was decided
_CHANGE = ", ".join(Change._fields)
_REVIEW = "time, key, verdict, by, note, until, effective"
_DECISION = "seq, time, key, action, mode, until, share, max_recipients, rule, ref, queue_id, evidence"


@dataclass(frozen=True)
class Review:
    """What an operator said about a key: confirmed, released or exempted.

    Times are epoch seconds; `until`: when an exemption ends; `effective`: None until the controller saw it, after the
    decision `latest` (0: the first).
    """

    time: float
    key: str
    verdict: str
    by: str
    note: str = ""
    until: float | None = None
    effective: float | None = None
    id: int = 0
    latest: int | None = None


class Effect(NamedTuple):
    """What came of a case: messages and recipients accepted while it stood, attempts refused."""

    ref: str
    key: str
    rule: str
    messages: int = 0
    recipients: int = 0
    refused: int = 0


class Forgotten(NamedTuple):
    """How much was removed: rows of each table; `lines`: those of others' cases that named the key."""

    decisions: int
    effects: int
    reviews: int
    lines: int
    memories: int


class Journal(Archive):
    """What an open journal says; sqlite3's errors on reading and writing pass through, for the caller decides."""

    # Decisions.

    def record(self, decisions: Iterable[Decision], lines: Mapping[int, Iterable[str]]) -> None:
        """Add decisions, and the log lines behind them by `seq`."""
        for decision in decisions:
            self._db.execute(f"INSERT INTO decisions ({_DECISION}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", _row(decision))  # noqa: S608 - a constant
            rows = ((decision.seq, place, line) for place, line in enumerate(lines.get(decision.seq, ())))
            self._db.executemany("INSERT INTO lines VALUES (?,?,?)", rows)

    def hold_back(self, seqs: Iterable[int]) -> None:
        """Note that the guard turned these decisions into observe."""
        self._db.executemany("INSERT OR IGNORE INTO guarded VALUES (?)", ((seq,) for seq in seqs))

    def held_back(self) -> set[int]:
        """The decisions that the guard turned into observe."""
        return {seq for (seq,) in self._db.execute("SELECT seq FROM guarded")}

    def held_back_since(self, time: float) -> int:
        """How many decisions the guard has held back from an event time on."""
        rows = self._db.execute("SELECT count(*) FROM guarded JOIN decisions USING (seq) WHERE time >= ?", (time,))
        (count,) = rows.fetchone()
        return int(count)

    def case(self, ref_or_key: str) -> list[Decision]:
        """Every decision with this reference or on this key, newest first."""
        return self._decisions("WHERE ref = ? OR key = ? ORDER BY seq DESC", ref_or_key, ref_or_key)

    def standing(self, now: float) -> list[Decision]:
        """Decisions that have neither ended nor been released, oldest first: the last word on each (rule, key).

        What was decided after a review had been taken up stands, whatever the clock was then: it may have been ahead.
        """
        clause = """
            WHERE until > ? AND action != 'release' AND seq IN (SELECT max(seq) FROM decisions GROUP BY rule, key)
            AND NOT EXISTS (SELECT 1 FROM reviews WHERE reviews.key = decisions.key AND verdict IN ('released',
            'exempted')
                            AND CASE WHEN latest IS NULL THEN coalesce(effective, reviews.time) >= decisions.time
                                ELSE latest >= decisions.seq END)
            ORDER BY seq"""
        return self._decisions(clause, now)

    def decisions(self) -> list[Decision]:
        """All of them, in order."""
        return self._decisions("ORDER BY seq")

    def lines(self, seq: int) -> list[str]:
        """The log lines behind a decision."""
        return [line for (line,) in self._db.execute("SELECT line FROM lines WHERE seq = ? ORDER BY place", (seq,))]

    def _decisions(self, clause: str, *values: object) -> list[Decision]:
        rows = self._db.execute(f"SELECT {_DECISION} FROM decisions {clause}", values)  # noqa: S608 - clauses are ours
        return [_decision(row) for row in rows]

    def since(self, time: float) -> list[Decision]:
        """Decisions from an event time on, in order."""
        return self._decisions("WHERE time >= ? ORDER BY seq", time)

    def prune(self, before: float) -> int:
        """Forget decisions that were made, and had ended, before a time, with all that belongs to them; how many.

        What took back, or took the place of, something that would stand yet is kept as long as that.
        """
        with self.transaction():
            gone = self._db.execute(
                """DELETE FROM decisions WHERE time < ?1 AND until < ?1 AND NOT (
                   seq IN (SELECT max(seq) FROM decisions GROUP BY rule, key)
                   AND (rule, key) IN (SELECT rule, key FROM decisions WHERE time < ?1 AND until >= ?1))""",
                (before,),
            ).rowcount
            self._db.execute("DELETE FROM lines WHERE seq NOT IN (SELECT seq FROM decisions)")
            self._db.execute("DELETE FROM guarded WHERE seq NOT IN (SELECT seq FROM decisions)")
            self._db.execute(
                """DELETE FROM published WHERE time < ?1 AND until < ?1 AND NOT (
                   id IN (SELECT max(id) FROM published GROUP BY key, mode, action = 'cap')
                   AND (key, mode, action = 'cap') IN
                       (SELECT key, mode, action = 'cap' FROM published WHERE time < ?1 AND until >= ?1))""",
                (before,),
            )
            self._db.execute("DELETE FROM answers WHERE until < ?", (before,))
            self._db.execute(
                """DELETE FROM reviews WHERE effective < ?1 AND coalesce(until, 0) < ?1
                   AND key NOT IN (SELECT key FROM reviews WHERE until >= ?1)
                   AND key NOT IN (SELECT key FROM decisions WHERE time < ?1 AND until >= ?1)""",
                (before,),
            )
            self._db.execute(
                """DELETE FROM effects WHERE ref NOT IN (SELECT ref FROM decisions) AND NOT (rule LIKE 'by-hand%'
                   AND key IN (SELECT key FROM reviews WHERE verdict LIKE 'ordered %'))"""
            )
        return gone

    def forget(self, key: str, naming: Naming) -> Forgotten:
        """Remove all that is kept under a key, and every log line that names it; gone from the file, too.

        Only while no controller runs, which would write what it remembers again. JournalError where somebody reads,
        for whom the file has to stay as it was: all is removed, but not yet from the file.
        """
        self._db.execute("PRAGMA secure_delete = ON")
        with self.transaction():
            self._db.execute("DELETE FROM lines WHERE seq IN (SELECT seq FROM decisions WHERE key = ?)", (key,))
            found = list(self._lines_naming(naming))
            self._db.executemany("DELETE FROM lines WHERE seq = ? AND place = ?", found)
            decisions, effects, reviews, _ = (
                self._db.execute(f"DELETE FROM {table} WHERE key = ?", (key,)).rowcount  # noqa: S608 - ours
                for table in ("decisions", "effects", "reviews", "published")
            )
            memories = self._db.execute(
                """DELETE FROM memory WHERE key = ?1 OR substr(key, -length(?1) - 1) = ' ' || ?1
                   OR room IN ('messages', 'sessions') AND instr(value, ?2)""",
                (key, json.dumps(key).encode()),
            ).rowcount
            self._db.execute("DELETE FROM guarded WHERE seq NOT IN (SELECT seq FROM decisions)")
            self._db.execute("DELETE FROM answers WHERE client = ?", (key,))
            if facts := self.facts():  # what the log's clock has not passed yet
                releases = [one for one in facts["releases"] if one[0] != key]
                confirmations = [one for one in facts.get("confirmations", ()) if one[0] != key]
                answers = [one for one in facts.get("answers", ()) if one[2] != key]
                said = {"releases": releases, "confirmations": confirmations, "answers": answers}
                self.note("facts", {**facts, **said})
        self._db.execute("VACUUM")
        (busy, *_) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise JournalError(
                f"{self._path}: all was removed, but still stands in the file, which somebody reads just now (a query "
                "that is open, another command): end that, and do this once more"
            )
        return Forgotten(decisions, effects, reviews, len(found), memories)

    def _lines_naming(self, naming: Naming) -> Iterator[tuple[int, int]]:
        """Decision and place of each log line that names somebody."""
        rows = self._db.execute("SELECT seq, place, line FROM lines")
        while several := rows.fetchmany(_AT_ONCE):
            for number in naming([line for *_, line in several]):
                seq, place, _ = several[number]
                yield seq, place

    # Effects.

    def affect(self, effects: Iterable[Effect]) -> None:
        """Add to what came of cases."""
        self._db.executemany(
            """INSERT INTO effects VALUES (?,?,?,?,?,?) ON CONFLICT (ref, key, rule) DO UPDATE SET
               messages = messages + excluded.messages, recipients = recipients + excluded.recipients,
               refused = refused + excluded.refused""",
            effects,
        )

    def effects(self) -> dict[tuple[str, str, str], Effect]:
        """What came of each case, by reference, key and rule."""
        return {row[:3]: Effect(*row) for row in self._db.execute("SELECT * FROM effects")}

    # What was published.

    def put_down(self, changes: Iterable[Change]) -> None:
        """Write down what was written to the table."""
        places = ",".join("?" * len(Change._fields))
        self._db.executemany(f"INSERT INTO published ({_CHANGE}) VALUES ({places})", changes)  # noqa: S608 - constants

    def published(self, key: str = "") -> list[Change]:
        """All changes of the table, of one key if it is given, in their order."""
        return self._published("WHERE ? IN ('', key) ORDER BY id", key)

    def listed(self) -> list[Change]:
        """Of each record in the table, the change that made it what it is."""
        clause = """
            WHERE change != 'remove'
            AND id IN (SELECT max(id) FROM published GROUP BY key, mode, action = 'cap') ORDER BY id"""
        return self._published(clause)

    def _published(self, clause: str, *values: object) -> list[Change]:
        rows = self._db.execute(f"SELECT {_CHANGE} FROM published {clause}", values)  # noqa: S608 - clauses are ours
        return [Change(*row) for row in rows]

    # Answers of DNS block lists.

    def answered(self, listings: Iterable[Listing]) -> None:
        """Write answers down."""
        rows = [(*listing[:-1], " ".join(listing.codes)) for listing in listings]
        self._db.executemany("INSERT INTO answers VALUES (?,?,?,?,?)", rows)

    def answers(self, since: float = float("-inf")) -> list[Listing]:
        """Those that count from an event time on, or a later one, in order."""
        rows = self._db.execute("SELECT * FROM answers WHERE time >= ? ORDER BY time, rowid", (since,))
        return [Listing(time, until, client, zone, tuple(codes.split())) for time, until, client, zone, codes in rows]

    # Reviews.

    def review(self, said: Review) -> None:
        """Write down what an operator says (`id` is given here); the controller will see it."""
        with self.transaction():
            self._insert(said)

    def _insert(self, said: Review) -> int | None:
        return self._db.execute(
            f"INSERT INTO reviews ({_REVIEW}) VALUES (?,?,?,?,?,?,?)",  # noqa: S608 - a constant
            (said.time, said.key, said.verdict, said.by, said.note, said.until, said.effective),
        ).lastrowid

    def unseen(self) -> list[Review]:
        """Reviews that the controller has not taken up yet, oldest first."""
        return self._reviews("WHERE effective IS NULL ORDER BY id")

    def reviews(self, key: str = "") -> list[Review]:
        """All reviews, of one key if it is given, newest first."""
        return self._reviews("WHERE ? IN ('', key) ORDER BY id DESC", key)

    def seen(self, review: Review, effective: float, latest: int) -> None:
        """A review has been taken up, after the decision `latest` (0 for none), and holds from an event time on.

        One that is not here is added: written elsewhere (without `id`), or here, after the backup that this journal is.
        """
        mark = "UPDATE reviews SET effective = ?, latest = ? WHERE (id, time, key, verdict) = (?,?,?,?)"
        said = (review.time, review.key, review.verdict)
        if not self._db.execute(mark, (effective, latest, review.id, *said)).rowcount:
            self._db.execute(mark, (effective, latest, self._insert(review), *said))

    def _reviews(self, clause: str, *values: object) -> list[Review]:
        rows = self._db.execute(f"SELECT {_REVIEW}, id, latest FROM reviews {clause}", values)  # noqa: S608
        return [Review(*row) for row in rows]

    # Checkpoint.

    def remember(self, memories: Iterable[Memory[Any]]) -> None:
        """Write what changed in the core's memories; the caller settles them once the transaction is through."""
        for memory in memories:
            for key, time, value in memory.changes():
                if value is None:
                    self._db.execute("DELETE FROM memory WHERE room = ? AND key = ?", (memory.name, key))
                else:
                    self._db.execute("INSERT OR REPLACE INTO memory VALUES (?,?,?,?)", (memory.name, key, time, value))

    def remembered(self) -> dict[str, list[tuple[str, float, bytes]]]:
        """All rows of all memories, by memory."""
        rooms: defaultdict[str, list[tuple[str, float, bytes]]] = defaultdict(list)
        for room, key, time, value in self._db.execute("SELECT room, key, time, value FROM memory"):
            rooms[room].append((key, time, value))
        return rooms

    def room(self, name: str) -> list[tuple[str, float, bytes]]:
        """The rows of one memory."""
        return list(self._db.execute("SELECT key, time, value FROM memory WHERE room = ?", (name,)))

    def remembered_of(self, room: str, key: str) -> bytes | None:
        """The row of one key in one memory."""
        row = self._db.execute("SELECT value FROM memory WHERE room = ? AND key = ?", (room, key)).fetchone()
        return bytes(row[0]) if row else None

    def alike(self, account: str) -> list[str]:
        """Accounts that are remembered, a few: of the same login elsewhere; if this one is not, one letter off."""
        login, at, domain = account.partition("@")
        mistyped = self.remembered_of("used", account) is None
        found = []
        for (key,) in self._db.execute("SELECT key FROM memory WHERE room = 'used' AND key != ?", (account,)):
            its = key.partition("@")
            if its[0] == login or (mistyped and its[1:] == (at, domain) and one_off(login, its[0])):
                found.append((its[0] != login, key))
        return [key for _, key in sorted(found)[:_ALIKE]]

    def is_strange(self, account: str) -> bool:
        """Whether no mail of it is remembered, though that of others is, and nothing was decided about it."""
        (others,) = self._db.execute("SELECT EXISTS (SELECT 1 FROM memory WHERE room = 'used')").fetchone()
        return bool(others) and self.remembered_of("used", account) is None and not self.case(account)

    def references(self) -> dict[str, str]:
        """The key of each case that a rule began, oldest first."""
        return dict(self._db.execute("SELECT ref, key FROM decisions ORDER BY seq"))

    def note(self, name: str, value: object) -> None:
        """Set a named value of the checkpoint, anything that JSON can say."""
        self._db.execute("INSERT OR REPLACE INTO checkpoint VALUES (?,?)", (name, json.dumps(value)))

    def noted(self, name: str) -> Any:
        """A named value of the checkpoint; None where there is none."""
        row = self._db.execute("SELECT value FROM checkpoint WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def facts(self) -> Facts | None:
        """What the core remembers that has no key, as of the last checkpoint; None before the first."""
        return self.noted("facts") or None


def _row(decision: Decision) -> tuple[object, ...]:
    fields = {**vars(decision), "evidence": json.dumps(decision.evidence)}
    return tuple(fields[name] for name in _DECISION.split(", "))


def _decision(row: tuple[Any, ...]) -> Decision:
    fields = dict(zip(_DECISION.split(", "), row, strict=True))
    return Decision(**{**fields, "evidence": json.loads(fields["evidence"])})
