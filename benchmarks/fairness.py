"""How long many wait beside few who queue much: by the real dispatcher and engine, against first come, first served.

``python -m benchmarks.fairness --cluster --postgresql`` measures the same where the jobs run on a Dask cluster of two workers,
all on this machine, and the store is a PostgreSQL; each of the options can be left out.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import select

from benchmarks.measure import Row, Summary, ratio, say, temporary_data, wait_until
from benchmarks.table import heading, printed, rows_table
from dropviz.engine import EngineKeeper
from dropviz.experiment import preset
from dropviz.store import Store
from dropviz.store.schema import experiment_jobs, jobs
from tests.postgres import MISSING, Server, installed

MOST = 0.25  # of the wait in the order in which they came
PATIENCE_SECONDS = 900.0
START_SECONDS = 180.0  # workers import torch
WORKERS = ("one", "two")
RUN = ('arms=["dropout"]', "seeds=2", "train.steps=40", "observe.evaluations=4", "observe.statistics=0")
FIRST_COME = "beside one, first come, first served"


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Who queues what: first each of the greedy so many runs, then each of the others one.

    Attributes:
        together: Whether all of it belongs to one owner. The dispatcher's order is by owner, and by time among the jobs of
            one, so this is first come, first served, by the same code.
    """

    greedy: int
    runs: int
    others: int
    together: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the jobs run and the store is.

    Attributes:
        cluster: Whether workers of a Dask cluster run them, and not the engine itself.
        database: A server for the store; without one it is a SQLite file.
    """

    cluster: bool = False
    database: Server | None = None

    def __str__(self) -> str:
        """What a row adds to what it measures."""
        found = f" on {len(WORKERS)} workers of a Dask cluster" if self.cluster else ""
        return found + (" with a store on PostgreSQL" if self.database else "")

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """An empty store whose engine is ready for jobs."""
        with ExitStack() as stack:
            folder = stack.enter_context(temporary_data())
            if self.database:
                stack.enter_context(_setting("DROPVIZ_STORE", self.database.create()))
            store = Store.open()
            stack.callback(store.close)
            if self.cluster:
                stack.enter_context(_cluster(folder, store))
            else:
                stack.enter_context(_engine())
            slots = len(WORKERS) if self.cluster else 1
            wait_until(
                lambda: sum(worker.slots for worker in store.workers()) >= slots,
                "the engine is ready",
                START_SECONDS,
            )
            yield store


@contextmanager
def _engine() -> Iterator[None]:
    keeper = EngineKeeper()
    try:
        keeper.ensure()
        yield
    finally:
        keeper.close()


@contextmanager
def _cluster(folder: Path, store: Store) -> Iterator[None]:
    """A scheduler, an engine of it, and workers with a slot each: the processes of the documents' command lines."""
    from tests.engine.cluster.parts import Cluster, cluster_environment

    cluster = Cluster(folder / "cluster", cluster_environment(dict(os.environ)))
    try:
        cluster.start()
        with _setting("DROPVIZ_ENGINE", cluster.url), _engine():
            wait_until(store.workers, "the engine is there", START_SECONDS)
            for name in WORKERS:
                cluster.add(name)
            yield
    finally:
        cluster.close()


@contextmanager
def _setting(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        os.environ |= {} if before is None else {name: before}


def measure(*, quick: bool, place: Place | None = None) -> list[Row]:
    """The median of the others' waits, from queueing until a slot is theirs; every experiment is one short job."""
    place = place or Place()
    runs, others, rounds = (12, 6, 1) if quick else (60, 29, 2)
    queues = {
        FIRST_COME: Queue(greedy=1, runs=runs, others=others, together=True),
        "beside one": Queue(greedy=1, runs=runs, others=others),
        "beside three": Queue(greedy=3, runs=runs, others=others),
        "nobody else": Queue(greedy=0, runs=0, others=others),
    }
    waits: dict[str, list[float]] = {name: [] for name in queues}
    for _ in range(rounds):
        for name, queue in queues.items():
            waits[name].append(_wait(queue, place))
            say(f"  {name}{place}: {waits[name][-1]:.1f} s")
    return [
        _row(
            name,
            waits,
            f"{others} with one run each{place}, {name}" + (f" with {runs}" if name[0] == "b" else ""),
        )
        for name in queues
    ]


def _row(name: str, waits: dict[str, list[float]], shown: str) -> Row:
    against = ratio(waits, name, FIRST_COME)
    compared = name != FIRST_COME
    promised = {"target": f"ratio ≤ {MOST}", "met": against.median <= MOST} if name == "beside one" else {}
    return Row(
        name=shown,
        value=Summary.of(waits[name]),
        unit="s",
        ratios={"first come, first served": against} if compared else {},
        **promised,  # type: ignore[arg-type]
    )


def _wait(queue: Queue, place: Place) -> float:
    """Seconds: the median over the others."""
    spec = preset("classroom").with_settings(RUN)
    with place.opened() as store:
        for number in range(queue.greedy * queue.runs):
            owner = "" if queue.together else f"greedy {number % queue.greedy}"
            store.submit(spec, owner=owner, fresh=True)
        views = [
            store.submit(spec, owner="" if queue.together else f"other {number}", fresh=True)
            for number in range(queue.others)
        ]
        wait_until(lambda: None not in _claims(store, views), "the others' runs have begun", PATIENCE_SECONDS)
        return float(np.median(_claims(store, views)))


def _claims(store: Store, views: list[str]) -> list[float]:
    """Seconds that each of these waited for a slot; None where it still does."""
    query = select(jobs.c.claimed_at - jobs.c.queued_at).select_from(jobs.join(experiment_jobs))
    with store.database.read() as connection:
        return list(connection.execute(query.where(experiment_jobs.c.experiment_id.in_(views))).scalars())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure where the options say, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fairness", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--cluster", action="store_true", help="on a Dask cluster of two workers")
    parser.add_argument("--postgresql", action="store_true", help="with the store on a PostgreSQL")
    parser.add_argument("--quick", action="store_true", help="fewer runs, one round: a rough look")
    options = parser.parse_args(arguments)
    if options.postgresql and not installed():
        parser.error(MISSING)
    machine = heading()
    with ExitStack() as stack:
        database = Server(durable=True) if options.postgresql else None
        if database:
            stack.callback(database.stop)
        place = Place(cluster=options.cluster, database=database)
        rows = measure(quick=options.quick, place=place)
    printed(rows_table({"fairness": rows}, machine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
