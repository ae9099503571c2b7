"""What metrics tell of a cluster, beside what they tell of any controller. Labels are gateways: tens, not thousands."""

from __future__ import annotations

import time

from enforce.exposition import PLAIN, Metric, Snapshot
from logwatch.cluster.controller import Brain

METRICS = (
    Metric("mailbrake_gateway_lag_seconds", "gauge", "How far behind a gateway's log is, by the stream", ("gateway",)),
    Metric("mailbrake_gateway_silent_seconds", "gauge", "Time since anything came from a gateway", ("gateway",)),
    Metric("mailbrake_gateway_table_generation", "gauge", "The table that a gateway has", ("gateway",)),
    Metric("mailbrake_gateway_table_age_seconds", "gauge", "Time since its last sign of life", ("gateway",)),
    Metric("mailbrake_gateway_spooled_bytes", "gauge", "What waits on a gateway's disk", ("gateway",)),
    Metric("mailbrake_gateway_lost_total", "counter", "What did not come, or not in time", ("gateway", "kind")),
    Metric("mailbrake_partitions_held", "gauge", "Partitions of the keys that this controller publishes"),
    Metric("mailbrake_controllers", "gauge", "Controllers that are alive"),
)
_STATES = {
    "table": "mailbrake_gateway_table_generation",
    "age": "mailbrake_gateway_table_age_seconds",
    "spooled": "mailbrake_gateway_spooled_bytes",
}


def figures(brain: Brain) -> Snapshot:
    """As of now; may be asked for from any thread."""
    gateways = brain.stream().gateways
    return {
        "mailbrake_gateway_lag_seconds": {(name,): found.lag for name, found in gateways.items()},
        "mailbrake_gateway_silent_seconds": {(name,): found.silent for name, found in gateways.items()},
        **{
            metric: {(name,): found.state[state] for name, found in gateways.items() if state in found.state}
            for state, metric in _STATES.items()
        },
        "mailbrake_gateway_lost_total": {
            (name, kind): count for name, found in gateways.items() for kind, count in found.missing().items()
        },
        "mailbrake_partitions_held": {PLAIN: len(brain.shares.held(time.monotonic()))},
        "mailbrake_controllers": {PLAIN: len(brain.shares.controllers)},
    }
