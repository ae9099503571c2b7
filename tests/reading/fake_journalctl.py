"""A journalctl for machines without a journal: the arguments that the journal's follower uses, on a file of entries.

    python fake_journalctl.py ENTRIES [options as journalctl has them] FIELD=VALUE [+ FIELD=VALUE]

ENTRIES holds an entry in JSON a line. It was compared with journalctl of systemd 252 on a journal made by
systemd-journal-remote: what is printed, for each option used, is the same but for the order of fields, which changes
there from call to call, and does here from entry to entry.
"""

import argparse
import json
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ALWAYS = ("__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_BOOT_ID")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("entries", type=Path)
    parser.add_argument("--output", required=True, choices=["json"])
    parser.add_argument("--output-fields", required=True)
    for switch in ("--all", "--quiet", "--no-pager", "--no-tail", "--follow"):
        parser.add_argument(switch, action="store_true")
    parser.add_argument("--cursor")
    parser.add_argument("matches", nargs="+")
    return parser.parse_args()


def entries(path: Path, follow: bool) -> Iterator[dict[str, Any]]:
    """Entries there are, and then for ever those that come."""
    pause = threading.Event()
    with path.open() as file:
        while True:
            if line := file.readline():
                yield json.loads(line)
            elif not follow:
                return
            else:
                pause.wait(0.01)


def printed(entry: dict[str, Any], wanted: set[str]) -> str:
    names = [name for name in entry if name in wanted or name in ALWAYS]
    random.shuffle(names)
    return json.dumps({name: entry[name] for name in names}, separators=(",", ":"), ensure_ascii=False)


def number(cursor: str) -> int:
    return int(dict(part.split("=", 1) for part in cursor.split(";"))["i"], 16)


def main() -> None:
    args = arguments()
    if args.cursor and "=" not in args.cursor:
        sys.exit("Failed to seek to cursor: Invalid argument")
    matches = [match.split("=", 1) for match in args.matches if match != "+"]
    first = number(args.cursor) if args.cursor else 0
    for entry in entries(args.entries, args.follow):
        if any(entry.get(field) == value for field, value in matches) and number(entry["__CURSOR"]) >= first:
            print(printed(entry, set(args.output_fields.split(","))), flush=True)


if __name__ == "__main__":
    main()
