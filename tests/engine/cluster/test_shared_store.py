"""A cluster whose store is PostgreSQL, as several machines need it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from tests.engine.cluster.conftest import Site
from tests.houses import House
from tests.postgres import PASSWORD, Server


def test_a_killed_child_is_resumed_to_the_same_points_and_no_password_is_logged(
    site: Site,
    served: House,
    steady: ExperimentSpec,
    postgres_server: Server,
    wait_for: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DROPVIZ_DATA", str(site.house.folder))
    url = postgres_server.create()
    site.house.store.close()
    site.house = replace(
        site.house, store=Store.open(url), environment=site.house.environment | {"DROPVIZ_STORE": url}
    )
    site.cluster.environment["DROPVIZ_STORE"] = url
    site.cluster.start()
    site.cluster.add("one")
    site.start_engine()
    here, there = served.store.submit(steady), site.house.store.submit(steady)
    os.kill(site.house.running_pid(there, step=200), signal.SIGKILL)
    wait_for(lambda: site.house.job(there).attempt == 2, "tried again")
    assert site.house.finish(there) == served.finish(here) == "done"
    assert site.house.series(there) == served.series(here)
    logs: list[Path] = [site.log, *site.cluster.folder.glob("*.log")]
    assert not any(PASSWORD in log.read_text() for log in logs)
