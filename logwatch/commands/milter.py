"""Answer the MTA by what the deny table says: the enforcing half. It stays in the foreground until SIGTERM."""

from __future__ import annotations

import argparse

from enforce import main
from logwatch.commands.common import config_argument, config_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration."""
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    return main.run(config_of(args))
