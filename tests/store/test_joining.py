"""What is computed once is computed once: results are joined by key, and the last one to leave stops them."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from dropviz.experiment import ExperimentSpec
from dropviz.experiment.keys import result_key
from dropviz.store import Store, UnknownExperiment
from dropviz.store.jobs import fairest_queued
from dropviz.store.schema import results


def states(store: Store, view_id: str) -> list[str]:
    return [job.state for job in store.experiment(view_id).jobs]


def test_a_spec_survives_the_store(store: Store, spec: ExperimentSpec) -> None:
    assert store.experiment(store.submit(spec, owner="ada")).spec == spec


def test_an_identical_experiment_joins_the_jobs_of_the_first(store: Store, spec: ExperimentSpec) -> None:
    first, second = (store.experiment(store.submit(spec)) for _ in range(2))
    assert first.id != second.id
    assert [job.id for job in first.jobs] == [job.id for job in second.jobs]
    assert not any(job.cached for job in second.jobs)


def test_only_the_missing_seeds_and_arms_are_computed(store: Store, spec: ExperimentSpec) -> None:
    store.submit(spec)
    wider = store.experiment(store.submit(spec.with_settings(["seeds=5", 'arms=["dropout", "none"]'])))
    blocks = {(job.arm, job.seeds) for job in wider.jobs}
    assert blocks == {("none", (0, 1, 2)), ("none", (3, 4)), ("dropout", (0, 1, 2, 3, 4))}
    where = {(result.arm, result.seed): (result.job_id, result.position) for result in wider.results}
    for job in wider.jobs:
        for position, seed in enumerate(job.seeds):
            assert where[job.arm, seed] == (job.id, position)


def test_many_seeds_are_split_into_even_blocks(store: Store, spec: ExperimentSpec) -> None:
    experiment = store.experiment(store.submit(spec.with_settings(["seeds=130"])))
    assert [len(job.seeds) for job in experiment.jobs] == [43, 43, 44]
    assert [seed for job in experiment.jobs for seed in job.seeds] == list(range(130))


def test_each_of_many_jobs_has_its_own_results(store: Store, spec: ExperimentSpec) -> None:
    asked = spec.with_settings(["seeds=40", "train.patience=2", 'arms=["none", "dropout"]'])
    experiment = store.experiment(store.submit(asked))
    jobs = {job.id: (job.arm, job.seeds) for job in experiment.jobs}
    assert [jobs[number] for number in sorted(jobs)] == [
        (arm, (seed,)) for arm in asked.arms for seed in range(40)
    ]
    with store.database.read() as connection:
        rows = connection.execute(select(results.c.key, results.c.job_id, results.c.position)).all()
    found = {key: (job_id, position) for key, job_id, position in rows}
    for job_id, (arm, (seed,)) in jobs.items():
        assert found[result_key(asked, arm, seed, "cpu")] == (job_id, 0)


def test_a_finished_result_is_joined_as_cached(store: Store, spec: ExperimentSpec) -> None:
    store.submit(spec)
    claim = store.claim("worker")
    assert claim is not None
    assert store.finish(claim.job_id, claim.attempt, "done")
    again = store.experiment(store.submit(spec))
    assert again.state == "done"
    assert [job.cached for job in again.jobs] == [True]


@pytest.mark.parametrize("outcome", ["failed", "stopped"])
def test_an_unsuccessful_result_is_computed_anew(store: Store, spec: ExperimentSpec, outcome: str) -> None:
    first = store.submit(spec)
    claim = store.claim("worker")
    assert claim is not None
    if outcome == "stopped":
        store.request(first, "stop")
    assert store.finish(claim.job_id, claim.attempt, outcome, error="why")  # type: ignore[arg-type]
    assert store.experiment(first).state == outcome
    again = store.experiment(store.submit(spec))
    assert again.state == "queued"
    assert again.jobs[0].id != claim.job_id


def test_a_fresh_experiment_joins_nobody_and_is_joined_by_nobody(store: Store, spec: ExperimentSpec) -> None:
    ids = [
        store.submit(spec),
        store.submit(spec, fresh=True),
        store.submit(spec, fresh=True),
        store.submit(spec),
    ]
    jobs = [store.experiment(view_id).jobs[0].id for view_id in ids]
    assert jobs[0] == jobs[3]
    assert len(set(jobs)) == 3


def test_the_last_one_to_leave_stops_a_job(store: Store, spec: ExperimentSpec) -> None:
    first, second = store.submit(spec), store.submit(spec)
    store.request(first, "stop")
    assert store.experiment(first).state == "stopped"
    assert store.experiment(second).state == "queued"
    store.request(second, "stop")
    assert states(store, second) == ["stopped"]


def test_a_running_job_runs_while_anybody_wants_it(store: Store, spec: ExperimentSpec) -> None:
    first, second = store.submit(spec), store.submit(spec)
    claim = store.claim("worker")
    assert claim is not None
    store.request(first, "pause")
    assert store.orders(claim.job_id, claim.attempt) == "run"
    assert store.experiment(first).state == "paused"
    store.request(second, "stop")
    assert store.orders(claim.job_id, claim.attempt) == "pause"
    store.request(first, "stop")
    assert store.orders(claim.job_id, claim.attempt) == "stop"


def test_joining_a_job_that_is_being_stopped_keeps_it(store: Store, spec: ExperimentSpec) -> None:
    first = store.submit(spec)
    claim = store.claim("worker")
    assert claim is not None
    store.request(first, "stop")
    second = store.submit(spec)
    store.finish(claim.job_id, claim.attempt, "stopped")  # the child had seen the order already
    assert states(store, second) == ["queued"]


def test_a_paused_job_resumes_when_somebody_joins(store: Store, spec: ExperimentSpec) -> None:
    first = store.submit(spec)
    store.request(first, "pause")
    assert states(store, first) == ["paused"]
    store.submit(spec)
    assert states(store, first) == ["queued"]


def test_a_step_is_taken_once(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec)
    store.request(view_id, "pause")
    store.request(view_id, "step")
    claim = store.claim("worker")
    assert claim is not None
    assert claim.advance_once
    store.finish(claim.job_id, claim.attempt, "paused")
    assert store.experiment(view_id).state == "paused"
    store.request(view_id, "run")
    resumed = store.claim("worker")
    assert resumed is not None
    assert not resumed.advance_once


def test_run_on_an_experiment_that_has_ended_is_refused(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec)
    store.request(view_id, "stop")
    store.request(view_id, "stop")
    with pytest.raises(ValueError, match="start a new one"):
        store.request(view_id, "run")
    with pytest.raises(ValueError, match="choose run, pause, stop or step"):
        store.request(view_id, "fly")  # type: ignore[arg-type]


def test_an_unknown_id_is_said_to_be_unknown(store: Store) -> None:
    for ask in (store.experiment, store.revision, lambda view_id: store.request(view_id, "stop")):
        with pytest.raises(UnknownExperiment, match="no experiment 'nothing'"):
            ask("nothing")


def test_owners_alternate_whatever_they_queued_before(store: Store, spec: ExperimentSpec) -> None:
    for seed in range(0, 60, 10):
        store.submit(spec.with_settings([f"first_seed={seed}"]), owner="busy")
    late = store.submit(spec.with_settings(["first_seed=100"]), owner="late")
    store.claim("worker")
    assert store.queue_position(late) == 0
    claim = store.claim("worker")
    assert claim is not None
    assert claim.seeds == (100, 101, 102)


def test_who_used_less_lately_comes_first(store: Store, spec: ExperimentSpec) -> None:
    store.submit(spec, owner="busy")
    claim = store.claim("worker")
    assert claim is not None
    store.finish(claim.job_id, claim.attempt, "done")
    store.submit(spec.with_settings(["first_seed=10"]), owner="busy")
    store.submit(spec.with_settings(["first_seed=20"]), owner="new")
    claim = store.claim("worker")
    assert claim is not None
    assert claim.seeds[0] == 20


def test_experiments_are_listed_newest_first_and_by_owner(store: Store, spec: ExperimentSpec) -> None:
    first, second = store.submit(spec, owner="ada"), store.submit(spec, owner="bob")
    assert [line.id for line in store.experiments()] == [second, first]
    assert [line.id for line in store.experiments(owner="ada")] == [first]
    assert [line.id for line in store.experiments(limit=1)] == [second]


def test_the_job_that_is_claimed_is_the_first_in_the_order_that_people_are_shown(
    store: Store, spec: ExperimentSpec
) -> None:
    for place, owner in enumerate("abacabadcb"):
        store.submit(spec.with_settings([f"first_seed={10 * place}"]), owner=owner)
    for turn in range(10):
        with store.database.read() as connection:
            first = fairest_queued(connection, store.now())[0]
        claim = store.claim("worker")
        assert claim is not None
        assert claim.job_id == first
        if turn % 3 == 0:
            store.finish(claim.job_id, claim.attempt, "done")
