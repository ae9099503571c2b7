"""Make keys, certificates and the server's configuration for many gateways that share one table."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
from pathlib import Path

from logwatch.commands import Failure


def arguments(parser: argparse.ArgumentParser) -> None:
    """init DIR --servers … --gateways … --controllers …."""
    actions = parser.add_subparsers(dest="action", metavar="init", required=True)
    init = actions.add_parser("init", help="make them, or add what is missing", description=__doc__)
    init.add_argument("directory", metavar="DIR", help="where to; keep it off the machines of the cluster")
    names = {
        "servers": "host names or addresses under which the others reach a server",
        "gateways": "names, as they stand in the gateways' log lines",
        "controllers": "names of machines that run `mailbrake watch`",
        "without": "names that are to have no rights any more",
    }
    for name, meaning in names.items():
        init.add_argument(f"--{name}", metavar="NAME,NAME", default="", help=meaning)
    init.add_argument("--store", metavar="DIR", help="where a server keeps its data (default: /var/lib/nats)")
    init.add_argument("--port", type=int, help="where a server listens (default: 4222)")


def run(args: argparse.Namespace) -> int:
    """Make them and say what goes where."""
    if importlib.util.find_spec("cryptography") is None:
        raise Failure("this needs one more package: pip install 'mailbrake[cluster]'")
    from logwatch.cluster import credentials

    directory = Path(args.directory)
    kinds = ("servers", "gateways", "controllers")
    more = {kind: _names(getattr(args, kind)) for kind in kinds}
    roster = credentials.merged(credentials.known(directory), more, _names(args.without))
    given = {name: value for name in ("store", "port") if (value := getattr(args, name)) is not None}
    try:
        roster = dataclasses.replace(roster, **given).checked()
        credentials.make(directory, roster)
    except OSError as error:
        raise Failure(f"{directory}: cannot be written: {error.strerror}") from None
    for server in roster.servers:
        print(f"{directory}/server       to {server}; there: nats-server -c {credentials.conf(roster, server)}")
    for name in (*roster.gateways, *roster.controllers):
        print(f"{directory}/{name:12} to {name}, as /etc/mailbrake/cluster")
    urls = ", ".join(f'"tls://{server}:{roster.port}"' for server in roster.servers)
    print(f"\non each gateway and controller, in its configuration:\n\n[cluster]\nservers = [{urls}]\nname = …")
    return 0


def _names(written: str) -> list[str]:
    return [name.strip() for name in written.split(",") if name.strip()]
