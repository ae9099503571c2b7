"""`mailbrake-gateway ship|sync`: what a gateway runs, where neither pandas nor the rest of mailbrake's needs are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from enforce.errors import ReportedError
from logwatch.commands import say, ship, sync

_COMMANDS = {"ship": ship, "sync": sync}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status, as of `mailbrake`."""
    top = argparse.ArgumentParser(prog="mailbrake-gateway", description=__doc__)
    commands = top.add_subparsers(dest="command", metavar="ship|sync", required=True)
    for name, module in _COMMANDS.items():
        sentence = str(module.__doc__).splitlines()[0]
        command = commands.add_parser(name, help=sentence, description=sentence)
        module.arguments(command)
        command.set_defaults(run=module.run)
    args = top.parse_args(argv)
    try:
        return int(args.run(args))
    except ReportedError as error:
        return say(error, top.prog)
