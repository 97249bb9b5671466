"""Real engines in real processes, each with a data directory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec, preset
from tests.houses import House, family_of, is_alive, open_house, wait_until


@pytest.fixture(autouse=True)
def _same_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house without an engine."""
    opened = open_house(tmp_path / "data")
    yield opened
    opened.store.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with an engine that all tests of a module share."""
    opened = open_house(tmp_path_factory.mktemp("served"))
    engine = opened.start("-m", "dropviz.engine")
    yield opened
    engine.terminate()
    engine.communicate(timeout=20)
    opened.store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, postgres_server) -> Iterator[House]:
    """A house on PostgreSQL, without an engine."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DROPVIZ_DATA", str(folder))
        opened = open_house(folder, postgres_server.create())
        yield opened
        opened.store.close()


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait for a condition."""
    return wait_until


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Whether a process runs."""
    return is_alive


@pytest.fixture
def family() -> Callable[[int], set[int]]:
    """A process and all that descend from it."""
    return family_of


@pytest.fixture
def tiny() -> ExperimentSpec:
    """Done in a fraction of a second."""
    changes = ['arms=["dropout"]', "seeds=2", "train.steps=40", "model.widths=[8]", "observe.evaluations=4"]
    return preset("noisy-digits").with_settings([*changes, "observe.statistics=2"])


@pytest.fixture
def endless(tiny: ExperimentSpec) -> ExperimentSpec:
    """Runs until it is stopped."""
    return tiny.with_settings(["train.steps=900000", "observe.evaluations=1000", "observe.statistics=0"])


@pytest.fixture
def long(tiny: ExperimentSpec) -> ExperimentSpec:
    """Runs long enough to be checkpointed once or twice."""
    return tiny.with_settings(["train.steps=20000", "observe.evaluations=200", "observe.statistics=3"])
