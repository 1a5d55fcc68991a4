"""Metrics of the server, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "cbir_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "cbir_request_seconds",
            "Seconds from the first byte of a request to the last of its response.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "cbir_stage_seconds",
            "Seconds of each stage of a search: queue, embed, search, rerank.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "cbir_batch_images",
            "Images embedded in one call of the network.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )

    def add_gauge(
        self, name: str, description: str, values: Mapping[str, Callable[[], float]]
    ) -> None:
        """Add a gauge with one value per worker pool, or with one of the empty name alone.

        Each value is computed when the metrics are read.
        """
        labels = () if "" in values else ("pool",)
        gauge = Gauge(name, description, labels, registry=self.registry)
        for label, value in values.items():
            (gauge.labels(label) if label else gauge).set_function(value)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def stages(self, timings_ms: Mapping[str, float], *, queued_s: float) -> None:
        """Count the stages of a search: milliseconds by stage, and seconds in the queue."""
        self._stages.labels("queue").observe(queued_s)
        for stage, ms in timings_ms.items():
            if stage != "total":
                self._stages.labels(stage).observe(ms / 1000)

    def batch(self, images: int) -> None:
        """Count one call of the network."""
        self._batches.observe(images)

    def text(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self.registry)
