"""Tell how the loop is doing: log, controller, table, milter. Exit status 1 if anything is wrong."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from enforce.config import Config
from enforce.printable import printable
from enforce.table import peek
from logwatch.commands.common import config_argument, config_of, json_argument, same_config
from logwatch.commands.daemon import needs_cluster
from logwatch.commands.output import now, number, when, write_json, write_table
from logwatch.commands.probe import connect, has_maps
from logwatch.schema import Decision
from logwatch.settings import STREAM

_DAY = 86400.0
_NAMED = 3  # cases
_ROOM = 64_000_000  # bytes: what the journal's write-ahead log may take for a while

Section = tuple[dict[str, Any], list[str]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration."""
    config_argument(parser)
    json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print what is found, and what is wrong with it."""
    config = config_of(args)
    if config.cluster.servers:
        needs_cluster(config)
    found: list[tuple[str, dict[str, Any], list[str]]] = [(part.__name__[1:], *part(config)) for part in _parts(config)]
    if args.json:
        write_json([{name: values for name, values, _ in found} | {"problems": [p for *_, ps in found for p in ps]}])
    else:
        rows = [
            {"part": name, "what": what, "value": _shown(value)}
            for name, values, _ in found
            for what, value in values.items()
        ]
        write_table(rows, ("part", "what", "value"))
    problems = [problem for *_, ps in found for problem in ps]
    for problem in problems:
        print(f"mailbrake: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _parts(config: Config) -> tuple[Callable[[Config], Section], ...]:
    """What there is to look at on this machine."""
    here = (_controller, _log, _table, _disk, _milter)
    if not config.cluster.servers:
        return here
    if not config.journal.exists():
        return _spool, _table, _disk, _milter
    return (*(here if config.table.exists() else (_controller, _log, _disk)), _gateways, _controllers)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        if "behind" in value:  # a log's position
            return f"{number(value['behind'])} bytes behind"
        return ", ".join(f"{what} {_shown(part)}" for what, part in value.items() if part != {})
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int) else str(value)


def _controller(config: Config) -> Section:
    from logwatch.telling import orders
    from logwatch.telling.journal import Journal
    from logwatch.telling.journal_file import JournalError

    try:
        with Journal.read(config.journal) as journal:
            facts = journal.facts()
            standing, guarded = journal.standing(now()), journal.held_back_since(now() - _DAY)
            held, ordered = journal.held_back(), orders.standing(journal.reviews(), now())
    except JournalError as error:
        return {}, [str(error)]
    if facts is None:
        return {}, [f"{config.journal}: no log line has been read yet"]
    modes = {f"standing {mode}": sum(d.mode == mode for d in standing) for mode in ("enforce", "observe")}
    read = {
        "log clock": when(facts["clock"]) if facts["clock"] else "no line yet",
        "decisions": facts["seq"],
        **modes,
        "standing by hand": len(ordered),
        "lines": facts["lines"],
        "guarded": facts["guarded"],
        "guard": "{taken} of {of} places taken".format_map(facts.get("places", {"taken": 0, "of": 0})),
    }
    waiting = [decision for decision in standing if decision.seq in held]
    return read, [_guarded(guarded, waiting, config)] if guarded or waiting else []


def _guarded(turned: int, waiting: Sequence[Decision], config: Config) -> str:
    """What the guard did, and what to type."""
    said = f"the guard turned {number(turned)} decision{'s' * (turned != 1)} into observe within the last day"
    why = "a rule is wrong, or it is an attack"
    if not waiting:
        return f"{said}: {why}; nothing waits any more"
    who = ", ".join(f"{printable(decision.key)} (case {decision.ref})" for decision in waiting[:_NAMED])
    more = f" and {number(len(waiting) - _NAMED)} more" if len(waiting) > _NAMED else ""
    same = same_config(config)
    confirm = f"`mailbrake review confirm CASE{same}` enforces one at once and makes room"
    return f"{said}: {why}. Held back now: {who}{more}; `mailbrake review{same}` lists them, {confirm}"


def _log(config: Config) -> Section:
    from logwatch.reading.journald import NAME as JOURNALD
    from logwatch.reading.loss import clocks_off, totals
    from logwatch.telling.journal import Journal
    from logwatch.telling.journal_file import JournalError

    try:
        with Journal.read(config.journal) as journal:
            positions, facts = journal.noted("positions") or {}, journal.facts()
            hindered = journal.noted("problems") or []
            found: dict[str, Any] = totals(facts, journal.noted("losses") or {}) if facts else {}
    except JournalError:
        return {}, []
    if off := clocks_off(facts.get("off", {}) if facts else {}):
        found["hosts' clocks"] = off
    problems: dict[str, str] = {}  # by path
    for path, position in positions.items():
        if path == STREAM:
            continue
        if path == JOURNALD:
            found[path] = position["cursor"]
            continue
        try:
            file = Path(path).stat()
        except OSError as error:
            problems[path] = f"{path}: {error.strerror}"
            continue
        read = position["offset"] if position["inode"] == file.st_ino else 0  # else it is in an older file
        found[path] = {"offset": read, "behind": max(0, file.st_size - read)}
    return found, [*problems.values(), *(said for said in hindered if not said.startswith(tuple(problems)))]


def _gateways(config: Config) -> Section:
    from logwatch.cluster.status import gateways_of
    from logwatch.telling.journal import Journal
    from logwatch.telling.journal_file import JournalError

    try:
        with Journal.read(config.journal) as journal:
            positions, saved = journal.noted("positions") or {}, journal.noted("saved") or 0.0
    except JournalError:
        return {}, []
    return gateways_of(positions, saved, now())


def _controllers(config: Config) -> Section:
    from logwatch.cluster.status import controllers_of

    return controllers_of(config)


def _spool(config: Config) -> Section:
    from logwatch.cluster.status import spooled

    return spooled(config)


def _table(config: Config) -> Section:
    state = peek(config.table, now())
    if state.reason:
        return {}, [state.reason]
    found = {"generation": state.generation, "keys": state.entries, "heartbeat": f"{state.age:.0f} s ago"}
    if state.is_silent:
        return found, [
            f"{config.table}: the controller's last sign of life is {state.heard}: is `mailbrake watch` running?"
        ]
    return found, []


def _disk(config: Config) -> Section:
    where = config.state.directory
    try:
        free = shutil.disk_usage(where).free
    except OSError:  # the others say that it is not there
        return {}, []
    left = f"{free / 1e6:,.0f} MB"
    if free >= _ROOM:
        return {"free": left}, []
    until = "meanwhile decisions are made and kept in memory, and mail flows"
    return {"free": left}, [f"{where}: the disk is full, or soon will be ({left} are free): make room; {until}"]


def _milter(config: Config) -> Section:
    where = config.milter.socket
    try:
        connect(where)
    except PermissionError:
        return {"socket": f"{where}: whether a milter answers is not known: this user may not ask it"}, []
    except OSError as error:
        if not_needed := _without(config):
            return {"socket": f"{where}: nobody answers, nor needs to {not_needed}"}, []
        return {"socket": where}, [
            f"{where}: no milter answers ({error.strerror or error}): is `mailbrake milter` running?"
        ]
    return {"socket": f"{where} answers"}, []


def _without(config: Config) -> str:
    """Why no milter is needed; "" where it is."""
    if has_maps(config):
        return "where the MTA looks into what [export] writes"
    if config.policy.mode == "observe":
        return "while only observing; what was ordered by hand waits for one, or for `mailbrake table export`"
    return ""
