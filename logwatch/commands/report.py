"""Write one self-contained HTML page: who would have been, or was, hit, when and why."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from logwatch.commands import Failure, UsageError
from logwatch.commands.common import config_of, log_arguments, logs_of, read_whole
from logwatch.commands.replay import judged_by
from logwatch.reading.source import DamageError

STYLE = Path(__file__).parents[1] / "data" / "report.css"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which logs or journal, and where to."""
    log_arguments(parser, nargs="*")
    parser.add_argument(
        "--policy", metavar="FILE", help="the policy; default: the configured one, else the shipped one"
    )
    parser.add_argument(
        "--journal",
        metavar="FILE",
        nargs="?",
        const="",
        help="tell what a controller decided, by its journal, instead of reading logs; without FILE the configured one",
    )
    parser.add_argument("--title", default="Mail flow report", help="default: %(default)s")
    parser.add_argument("--out", metavar="FILE", help="write the page there; default: standard output")


def run(args: argparse.Namespace) -> int:
    """Gather, lay out, write."""
    from logwatch.commands import findings
    from logwatch.telling.report.page import page

    if bool(args.log) == (args.journal is not None):
        raise UsageError("a report needs either logs or --journal")
    config = judged_by(args.policy, config_of(args))
    damage: list[DamageError] = []
    if args.log:
        found = findings.of_logs(logs_of(args), config, args, damage)
    else:
        found = findings.of_journal(Path(args.journal) if args.journal else config.journal, config, args.title)
    _write(page(found, STYLE.read_text(encoding="utf-8")), args.out)
    read_whole(damage)
    return 0


def _write(text: str, path: str | None) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    print(f"{path}: written", file=sys.stderr)
