"""Pruning deletes what is old and nothing that anybody keeps, with all that belongs to it, and is the same for whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from dropviz import settings
from dropviz.classes import ClassDefinition
from dropviz.commands.upkeep.prune import prune
from dropviz.engine.daily import DailyPrune
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store, schema
from dropviz.store.pruning import DAY, Rules, carry_out, plan
from dropviz.sweeps import Axis, Sweep
from tests.store import ageing
from tests.store.ageing import ME, MONTH, OLD, back, count, pruned, there, work

Ran = Callable[..., str]


@pytest.fixture
def ran(store: Store, spec: ExperimentSpec) -> Ran:
    return partial(ageing.ran, store, spec)


def test_what_is_old_goes_with_all_that_belongs_to_it(store: Store, ran: Ran) -> None:
    old, new = ran(), ran("p=0.2", ago=0.0)
    (job,) = store.experiment(old).jobs
    planned = pruned(store)
    assert (planned.experiments, planned.sweeps) == ((old,), ())
    assert job.id in planned.jobs
    assert len(planned.jobs) == 2  # and its estimate
    assert (there(store, old), there(store, new)) == (False, True)
    for table in ("points", "results", "experiment_jobs"):
        assert count(store, table, f"job_id = {job.id}") == 0
    assert count(store, "points") == 2  # of the new one and its estimate
    assert set(store.weights.jobs()) == {one.id for one in store.experiment(new).jobs}


@pytest.mark.parametrize("said", [{"pinned": True}, {"shared": True}], ids=["pinned", "shared"])
def test_what_somebody_keeps_stays(store: Store, ran: Ran, said: dict) -> None:
    kept = ran(**said)
    jobs = {job.id for job in store.experiment(kept).jobs}
    pruned(store)
    assert there(store, kept)
    assert set(store.weights.jobs()) == jobs


def test_what_belongs_to_a_class_stays_without_its_former_weights(store: Store, spec: ExperimentSpec) -> None:
    classroom = store.classes.create(ClassDefinition.of(spec, "A class", open=["p"]), "teacher")
    store.classes.join(classroom.id, ME)
    view_id = store.classes.submit(classroom.id, ME, classroom.definition.start(spec))
    work(store)
    back(store, OLD)
    planned = pruned(store)
    assert there(store, view_id)
    assert planned.weights == tuple(job.id for job in store.experiment(view_id).jobs)
    assert set(store.weights.jobs()) == set()


def test_what_is_under_way_stays_and_so_does_what_it_shares(
    store: Store, spec: ExperimentSpec, ran: Ran
) -> None:
    done = ran()
    both = spec.with_settings(['arms=["none", "dropout"]'])
    live = store.submit(both, owner=ME)  # joins the results of the one, and waits for the other
    back(store, OLD)
    pruned(store)
    assert (there(store, done), there(store, live)) == (False, True)
    cached = [job for job in store.experiment(live).jobs if job.state == "done"]
    assert len(store.points(cached[0].id)) == 1


def test_what_was_thrown_away_goes_after_a_week_however_new_it_is(store: Store, ran: Ran) -> None:
    first, second = ran("p=0.2", ago=0.0), ran("p=0.3", ago=0.0, pinned=True)
    for view_id in (first, second):
        store.runs.delete(view_id, ME)
    assert not plan(store, MONTH), "it can be taken back"
    with store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE experiments SET deleted_at = deleted_at - {8 * DAY}")
    assert set(pruned(store, Rules()).experiments) == {first, second}


def test_a_sweep_goes_as_a_whole_or_stays(store: Store, spec: ExperimentSpec) -> None:
    sweeps = []
    for values in ((0.1, 0.2), (0.3, 0.4)):
        base = spec.with_settings(['arms=["none","dropout"]'])
        sweep_id = store.sweeps.submit(Sweep(base=base, axes=(Axis(key="p", values=values),)), ME)
        work(store)
        back(store, OLD)
        sweeps.append(sweep_id)
    first, second = ([state.experiment for state in store.sweeps.states(one)] for one in sweeps)
    store.runs.describe(first[0], ME, pinned=True)
    planned = pruned(store)
    assert planned.sweeps == (sweeps[1],)
    assert set(planned.experiments) == set(second)
    assert all(there(store, view_id) for view_id in first)


def test_by_size_the_oldest_go_until_the_rest_is_small_enough(store: Store, ran: Ran) -> None:
    views = [ran(f"p=0.{place + 1}", ago=OLD - place * DAY) for place in range(4)]
    before = plan(store, Rules())
    one = plan(store, Rules(bytes=before.total - 1))
    assert one.experiments == (views[0],)
    assert 8000 < one.bytes < 20000  # its weights alone are 8,000 bytes
    assert plan(store, Rules(bytes=before.total - one.bytes - 1)).experiments == tuple(views[:2])
    assert plan(store, Rules(bytes=0)).experiments == tuple(views)
    assert not plan(store, Rules(bytes=before.total))


def test_results_that_nobody_has_and_old_estimates_go(store: Store, spec: ExperimentSpec, ran: Ran) -> None:
    ran(ago=0.0)
    store.request_estimate(spec.with_settings(["p=0.7"]))
    work(store)
    with store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM experiment_results")
        connection.exec_driver_sql("DELETE FROM experiment_jobs")
        connection.exec_driver_sql("UPDATE jobs SET finished_at = 1 WHERE id = (SELECT max(id) FROM jobs)")
    planned = pruned(store)
    assert len(planned.jobs) == 2
    assert count(store, "jobs") == count(store, "jobs", "kind = 'estimate'") == 1


def test_what_measured_weights_goes_with_the_run_that_had_them(store: Store, ran: Ran) -> None:
    view_id = ran()
    (job,) = store.experiment(view_id).jobs
    with store.database.write() as connection:
        names = [column.name for column in schema.jobs.columns if column.name != "id"]
        same = ", ".join({"kind": "'refresh'", "weights_of": str(job.id)}.get(name, name) for name in names)
        connection.exec_driver_sql(
            f"INSERT INTO jobs ({', '.join(names)}) SELECT {same} FROM jobs WHERE id = {job.id}"
        )
    assert len(store.refresh_jobs([job.id])) == 1
    pruned(store)
    assert count(store, "jobs") == 0


def test_what_is_pinned_or_joined_after_the_look_stays(store: Store, spec: ExperimentSpec, ran: Ran) -> None:
    pinned, joined = ran("p=0.2"), ran()
    planned = plan(store, MONTH)
    store.runs.describe(pinned, ME, pinned=True)
    again = store.submit(spec, owner="other")
    carry_out(store, planned)
    assert (there(store, pinned), there(store, joined), there(store, again)) == (True, False, True)
    assert store.experiment(again).state == "done"
    assert len(store.points(store.experiment(again).jobs[0].id)) == 1


def test_the_command_says_what_it_would_delete_and_deletes_when_told(
    store: Store, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    view_ids = [ran(f"p=0.{place}", f"seeds={place}") for place in range(1, 9)]
    assert prune(MONTH, dry_run=True, yes=False) == 0
    assert "To be deleted: 8 experiments, 16 jobs" in capsys.readouterr().out
    assert prune(MONTH, dry_run=False, yes=False) == 0
    assert "Nothing was deleted. Add --yes" in capsys.readouterr().out
    assert all(there(store, view_id) for view_id in view_ids)
    assert prune(MONTH, dry_run=False, yes=True) == 0
    assert "Deleted. " in capsys.readouterr().out
    assert not any(there(store, view_id) for view_id in view_ids)
    prune(MONTH, dry_run=False, yes=True)
    assert "Nothing is to be deleted" in capsys.readouterr().out


def test_the_engine_does_it_once_a_day_where_the_settings_say_so(
    store: Store, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    view_id = ran()
    DailyPrune(store).run()
    assert there(store, view_id), "off by default"
    monkeypatch.setenv("DROPVIZ_KEEP_DAYS", "30")
    daily = DailyPrune(store)
    daily.turn()
    assert there(store, view_id), "not as soon as an engine starts"
    daily._due_at = 0.0
    daily.turn()
    deadline = time.monotonic() + 30
    while there(store, view_id):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("text", "days"), [("30", 30), ("30d", 30), ("12h", 0.5), ("2w", 14), ("1.5d", 1.5)])
def test_ages_are_days(text: str, days: float) -> None:
    assert settings.days_of("x", text) == days


@pytest.mark.parametrize(
    ("text", "size"), [("5G", 5 * 10**9), ("1.5 M".replace(" ", ""), 1_500_000), ("12", 12), ("3kb", 3000)]
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert settings.bytes_of("x", text) == size


@pytest.mark.parametrize("text", ["", "0", "-3", "soon", "30m", "1e3", "inf"])
def test_other_ages_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give days above 0"):
        settings.days_of("--older-than", text)


@pytest.mark.parametrize("text", ["", "-3", "5X", "much", "1e9"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give a size such as 500M"):
        settings.bytes_of("--keep-bytes", text)


def test_weights_of_a_run_that_nobody_deletes_are_never_of_another(store: Store, ran: Ran) -> None:
    kept = ran(shared=True)
    before = {path.name: path.read_bytes() for path in store.weights.folder.rglob("*.safetensors")}
    ran("p=0.2")
    pruned(store)
    assert there(store, kept)
    after = {path.name: path.read_bytes() for path in store.weights.folder.rglob("*.safetensors")}
    assert after == before
