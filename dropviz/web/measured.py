"""What the page's process measures of itself while it serves, for ``/metrics``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

registry = CollectorRegistry()
ProcessCollector(registry=registry)
LIVE_SECONDS = Histogram(
    "dropviz_live_request_seconds", "Time that live data took to answer.", buckets=SECONDS, registry=registry
)
