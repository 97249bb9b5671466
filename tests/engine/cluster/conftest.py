"""A house whose jobs run on a cluster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec
from tests.engine.cluster.parts import Cluster, cluster_environment
from tests.houses import House, open_house, wait_until


@dataclass
class Site:
    """A house, the cluster that its jobs run on, and the engine between them."""

    house: House
    cluster: Cluster
    engine: subprocess.Popen[bytes] | None = None
    log: Path = field(default=Path())

    def start_engine(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start an engine of the cluster; what it says is in ``said``."""
        self.house.folder.mkdir(parents=True, exist_ok=True)  # where the store is elsewhere
        self.log = self.house.folder / "engine.log"
        with self.log.open("ab") as log:
            self.engine = subprocess.Popen(
                [sys.executable, "-m", "dropviz.engine"],
                env=self.house.environment | {"DROPVIZ_ENGINE": self.cluster.url} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.engine

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_slots(self, count: int) -> None:
        """Wait until so many jobs can run at once."""
        wait_until(
            lambda: sum(one.slots for one in self.house.store.workers()) == count, f"{count} slots", 180
        )

    def close(self) -> None:
        if self.engine is not None and self.engine.poll() is None:
            self.engine.terminate()
            self.engine.wait(20)
        self.cluster.close()
        self.house.store.close()


@contextmanager
def open_site(folder: Path, url: str = "") -> Iterator[Site]:
    """A site where nothing runs yet, on a SQLite file of its own, or on a store elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DROPVIZ_DATA", str(folder / "data"))
        house = open_house(folder / "data", url)
        with closing(
            Site(house, Cluster(folder / "cluster", cluster_environment(house.environment)))
        ) as opened:
            yield opened


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site where nothing runs yet."""
    with open_site(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module", params=[pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
def busy_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a scheduler, two workers and an engine, on a store of each kind, which all tests of a module share."""
    elsewhere = request.param == "postgresql"
    url = request.getfixturevalue("postgres_server").create() if elsewhere else ""
    with open_site(tmp_path_factory.mktemp("site"), url) as opened:
        opened.cluster.start()
        opened.start_engine()
        for name in ("one", "two"):
            opened.cluster.add(name)
        opened.wait_for_slots(2)
        yield opened


@pytest.fixture
def steady(tiny: ExperimentSpec) -> ExperimentSpec:
    """Runs long enough to be checkpointed and to be killed."""
    return tiny.with_settings(["train.steps=4000", "observe.evaluations=40"])
