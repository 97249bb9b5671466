"""Runs that ended long ago, and what is left of them when they are pruned."""

from __future__ import annotations

import time

import numpy as np

from dropviz.experiment import ExperimentSpec
from dropviz.store import Point, Store, UnknownExperiment
from dropviz.store.pruning import DAY, Plan, Rules, carry_out, plan

OLD, ME = 40 * DAY, "me"
MONTH = Rules(days=30)


def ran(store: Store, spec: ExperimentSpec, *changes: str, ago: float = OLD, **said: object) -> str:
    """An experiment that ended ``ago`` seconds ago, with a point, weights and its time measured."""
    view_id = store.submit(spec.with_settings(list(changes)), owner=ME)
    store.request_estimate(spec.with_settings(list(changes)))
    work(store)
    back(store, ago)
    store.runs.describe(view_id, ME, **said)  # type: ignore[arg-type]
    return view_id


def work(store: Store) -> None:
    """Everything that waits, to its end."""
    while claim := store.claim("worker"):
        store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
        point = Point(seq=0, step=0, name="train/loss", values=np.arange(3.0))
        store.append(claim.job_id, claim.attempt, [point])
        if claim.kind == "train":
            store.weights.keep(claim.job_id, 40, {"w": np.zeros(1000)}, claim.identity, 1)
        store.finish(claim.job_id, claim.attempt, "done")


def back(store: Store, ago: float) -> None:
    """What happened in the last minute happened that long ago."""
    recent = time.time() - 60
    with store.database.write() as connection:
        for table, column in (
            ("experiments", "created_at"),
            ("jobs", "finished_at"),
            ("sweeps", "created_at"),
        ):
            connection.exec_driver_sql(
                f"UPDATE {table} SET {column} = {column} - {ago} WHERE {column} > {recent}"
            )


def count(store: Store, table: str, where: str = "1 = 1") -> int:
    """Rows of a table."""
    with store.database.read() as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE {where}").scalar_one()


def pruned(store: Store, rules: Rules = MONTH) -> Plan:
    """Prune, and check that nothing was left that refers to what is gone."""
    planned = plan(store, rules)
    carry_out(store, planned)
    if store.database.engine.dialect.name == "sqlite":
        with store.database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    assert not plan(store, rules), "a second time there is nothing to do"
    return planned


def there(store: Store, view_id: str) -> bool:
    """Whether an experiment is there with its jobs."""
    try:
        return bool(store.experiment(view_id).jobs)
    except UnknownExperiment:
        return False
