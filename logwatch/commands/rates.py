"""Show how much every account, client and network sent, as of the end of the log or of a time."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from logwatch.commands.common import (
    config_of,
    duration_of,
    log_arguments,
    logs_of,
    nothing_known,
    pseudonyms_argument,
    pseudonyms_of,
    read_whole,
    say_unreadable,
    time_of,
)
from logwatch.commands.output import (
    number,
    parquet_is_there,
    progress,
    when,
    write_json,
    write_parquet,
    write_table,
)
from logwatch.schema import KINDS
from logwatch.settings import zone_of

if TYPE_CHECKING:
    import pandas as pd

    from logwatch.telling.pseudonym import Pseudonyms

# What a person looks at first; --all, --json, --csv and --parquet have everything.
_TELLING = (
    "messages",
    "recipients",
    "new_recipients",
    "unknown_recipients",
    "bounces",
    "policy_rejections",
    "auth_failures",
    "networks",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which logs, keys and windows, and in which form."""
    log_arguments(parser)
    parser.add_argument("--at", metavar="TIME", help="as of this time (ISO 8601); default: the last line's")
    parser.add_argument("--window", default="1h,24h", metavar="LIST", help="windows, default %(default)s")
    parser.add_argument("--kind", choices=KINDS, help="only keys of this kind")
    parser.add_argument("--top", type=int, default=0, metavar="N", help="only the N keys with the most recipients")
    parser.add_argument("--all", action="store_true", help="all signals in the table, not only the telling ones")
    pseudonyms_argument(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="CSV with all columns")
    form.add_argument("--parquet", metavar="FILE", help="write a parquet file instead of printing (needs pyarrow)")


def run(args: argparse.Namespace) -> int:
    """Read the logs and print the frame."""
    from logwatch import prompt

    logs, names = logs_of(args), pseudonyms_of(args)
    if args.parquet:
        parquet_is_there()
    config = config_of(args)
    windows = _windows(args.window)
    at = None if args.at is None else time_of(args.at, "--at", config)
    with progress(logs) as seen:
        frame, end, damage, unreadable = prompt.rates_of(logs, config, windows, at, seen)
    say_unreadable(unreadable)
    if not end:
        read_whole(damage)
        raise nothing_known(logs)
    frame = _chosen(frame, args)
    if names:
        frame = _named(frame, names)
    _write(frame, args, f"as of {when(end, zone_of(config))}")
    read_whole(damage)
    return 0


def _windows(text: str) -> list[int]:
    return [duration_of(part.strip(), "--window") for part in text.split(",")]


def _chosen(frame: pd.DataFrame, args: argparse.Namespace) -> pd.DataFrame:
    if args.kind:
        frame = frame[[key.partition(":")[0] == args.kind for key in frame.index]]
    if args.top:
        recipients = frame.loc[:, ["recipients"]].max(axis=1)
        frame = frame.loc[recipients.sort_values(ascending=False, kind="stable").index[: args.top]]
    return frame


def _named(frame: pd.DataFrame, names: Pseudonyms) -> pd.DataFrame:
    """Under other names. Clients and /64s are left out: their networks say it, and several would share a name."""
    whole = [not key.startswith("client:") and not key.endswith("/64") for key in frame.index]
    return frame[whole].rename(index=names.key).sort_index()


def _records(flat: pd.DataFrame) -> list[dict[str, Any]]:
    names = ["key", *map(str, flat.columns)]
    return [dict(zip(names, row, strict=True)) for row in flat.reset_index().itertuples(index=False, name=None)]


def _write(frame: pd.DataFrame, args: argparse.Namespace, title: str) -> None:
    from logwatch.judging.conditions import span

    flat = frame.set_axis([f"{column[0]}_{span(int(column[1]))}" for column in frame.columns], axis=1)
    if args.parquet:
        write_parquet(flat, args.parquet)
    elif args.csv:
        flat.to_csv(sys.stdout)
    elif args.json:
        write_json(_records(flat))
    else:
        shown = flat.loc[:, [args.all or name.rpartition("_")[0] in _TELLING for name in flat.columns]]
        shown = shown.loc[:, shown.any()]  # columns in which everybody has nothing are only in the way
        rows = [{name: _shown(value) for name, value in row.items()} for row in _records(shown)]
        write_table(rows, ["key", *shown], title)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else number(value)
