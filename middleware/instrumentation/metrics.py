"""Metrics for Prometheus; needs the extra ``metrics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from ..errors import ConfigurationError, MissingExtraError
from .record import Record

METRICS = {
    "querylift_reformulations_total": "decisions, by outcome, reason, source and mode",
    "querylift_reformulation_seconds": "seconds from reading a text to the decision, by outcome",
    "querylift_errors_total": "errors that the proxy answered, by kind and phase of a timeout",
    "querylift_ready": "1 while the engine is loaded",
    "querylift_breaker_open": "1 while the circuit breaker is not closed",
    "querylift_queue": "texts that are queued or run, by lane: foreground, background, running",
    "querylift_memo_entries": "entries of the memo",
    "querylift_memo_bytes": "bytes of the entries of the memo",
    "querylift_memo_hits_total": "lookups that the memo answered",
    "querylift_memo_misses_total": "lookups that the memo could not answer",
}
"""The name of each metric, and what it counts."""

_BUCKETS = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)


class StatsSource(Protocol):
    """Something whose state can be shown, such as a ``Reformulator``."""

    def stats(self) -> Any:
        """Return a ``Stats``."""
        ...


class Metrics:
    """An observer that counts decisions and shows the counts on a page.

    Pass it to the reformulator as an observer, then call ``watch`` with that. Each object has its
    own registry. Errors: ``MissingExtraError`` without ``prometheus-client``.
    Concurrency: any thread.
    """

    def __init__(self) -> None:
        try:
            import prometheus_client as prometheus
        except ImportError as error:
            raise MissingExtraError("metrics", "metrics") from error
        self._library: Any = prometheus
        self._watched: StatsSource | None = None
        self._registry = prometheus.CollectorRegistry()
        name = "querylift_reformulations_total"
        self._decisions = prometheus.Counter(
            name, METRICS[name], ("outcome", "reason", "source", "mode"), registry=self._registry
        )
        name = "querylift_reformulation_seconds"
        self._seconds = prometheus.Histogram(
            name, METRICS[name], ("outcome",), buckets=_BUCKETS, registry=self._registry
        )

        name = "querylift_errors_total"
        self._children: dict[
            tuple[Any, ...], tuple[Any, Any]
        ] = {}  # finding a child is most of the cost
        self._errors = prometheus.Counter(
            name, METRICS[name], ("kind", "phase"), registry=self._registry
        )

    def __call__(self, record: Record) -> None:
        """Count one record."""
        result = record.reformulation
        key = (result.outcome, result.reason, result.source, record.mode)
        children = self._children.get(key)
        if children is None:
            labels = ("" if label is None else str(label) for label in key)
            children = self._decisions.labels(*labels), self._seconds.labels(str(result.outcome))
            self._children[key] = children
        count, seconds = children
        count.inc()
        seconds.observe(result.timings.total)

    def failed(self, kind: str, phase: str) -> None:
        """Count an error that the proxy answers, such as ``upstream_timeout`` in phase ``read``."""
        self._errors.labels(kind, phase).inc()

    def watch(self, reformulator: StatsSource) -> None:
        """Show the state of a reformulator on the page, too.

        Errors: ``ConfigurationError`` for a second one, as the names of metrics are unique.
        """
        if self._watched is reformulator:
            return
        if self._watched is not None:
            raise ConfigurationError("each reformulator needs a Metrics object of its own")
        self._watched = reformulator
        self._registry.register(_StateCollector(reformulator))

    def page(self) -> tuple[str, bytes]:
        """Return the media type and the content of the page."""
        return (
            self._library.CONTENT_TYPE_LATEST,
            self._library.generate_latest(self._registry),
        )


class _StateCollector:
    """Reads a reformulator's state when the page is requested."""

    def __init__(self, reformulator: StatsSource) -> None:
        self._reformulator = reformulator

    def collect(self) -> Iterator[Any]:
        """Yield the metrics."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        stats = self._reformulator.stats()
        memo = stats.memo
        for name, value in (
            ("querylift_ready", stats.ready),
            ("querylift_breaker_open", stats.breaker != "closed"),
            ("querylift_memo_entries", memo.entries),
            ("querylift_memo_bytes", memo.bytes),
        ):
            yield GaugeMetricFamily(name, METRICS[name], float(value))
        for name, value in (
            ("querylift_memo_hits_total", memo.hits),
            ("querylift_memo_misses_total", memo.misses),
        ):
            yield CounterMetricFamily(name, METRICS[name], float(value))
        name = "querylift_queue"
        queue = GaugeMetricFamily(name, METRICS[name], labels=("lane",))
        for lane in ("foreground", "background", "running"):
            queue.add_metric((lane,), getattr(stats, lane))
        yield queue
