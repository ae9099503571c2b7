"""What an operator says about a key: written down in the journal, and in effect at once.

The review first: then a controller that starts at this moment cannot publish what it takes back.
"""

from __future__ import annotations

import getpass
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from enforce.config import Config
from enforce.key import EVERYBODY, networks
from enforce.printable import printable
from enforce.table import Denied, Reader, Record, Writer
from logwatch.commands import Failure, subjects
from logwatch.commands.common import key_of
from logwatch.commands.output import now

if TYPE_CHECKING:
    from logwatch.telling.journal import Journal
    from logwatch.telling.published import Change


def who() -> str:
    """Who gives this command: the user behind sudo, if there is one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container
        return f"user {os.getuid()}"


def subject_of(written: str, config: Config) -> str:
    """The key of a case, or the key that is written; Failure where it reads like a case and there is none.

    Where no mail of an account is known that is said, as it may be mistyped: it is done all the same.
    """
    from logwatch.telling.journal import Journal
    from logwatch.telling.journal_file import JournalError

    try:
        with Journal.read(config.journal) as journal:
            return _subject(written, config, journal)
    except JournalError:  # told when something is to be written down
        return key_of(written, config)


def _subject(written: str, config: Config, journal: Journal) -> str:
    found = {decision.key for decision in subjects.decided(journal, subjects.reference(written))}
    if len(found) > 1:
        raise Failure(f"{written} is the reference of several cases: name the key: {', '.join(sorted(found))}")
    if found:
        return found.pop()
    key = key_of(written, config)
    meant = subjects.meant(journal, written, key)
    if subjects.looks_like_a_case(written) or subjects.cases_alike(journal, written):
        raise Failure(f"no case {printable(written)}; an account that is called so is written account:{written}{meant}")
    if key.startswith("account:") and key != EVERYBODY and journal.is_strange(key):
        said = meant or ": is it the right login?"
        print(f"mailbrake: no mail of {printable(key)} has been seen{said}", file=sys.stderr)
    return key


def say(config: Config, key: str, verdict: str, note: str, until: float | None = None) -> list[Change]:
    """Write a review down, and take the key off the table if it ends what was decided; what was taken off."""
    from logwatch.telling.journal import TAKEN_BACK, Review

    with _journal(config) as journal:
        journal.review(Review(now(), key, verdict, who(), note, until))
        if verdict not in TAKEN_BACK or not (config.table / "data.mdb").exists():
            return []
        return _written(config, journal, f"{verdict} by {who()}", lambda writer: writer.remove(key))


def around(key: str, config: Config) -> list[tuple[str, Record]]:
    """The networks around a client that are still listed, and refused or held with it."""
    kind, _, address = key.partition(":")
    if kind != "client" or not (config.table / "data.mdb").exists():
        return []
    reader = Reader(config.table)
    answer = reader.look_up(networks(address), now())
    reader.close()
    listed = answer.records if isinstance(answer, Denied) else ()
    return [(net, record) for net, record in listed if record.mode == "enforce"]


def listed(wider: Iterable[tuple[str, Record]]) -> list[dict[str, str]]:
    """The same networks as objects."""
    return [{"key": net, "action": one.action, "mode": one.mode, "ref": one.ref} for net, one in wider]


def say_around(wider: Iterable[tuple[str, Record]]) -> None:
    """Say that who was released is still listed with his network, if he is."""
    if said := " and ".join(f"{net}: {record.action} (case {record.ref})" for net, record in wider):
        print(f"Its network is still listed, {said}: release that, too, if it is meant.")


def put(config: Config, key: str, records: Sequence[Record], moment: float) -> None:
    """Put what was ordered on the table: all records that the key is to have."""
    with _journal(config) as journal:
        _written(
            config,
            journal,
            f"ordered by {who()}",
            lambda writer: writer.publish({key: records}, moment, alive=False),
        )


def _journal(config: Config) -> Journal:
    from logwatch.telling.journal import Journal

    if config.cluster.servers and not config.journal.exists():
        raise Failure("in a cluster this is said where `mailbrake watch` runs: its journal is not on this machine")
    return Journal.open(config.journal)


def _written(config: Config, journal: Journal, why: str, act: Callable[[Writer], object]) -> list[Change]:
    """Do something to the table, and write down what that changed; it holds, even if that cannot be written."""
    from logwatch.telling.published import changes

    moment = now()
    found: list[Change] = []

    def seen(key: str, before: Sequence[Record], after: Sequence[Record]) -> None:
        found.extend(changes(key, before, after, moment, why))

    with Writer(config.table, seen=seen) as writer:
        act(writer)
    try:
        journal.put_down(found)
    except sqlite3.Error as error:
        print(
            f"mailbrake: it is in effect, but the journal cannot say since when: {config.journal}: {error}",
            file=sys.stderr,
        )
    return found
