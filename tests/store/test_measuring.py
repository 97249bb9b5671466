"""Jobs that measure: queued once, found again, part of no experiment."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dropviz.duration import Costs
from dropviz.experiment import ExperimentSpec
from dropviz.store import Claim, Point, Store, UnknownExperiment

COSTS = Costs(once=0.2, step=0.001, evaluation=0.02, picture=0.0, live=0.1, refresh=1.5)
SPENT = {"training": 0.0, "evaluation": 0.25, "statistics": 1.75}


def claimed(store: Store) -> Claim:
    claim = store.claim("worker")
    assert claim is not None
    store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
    return claim


def measured(store: Store, spec: ExperimentSpec) -> None:
    store.request_estimate(spec)
    claim = claimed(store)
    values = np.array(COSTS.to_values())
    store.append(
        claim.job_id, claim.attempt, [Point(seq=0, step=0, name=arm, values=values) for arm in spec.arms]
    )
    store.finish(claim.job_id, claim.attempt, "done")


def trained(store: Store, spec: ExperimentSpec, *steps: int) -> str:
    """An experiment whose jobs kept these weights."""
    view_id = store.submit(spec)
    while store.has_queued():
        claim = claimed(store)
        for step in steps:
            keep(store, claim, step)
        store.finish(claim.job_id, claim.attempt, "done")
    return view_id


def keep(store: Store, claim: Claim, step: int) -> None:
    weights = {"weight1": np.ones((len(claim.seeds), 2, 3), dtype=np.float32)}
    store.weights.keep(claim.job_id, step, weights, claim.identity, claim.attempt)


def test_an_estimate_is_measured_once_and_found_by_whoever_asks(store: Store, spec: ExperimentSpec) -> None:
    assert store.estimate(spec) is None
    store.request_estimate(spec, "ada")
    store.request_estimate(spec, "bob")
    (job,) = store.live_jobs()
    assert (job.kind, job.owner, job.total) == ("estimate", "ada", 1)
    found = store.estimate(spec)
    assert found is not None
    assert (found.state, found.costs) == ("queued", {})
    store.stop_job(job.id)
    measured(store, spec)
    store.request_estimate(spec)
    assert store.live_jobs() == []
    found = store.estimate(spec.with_settings(["train.steps=700", "train.learning_rate=0.3"]))
    assert found is not None
    assert (found.state, found.costs) == ("done", {"none": COSTS})


def test_an_estimate_that_failed_says_why_and_may_be_asked_for_again(
    store: Store, spec: ExperimentSpec
) -> None:
    store.request_estimate(spec)
    claim = claimed(store)
    store.finish(claim.job_id, claim.attempt, "failed", error="It is too large.")
    found = store.estimate(spec)
    assert found is not None
    assert (found.state, found.error) == ("failed", "It is too large.")
    store.request_estimate(spec)
    found = store.estimate(spec)
    assert found is not None
    assert found.state == "queued"


def test_jobs_that_measure_are_part_of_no_experiment(store: Store, spec: ExperimentSpec) -> None:
    view_id = trained(store, spec, 20)
    store.request_estimate(spec)
    store.request_refresh(view_id, "none", 20)
    assert store.has_queued()
    experiment = store.experiment(view_id)
    assert (experiment.state, len(experiment.jobs)) == ("done", 1)
    assert store.experiments()[0].total == 40


def test_a_refresh_measures_every_block_of_an_arm_once(store: Store, spec: ExperimentSpec) -> None:
    spec = spec.with_settings(["seeds=70"])
    view_id = trained(store, spec, 0, 20)
    other = store.submit(spec)
    for asked in (view_id, other):
        store.request_refresh(asked, "none", 20)
    jobs = [job.id for job in store.experiment(view_id).jobs]
    refreshes = store.refresh_jobs(jobs)
    assert [(job.weights_of, job.weights_step, job.state) for job in refreshes] == [
        (job, 20, "queued") for job in jobs
    ]
    claim = store.claim("worker")
    assert claim is not None
    assert (claim.kind, claim.weights_of, claim.weights_step) == ("refresh", jobs[0], 20)
    assert store.weights.read(jobs[0], 20, claim.identity)["weight1"].shape == (35, 2, 3)
    store.finish(claim.job_id, claim.attempt, "failed", error="why")
    store.request_refresh(view_id, "none", 20)  # only the one that failed, again
    assert [job.weights_of for job in store.refresh_jobs(jobs)] == [*jobs, jobs[0]]


def test_a_refresh_that_cannot_be_is_refused_in_a_sentence(store: Store, spec: ExperimentSpec) -> None:
    view_id = trained(store, spec.with_settings(["observe.refreshes=1"]), 20, 40)
    with pytest.raises(ValueError, match="weights of step 10 are not there"):
        store.request_refresh(view_id, "none", 10)
    with pytest.raises(ValueError, match="no arm 'dropout'"):
        store.request_refresh(view_id, "dropout", 20)
    with pytest.raises(ValueError, match="has its whole spectrum without being asked"):
        store.request_refresh(view_id, "none", 40)
    with pytest.raises(UnknownExperiment):
        store.request_refresh("nothing", "none", 20)
    assert not store.has_queued()


def test_weights_of_another_job_of_the_same_number_are_not_used(store: Store, spec: ExperimentSpec) -> None:
    view_id = trained(store, spec, 20)
    (job,) = store.experiment(view_id).jobs
    content = {"weight1": np.ones((3, 2, 3), dtype=np.float32)}
    store.weights.keep(job.id, 20, content, "somebody else's", 1)
    with pytest.raises(ValueError, match="another version of this program"):
        store.request_refresh(view_id, "none", 20)
    assert store.weights.steps(job.id) == [20]


def test_what_measures_is_stopped_by_its_number_and_what_trains_is_not(
    store: Store, spec: ExperimentSpec
) -> None:
    view_id = store.submit(spec)
    (job,) = store.experiment(view_id).jobs
    with pytest.raises(ValueError, match="stop the experiment"):
        store.stop_job(job.id)
    store.request(view_id, "stop")
    store.request_estimate(spec)
    claim = claimed(store)
    store.stop_job(claim.job_id)
    assert store.orders(claim.job_id, claim.attempt) == "stop"
    store.finish(claim.job_id, claim.attempt, "stopped")
    store.stop_job(claim.job_id)
    found = store.job(claim.job_id)
    assert found is not None
    assert found.state == "stopped"


def test_a_refresh_is_expected_to_take_what_is_known_best(store: Store, spec: ExperimentSpec) -> None:
    view_id = trained(store, spec, 20)
    assert store.expected_refresh(spec, "none") is None
    measured(store, spec)
    guessed = store.expected_refresh(spec, "none")
    assert guessed is not None
    assert 1.72 < guessed < 2.2
    store.request_refresh(view_id, "none", 20)
    claim = claimed(store)
    store.append(claim.job_id, claim.attempt, seconds=SPENT)
    store.finish(claim.job_id, claim.attempt, "done")
    known = store.expected_refresh(spec, "none")
    assert known is not None
    assert 2.0 < known < 2.5


def test_seconds_add_up_over_attempts(store: Store, spec: ExperimentSpec) -> None:
    store.submit(spec)
    for _ in range(2):
        claim = claimed(store)
        store.append(claim.job_id, claim.attempt, seconds=SPENT)
        store.finish(claim.job_id, claim.attempt, "crashed", error="It died")
    job = store.job(claim.job_id)
    assert job is not None
    assert (job.training_seconds, job.evaluation_seconds, job.statistics_seconds) == (0.0, 0.5, 3.5)


def test_equal_weights_make_equal_files(store: Store, spec: ExperimentSpec) -> None:
    store.submit(spec)
    claim = claimed(store)
    files = []
    for _ in range(2):
        keep(store, claim, 20)
        files.append((store.weights.folder / str(claim.job_id) / "20.safetensors").read_bytes())
    assert files[0] == files[1]
    assert json.loads(files[0][8 : 8 + int.from_bytes(files[0][:8], "little")])["weight1"]["dtype"] == "F32"
