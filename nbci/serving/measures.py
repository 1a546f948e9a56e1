"""What the server counts, in the form that Prometheus reads."""

from __future__ import annotations

import os

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where processes of one server keep their counts together; set before the library is imported."""


class Measures:
    """The counters of a server; the label `version` tells versions that it switched between."""

    def __init__(self) -> None:
        import prometheus_client

        self._library = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "nbci_requests",
            "Inference requests by the status of their answer",
            ("model", "version", "status"),
            registry=self._registry,
        )
        self._seconds = prometheus_client.Histogram(
            "nbci_request_seconds",
            "Seconds from the whole request to its answer",
            ("model", "version"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batches = prometheus_client.Histogram(
            "nbci_batch_requests",
            "Requests that went through the model together",
            ("model", "version"),
            buckets=_SIZES,
            registry=self._registry,
        )
        self._rows = prometheus_client.Counter(
            "nbci_rows",
            "Rows that the model answered",
            ("model", "version"),
            registry=self._registry,
        )
        self._shadow = prometheus_client.Counter(
            "nbci_shadow",
            "Requests that a candidate was asked as well, by whether it answered the same",
            ("model", "version", "result"),
            registry=self._registry,
        )
        self._dropped = prometheus_client.Counter(
            "nbci_request_log_dropped",
            "Requests that are missing in the request log, by why they are",
            ("reason",),
            registry=self._registry,
        )
        self._closed = prometheus_client.Counter(
            "nbci_connections_closed",
            "Connections closed because there were too many, by what they were",
            ("connection",),
            registry=self._registry,
        )
        self._version = prometheus_client.Gauge(
            "nbci_model_version",
            "1 for the version that is served",
            ("model", "version"),
            registry=self._registry,
            multiprocess_mode="livemax",
        )

    def request(self, model: str, version: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(model, version, str(status)).inc()
        self._seconds.labels(model, version).observe(seconds)

    def batch(self, model: str, version: str, requests: int, rows: int) -> None:
        """Count a batch that went through the model."""
        self._batches.labels(model, version).observe(requests)
        self._rows.labels(model, version).inc(rows)

    def shadow(self, model: str, version: str, result: str) -> None:
        """Count what a candidate made of a request: `same`, `other`, `failed` or `left out`."""
        self._shadow.labels(model, version, result).inc()

    def dropped(self, reason: str, requests: int) -> None:
        """Count requests that the request log has not."""
        self._dropped.labels(reason).inc(requests)

    def closed(self, connection: str) -> None:
        """Count a connection that was one too many: it was `idle`, or had `asked`."""
        self._closed.labels(connection).inc()

    def serves(self, model: str, version: str, *, before: str | None) -> None:
        """Note which version is served now, and which is not any more."""
        # A version that stayed at 1 would seem to be served beside the new one.
        if before is not None:
            self._version.labels(model, before).set(0)
        self._version.labels(model, version).set(1)

    def left(self, model: str, version: str) -> None:
        """Note that a model is not served any more."""
        self._version.labels(model, version).set(0)

    def text(self) -> bytes:
        """All counts, those of the other processes of this server too."""
        registry = self._registry
        # Whichever process is asked answers for all.
        if MULTIPROCESS_FOLDER in os.environ:
            from prometheus_client import multiprocess

            registry = self._library.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return self._library.generate_latest(registry)
