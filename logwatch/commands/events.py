"""Print what the grammar finds in mail logs: one event a line, as JSON, or as a parquet file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

from enforce.printable import escaped
from logwatch.commands.common import (
    config_of,
    log_arguments,
    logs_of,
    nothing_known,
    pseudonyms_argument,
    pseudonyms_of,
    read_whole,
    say_unreadable,
)
from logwatch.commands.output import now, parquet_is_there, progress, write_json, write_parquet
from logwatch.reading.scan import Scanner, readable, text_of
from logwatch.reading.source import DamageError, chunks, despite
from logwatch.reading.stamp import Stamps
from logwatch.rerun import apart, start_of
from logwatch.schema import Columns, iso
from logwatch.settings import zone_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which logs, and where to."""
    log_arguments(parser)
    parser.add_argument("--json", action="store_true", help="JSON lines, which is the default")
    parser.add_argument("--parquet", metavar="FILE", help="write a parquet file instead of printing (needs pyarrow)")
    pseudonyms_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print or write the events."""
    logs, names = logs_of(args), pseudonyms_of(args)
    zone = zone_of(config_of(args))
    scanner, met, damage = Scanner(Stamps(zone, now())), set[str](), list[DamageError]()
    with progress(logs) as seen:
        found = (readable(columns) for columns in _tables(scanner, logs, seen, met, damage))
        tables = map(names.columns, found) if names else found
        if args.parquet:
            _parquet(tables, args.parquet)
        else:
            for table in tables:
                write_json(_objects(table, zone))
    if met or scanner.unreadable:
        _report(scanner, shown=names is None)
    read_whole(damage)
    if not met and not scanner.unreadable:
        raise nothing_known(logs)
    return 0


def _tables(
    scanner: Scanner, logs: list[str], seen: Callable[[int], None], met: set[str], damage: list[DamageError]
) -> Iterator[Columns]:
    """The events of all logs; their kinds are put into `met`, logs that are damaged into `damage`."""
    zone = scanner.stamps.zone
    for log in apart(logs):
        scanner.stamps = Stamps(zone, start_of(log, zone, now()))
        for path in log:
            scanner.lines = 0  # `line` counts within its file
            for chunk in despite(damage, chunks(path, seen=seen)):
                events = scanner.scan(chunk)
                met.update(events["event"].tolist())
                yield events


Table = dict[str, list[Any]]


def _objects(table: Table, zone: Any) -> Iterator[dict[str, Any]]:
    names = list(table)
    for values in zip(*table.values(), strict=True):
        row = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        yield {**row, "time": iso(row["time"], zone)}


def _parquet(tables: Iterator[Table], path: str) -> None:
    import pandas as pd

    parquet_is_there()
    frames = [pd.DataFrame(table) for table in tables]
    if not frames:  # nothing could be read, which will be said
        return
    frame = pd.concat(frames, ignore_index=True)
    frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
    write_parquet(frame, path, index=False)


def _report(scanner: Scanner, *, shown: bool) -> None:
    """What could not be read; with an example, unless nobody may be named."""
    say_unreadable(scanner.unreadable, f"the latest: {escaped(text_of(scanner.example))}" if shown else "")
    if scanner.other:
        print(f"mailbrake: lines of known daemons that are of no known kind: {scanner.other}", file=sys.stderr)
