"""Serves figures to Prometheus from a thread of its own; both halves use it, and nothing else knows prometheus_client.

Whoever counts replaces a whole snapshot now and then; a scrape reads the one that is there, and nothing else of the
process. So a scrape never waits for the work, nor the work for a scrape.

Every local user may connect. So no more than `_AT_ONCE` requests are served at once, each of which may leave us waiting
for `PATIENCE` seconds: half a thousand open ones would else take the process the file descriptors that it works with.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family


PATIENCE = 5.0
_AT_ONCE = 8


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


def serve(
    where: str, metrics: Sequence[Metric], snapshot: Callable[[], Snapshot], patience: float = PATIENCE
) -> Callable[[], None]:
    """Answer HTTP requests at ADDRESS:PORT until what is returned is called; EndpointError if that cannot be.

    Whoever sends nothing for `patience` seconds is hung up on.
    """
    try:
        from prometheus_client import CollectorRegistry, make_wsgi_app
    except ImportError as error:
        raise EndpointError(
            f"{where}: metrics need prometheus-client: pip install 'mailbrake[metrics]' ({error})"
        ) from None
    address, _, port = where.rpartition(":")
    registry = CollectorRegistry()
    registry.register(_Collector(metrics, snapshot))
    try:
        of = _Server6 if ":" in address else _Server
        handler = type("Handler", (_Handler,), {"timeout": patience})
        server = make_server(address.strip("[]"), int(port), make_wsgi_app(registry), of, handler)
    except OSError as error:
        raise EndpointError(f"{where}: metrics cannot be served there: {error.strerror}") from None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request, and a bound on them; who is one too many is hung up on."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin to serve a request."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up before the answer is nobody whom an operator wants to hear of."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Scrapes are not logged."""


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
