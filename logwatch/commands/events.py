"""Print what the grammar finds in mail logs: one event a line, as JSON, or as a parquet file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

from logwatch.commands import Failure
from logwatch.commands.common import config_of, log_arguments, logs_of
from logwatch.commands.output import now, progress, write_json
from logwatch.reading.scan import Scanner, readable, text_of
from logwatch.reading.source import SourceError, chunks
from logwatch.reading.stamp import Stamps
from logwatch.rerun import apart, start_of
from logwatch.schema import Columns, iso
from logwatch.settings import zone_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which logs, and where to."""
    log_arguments(parser)
    parser.add_argument("--json", action="store_true", help="JSON lines, which is the default")
    parser.add_argument("--parquet", metavar="FILE", help="write a parquet file instead of printing (needs pyarrow)")


def run(args: argparse.Namespace) -> int:
    """Print or write the events."""
    logs = logs_of(args)
    zone = zone_of(config_of(args))
    try:
        scanner = Scanner(Stamps(zone, now()))
        with progress(logs) as seen:
            tables = _tables(scanner, logs, seen)
            if args.parquet:
                _parquet(tables, args.parquet)
            else:
                for columns in tables:
                    write_json(_objects(columns, zone))
    except SourceError as error:
        raise Failure(str(error)) from None
    _report(scanner)
    return 0


def _tables(scanner: Scanner, logs: list[str], seen: Callable[[int], None]) -> Iterator[Columns]:
    zone = scanner.stamps.zone
    for log in apart(logs):
        scanner.stamps = Stamps(zone, start_of(log, zone, now()))
        for path in log:
            scanner.lines = 0  # `line` counts within its file
            for chunk in chunks(path, seen=seen):
                yield scanner.scan(chunk)


def _objects(columns: Columns, zone: Any) -> Iterator[dict[str, Any]]:
    table = readable(columns)
    names = list(table)
    for values in zip(*table.values(), strict=True):
        row = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        yield {**row, "time": iso(row["time"], zone)}


def _parquet(tables: Iterator[Columns], path: str) -> None:
    import pandas as pd

    try:
        import pyarrow  # noqa: F401 - an extra, named here so that its lack is said early
    except ImportError:
        raise Failure("--parquet needs one more package: pip install 'mailbrake[parquet]'") from None
    frames = [pd.DataFrame(readable(columns)) for columns in tables]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
    frame.to_parquet(path, index=False)


def _report(scanner: Scanner) -> None:
    if scanner.unreadable:
        kinds = ", ".join(f"{count} {kind}" for kind, count in scanner.unreadable.most_common())
        print(
            f"mailbrake: unreadable lines of a known kind: {kinds}; the latest: {text_of(scanner.example)}",
            file=sys.stderr,
        )
