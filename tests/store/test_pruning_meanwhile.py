"""Pruning does not disturb what is under way, and what somebody keeps between the look and the deletion stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.store.pruning import DAY, Rules, carry_out, plan
from dropviz.sweeps import Axis, Sweep
from tests.store import ageing
from tests.store.ageing import ME, MONTH, OLD, back, count, pruned, there, work

Ran = Callable[..., str]
STEP = 40  # at which the runs' weights are kept


@pytest.fixture
def ran(store: Store, spec: ExperimentSpec) -> Ran:
    return partial(ageing.ran, store, spec)


@pytest.fixture
def swept(store: Store, spec: ExperimentSpec) -> str:
    """A sweep of two cells that ended long ago."""
    sweep_id = store.sweeps.submit(Sweep(base=spec, axes=(Axis(key="p", values=(0.1, 0.2)),)), ME)
    work(store)
    back(store, OLD)
    return sweep_id


def cells(store: Store, sweep_id: str) -> list[str]:
    return [state.experiment for state in store.sweeps.states(sweep_id)]


def of_class(store: Store, spec: ExperimentSpec) -> int:
    """The job of a run that stays whatever its age, though not with its weights."""
    classroom = store.classes.create(ClassDefinition.of(spec, "A class", open=["p"]), "teacher")
    view_id = store.classes.submit(classroom.id, ME, classroom.definition.start(spec))
    work(store)
    back(store, OLD)
    (job,) = store.experiment(view_id).jobs
    return job.id


def test_a_run_whose_weights_are_to_be_measured_stays_until_that_is_old_too(
    store: Store, ran: Ran, later: Callable[[float], None]
) -> None:
    view_id = ran()
    store.request_refresh(view_id, "none", STEP)
    for state in ("queued", "running"):
        assert pruned(store).experiments == ()
        (refresh,) = store.refresh_jobs([job.id for job in store.experiment(view_id).jobs])
        assert refresh.state == state
        claim = store.claim("worker")
    assert claim is None, "it runs"
    assert store.kept_steps(store.experiment(view_id).jobs[0].id) == [STEP]
    assert store.finish(refresh.id, 1, "done")
    assert pruned(store).experiments == ()
    later(31 * DAY)
    assert pruned(store).experiments == (view_id,)
    assert count(store, "jobs") == 0


def test_former_weights_that_are_to_be_measured_stay(store: Store, spec: ExperimentSpec) -> None:
    job = of_class(store, spec)
    (view_id,) = [run.id for run in store.experiments()]
    store.request_refresh(view_id, "none", STEP)
    assert pruned(store).weights == ()
    assert store.kept_steps(job) == [STEP]
    work(store)
    assert pruned(store).weights == (), "nor are they old as soon as that is done"


def test_weights_that_somebody_asks_for_after_the_look_stay(store: Store, spec: ExperimentSpec) -> None:
    job = of_class(store, spec)
    (view_id,) = [run.id for run in store.experiments()]
    planned = plan(store, MONTH)
    assert planned.weights == (job,)
    store.request_refresh(view_id, "none", STEP)
    carry_out(store, planned)
    assert store.kept_steps(job) == [STEP]


def test_weights_of_what_is_pinned_after_the_look_stay(store: Store, spec: ExperimentSpec) -> None:
    job = of_class(store, spec)
    (view_id,) = [run.id for run in store.experiments()]
    planned = plan(store, MONTH)
    store.runs.describe(view_id, ME, pinned=True)
    carry_out(store, planned)
    assert store.kept_steps(job) == [STEP]


def test_a_refresh_that_is_asked_for_after_the_look_keeps_the_run(store: Store, ran: Ran) -> None:
    view_id = ran()
    planned = plan(store, MONTH)
    assert planned.experiments == (view_id,)
    store.request_refresh(view_id, "none", STEP)
    carry_out(store, planned)
    assert there(store, view_id)
    work(store)
    (refresh,) = store.refresh_jobs([job.id for job in store.experiment(view_id).jobs])
    assert refresh.state == "done"


def test_a_spectrum_stays_with_the_run_that_is_pinned_after_the_look(store: Store, ran: Ran) -> None:
    view_id = ran()
    store.request_refresh(view_id, "none", STEP)
    work(store)
    back(store, OLD)
    planned = plan(store, MONTH)
    assert len(planned.jobs) == 3  # with the refresh, and the estimate
    store.runs.describe(view_id, ME, pinned=True)
    carry_out(store, planned)
    (refresh,) = store.refresh_jobs([job.id for job in store.experiment(view_id).jobs])
    assert len(store.points(refresh.id)) == 1


def test_a_sweep_stays_whose_cell_is_pinned_after_the_look(store: Store, swept: str) -> None:
    first, second = cells(store, swept)
    planned = plan(store, MONTH)
    assert planned.sweeps == (swept,)
    store.runs.describe(first, ME, pinned=True)
    carry_out(store, planned)
    assert cells(store, swept) == [first, second]
    assert there(store, second)


def test_a_sweep_stays_that_is_asked_for_anew_after_the_look(store: Store, swept: str) -> None:
    planned = plan(store, MONTH)
    store.sweeps.resume(swept, states=("done",))  # whose results are all there, so nothing runs
    carry_out(store, planned)
    anew = cells(store, swept)
    assert len(anew) == 2
    assert not {*anew} & {*planned.experiments}
    assert all(there(store, view_id) for view_id in anew)


def test_a_sweep_or_a_run_that_is_taken_back_after_the_look_stays(store: Store, swept: str, ran: Ran) -> None:
    view_id, gone = ran("p=0.5"), ran("p=0.6")
    for one in (view_id, gone):
        store.runs.delete(one, ME)
    store.sweeps.delete(swept)
    with store.database.write() as connection:
        for table in ("experiments", "sweeps"):
            connection.exec_driver_sql(f"UPDATE {table} SET deleted_at = deleted_at - {8 * DAY}")
    planned = plan(store, Rules())
    assert {*planned.experiments, *planned.sweeps} == {view_id, gone, swept, *cells(store, swept)}
    store.runs.restore(view_id, ME)
    store.sweeps.restore(swept)
    carry_out(store, planned)
    assert len(cells(store, swept)) == 2
    assert [there(store, one) for one in (view_id, gone, *cells(store, swept))] == [True, False, True, True]


def test_a_sweep_that_its_owner_deletes_after_the_look_can_be_taken_back_for_a_week(
    store: Store, spec: ExperimentSpec, swept: str, later: Callable[[float], None]
) -> None:
    empty = store.sweeps.submit(Sweep(base=spec, axes=(Axis(key="p", values=(0.3, 0.4)),)), ME)
    work(store)
    back(store, OLD)
    with store.database.write() as connection:  # as where the server ended before a cell was queued
        connection.exec_driver_sql(f"DELETE FROM sweep_cells WHERE sweep_id = '{empty}'")
    planned = plan(store, MONTH)
    assert set(planned.sweeps) == {swept, empty}
    for sweep_id in (swept, empty):
        store.sweeps.delete(sweep_id)
    carry_out(store, planned)
    for sweep_id in (swept, empty):
        store.sweeps.restore(sweep_id)
    assert len(cells(store, swept)) == 2
    for sweep_id in (swept, empty):
        store.sweeps.delete(sweep_id)
    later(8 * DAY)
    assert set(pruned(store, Rules()).sweeps) == {swept, empty}


def test_a_week_is_one_by_the_clock_of_the_store(
    store: Store, ran: Ran, later: Callable[[float], None]
) -> None:
    view_id = ran(ago=0.0)
    store.runs.delete(view_id, ME)
    later(8 * DAY)
    assert pruned(store, Rules()).experiments == (view_id,)
