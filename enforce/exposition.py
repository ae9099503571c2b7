"""Serves figures to Prometheus from a thread of its own; both halves use it, and nothing else knows prometheus_client.

Whoever counts replaces a whole snapshot now and then; a scrape reads the one that is there, and nothing else of the
process. So a scrape never waits for the work, nor the work for a scrape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family


class Metric(NamedTuple):
    """A metric: its name, `counter` or `gauge`, what it means, and the names of its labels."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()


# name of a metric → values of its labels, in their order → value
Snapshot = Mapping[str, Mapping[tuple[str, ...], float]]
PLAIN: tuple[str, ...] = ()  # the labels of a metric that has none


class EndpointError(Exception):
    """Metrics cannot be served: where, why, and what to do."""


def serve(where: str, metrics: Sequence[Metric], snapshot: Callable[[], Snapshot]) -> Callable[[], None]:
    """Answer HTTP requests at ADDRESS:PORT until what is returned is called; EndpointError if that cannot be."""
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError as error:
        raise EndpointError(
            f"{where}: metrics need prometheus-client: pip install 'mailbrake[metrics]' ({error})"
        ) from None
    address, _, port = where.rpartition(":")
    registry = CollectorRegistry()
    registry.register(_Collector(metrics, snapshot))
    try:
        server, thread = start_http_server(int(port), address.strip("[]"), registry)
    except OSError as error:
        raise EndpointError(f"{where}: metrics cannot be served there: {error.strerror}") from None

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close


class _Collector:
    """What prometheus_client asks at each scrape."""

    def __init__(self, metrics: Sequence[Metric], snapshot: Callable[[], Snapshot]) -> None:
        self._metrics = metrics
        self._snapshot = snapshot

    def collect(self) -> Iterator[Family]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families: dict[str, Any] = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
        found = self._snapshot()
        for metric in self._metrics:
            family = families[metric.kind](metric.name, metric.meaning, labels=metric.labels)
            for labels, value in found.get(metric.name, {}).items():
                family.add_metric(labels, value)
            yield family
