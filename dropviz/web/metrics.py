"""``/metrics``: how this installation does, for Prometheus (text format 0.0.4). Numbers of all together, of nobody alone."""

from __future__ import annotations

import hmac
import platform
from collections.abc import Iterator
from typing import get_args

from anyio.to_thread import run_sync
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from streamlit import runtime
from streamlit.runtime.stats import GaugeStat

from dropviz import __version__, settings
from dropviz.store import Store, StoreError
from dropviz.store.failures import REASONS
from dropviz.store.records import Kind, State
from dropviz.web import disk
from dropviz.web.live import readers, store
from dropviz.web.measured import registry


async def metrics(request: Request) -> Response:
    """The route: 404 where the settings do not ask for it, 401 without the token where there is one."""
    if not settings.metrics_are_served():
        return PlainTextResponse("Not Found", 404)
    token = settings.metrics_token()
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token is not None and not hmac.compare_digest(given.encode(), token.encode()):
        return PlainTextResponse(
            "Send the token of DROPVIZ_METRICS_TOKEN.", 401, {"WWW-Authenticate": "Bearer"}
        )
    try:
        body = await run_sync(text, store())
    except StoreError as error:
        return PlainTextResponse(str(error), 503)
    return Response(body, headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def text(of: Store) -> bytes:
    """All that is measured: of the store now, and of this process since it began."""
    now = CollectorRegistry()
    now.register(_StoreNow(of))
    return generate_latest(registry) + generate_latest(now)


class _StoreNow(Collector):
    """Asks the store when it is scraped."""

    def __init__(self, of: Store) -> None:
        self.store = of

    def collect(self) -> Iterator[Metric]:
        """The families, one after the other."""
        counts, workers = self.store.overview.counts(), self.store.workers()
        jobs = _family("jobs", "Jobs in the store.", "kind", "state")
        for kind in get_args(Kind):
            for state in get_args(State):
                jobs.add_metric([kind, state], counts.jobs.get((kind, state), 0))
        yield jobs
        failed = _family("failed_jobs", "Jobs in the store that failed, by what happened.", "reason")
        for reason in REASONS:
            failed.add_metric([reason], counts.failures.get(reason, 0))
        yield failed
        now = self.store.now()
        alive = [worker for worker in workers if not worker.silent(now)]
        running = self.store.overview.steps_per_second()
        yield _one("queue_jobs", "Jobs that wait for a slot.", _in_state(counts.jobs, "queued"))
        yield _one("slots", "Jobs that may run at once.", sum(worker.slots for worker in alive))
        yield _one("slots_busy", "Jobs that run.", _in_state(counts.jobs, "running"))
        yield _one("workers", "Engines that were heard of lately.", len(alive))
        yield _one("workers_silent", "Engines that were not.", len(workers) - len(alive))
        yield _one("steps_per_second", "Training steps a second of all jobs that run.", running)
        yield _one("experiments", "Experiments in the store.", counts.experiments)
        yield _one("results", "Results that can be joined.", counts.results)
        yield _one("watched", "Experiments that somebody watches.", len(readers()))
        yield _one("open_pages", "Pages that somebody has open.", _open_pages())
        yield from _disk()
        versions = {name: settings.version_of(name) for name in ("torch", "streamlit")}
        about = {"version": __version__, "python": platform.python_version(), **versions}
        yield InfoMetricFamily("dropviz_build", "What serves.", about)


def _open_pages() -> float:
    """As Streamlit counts them; 0 where none runs."""
    if not runtime.exists():
        return 0
    family = "active_sessions"
    found = runtime.get_instance().stats_mgr.get_stats([family]).get(family, ())
    return sum(stat.value for stat in found if isinstance(stat, GaugeStat))


def _disk() -> Iterator[Metric]:
    found = disk.usage()
    if found is None:
        return
    used = _family("disk_bytes", "What the parts of the store take.", "part")
    for part, size in found.parts.items():
        used.add_metric([part], size)
    yield used
    yield _one("disk_free_bytes", "Free on the disk of the data directory.", found.free)


def _in_state(jobs: dict, state: str) -> int:
    return sum(count for (_, found), count in jobs.items() if found == state)


def _one(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dropviz_{name}", what, value)


def _family(name: str, what: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dropviz_{name}", what, labels=labels)


route = Route("/metrics", metrics)
