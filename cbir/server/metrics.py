"""What the server counts, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counters of one application."""

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
            "From a request's first byte to its answer's last.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "cbir_stage_seconds",
            "Of a search: waiting for a worker, embedding, searching, reranking.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "cbir_batch_images",
            "Images embedded by one call of the network.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )

    def watch(self, name: str, text: str, values: Mapping[str, Callable[[], float]]) -> None:
        """A gauge whose values, by pool or `` for the only one, are asked for when it is read."""
        labels = () if "" in values else ("pool",)
        gauge = Gauge(name, text, labels, registry=self.registry)
        for label, value in values.items():
            (gauge.labels(label) if label else gauge).set_function(value)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def stages(self, timings_ms: Mapping[str, float], *, queued_s: float) -> None:
        self._stages.labels("queue").observe(queued_s)
        for stage, ms in timings_ms.items():
            if stage != "total":
                self._stages.labels(stage).observe(ms / 1000)

    def batch(self, images: int) -> None:
        self._batches.observe(images)

    def text(self) -> bytes:
        return generate_latest(self.registry)
