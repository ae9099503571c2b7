"""Remove all that is kept of an account, client or network: decisions, log lines, reviews, and what was learned."""

from __future__ import annotations

import argparse
import os
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from enforce.config import Config
from enforce.printable import printable
from enforce.table import Writer
from logwatch.commands import Failure
from logwatch.commands.common import config_argument, config_of, json_argument, key_of
from logwatch.commands.output import counted, write_json
from logwatch.settings import zone_of

if TYPE_CHECKING:
    from logwatch.telling.journal import Naming


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose."""
    parser.add_argument("key", metavar="KEY", help="account:LOGIN, or only LOGIN, client:ADDRESS, net:PREFIX")
    config_argument(parser)
    json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Remove it; Failure while a controller runs."""
    from logwatch.telling.journal import Journal
    from logwatch.telling.recorder import BusyError, alone

    config = config_of(args)
    key = key_of(args.key, config)
    try:
        Journal.read(config.journal).close()
        lock = alone(Path(config.state.directory))
        with Journal.open(config.journal) as journal:
            gone = journal.forget(key, _naming(key, config))
        os.close(lock)
    except BusyError as error:
        raise Failure(f"{error}: stop it first, as it remembers what it has read") from None
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


def _naming(key: str, config: Config) -> Naming:
    """Which of some log lines name a key: as login or address of what the line tells, or anywhere as a word."""
    kind, _, name = key.partition(":")
    word = _word(name, config.log.default_realm, address=kind != "account")

    def naming(lines: Sequence[str]) -> set[int]:
        return {place for place, line in enumerate(lines) if word.search(line)} | _telling_of(key, lines, config)

    return naming


def _word(name: str, realm: str, *, address: bool) -> re.Pattern[str]:
    """A login or address, not as a part of a longer one; a login without domain."""
    local = name.removesuffix(f"@{realm}") if realm else name
    longer = r"\w.@+-"
    found = rf"(?<![{longer}{':' * address}]){re.escape(name)}|\bsasl_username={re.escape(local)}"
    return re.compile(rf"(?:{found})(?![{longer}:])", re.IGNORECASE)


def _telling_of(key: str, lines: Sequence[str], config: Config) -> set[int]:
    """Lines with this login or client, however they write it: without the domain, in the long form of IPv6."""
    from enforce import key as keys
    from logwatch.reading.scan import Scanner
    from logwatch.reading.stamp import Stamps

    text = "".join(f"{line}\n" for line in lines).encode()
    begins = [0, *accumulate(len(line.encode()) + 1 for line in lines)]
    events = Scanner(Stamps(zone_of(config), 0.0), ("sasl_username", "client_ip")).scan(text)
    found = set()
    for start, login, address in zip(*(events[name] for name in ("start", "sasl_username", "client_ip")), strict=True):
        name = (login or b"").decode("utf-8", "surrogateescape")
        account = keys.account(name, config.log.default_realm, keep_case=config.log.keep_case)
        if key in (account, keys.client((address or b"").decode("ascii", "replace"))):
            found.add(bisect_right(begins, start) - 1)
    return found
