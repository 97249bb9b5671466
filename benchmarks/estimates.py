"""How good the estimate of a run's time is: what it says before, against what the run then takes on the wall."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Row, Summary, temporary_data, wait_until
from dropviz import settings
from dropviz.duration import duration
from dropviz.engine import EngineKeeper
from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Store
from dropviz.store.records import FINAL

WITHIN = 1.5
LOOK_SECONDS = 0.05
CNN = (
    "model.name=cnn",
    'arms=["none", "dropout", "explicit"]',
    "seeds=2",
    "train.steps=200",
    "observe.refreshes=2",
)
SPECS = {
    "noisy-digits, 1 seed": ("noisy-digits", ("seeds=1",)),
    "noisy-digits, 8 seeds": ("noisy-digits", ()),
    "classroom": ("classroom", ()),
    "cnn on digits, 2 seeds, 2 refreshes": ("noisy-digits", CNN),
    "markov-lstm, 60 steps": ("markov-lstm", ("train.steps=60",)),
}


def measure(*, quick: bool) -> list[Row]:
    """Each experiment as ``dropviz run`` runs it, in a store of its own with an engine that is up; the estimate is measured first."""
    rounds = 1 if quick else 3
    return [row for name in SPECS for row in _rows(name, [_once(name) for _ in range(rounds)])]


def _rows(name: str, found: list[tuple[float, float, float]]) -> list[Row]:
    actual, estimated, measuring = (list(column) for column in zip(*found, strict=True))
    against = Summary.of([one / other for one, other in zip(actual, estimated, strict=True)])
    run = Row(
        name=name,
        value=Summary.of(actual),
        unit="s",
        ratios={"estimated": against},
        target=f"within {WITHIN}",
        met=1 / WITHIN <= against.median <= WITHIN,
    )
    return [run, Row(name=f"{name}: measuring the estimate", value=Summary.of(measuring), unit="s")]


def _once(name: str) -> tuple[float, float, float]:
    """Seconds of the run, those that were estimated, and those that estimating took."""
    chosen, changes = SPECS[name]
    spec = preset(chosen).with_settings(list(changes))
    with temporary_data():
        store, keeper = Store.open(), EngineKeeper()
        try:
            keeper.keep()
            wait_until(lambda: any(worker.slots for worker in store.workers()), "an engine")
            return _compare(store, spec)
        finally:
            keeper.close()
            store.close()


def _compare(store: Store, spec: ExperimentSpec) -> tuple[float, float, float]:
    store.request_estimate(spec)
    measuring, found = _ended(lambda: store.estimate(spec))
    assert found.state == "done", found.error
    estimated = duration(spec, found.costs, settings.slots()).seconds
    view_id = store.submit(spec)
    taken, _ = _ended(lambda: store.experiment(view_id))
    return taken, estimated, measuring


def _ended(look: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds until what is looked at has ended, and it; looked for seldom, to leave the cores alone."""
    started = time.perf_counter()
    while (found := look()).state not in FINAL:
        time.sleep(LOOK_SECONDS)
    return time.perf_counter() - started, found
