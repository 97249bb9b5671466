"""What running it costs: a scrape of ``/metrics``, a look at the System page's numbers, a plan to prune, with 10,000 jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from sqlalchemy import insert, select

from benchmarks.filled import fill
from benchmarks.measure import Row, Summary, temporary_data
from dropviz.store import Store
from dropviz.store.pruning import Rules, plan
from dropviz.store.schema import experiment_jobs, experiments, jobs, results
from dropviz.web import metrics

JOBS = 10_000
MOST_MILLISECONDS = 20  # of a scrape
STATES = ("done",) * 90 + ("failed",) * 5 + ("queued",) * 5


def measure(*, quick: bool) -> list[Row]:
    """Processor time of each, in a store of 10,000 jobs (1,000, quick) of which 1 in 20 failed and 1 in 20 waits."""
    count, rounds = (1000, 5) if quick else (JOBS, 20)
    with temporary_data():
        store = Store.open()
        try:
            _copies(store, fill(store, "a", runs=1, points=3, metrics=3)[0], count)
            scrape = _timed(lambda: metrics.text(store), rounds)
            met = scrape.median <= MOST_MILLISECONDS
            return [
                Row(
                    name=f"a scrape, {count:,} jobs",
                    value=scrape,
                    unit="ms",
                    target=f"≤ {MOST_MILLISECONDS} ms",
                    met=met,
                ),
                Row(name="the queue by owner", value=_timed(store.overview.shares, rounds), unit="ms"),
                Row(name="recent failures", value=_timed(store.overview.failures, rounds), unit="ms"),
                Row(
                    name="a plan to prune",
                    value=_timed(lambda: plan(store, Rules(days=1)), rounds),
                    unit="ms",
                ),
            ]
        finally:
            store.close()


def _copies(store: Store, view_id: str, count: int) -> None:
    """Jobs like those of an experiment, of 50 owners, each in an experiment of its own."""
    with store.database.write() as connection:
        experiment = (
            connection.execute(select(experiments).where(experiments.c.id == view_id)).one()._asdict()
        )
        job = connection.execute(select(jobs).order_by(jobs.c.id).limit(1)).one()._asdict()
        for number in range(count):
            state, owner = STATES[number % len(STATES)], f"{number % 50:032x}"
            error = (
                "The loss of seed 1 was not finite at step 3: lower the learning rate."
                if state == "failed"
                else None
            )
            own = {"id": job["id"] + 1000 + number, "state": state, "owner": owner, "error": error}
            connection.execute(insert(jobs).values(job | own | {"queued_at": float(number)}))
            connection.execute(
                insert(experiments).values(experiment | {"id": f"{number:032x}", "owner": owner})
            )
            link = {"experiment_id": f"{number:032x}", "job_id": own["id"], "cached": False}
            connection.execute(insert(experiment_jobs).values(link))
            rows = [
                {
                    "key": f"{number}/{seed}",
                    "reusable": state == "done",
                    "seed": seed,
                    "job_id": own["id"],
                    "position": seed,
                }
                for seed in range(len(json.loads(job["seeds"])))
            ]
            connection.execute(insert(results), rows)


def _timed(look: Callable[[], object], rounds: int) -> Summary:
    look()
    found = []
    for _ in range(rounds):
        started = time.process_time()
        look()
        found.append(1000 * (time.process_time() - started))
    return Summary.of(found)
