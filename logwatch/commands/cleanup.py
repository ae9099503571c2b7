"""List what is left to do about a hijacked account: mail still queued, recipients reached, addresses, other logins."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from enforce.config import Config
from enforce.key import EVERYBODY
from enforce.printable import printable
from logwatch.commands import Failure
from logwatch.commands.common import (
    config_of,
    followed,
    key_of,
    log_arguments,
    logs_of,
    nothing_known,
    read_whole,
    same_config,
    say_unreadable,
    time_of,
)
from logwatch.commands.operator import subject_of
from logwatch.commands.output import clock, counted, now, number, progress, write_json
from logwatch.reading.source import DamageError, chunks, despite
from logwatch.schema import Columns, iso
from logwatch.settings import zone_of

if TYPE_CHECKING:
    from logwatch.reading.reader import Reader
    from logwatch.telling.cleanup import Cleanup, Left

_SHOWN = 10
_NAMED = 3  # logs in a command
_IDS = 100
_PAST = 7 * 86400  # what is known of an account's addresses by so much of a log


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whose mail, in which logs, from when on."""
    parser.add_argument(
        "account", metavar="ACCOUNT", help="the login, with or without account: before it; without LOG a case, too"
    )
    log_arguments(parser, nargs="*", default="those of the configuration, with their older parts")
    parser.add_argument("--since", metavar="TIME", help="when it went wrong (ISO 8601); default: a day ago")
    parser.add_argument(
        "--host", metavar="HOST", help="of mail still queued only what is on this host, as its lines name it"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything as one JSON object")
    form.add_argument("--queue-ids", action="store_true", help="only the queue ids, for `postsuper -h -` and the like")
    form.add_argument("--recipients", action="store_true", help="only the recipients reached, one a line")


def run(args: argparse.Namespace) -> int:
    """Read the logs and print the list."""
    config = config_of(args)
    logs = logs_of(args) if args.log else followed(config)
    since = now() - 86400 if args.since is None else time_of(args.since, "--since", config)
    damage: list[DamageError] = []
    account = _account(args, config)
    found = _collected(account, logs, config, since, damage)
    if found.begin is None:
        read_whole(damage)
        raise nothing_known(logs)
    queued, unclaimed = (_on(args.host, left) for left in (found.queued(), found.unclaimed()))
    if args.queue_ids:
        _list(_of_one_host(queued))
    elif args.recipients:
        _list(found.reached())
    elif args.json:
        write_json([_object(found, config, queued, unclaimed)])
    else:
        _tell_queued(found, config, queued, unclaimed, _again(args, found, config))
        _tell(found, config)
    read_whole(damage)
    return 0 if found.last is not None and found.last >= since else _nothing(found, config)


def _account(args: argparse.Namespace, config: Config) -> str:
    """Whose mail; Failure for a key of another kind, of which an empty list would say that nothing is left to do."""
    key = key_of(args.account, config) if args.log else subject_of(args.account, config)
    if not key.startswith("account:") or key == EVERYBODY:
        remedy = "name a login, as `mailbrake rates LOG --kind account` lists them"
        raise Failure(f"cleanup lists what one account has sent, and {printable(key)} is none: {remedy}")
    return key


def _list(names: list[str]) -> None:
    """One a line, for a pipe."""
    for name in names:
        print(printable(name))


def _on(host: str | None, left: Left) -> Left:
    return left if host is None else {name: ids for name, ids in left.items() if name == host}


def _of_one_host(queued: Left) -> list[str]:
    """The queue ids; not of several hosts in one list: one's may be another's for somebody else's mail."""
    if len(queued) > 1:
        names = ", ".join(map(printable, sorted(queued)))
        raise Failure(f"queue ids of several hosts ({names}): one's may be another's for somebody else's mail; --host")
    return [queue_id for ids in queued.values() for queue_id in ids]


def _nothing(found: Cleanup, config: Config) -> int:
    """Say that the logs have nothing of the account since then: an empty list must not be taken for a clean one."""
    zone = zone_of(config)
    last = "nor anything before" if found.last is None else f"the last of it is of {clock(found.last, zone)}"
    meant = ", ".join(map(printable, found.alike()))
    login = f"did you mean {meant}?" if meant else "is it the right login?"
    remedy = login if found.last is None else "say --since"
    said = f"these logs have nothing of {printable(found.account)} since {clock(found.since, zone)}, {last}: {remedy}"
    print(f"mailbrake: {said}", file=sys.stderr)
    return 1


def _again(args: argparse.Namespace, found: Cleanup, config: Config) -> str:
    """This command as it was given, to be put before a pipe."""
    logs = args.log if len(args.log) <= _NAMED else ["LOG"]
    since = iso(found.since // 1, zone_of(config))
    given = (
        ("--zone", args.zone),
        ("--default-realm", args.default_realm),
        ("--since", since),
        ("--host", args.host),
    )
    options = [f"{option} {shlex.quote(value)}" for option, value in given if value]
    words = ("mailbrake cleanup", shlex.quote(args.account), *map(shlex.quote, logs), *options)
    return " ".join(words) + same_config(config)


def _collected(account: str, logs: list[str], config: Config, since: float, damage: list[DamageError]) -> Cleanup:
    from logwatch.telling.cleanup import Cleanup

    found, reader = Cleanup(account, since), _reader(logs, config)
    for events in _events(reader, logs, damage):
        found.add(events)
    say_unreadable(reader.scanner.unreadable)
    return found


def _reader(logs: list[str], config: Config) -> Reader:
    from logwatch.reading.reader import Reader
    from logwatch.rerun import start_of
    from logwatch.telling.cleanup import COLUMNS

    zone, log = zone_of(config), config.log
    start = start_of(logs, zone, now())
    return Reader(COLUMNS, zone=zone, start=start, default_realm=log.default_realm, keep_case=log.keep_case)


def _events(reader: Reader, logs: list[str], damage: list[DamageError]) -> Iterator[Columns]:
    from logwatch.reading.names import ordered

    with progress(logs) as seen:
        for path in ordered(logs):
            for chunk in despite(damage, chunks(path, seen=seen)):
                yield reader.read(chunk)


def _object(found: Cleanup, config: Config, queued: Left, unclaimed: Left) -> dict[str, Any]:
    zone = zone_of(config)
    return {
        "account": found.account,
        "since": iso(found.since, zone),
        "queued": [queue_id for ids in queued.values() for queue_id in ids],
        "unclaimed": [queue_id for ids in unclaimed.values() for queue_id in ids],
        "hosts": {
            host: {"queued": queued.get(host, []), "unclaimed": unclaimed.get(host, [])}
            for host in sorted({*queued, *unclaimed})
        },
        "reached": found.reached(),
        "suspects": {
            client: {"first": iso(use.first, zone), "last": iso(use.last, zone), "messages": use.messages}
            for client, use in found.suspects().items()
        },
        "others": found.others(),
        "failures": found.failures,
        "first_failure": iso(found.first_failure, zone) if found.first_failure else None,
    }


def _tell_queued(found: Cleanup, config: Config, queued: Left, unclaimed: Left, again: str) -> None:
    hosts = sorted({*queued, *unclaimed})
    print(f"{printable(found.account)} since {clock(found.since, zone_of(config))}")
    print(f"\nStill in the queue: {counted(sum(map(len, queued.values())), 'message')}")
    for host in hosts:
        there = f"{again} --host {shlex.quote(host)}" if len(hosts) > 1 else again
        if len(hosts) > 1:
            print(f"  on {printable(host)}: {counted(len(queued.get(host, [])), 'message')}")
        if host in queued:
            print(f"  hold them (Postfix):   {there} --queue-ids | postsuper -h -")
            print(f"  delete them (Postfix): {there} --queue-ids | postsuper -d -")
            print(f"  hold them (Sendmail):  {there} --queue-ids | xargs -rI{{}} sendmail -Qhijacked -qI{{}}")
        if ids := unclaimed.get(host):
            these, it = ("this one", "it") if len(ids) == 1 else ("these", "them")
            print(f"  The log lacks who handed {these} in, with its address as sender: look at {it} (postcat -q ID)")
            print(f"    {' '.join(map(printable, ids[:_IDS]))}{' …' if len(ids) > _IDS else ''}")


def _tell(found: Cleanup, config: Config) -> None:
    zone, suspects = zone_of(config), found.suspects()
    print(f"\nReached: {counted(len(found.reached()), 'recipient')} (--recipients lists them)")
    if suspects:
        print(f"  {number(found.reached_from_suspects())} of them by mail from the addresses below")
    print(f"\nAddresses that the account had not used before: {number(len(suspects))}")
    if suspects and found.begin is not None and found.begin > found.since - _PAST:
        print(
            f"  (the owner's may be among them: these logs begin at {clock(found.begin, zone)}; name older ones, too)"
        )
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
