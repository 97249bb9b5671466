"""Sweeps in the store: what is computed, what is joined, and what stop, resume, widen and delete leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Point, Store, UnknownSweep, submission, sweeps
from dropviz.store.sweeps import DeletedSweep
from dropviz.sweeps import Axis, Sweep
from dropviz.sweeps.order import coarse_first

ME = "a" * 32


def sweep(spec: ExperimentSpec, *p: float, widths: tuple[int, ...] = ()) -> Sweep:
    axes = [Axis(key="p", values=p), *([Axis(key="width", values=widths)] if widths else [])]
    return Sweep(base=spec, axes=axes)


def jobs(store: Store) -> int:
    with store.database.read() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one()


def train(store: Store, most: int = 1000, outcome: str = "done") -> int:
    """Work off the queue; how many jobs."""
    count = 0
    while count < most and (claim := store.claim("worker")):
        store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
        values = np.array(claim.seeds, dtype=float)
        store.append(
            claim.job_id, claim.attempt, [Point(seq=0, step=40, name="test/accuracy", values=values)], step=40
        )
        assert store.finish(
            claim.job_id, claim.attempt, outcome, error="It diverged." if outcome == "failed" else None
        )
        count += 1
    return count


def states(store: Store, sweep_id: str) -> list[str]:
    return [cell.state for cell in store.sweeps.states(sweep_id)]


def test_each_cell_is_an_experiment_of_its_own(store: Store, spec: ExperimentSpec) -> None:
    asked = sweep(spec, 0.1, 0.5, widths=(4, 8))
    sweep_id = store.sweeps.submit(asked, ME)
    assert store.sweeps.get(sweep_id).sweep == asked
    found = store.sweeps.states(sweep_id)
    assert [cell.position for cell in found] == [0, 1, 2, 3]
    for cell, expected in zip(found, asked.cells(), strict=True):
        experiment = store.experiment(cell.experiment)
        assert (experiment.spec, experiment.origin, experiment.owner) == (expected, "sweep", ME)
    assert train(store) == 4
    assert states(store, sweep_id) == ["done"] * 4


def test_widening_computes_only_what_is_new(store: Store, spec: ExperimentSpec) -> None:
    store.sweeps.submit(sweep(spec, 0.1, 0.5), ME)
    assert train(store) == 2
    wider = sweep(spec, 0.1, 0.3, 0.5)
    assert [cell["none"] for cell in store.sweeps.missing(wider)] == [[], [0, 1, 2], []]
    sweep_id = store.sweeps.submit(wider, ME)
    assert [cell.cached for cell in store.sweeps.states(sweep_id)] == [True, False, True]
    assert (train(store), jobs(store)) == (1, 3)
    more_seeds = sweep(spec.with_settings(["seeds=5", 'arms=["none", "dropout"]']), 0.1, 0.3, 0.5)
    assert store.sweeps.missing(more_seeds)[1] == {"none": [3, 4], "dropout": [0, 1, 2, 3, 4]}
    store.sweeps.submit(more_seeds, ME)
    assert train(store) == 6
    store.sweeps.submit(more_seeds, ME)
    assert (train(store), jobs(store)) == (0, 9)


def test_an_experiment_of_the_lab_is_a_cell_that_is_computed(store: Store, spec: ExperimentSpec) -> None:
    store.submit(spec.with_settings(["p=0.1"]))
    train(store)
    store.sweeps.submit(sweep(spec, 0.1, 0.5), ME)
    assert train(store) == 1


def test_stop_keeps_what_is_done_and_resume_goes_on_under_the_same_id(
    store: Store, spec: ExperimentSpec
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, 0.1, 0.2, 0.3, 0.4, 0.5), ME)
    train(store, most=2)
    before = store.sweeps.revision(sweep_id)
    store.sweeps.stop(sweep_id)
    assert store.sweeps.revision(sweep_id) != before
    assert states(store, sweep_id) == ["done", "stopped", "stopped", "stopped", "done"]  # the ends came first
    assert train(store) == 0
    store.sweeps.resume(sweep_id)
    assert states(store, sweep_id) == ["done", "queued", "queued", "queued", "done"]
    assert train(store) == 3
    assert states(store, sweep_id) == ["done"] * 5


def test_stopping_leaves_what_another_one_wants(store: Store, spec: ExperimentSpec) -> None:
    mine = store.sweeps.submit(sweep(spec, 0.1, 0.2), ME)
    other = store.sweeps.submit(sweep(spec, 0.2, 0.3), "b" * 32)
    store.sweeps.stop(mine)
    assert states(store, mine) == ["stopped", "stopped"]
    assert states(store, other) == ["queued", "queued"]
    assert train(store) == 2


def test_a_failed_cell_says_why_and_is_tried_again_only_on_request(
    store: Store, spec: ExperimentSpec
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, 0.1, 0.2), ME)
    train(store, outcome="failed")
    assert [cell.error for cell in store.sweeps.states(sweep_id)] == ["none: It diverged."] * 2
    store.sweeps.resume(sweep_id)
    assert train(store) == 0
    store.sweeps.resume(sweep_id, ("stopped", "failed"))
    assert train(store) == 2


def test_a_deleted_sweep_is_in_no_list_until_it_is_restored(store: Store, spec: ExperimentSpec) -> None:
    first, second = (store.sweeps.submit(sweep(spec, *p), ME) for p in ((0.1, 0.2), (0.3, 0.4)))
    assert {row.id for row in store.sweeps.of(ME)} == {first, second}
    assert store.sweeps.of("b" * 32) == []
    store.sweeps.delete(first)
    assert [row.id for row in store.sweeps.of(ME)] == [second]
    with pytest.raises(DeletedSweep, match="take it back"):
        store.sweeps.get(first)
    with pytest.raises(DeletedSweep):
        store.sweeps.resume(first)
    assert store.sweeps.get(first, deleted=True).deleted
    assert train(store) == 2
    store.sweeps.restore(first)
    assert not store.sweeps.get(first).deleted
    assert {row.id for row in store.sweeps.of(ME)} == {first, second}


def test_what_is_under_way_is_listed_as_one_sweep_and_not_as_its_cells(
    store: Store, spec: ExperimentSpec
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, 0.1, 0.2), ME)
    alone = store.submit(spec, owner=ME)
    assert [row.id for row in store.sweeps.under_way(ME)] == [sweep_id]
    assert [line.id for line in store.experiments(owner=ME)] == [alone]
    store.sweeps.stop(sweep_id)
    assert store.sweeps.under_way(ME) == []


def test_the_revision_tells_of_every_step(store: Store, spec: ExperimentSpec) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, 0.1, 0.2), ME)
    seen = [store.sweeps.revision(sweep_id)]
    assert store.sweeps.revision(sweep_id) == seen[0]
    train(store, most=1)
    seen.append(store.sweeps.revision(sweep_id))
    assert seen[0] != seen[1]


def test_the_revision_tells_of_each_part_of_what_is_queued_anew(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, 0.1, 0.2), "command line")
    train(store, outcome="failed")
    runs = [store.experiment(cell.experiment) for cell in store.sweeps.states(sweep_id)]
    (former,) = {job.revision for run in runs for job in run.jobs}
    seen: list[tuple[int, ...]] = []
    prepare = submission.prepare

    def prepared(*what: Any) -> submission.Request:
        seen.append(store.sweeps.revision(sweep_id))
        if len(seen) == 2:  # the first cell's new job changes as often as the second cell's former one did
            claim = store.claim("worker")
            assert claim is not None
            store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
            for seq in range(former):
                job = store.job(claim.job_id)
                if job is not None and job.revision < former:
                    point = Point(seq=seq, step=seq, name="test/accuracy", values=np.ones(3))
                    store.append(claim.job_id, claim.attempt, [point], step=seq)
            changed = store.job(claim.job_id)
            assert changed is not None
            assert changed.revision == former
        return prepare(*what)

    monkeypatch.setattr(sweeps, "TOGETHER", 1)
    monkeypatch.setattr(submission, "prepare", prepared)
    store.sweeps.resume(sweep_id, ("failed",))
    seen.append(store.sweeps.revision(sweep_id))
    assert len(set(seen)) == 3


@pytest.mark.parametrize("action", ["get", "stop", "resume", "delete", "restore"])
def test_an_unknown_sweep_is_said_to_be_one(store: Store, action: str) -> None:
    with pytest.raises(UnknownSweep, match="There is no sweep '0000"):
        getattr(store.sweeps, action)("0" * 32)


def test_what_a_command_line_started_has_to_be_watched(store: Store, spec: ExperimentSpec) -> None:
    sweep_id = store.sweeps.submit(sweep(spec, 0.1, 0.2), "command line")
    store.sweeps.watch(sweep_id)
    assert set(store.watched()) == {cell.experiment for cell in store.sweeps.states(sweep_id)}


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (1, 4), (5, 3), (20, 20)])
def test_corners_come_first_and_every_cell_comes_once(shape: tuple[int, ...]) -> None:
    ranks = np.array(coarse_first(shape)).reshape(shape)
    assert sorted(ranks.ravel()) == list(range(ranks.size))
    corners = ranks[np.ix_(*([0, size - 1] for size in shape))]
    assert corners.max() < 2 ** len(shape)
