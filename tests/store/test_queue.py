"""The queue's order: the one job that is claimed and the places that are told are those of the slow way, whatever was queued."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from sqlalchemy import select

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store, jobs
from dropviz.store.schema import jobs as job_table

OWNERS = ("ada", "ben", "cem", "dea")


def queue_some(store: Store, spec: ExperimentSpec, seed: int) -> list[str]:
    """Experiments of several owners, some of whose jobs run or ran, as a seed has it."""
    draw, views = random.Random(seed), []
    for number in range(12):
        changed = spec.with_settings([f"first_seed={10 * number}", 'arms=["none", "dropout"]'])
        views.append(store.submit(changed, owner=draw.choice(OWNERS)))
        while draw.random() < 0.4 and (claim := store.claim("worker")):
            if draw.random() < 0.6:
                store.finish(claim.job_id, claim.attempt, "done")
    return views


def order(store: Store) -> list[int]:
    with store.database.read() as connection:
        return jobs.fairest_queued(connection, store.now())


@pytest.mark.parametrize("seed", range(3))
def test_claims_follow_the_order_that_is_told(store: Store, spec: ExperimentSpec, seed: int) -> None:
    queue_some(store, spec, seed)
    while expected := order(store):
        claim = store.claim("worker")
        assert claim is not None
        assert claim.job_id == expected[0]
        if claim.job_id % 3:
            store.finish(claim.job_id, claim.attempt, "done")
    assert store.claim("worker") is None


def test_of_those_who_queued_at_one_moment_the_first_comes_first(store: Store, spec: ExperimentSpec) -> None:
    queue_some(store, spec, 0)
    with store.database.write() as connection:
        connection.execute(job_table.update().values(queued_at=1.0, owner=job_table.c.arm))
        assert jobs.fairest(connection, 2.0) == jobs.fairest_queued(connection, 2.0)[0]


def test_places_are_told_as_the_whole_order_has_them(
    store: Store, spec: ExperimentSpec, later: Callable[[float], None]
) -> None:
    views = queue_some(store, spec, 1)
    for turn in range(4):
        expected = order(store)
        for view in views:
            own = store.experiment(view).jobs
            waits = [expected.index(job.id) for job in own if job.id in expected]
            runs = any(job.state == "running" for job in own)
            assert store.queue_position(view) == (0 if runs else min(waits, default=0))
        claim = store.claim("worker")
        assert claim is not None
        if turn % 2:
            store.finish(claim.job_id, claim.attempt, "done")
        store.request(views[-1 - turn], "stop")
        later(1000.0 * turn)


def test_time_alone_moves_nobody_in_the_queue(
    store: Store, spec: ExperimentSpec, later: Callable[[float], None]
) -> None:
    queue_some(store, spec, 2)
    before = order(store)
    later(3000.0)
    assert order(store) == before


def test_an_experiment_that_is_unknown_waits_nowhere(store: Store) -> None:
    assert store.queue_position("nothing") == 0


def test_a_refresh_of_its_weights_is_a_change_of_an_experiment_and_others_jobs_are_none(
    store: Store, spec: ExperimentSpec
) -> None:
    view = store.submit(spec, owner="ada")
    seen = store.revision(view)
    other = store.submit(spec.with_settings(["first_seed=50"]), owner="ben")
    assert store.revision(view) == seen
    with store.database.write() as connection:
        row = connection.execute(select(job_table).where(job_table.c.state == "queued")).first()
        assert row is not None
        measuring = dict(row._mapping) | {"id": None, "kind": "refresh", "weights_of": row.id}
        connection.execute(job_table.insert().values({k: v for k, v in measuring.items() if k != "id"}))
    assert store.revision(view) > seen
    assert store.experiment(other).state == "queued"
