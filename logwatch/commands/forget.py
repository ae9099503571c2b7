"""Remove all that is kept of an account, client or network: decisions, log lines, reviews, and what was learned."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from enforce.printable import printable
from enforce.table import Writer
from logwatch.commands import Failure
from logwatch.commands.common import config_argument, config_of, json_argument, key_of
from logwatch.commands.output import counted, write_json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose."""
    parser.add_argument("key", metavar="KEY", help="account:LOGIN, or only LOGIN, client:ADDRESS, net:PREFIX")
    config_argument(parser)
    json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Remove it; Failure while a controller runs."""
    from logwatch.telling.journal import Journal
    from logwatch.telling.journal_file import JournalError
    from logwatch.telling.recorder import BusyError, alone

    config = config_of(args)
    key = key_of(args.key, config)
    try:
        Journal.read(config.journal).close()
        lock = alone(Path(config.state.directory))
        with Journal.open(config.journal) as journal:
            gone = journal.forget(key, _names(key, config.log.default_realm))
        os.close(lock)
    except BusyError as error:
        raise Failure(f"{error}: stop it first, as it remembers what it has read") from None
    except JournalError as error:
        raise Failure(str(error)) from None
    if (config.table / "data.mdb").exists():
        with Writer(config.table) as writer:
            writer.remove(key)
    if args.json:
        write_json([{"key": key, **gone._asdict()}])
        return 0
    print(
        f"{printable(key)}: removed {counted(gone.decisions, 'decision')} with their log lines, "
        f"{counted(gone.reviews, 'review')},\n{counted(gone.lines, 'line')} of other cases that named it, "
        f"{counted(gone.memories, 'record')} of what was learned."
    )
    print("The mail log, reports and notifications that were sent still name it.")
    return 0


def _names(key: str, realm: str) -> re.Pattern[str]:
    """What names a key in a log line: the login or address, not as a part of a longer one; a login without domain."""
    name = key.partition(":")[2]
    local = name.removesuffix(f"@{realm}") if realm else name
    found = rf"(?<![\w.@:+-]){re.escape(name)}|\bsasl_username={re.escape(local)}"
    return re.compile(rf"(?:{found})(?![\w.@:+-])", re.IGNORECASE)
