"""Show the deny table, or release a key from it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from enforce.config import Config
from enforce.table import Reader, Record, TableError, Unusable
from logwatch.commands import Failure
from logwatch.commands.common import config_argument, config_of, json_argument, key_of
from logwatch.commands.operator import say
from logwatch.commands.output import now, safe, write_json, write_table
from logwatch.schema import iso

_COLUMNS = ("key", "action", "mode", "until", "ref", "rule", "lease")


def arguments(parser: argparse.ArgumentParser) -> None:
    """list, show KEY, release KEY."""
    actions = parser.add_subparsers(dest="action", metavar="list|show|release", required=True)
    for name, sentence in (
        ("list", "what counts now"),
        ("show", "all records of a key"),
        ("release", "let a key send again"),
    ):
        action = actions.add_parser(name, help=sentence, description=sentence)
        config_argument(action)
        json_argument(action)
        action.set_defaults(act=_ACTS[name])
        if name != "list":
            action.add_argument("key", metavar="KEY", help="account:LOGIN (or only LOGIN), client:ADDRESS, net:PREFIX")
        if name == "release":
            action.add_argument("--because", default="", metavar="TEXT", help="a note for the journal")


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    return int(args.act(args, config_of(args)))


def _list(args: argparse.Namespace, config: Config) -> int:
    moment = now()
    found = [row for key, record in _records(config) if record.counts(moment) for row in _rows(key, record)]
    _write(args, found)
    if not found and not args.json:
        print("Nobody is listed.")
    return 0


def _show(args: argparse.Namespace, config: Config) -> int:
    key = key_of(args.key, config)
    found = [row for name, record in _records(config) if name == key for row in _rows(name, record)]
    if not found:
        raise Failure(f"{safe(key)} is not in the table")
    _write(args, found)
    return 0


def _release(args: argparse.Namespace, config: Config) -> int:
    key = key_of(args.key, config)
    listed = say(config, key, "released", args.because)
    if args.json:
        write_json([{"key": key, "listed": listed}])
    else:
        print(
            f"{safe(key)} released: "
            + ("it may send again at once." if listed else "it was not listed; noted all the same.")
        )
    return 0


_ACTS: dict[str, Any] = {"list": _list, "show": _show, "release": _release}


def _records(config: Config) -> Iterator[tuple[str, Record]]:
    for key, records in Reader(config.table).records():
        if isinstance(records, Unusable):
            raise TableError(config.table, f"{records.reason}; `mailbrake watch` mends it at its next start")
        yield from ((key, record) for record in records)


def _rows(key: str, record: Record) -> Iterator[dict[str, Any]]:
    extra = {"share": record.share, "max_recipients": record.max_recipients, "text": record.text or None}
    yield {
        "key": key,
        "action": record.action,
        "mode": record.mode,
        "until": iso(record.until),
        "ref": record.ref,
        "rule": record.rule,
        "lease": iso(record.lease),
        **{name: value for name, value in extra.items() if value is not None},
    }


def _write(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    if args.json:
        write_json(rows)
    elif rows:
        write_table(rows, _COLUMNS)
