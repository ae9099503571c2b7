"""What an operator says about a key: written down in the journal, and in effect at once."""

from __future__ import annotations

import getpass
import os
import sqlite3

from enforce.config import Config
from enforce.table import Writer
from logwatch.commands import Failure
from logwatch.commands.output import now


def who() -> str:
    """Who gives this command: the user behind sudo, if there is one."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def say(config: Config, key: str, verdict: str, note: str, until: float | None = None) -> bool:
    """Write a review down, and take the key off the table if it ends what was decided; whether it was listed.

    The review first: then a controller that starts at this moment cannot publish the key again.
    """
    from logwatch.telling.journal import TAKEN_BACK, Journal, JournalError, Review

    if config.cluster.servers and not config.journal.exists():
        raise Failure("in a cluster this is said where `mailbrake watch` runs: its journal is not on this machine")
    try:
        journal = Journal.open(config.journal)
        journal.review(Review(now(), key, verdict, who(), note, until))
        journal.close()
    except (JournalError, sqlite3.Error) as error:
        raise Failure(str(error)) from None
    if verdict not in TAKEN_BACK or not (config.table / "data.mdb").exists():
        return False
    with Writer(config.table) as writer:
        return writer.remove(key)
