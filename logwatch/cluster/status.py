"""What `mailbrake status` tells of a cluster: on a controller of all machines in it, on a gateway of its own part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enforce.config import Config
from logwatch.cluster import bucket
from logwatch.cluster.layout import SHARES
from logwatch.cluster.link import Link, LinkError
from logwatch.cluster.merging import PRESENCE
from logwatch.cluster.names import VERSION
from logwatch.cluster.stream import Gateway, gateways
from logwatch.settings import STREAM

_OLD = 30.0  # seconds
_SLOW = 5.0
Section = tuple[dict[str, Any], list[str]]


def gateways_of(positions: Mapping[str, Any], saved: float, now: float) -> Section:
    """Every gateway, as of the stream; `positions` and when they were `saved`, as the journal has them."""
    found = gateways(positions.get(STREAM, {}).get("merger", {}))
    problems = [f"{name}: {problem}" for name, gateway in found.items() for problem in _problems(gateway)]
    if found and now - saved > _OLD:
        problems.append(f"nothing has come out of the stream for {now - saved:.0f} s: what is told of it is as old")
    return {name: _row(found[name]) for name in sorted(found)}, problems


def _row(gateway: Gateway) -> dict[str, Any]:
    return {
        "lag": round(gateway.lag, 1),
        "silent": round(gateway.silent, 1),
        **{name: round(value) for name, value in gateway.state.items() if name != "lost"},
        "lost": gateway.missing(),
    }


def _problems(gateway: Gateway) -> list[str]:
    other = gateway.version
    table_age = gateway.state.get("age")
    said = (
        (gateway.silent > _OLD, f"nothing has come from it for {gateway.silent:.0f} s: is `mailbrake ship` running?"),
        (
            gateway.silent <= PRESENCE and gateway.lag > _SLOW,
            f"its log is {gateway.lag:.0f} s behind, and the others' lines wait for it, up to [cluster] hold: "
            "it catches up, or its clock is slow",
        ),
        (
            other not in ("", VERSION),
            f"it runs mailbrake {other}, and this machine {VERSION}: see docs/cluster.md, Upgrading",
        ),
        (table_age is None, "it has no table: is `mailbrake sync` running?"),
        ((table_age or 0.0) > _OLD, f"its table's last sign of life is {table_age or 0:.0f} s old"),
    )
    return [words for true, words in said if true]


def controllers_of(config: Config) -> Section:
    """Every controller that has given a sign of life, and what it holds; asked of the stream itself.

    `silent`: seconds from its last sign until the latest of anybody.
    """
    try:
        link = Link(config)
    except LinkError as error:
        return {}, [str(error)]
    link.start()
    try:
        link.wait(2.0)
        entries = link.call(lambda client: bucket.snapshot(client, SHARES))
        written = link.call(lambda client: bucket.written(client, SHARES))
    except LinkError as error:
        return {}, [f"the stream: {error}"]
    finally:
        link.close()
    newest = max(written.values(), default=0.0)  # all by one clock, the server's
    said = {
        entry.key.removeprefix("c."): {**entry.said(), "silent": round(newest - written[entry.key], 1)}
        for entry in entries
        if entry.key.startswith("c.") and entry.value
    }
    numbers = {f"p.{number}" for number in range(config.cluster.partitions)}  # there may have been more once
    holders = [str(e.said().get("holder")) for e in entries if e.key in numbers and e.value]
    problems = differences(said)
    if len(holders) < config.cluster.partitions:
        problems.append(f"only {len(holders)} of {config.cluster.partitions} partitions have a controller")
    problems += [f"{name}: no sign of life for {one['silent']:.0f} s" for name, one in said.items() if _dead(one)]
    rows = {
        name: {
            "silent": one["silent"],
            "read up": bool(one.get("fit")),
            "seq": one.get("seq"),
            "held": holders.count(name),
        }
        for name, one in said.items()
    }
    return rows, problems


def differences(controllers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Why controllers do not decide alike."""
    versions = {name: str(one.get("version", "")) for name, one in sorted(controllers.items())}
    if len(set(versions.values())) > 1:
        named = ", ".join(f"{name} {version}" for name, version in versions.items())
        return [
            f"controllers run different versions, and may decide differently: {named}: see docs/cluster.md, Upgrading"
        ]
    if len({one.get("rules") for one in controllers.values()}) > 1:
        return [
            "controllers are configured differently, and decide differently: policy, [policy] mode, [log] zone, "
            "default_realm, keep_case, and [cluster] hosts, hold, late, partitions must be the same"
        ]
    return []


def _dead(controller: Mapping[str, Any]) -> bool:
    return bool(controller["silent"] > _OLD)


def spooled(config: Config) -> Section:
    """What waits on this gateway's disk."""
    directory = Path(config.state.directory) / "spool"
    try:
        state = json.loads((directory / "state.json").read_bytes())
        sizes = {int(path.stem): path.stat().st_size for path in directory.glob("*.spool")}
    except (OSError, ValueError):
        return {}, [f"{directory}: there is no spool: is `mailbrake ship` running?"]
    waiting = sum(size for serial, size in sizes.items() if serial >= state["segment"])
    found = {"spooled": max(0, waiting - state["offset"]), "lost": state["lost"]}
    problems = [f"{found['lost']} lines did not fit into the spool, and were never sent"] if found["lost"] else []
    return found, problems
