"""How long many wait beside few who queue much: by the real dispatcher and engine, against first come, first served."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from benchmarks.measure import Row, Summary, ratio, say, temporary_data, wait_until
from dropviz.engine import EngineKeeper
from dropviz.experiment import preset
from dropviz.store import Store
from dropviz.store.schema import experiment_jobs, jobs

MOST = 0.25  # of the wait in the order in which they came
PATIENCE_SECONDS = 900.0
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


def measure(*, quick: bool) -> list[Row]:
    """The median of the others' waits, from queueing until a slot is theirs; every experiment is one short job."""
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
            waits[name].append(_wait(queue))
            say(f"  {name}: {waits[name][-1]:.1f} s")
    return [
        _row(name, waits, f"{others} with one run each, {name}" + (f" with {runs}" if name[0] == "b" else ""))
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


def _wait(queue: Queue) -> float:
    """Seconds: the median over the others."""
    spec = preset("classroom").with_settings(RUN)
    with temporary_data():
        store, keeper = Store.open(), EngineKeeper()
        try:
            keeper.ensure()
            wait_until(lambda: any(worker.slots for worker in store.workers()), "the engine is ready")
            for number in range(queue.greedy * queue.runs):
                owner = "" if queue.together else f"greedy {number % queue.greedy}"
                store.submit(spec, owner=owner, fresh=True)
            views = [
                store.submit(spec, owner="" if queue.together else f"other {number}", fresh=True)
                for number in range(queue.others)
            ]
            wait_until(
                lambda: None not in _claims(store, views), "the others' runs have begun", PATIENCE_SECONDS
            )
            return float(np.median(_claims(store, views)))
        finally:
            keeper.close()
            store.close()


def _claims(store: Store, views: list[str]) -> list[float]:
    """Seconds that each of these waited for a slot; None where it still does."""
    query = select(jobs.c.claimed_at - jobs.c.queued_at).select_from(jobs.join(experiment_jobs))
    with store.database.read() as connection:
        return list(connection.execute(query.where(experiment_jobs.c.experiment_id.in_(views))).scalars())
