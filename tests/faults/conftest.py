"""A served site that tests share, and experiments that last long enough to be disturbed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec, preset
from tests import postgres
from tests.faults.invariants import violations
from tests.faults.site import TOLD, WITHIN, WORKERS, Site


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long pages took to be true, where that is asked for."""
    if TOLD and not math.isinf(WITHIN):
        took, state = max(TOLD)
        terminalreporter.write_line(
            f"{len(TOLD)} times a page was waited for; the longest until it said {state}: {took:.1f} s (at most {WITHIN:g})."
        )


@pytest.fixture(autouse=True)
def _same_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")


@pytest.fixture(
    scope="session",
    params=["sqlite", *(pytest.param(other, marks=pytest.mark.slow) for other in ("postgresql", "cluster"))],
)
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with one server, which these tests share and leave as whole as they found it; also with two workers of a cluster."""
    beside = tmp_path_factory.mktemp("site")
    there = None if request.param == "sqlite" else request.getfixturevalue("postgres_server")
    with closing(Site(beside / "data", beside, there)) as opened:
        if request.param == "cluster":
            opened.start_cluster(*WORKERS)
        opened.serve()
        opened.answering()
        yield opened


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a site that nobody serves yet, in ``tmp_path / "data"`` unless told, with more environment."""
    with ExitStack() as stack:

        def make(
            folder: Path | None = None, database: postgres.Server | None = None, **settings: str
        ) -> Site:
            made = Site(folder or tmp_path / "data", tmp_path, database, **settings)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def long() -> ExperimentSpec:
    """Runs long enough to be checkpointed once or twice."""
    changes = ['arms=["dropout"]', "seeds=2", "train.steps=1500", "model.widths=[8]"]
    return preset("noisy-digits").with_settings(
        [*changes, "observe.evaluations=30", "observe.statistics=3", "observe.probe=32"]
    )


@pytest.fixture
def endless(long: ExperimentSpec) -> ExperimentSpec:
    """Runs until it is stopped."""
    return long.with_settings(["train.steps=900000", "observe.evaluations=1000", "observe.statistics=0"])


@pytest.fixture
def tiny(long: ExperimentSpec) -> ExperimentSpec:
    """Done in a fraction of a second."""
    return long.with_settings(["train.steps=40", "observe.evaluations=4"])


@pytest.fixture
def undisturbed() -> Callable[[Site, str], None]:
    """Wait for a run's end, and see that it is as if nothing had happened, in the store and on the page."""

    def check(site: Site, view_id: str) -> None:
        assert site.finish(view_id) == "done", site.store.experiment(view_id).jobs
        assert violations(site.store) == []

    return check
