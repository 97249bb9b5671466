"""/metrics: absent unless it is asked for, behind its token, read back by Prometheus' own parser, and of nobody in particular."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from dropviz import __version__
from dropviz.store import Worker
from dropviz.web import disk, live, metrics

TOKEN = "a token for scrapes"
OWNER = "0b" * 16


@pytest.fixture
def scrape(get: Callable) -> Callable:
    app = Starlette(routes=[metrics.route, live.route])
    return lambda path="/metrics", **headers: get(app, path, **headers)


def values(body: bytes) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(sample.labels[key] for key in sorted(sample.labels))
            found[sample.name + (f"[{labels}]" if labels else "")] = sample.value
    return found


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DROPVIZ_METRICS", "DROPVIZ_METRICS_TOKEN", "DROPVIZ_METRICS_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_it_is_not_there_unless_a_setting_asks_for_it(scrape, store) -> None:
    assert scrape().status == 404


def test_with_a_token_only_who_has_it_reads(scrape, store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_METRICS_TOKEN", TOKEN)
    for wrong in ({}, {"authorization": "Bearer nothing"}, {"authorization": f"Basic {TOKEN}"}):
        answer = scrape(**wrong)
        assert (answer.status, answer.header("www-authenticate")) == (401, "Bearer")
        assert TOKEN.encode() not in answer.body
    assert scrape(authorization=f"Bearer {TOKEN}").status == 200
    monkeypatch.setenv("DROPVIZ_METRICS", "1")
    assert scrape().status == 401, "a token is asked for wherever there is one"


def test_it_counts_what_there_is_and_names_nobody(
    scrape, store, engine, spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_METRICS", "1")
    monkeypatch.setattr(disk, "usage", disk.look)
    now = time.time()
    about = {"host": "h", "pid": 1, "device": "cpu", "started_at": now}
    store.beat(Worker(id="a", slots=3, heartbeat_at=now, **about))
    store.beat(Worker(id="b", slots=5, heartbeat_at=now, **about))
    with store.database.write() as connection:  # a heartbeat is when the store hears it
        connection.exec_driver_sql("UPDATE workers SET heartbeat_at = heartbeat_at - 100 WHERE id = 'b'")
    view_id = store.submit(spec, owner=OWNER)
    engine.finish(engine.start(), "failed", "The loss of seed 1 was not finite at step 3: lower it.")
    engine.train(engine.start(), [0, 10])
    assert scrape(f"/live/{view_id}").status == 200
    answer = scrape()
    assert answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    found = values(answer.body)
    expected = {
        "dropviz_jobs[train,queued]": 1,
        "dropviz_jobs[train,running]": 1,
        "dropviz_jobs[train,failed]": 1,
        "dropviz_jobs[estimate,done]": 0,
        "dropviz_failed_jobs[diverged]": 1,
        "dropviz_failed_jobs[memory]": 0,
        "dropviz_queue_jobs": 1,
        "dropviz_slots": 3,
        "dropviz_slots_busy": 1,
        "dropviz_workers": 1,
        "dropviz_workers_silent": 1,
        "dropviz_steps_per_second": 100,
        "dropviz_experiments": 1,
        "dropviz_results": 6,
        "dropviz_watched": 1,
        "dropviz_open_pages": 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["dropviz_live_request_seconds_count"] >= 1
    assert found["dropviz_disk_bytes[database]"] > 50_000
    assert found["dropviz_disk_free_bytes"] > 0
    assert found["process_resident_memory_bytes"] > 0
    assert f'version="{__version__}"' in answer.body.decode()
    assert OWNER not in answer.body.decode()
    assert view_id not in answer.body.decode()


def test_a_store_that_cannot_be_read_is_said(scrape, store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_METRICS", "1")
    store.database.engine.dispose()
    with store.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE workers")
    assert scrape().status == 503


def test_disk_usage_is_looked_at_in_the_background(store) -> None:
    looks: list[int] = []

    def look() -> disk.Usage:
        looks.append(1)
        return disk.look()

    watch = disk.Watch(look)
    assert watch.usage() is None
    deadline = time.monotonic() + 30
    while (found := watch.usage()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert set(found.parts) == {"database", "weights", "checkpoints", "uploads", "datasets"}
    assert watch.usage() is found
    assert len(looks) == 1


@pytest.mark.parametrize(("free", "low"), [(1e9, True), (3e9, False), (1.9e9, True)])
def test_a_disk_is_low_when_little_of_it_is_free(free: float, low: bool) -> None:
    assert disk.Usage(parts={}, free=int(free), total=100 * 10**9).low is low
    assert not disk.Usage(parts={}, free=10**9, total=5 * 10**9).low, "a fifth of a small disk"
