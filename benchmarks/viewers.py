"""What watching costs the server: processor time and bytes of a live refresh, with one viewer and with thirty."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.measure import Row, Summary, ratio, temporary_data, wait_until
from benchmarks.served import ROOT, cpu_seconds, server
from dropviz.engine.lifeline import death_signal
from dropviz.experiment import preset
from dropviz.store import Store

FEW, MANY = 1, 30
MOST_MILLISECONDS = 1.5
# A run that is still under way when a window ends, with points as dense as the default preset's.
RUN = ('arms=["dropout", "dropout-8"]', "train.steps=30000", "observe.evaluations=1000")


@dataclass(frozen=True, kw_only=True)
class Window:
    """So many seconds of watching: the page process's seconds of CPU beyond idling, and what the viewers saw."""

    seconds: float
    cpu: float
    sizes: list[int]
    waits: list[float]

    @property
    def milliseconds(self) -> float:
        """CPU of one refresh."""
        return 1000 * self.cpu / len(self.sizes)


def measure(*, quick: bool) -> list[Row]:
    """``dropviz serve`` with a run under way, watched at 1 Hz a viewer by another process.

    Only the process that serves the page counts (not the engine, not the child that trains), less what it uses
    when nobody watches. Everything stays on 127.0.0.1.
    """
    seconds, rounds = (5, 1) if quick else (10, 2)
    windows: dict[int, list[Window]] = {FEW: [], MANY: []}
    with temporary_data() as folder, server(folder) as (port, page):
        store = Store.open()
        try:
            _watch(store, port, page, viewers=MANY, seconds=1, idle=0.0)  # what only the first requests cost
            idle = _idle(page, seconds)
            for _ in range(rounds):
                for viewers, found in windows.items():
                    found.append(_watch(store, port, page, viewers=viewers, seconds=seconds, idle=idle))
        finally:
            store.close()
    return _rows(windows, idle)


def _rows(windows: dict[int, list[Window]], idle: float) -> list[Row]:
    names = {FEW: "1 viewer", MANY: f"{MANY} viewers"}
    cost = {names[viewers]: [one.milliseconds for one in found] for viewers, found in windows.items()}
    rows = [Row(name="page process, nobody watches", value=Summary.of([100 * idle]), unit="% of a core")]
    for viewers, found in windows.items():
        name = names[viewers]
        value = Summary.of(cost[name])
        against = {f"that with {names[FEW]}": ratio(cost, name, names[FEW])} if viewers == MANY else {}
        rows += [
            Row(
                name=f"{name}: CPU of a refresh",
                value=value,
                unit="ms",
                ratios=against,
                target=f"≤ {MOST_MILLISECONDS} ms",
                met=value.median <= MOST_MILLISECONDS,
            ),
            Row(
                name=f"{name}: CPU",
                value=_summary(found, lambda w: 100 * w.cpu / w.seconds),
                unit="% of a core",
            ),
            Row(
                name=f"{name}: size of a refresh",
                value=_summary(found, lambda w: float(np.mean(w.sizes))),
                unit="bytes",
            ),
            Row(
                name=f"{name}: 95th percentile of the wait",
                value=_summary(found, lambda w: 1000 * float(np.percentile(w.waits, 95))),
                unit="ms",
            ),
        ]
    return rows


def _summary(windows: list[Window], quantity: Callable[[Window], float]) -> Summary:
    return Summary.of([quantity(window) for window in windows])


def _idle(page: int, seconds: float) -> float:
    """CPU seconds per second of the page process when nobody asks."""
    before = cpu_seconds(page)
    time.sleep(seconds)
    return (cpu_seconds(page) - before) / seconds


def _watch(store: Store, port: int, page: int, *, viewers: int, seconds: int, idle: float) -> Window:
    """Start a run, have it watched, stop it."""
    view_id = store.submit(preset("noisy-digits").with_settings(RUN), fresh=True)
    first = store.experiment(view_id).jobs[0].id
    wait_until(lambda: store.points(first), "the first point")
    command = [sys.executable, "-m", "benchmarks.poller", str(port), view_id, str(viewers), str(seconds)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=death_signal()
    ) as poller:
        assert poller.stdout is not None
        assert poller.stdin is not None
        if poller.stdout.readline() != "ready\n":
            raise RuntimeError("the viewers could not connect")
        before, started = cpu_seconds(page), time.perf_counter()
        poller.stdin.write("go\n")
        poller.stdin.flush()
        found = json.loads(poller.stdout.readline())
        elapsed, used = time.perf_counter() - started, cpu_seconds(page) - before
    if store.experiment(view_id).state != "running":
        raise RuntimeError("the run ended while it was watched: RUN needs more steps on this machine")
    store.request(view_id, "stop")
    return Window(seconds=elapsed, cpu=used - idle * elapsed, **found)
