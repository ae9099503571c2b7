"""List what is left to do about a hijacked account: mail still queued, recipients reached, addresses, other logins."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from enforce.config import Config
from enforce.printable import printable
from logwatch.commands import Failure
from logwatch.commands.common import config_of, key_of, log_arguments, logs_of, time_of
from logwatch.commands.output import clock, counted, now, number, progress, write_json
from logwatch.schema import Columns, iso
from logwatch.settings import zone_of

if TYPE_CHECKING:
    from logwatch.telling.cleanup import Cleanup

_COLUMNS = ("host", "pid", "queue_id", "event", "client_ip", "sasl_username", "recipient", "status")
_SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose mail, in which logs, from when on."""
    parser.add_argument("account", metavar="ACCOUNT", help="the login, with or without account: before it")
    log_arguments(parser)
    parser.add_argument("--since", metavar="TIME", help="when it went wrong (ISO 8601); default: a day ago")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything as one JSON object")
    form.add_argument("--queue-ids", action="store_true", help="only the queue ids, for `postsuper -h -` or `-d -`")
    form.add_argument("--recipients", action="store_true", help="only the recipients reached, one a line")


def run(args: argparse.Namespace) -> int:
    """Read the logs and print the list."""
    from logwatch.reading.source import SourceError

    config = config_of(args)
    logs = logs_of(args)
    since = now() - 86400 if args.since is None else time_of(args.since, "--since", config)
    try:
        found = _collected(key_of(args.account, config), logs, config, since)
    except SourceError as error:
        raise Failure(str(error)) from None
    if args.queue_ids:
        print("\n".join(found.queued))
    elif args.recipients:
        print("\n".join(map(printable, found.reached())))
    elif args.json:
        write_json([_object(found, config)])
    else:
        _tell(found, config)
    return 0


def _collected(account: str, logs: list[str], config: Config, since: float) -> Cleanup:
    from logwatch.telling.cleanup import Cleanup

    found = Cleanup(account, since)
    for events in _events(logs, config):
        found.add(events)
    return found


def _events(logs: list[str], config: Config) -> Iterator[Columns]:
    from logwatch.reading.names import ordered
    from logwatch.reading.reader import Reader
    from logwatch.reading.source import chunks
    from logwatch.rerun import start_of

    zone, log = zone_of(config), config.log
    start = start_of(logs, zone, now())
    reader = Reader(_COLUMNS, zone=zone, start=start, default_realm=log.default_realm, keep_case=log.keep_case)
    with progress(logs) as seen:
        for path in ordered(logs):
            for chunk in chunks(path, seen=seen):
                yield reader.read(chunk)


def _object(found: Cleanup, config: Config) -> dict[str, Any]:
    zone = zone_of(config)
    return {
        "account": found.account,
        "since": iso(found.since, zone),
        "queued": list(found.queued),
        "reached": found.reached(),
        "suspects": {
            client: {"first": iso(use.first, zone), "last": iso(use.last, zone), "messages": use.messages}
            for client, use in found.suspects().items()
        },
        "others": found.others(),
        "failures": found.failures,
        "first_failure": iso(found.first_failure, zone) if found.first_failure else None,
    }


def _tell(found: Cleanup, config: Config) -> None:
    zone = zone_of(config)
    print(f"{printable(found.account)} since {clock(found.since, zone)}")
    print(f"\nStill in the queue: {counted(len(found.queued), 'message')}")
    if found.queued:
        print("  hold them:   mailbrake cleanup … --queue-ids | postsuper -h -")
        print("  delete them: mailbrake cleanup … --queue-ids | postsuper -d -")
    print(f"\nReached: {counted(len(found.reached()), 'recipient')} (--recipients lists them)")
    suspects = found.suspects()
    print(f"\nAddresses that the account had not used before: {number(len(suspects))}")
    for client, use in list(suspects.items())[:_SHOWN]:
        print(f"  {client:<46} {clock(use.first, zone)} to {clock(use.last, zone)}, {counted(use.messages, 'message')}")
    if len(suspects) > _SHOWN:
        print("  …")
    if found.failures and found.first_failure:
        print(f"\nFailed logins: {number(found.failures)}, the first at {clock(found.first_failure, zone)}")
    others = found.others()
    print(f"\nOther accounts seen from those addresses: {number(len(others))}")
    for account, clients in list(others.items())[:_SHOWN]:
        print(f"  {printable(account)}  from {', '.join(clients[:3])}")
    if len(others) > _SHOWN:
        print("  … (--json has all)")
