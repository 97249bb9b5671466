"""What a What-if page of 400 cells costs the server: the script, and a refresh while cells come in, by a real connection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import numpy as np

from benchmarks.measure import Row, Summary, temporary_data
from benchmarks.served import server
from benchmarks.tab import ME, Pass, Tab
from dropviz.engine import lock
from dropviz.experiment import preset
from dropviz.store import Point, Store
from dropviz.sweeps import Axis, Sweep, grid

SIDE = 20
ARMS = 'arms=["none", "dropout", "explicit+implicit"]'
SETTINGS = (ARMS, "seeds=6", "train.steps=300", "observe.evaluations=1")
METRICS = ("test/accuracy", "test/loss", "term/explicit", "regularizer/monte_carlo")
OTHERS = 60  # further metrics that a job leaves, among which these are found
MOST_MILLISECONDS, MOST_QUIET = 60, 20
MOST_BYTES = 100_000
PAUSE_SECONDS = 4.0  # for which a picture of 400 cells is not drawn anew


def measure(*, quick: bool) -> list[Row]:
    """A sweep of 20 × 20 cells, filled as the engine would without training anything; nobody else is there."""
    rounds = 5 if quick else 20
    with temporary_data() as folder:
        store = Store.open()
        lock.acquire()  # the server finds an engine here, and starts none that would train the cells
        store.database.write = partial(store.database.write, durable=False)  # type: ignore[method-assign]  # only filling
        try:
            sweep_id, queued = _queue(store)
            _fill(store, 3 * SIDE * SIDE - 3 * rounds)
            with server(folder) as (port, process):
                tab = Tab.open(port, process, "what-if", f"sweep={sweep_id}&show=ratio")
                with tab.connection:
                    return [queued, *_passes(store, tab, rounds)]
        finally:
            store.close()


def _passes(store: Store, tab: Tab, rounds: int) -> list[Row]:
    first = tab.run()
    again = [tab.run() for _ in range(rounds)]
    new, quiet = [], []
    for _ in range(rounds):
        _fill(store, 3)
        time.sleep(PAUSE_SECONDS)
        new.append(tab.run(tab.fragment))
        time.sleep(1.0)
        quiet.append(tab.run(tab.fragment))
    return [
        *_rows("the script, first visitor", [first]),
        *_rows("the script, again", again),
        *_rows("a refresh, a cell is new", new, MOST_MILLISECONDS, MOST_BYTES),
        *_rows("a refresh, nothing is new", quiet, MOST_QUIET, MOST_BYTES // 10),
    ]


def _rows(
    name: str, passes: Sequence[Pass], milliseconds: int | None = None, size: int | None = None
) -> list[Row]:
    cpu = Summary.of([one.cpu for one in passes])
    sent = Summary.of([float(one.bytes) for one in passes])
    return [
        Row(
            name=name,
            value=cpu,
            unit="CPU-ms",
            target=f"≤ {milliseconds} ms" if milliseconds else "",
            met=cpu.median <= milliseconds if milliseconds else None,
        ),
        Row(name=f"{name}: on the wall", value=Summary.of([one.wall for one in passes]), unit="ms"),
        Row(
            name=f"{name}: sent",
            value=sent,
            unit="bytes",
            target=f"≤ {size:,}" if size else "",
            met=sent.median <= size if size else None,
        ),
    ]


def _queue(store: Store) -> tuple[str, Row]:
    base = preset("classroom").with_settings(SETTINGS)
    widths = grid(8, 256, SIDE, "log", whole=True)
    axes = [Axis(key="p", values=grid(0.05, 0.9, SIDE)), Axis(key="width", values=widths)]
    started = time.process_time()
    sweep_id = store.sweeps.submit(Sweep(base=base, axes=axes), ME)
    taken = time.process_time() - started
    return sweep_id, Row(name="400 cells are queued", value=Summary.of([taken]), unit="CPU-s")


def _fill(store: Store, jobs: int) -> None:
    """So many jobs to their end, as a child would leave them."""
    random = np.random.default_rng(0)
    names = (*METRICS, *(f"other/{number}" for number in range(OTHERS)))
    for _ in range(jobs):
        claim = store.claim("benchmark")
        assert claim is not None
        store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
        points = [
            Point(seq=seq, step=300, name=name, values=random.uniform(0.5, 1, len(claim.seeds)))
            for seq, name in enumerate(names)
        ]
        store.append(claim.job_id, claim.attempt, points, step=300)
        store.finish(claim.job_id, claim.attempt, "done")
