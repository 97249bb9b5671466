"""A house whose jobs run on a cluster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
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


def open_site(folder: Path) -> Site:
    house = open_house(folder / "data")
    return Site(house, Cluster(folder / "cluster", cluster_environment(house.environment)))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site where nothing runs yet."""
    with closing(open_site(tmp_path)) as opened:
        yield opened


@pytest.fixture(scope="module")
def busy_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a scheduler, two workers and an engine, which all tests of a module share."""
    with closing(open_site(tmp_path_factory.mktemp("site"))) as opened:
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
