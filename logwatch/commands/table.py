"""Show the deny table, put a key on it by hand or release it, or export it for programs that ask no milter."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from enforce.checks import FORMATS
from enforce.config import Config
from enforce.key import EVERYBODY
from enforce.printable import printable
from enforce.table import ACTIONS, Denied, Reader, Record, TableError, Unusable, peek
from logwatch.commands import Failure, UsageError
from logwatch.commands.common import config_argument, config_of, duration_of, json_argument
from logwatch.commands.operator import around, listed, put, say, say_around, subject_of
from logwatch.commands.output import clock, now, write_json, write_table
from logwatch.commands.probe import connect, has_maps
from logwatch.settings import zone_of
from logwatch.telling import export

if TYPE_CHECKING:
    from logwatch.telling.published import Change

_COLUMNS = ("key", "action", "mode", "until", "ref", "rule", "lease")


def arguments(parser: argparse.ArgumentParser) -> None:
    """list, show KEY, release KEY, block|hold|tempfail|throttle|cap KEY, export."""
    actions = parser.add_subparsers(dest="action", metavar="|".join(_ACTS), required=True)
    for name, act in _ACTS.items():
        action = actions.add_parser(name, help=act.sentence, description=act.sentence)
        config_argument(action)
        if name != "export":
            json_argument(action)
        if name not in ("list", "export"):
            action.add_argument("key", metavar="KEY", help="LOGIN, ADDRESS, network, or a case such as 7K2M9Q")
            if name != "show":
                action.add_argument("--because", default="", metavar="TEXT", help="a note for the journal")
        act.more(action)
        action.set_defaults(act=act.do)


def _nothing(_parser: argparse.ArgumentParser) -> None:
    pass


def _for(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--for", dest="span", required=True, metavar="DURATION", help="for how long: 90m, 2h, 7d")
    parser.set_defaults(number=None)


def _share(parser: argparse.ArgumentParser) -> None:
    _for(parser)
    parser.add_argument(
        "--share", dest="number", type=float, default=0.1, help="of its attempts that are let in, 0 to 1 (default: 0.1)"
    )


def _recipients(parser: argparse.ArgumentParser) -> None:
    _for(parser)
    parser.add_argument("--recipients", dest="number", type=int, required=True, help="that a message may have")


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", required=True, choices=FORMATS, help="for whom (docs/enforcing.md)")
    parser.add_argument("--output", metavar="FILE", help="written as a whole, then renamed; default: standard output")


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    return int(args.act(args, config_of(args)))


def _list(args: argparse.Namespace, config: Config) -> int:
    moment = now()
    found = [export.row(key, record) for key, record in _records(config) if record.counts(moment)]
    _write(args, found)
    if not found and not args.json:
        print("Nobody is listed.")
    return 0


def _show(args: argparse.Namespace, config: Config) -> int:
    key = subject_of(args.key, config)
    found = [export.row(name, record) for name, record in _records(config) if name == key]
    if not found:
        raise Failure(f"{printable(key)} is not in the table")
    _write(args, found)
    return 0


def _release(args: argparse.Namespace, config: Config) -> int:
    key = subject_of(args.key, config)
    gone, wider = say(config, key, "released", args.because), around(key, config)
    if args.json:
        removed = [{"action": one.action, "mode": one.mode, "ref": one.ref} for one in gone]
        write_json([{"key": key, "listed": bool(gone), "removed": removed, "around": listed(wider)}])
    else:
        taken_off = _taken_off(gone, alone=not wider)
        print(f"{printable(key)} released: {taken_off or 'it was not listed; noted all the same.'}")
        say_around(wider)
    return 0


def _taken_off(gone: Sequence[Change], *, alone: bool) -> str:
    """What was taken off the table, and what that means for its sender; `alone`: nothing stands around it."""
    if not gone:
        return ""
    named = " and ".join(f"{one.action} ({one.mode}, case {one.ref})" for one in gone)
    again = any(one.mode == "enforce" and one.action != "cap" for one in gone) and alone
    return f"{named} taken off" + ("; it may send again at once." if again else ".")


def _order(args: argparse.Namespace, config: Config) -> int:
    """The review first, then the table: a controller that starts in between publishes the same."""
    from logwatch.telling import orders

    key = subject_of(args.key, config)
    moment = now()
    until = moment + duration_of(args.span, "--for")
    _check(args.action, key, args.number)
    say(config, key, orders.verdict(args.action, args.number), args.because, until)
    number = args.number
    record = Record(
        args.action,
        "enforce",
        until,
        min(until, moment + config.state.lease),
        orders.reference(key, until),
        orders.rule(args.action),
        share=number if args.action == "throttle" else None,
        max_recipients=number if args.action == "cap" else None,
    )
    alone = not config.cluster.servers and peek(config.table, moment).is_silent
    rivals: list[Record] = []
    if not config.cluster.servers:  # else it comes back from all controllers
        rivals, others = _beside(config, key, record, moment)
        chosen = max([*(r for r in rivals if r.rule != record.rule), record], key=_severity)
        put(config, key, [chosen, *others], moment)
    if args.json:
        write_json([export.row(key, record)])
    else:
        print(f"{printable(key)}: {_told(record, config)}.")
        for rival in rivals:
            print(_instead(record, rival, config))
    if exempt := _exempt(key, config):
        print(
            f"mailbrake: {printable(exempt)} is exempt in [milter] exempt: "
            "it is refused only once it is taken out there",
            file=sys.stderr,
        )
    if alone and record.lease < until:
        print(
            f"mailbrake: no controller is running, so it ends at {clock(record.lease, zone_of(config))} "
            "unless `mailbrake watch` is started",
            file=sys.stderr,
        )
    if problem := _unheard(key, config):
        print(f"mailbrake: {problem}", file=sys.stderr)
    return 0


def _unheard(key: str, config: Config) -> str:
    """Why an order changes no reply, as far as can be seen from here; "" where it may."""
    if config.cluster.servers or has_maps(config):
        return ""
    judge, kind = config.milter.judge, "accounts" if key.startswith("account:") else "clients"
    if judge not in ("both", kind):
        return f'[milter] judge = "{judge}": the milter of this configuration does not look at {kind}'
    where = config.milter.socket
    try:
        connect(where)
    except PermissionError:
        return ""
    except OSError as error:
        reason = error.strerror or error
        return f"{where}: no milter answers ({reason}): nobody is refused until one does, but by what was exported"
    return ""


def _exempt(key: str, config: Config) -> str:
    """What of a client or network the milter never refuses; "" for accounts, who are judged wherever they come from."""
    kind, _, where = key.partition(":")
    if kind not in ("client", "net"):
        return ""
    listed = ip_network(where)
    inside = (own for own in config.milter.exempt if own.version == listed.version and own.overlaps(listed))
    return next((where if listed.subnet_of(own) else str(own) for own in inside), "")  # type: ignore[arg-type]


def _told(record: Record, config: Config) -> str:
    return f"{record.action} until {clock(record.until, zone_of(config))} (case {record.ref})"


def _instead(record: Record, rival: Record, config: Config) -> str:
    """What becomes of what stood where an order is to stand."""
    if rival.rule == record.rule:
        return f"It takes the place of {_told(rival, config)}."
    if _severity(rival) > _severity(record):
        return f"The rule {rival.rule} says {_told(rival, config)}, which is more severe and goes before."
    return f"It goes before what the rule {rival.rule} says: {_told(rival, config)}."


def _severity(record: Record) -> tuple[int, int]:
    return ACTIONS.index(record.action), -(record.max_recipients or 0)


def _beside(config: Config, key: str, record: Record, moment: float) -> tuple[list[Record], list[Record]]:
    """What stands on a key where this record is to stand, one of which can, and what stands beside it.

    Of what is enforced, a cap and the most severe of the others stand; an order takes the place of an earlier one.
    """
    listed: list[Record] = []
    if (config.table / "data.mdb").exists():
        reader = Reader(config.table)
        answer = reader.look_up([key], moment)
        reader.close()
        listed = [found for _, found in answer.records] if isinstance(answer, Denied) else []
    rivals = [r for r in listed if r.mode == "enforce" and (r.action == "cap") == (record.action == "cap")]
    return rivals, [r for r in listed if r not in rivals]


def _check(action: str, key: str, number: float | None) -> None:
    if key.partition(":")[0] not in ("account", "client", "net"):
        raise UsageError(f"{key} has no SMTP session that could be refused: account:, client: and net: have")
    if key == EVERYBODY and action != "cap":
        raise UsageError(f"{action} for everybody is never meant: stop the MTA, or name a key; only a cap may be")
    if number is not None and not 0 <= number <= (1 if action == "throttle" else 1e9):
        raise UsageError(f"{action}: {number:g} is out of range")


def _export(args: argparse.Namespace, config: Config) -> int:
    exported = export.export(args.format, _records(config), now(), config)
    if exported.left_out:
        print(f"mailbrake: {exported.left_out} left out: {args.format} cannot say them", file=sys.stderr)
    if args.output is None:
        sys.stdout.write(exported.text)
        return 0
    try:
        export.write(Path(args.output), exported.text)
    except OSError as error:
        raise Failure(f"{args.output}: cannot be written: {error.strerror}") from None
    return 0


class _Act(NamedTuple):
    """What one word after `table` does: a sentence, what does it, and its own arguments."""

    sentence: str
    do: Callable[[argparse.Namespace, Config], int]
    more: Callable[[argparse.ArgumentParser], None] = _nothing


_ACTS: dict[str, _Act] = {
    "list": _Act("what counts now", _list),
    "show": _Act("all records of a key", _show),
    "release": _Act("let a key send again", _release),
    "block": _Act("refuse a key's mail for a while: 550", _order, _for),
    "hold": _Act("accept a key's mail and hold it", _order, _for),
    "tempfail": _Act("put a key's mail off: 450", _order, _for),
    "throttle": _Act("put off a share of a key's mail: 450", _order, _share),
    "cap": _Act("limit the recipients of a key's messages: 452; account:* is everybody", _order, _recipients),
    "export": _Act("the table as a file, for what asks no milter", _export, _format),
}


def _records(config: Config) -> Iterator[tuple[str, Record]]:
    for key, records in Reader(config.table).records():
        if isinstance(records, Unusable):
            raise TableError(config.table, f"{records.reason}; `mailbrake watch` mends it at its next start")
        yield from ((key, record) for record in records)


def _write(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    if args.json:
        write_json(rows)
    elif rows:
        write_table(rows, _COLUMNS)
