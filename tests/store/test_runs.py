"""Runs in lists: who sees which runs in lists, what owners say of theirs, and that nothing thrown away is lost."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sqlalchemy import insert

from dropviz.experiment import ExperimentSpec
from dropviz.store import NotYours, Point, Store, UnknownExperiment, curves, runs
from dropviz.store.runs import LONGEST, MOST_TAGS
from dropviz.store.schema import sweep_cells, sweeps

ME, OTHER = "a" * 32, "b" * 32


def ids(store: Store, visitor: str = ME, *, deleted: bool = False) -> list[str]:
    return [line.id for line in store.runs.listing(visitor, deleted=deleted)]


def ended(store: Store, spec: ExperimentSpec, owner: str = ME) -> str:
    view_id = store.submit(spec, owner=owner)
    store.request(view_id, "stop")
    return view_id


def test_one_sees_ones_own_runs_and_shared_ones_the_newest_first(store: Store, spec: ExperimentSpec) -> None:
    assert ids(store) == []
    mine, theirs, later = (store.submit(spec, owner=owner) for owner in (ME, OTHER, ME))
    assert ids(store) == [later, mine]
    store.runs.describe(theirs, OTHER, shared=True)
    assert ids(store) == [later, theirs, mine]
    store.runs.describe(theirs, OTHER, shared=False)
    assert ids(store) == [later, mine]


def test_ones_own_runs_are_listed_however_many_others_share(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = (ME, OTHER, "c" * 32, ME, OTHER, "c" * 32, OTHER)
    started = [(store.submit(spec, owner=owner), owner) for owner in owners]
    for view_id, owner in started:
        store.runs.describe(view_id, owner, shared=True)
    monkeypatch.setattr(runs, "MOST_LISTED", 2)
    for visitor in {*owners, "d" * 32}:
        own = [view_id for view_id, owner in started if owner == visitor][-2:]
        others = [view_id for view_id, owner in started if owner != visitor][-2:]
        expected = [view_id for view_id, _ in reversed(started) if view_id in {*own, *others}]
        assert ids(store, visitor) == expected
        assert {line.state for line in store.runs.listing(visitor)} == {"queued"}


def test_one_person_shares_only_so_many_runs(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_SHARED", 2)
    first, second, third = (ended(store, spec) for _ in range(3))
    for view_id in (first, second, second):
        store.runs.describe(view_id, ME, shared=True)
    with pytest.raises(ValueError, match="You share 2 runs, and one person may share 2: stop sharing one"):
        store.runs.describe(third, ME, shared=True, name="not said either")
    assert (ids(store, OTHER), store.runs.lines([third])[third].name) == ([second, first], "")
    store.runs.describe(ended(store, spec, OTHER), OTHER, shared=True)
    store.runs.describe(first, ME, shared=False)
    store.runs.describe(third, ME, shared=True)
    store.runs.delete(third, ME)
    store.runs.describe(first, ME, shared=True)
    store.runs.restore(third, ME)  # for oneself alone
    assert third not in ids(store, OTHER)
    assert third in ids(store, ME)
    store.runs.delete(first, ME)
    store.runs.restore(first, ME)
    assert first in ids(store, OTHER)


def test_a_line_says_what_there_is_and_in_which_state(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec, owner=ME, origin="command")
    (line,) = store.runs.listing(ME)
    assert (line.table, line.origin, line.owner) == (spec.to_table(), "command", ME)
    assert (line.name, line.note, line.tags, line.pinned, line.shared) == ("", "", (), False, False)
    states = []
    for action in ("pause", "run", "stop"):
        store.request(view_id, action)  # type: ignore[arg-type]
        states.append(store.runs.listing(ME)[0].state)
    assert states == ["paused", "queued", "stopped"]


def test_the_state_is_that_of_the_experiment_in_every_mix_of_jobs(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec.with_settings(['arms=["none", "dropout", "l2"]']), owner=ME)
    for outcome in ("done", "failed", "done"):
        claim = store.claim("worker")
        assert claim is not None
        store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
        assert store.runs.listing(ME)[0].state == store.experiment(view_id).state == "running"
        store.finish(claim.job_id, claim.attempt, outcome)  # type: ignore[arg-type]
        assert store.runs.listing(ME)[0].state == store.experiment(view_id).state
    assert store.runs.listing(ME)[0].state == "failed"


def test_cells_of_sweeps_are_not_listed(store: Store, spec: ExperimentSpec) -> None:
    cell, run = store.submit(spec, owner=ME, origin="sweep"), store.submit(spec, owner=ME)
    with store.database.write() as connection:
        row = {"id": "s", "definition": "{}", "title": "", "owner": ME, "created_at": time.time()}
        connection.execute(insert(sweeps).values(row))
        values = {"sweep_id": "s", "position": 0, "experiment_id": cell}
        connection.execute(insert(sweep_cells).values(values))
    assert ids(store) == [run]


def test_owners_name_tag_note_and_pin(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec, owner=ME)
    store.runs.describe(view_id, ME, name="  My\nrun ", note=" two\nlines ", pinned=True)
    store.runs.describe(view_id, ME, tags=["talk", " talk ", "", "slow  one"])
    line = store.runs.lines([view_id])[view_id]
    assert (line.name, line.note, line.pinned) == ("My run", "two\nlines", True)
    assert line.tags == ("talk", "slow one")
    store.runs.describe(view_id, ME, name="")
    assert store.runs.lines([view_id])[view_id].name == ""


def test_a_text_stays_text(store: Store, spec: ExperimentSpec) -> None:
    view_id, odd = store.submit(spec, owner=ME), "<b>'; DROP TABLE experiments; -- **x** \u202e\x00"
    store.runs.describe(view_id, ME, name=odd, tags=[odd])
    line = store.runs.lines([view_id])[view_id]
    assert line.name == "<b>'; DROP TABLE experiments; -- **x**"
    assert line.tags == (line.name,)


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"name": "n" * (LONGEST["name"] + 1)}, "has 121 characters: write at most 120."),
        ({"note": "n" * (LONGEST["note"] + 1)}, "has 4,001 characters: write at most 4,000."),
        ({"tags": ["t" * (LONGEST["tag"] + 1)]}, "has 41 characters: write at most 40."),
        ({"tags": [str(tag) for tag in range(MOST_TAGS + 1)]}, "13 tags are too many: keep 12 at most."),
    ],
)
def test_too_much_is_refused_in_a_sentence(
    store: Store, spec: ExperimentSpec, said: dict[str, object], rule: str
) -> None:
    view_id = store.submit(spec, owner=ME)
    with pytest.raises(ValueError, match=rule):
        store.runs.describe(view_id, ME, **said)  # type: ignore[arg-type]
    assert store.runs.listing(ME)[0].name == ""


def test_only_the_owner_changes_deletes_and_restores(store: Store, spec: ExperimentSpec) -> None:
    view_id = ended(store, spec)
    for change in (
        lambda: store.runs.describe(view_id, OTHER, name="mine now"),
        lambda: store.runs.delete(view_id, OTHER),
        lambda: store.runs.restore(view_id, OTHER),
    ):
        with pytest.raises(NotYours, match="Only the browser that started this run"):
            change()
    assert store.runs.listing(ME)[0].name == ""


def test_a_deleted_run_is_in_no_list_and_comes_back_whole(store: Store, spec: ExperimentSpec) -> None:
    view_id = ended(store, spec)
    store.runs.describe(view_id, ME, name="kept", shared=True)
    before = store.experiment(view_id), store.runs.listing(ME)
    store.runs.delete(view_id, ME)
    assert (ids(store), ids(store, OTHER)) == ([], [])
    assert (ids(store, deleted=True), ids(store, OTHER, deleted=True)) == ([view_id], [])
    assert store.runs.lines([view_id])[view_id].deleted
    store.runs.restore(view_id, ME)
    assert (store.experiment(view_id), store.runs.listing(ME)) == before


def test_a_run_under_way_is_not_deleted(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec, owner=ME)
    with pytest.raises(ValueError, match="still under way: stop it in the Lab first"):
        store.runs.delete(view_id, ME)
    assert ids(store) == [view_id]


def test_an_unknown_run_is_unknown(store: Store) -> None:
    with pytest.raises(UnknownExperiment):
        store.runs.describe("0" * 32, ME, name="x")
    assert store.runs.lines(["0" * 32]) == {}


def test_a_series_is_every_point_of_its_name(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec, owner=ME)
    claim = store.claim("worker")
    assert claim is not None
    store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
    for seq in range(12):
        name = ("validation/loss", "validation/accuracy")[seq % 2]
        point = Point(seq=seq, step=10 * (seq // 2), name=name, values=np.array([0.5, 1.5, np.nan]) + seq)
        store.append(claim.job_id, claim.attempt, [point], step=seq)
        (job,) = store.experiment(view_id).jobs
        slow = [one for one in store.points(job.id) if one.name == "validation/loss"]
        steps, values = store.curves.series(job, "validation/loss")
        assert steps.tolist() == [one.step for one in slow]
        np.testing.assert_array_equal(values, [one.values for one in slow])
    assert store.curves.names(job) == ("validation/accuracy", "validation/loss")
    steps, values = store.curves.series(job, "test/loss")
    assert (len(steps), len(values)) == (0, 0)


def test_the_series_of_a_job_that_has_ended_is_read_once(store: Store, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec, owner=ME)
    claim = store.claim("worker")
    assert claim is not None
    store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
    store.append(claim.job_id, claim.attempt, [Point(seq=0, step=0, name="m", values=np.ones(3))])
    store.finish(claim.job_id, claim.attempt, "done")
    (job,) = store.experiment(view_id).jobs
    first = store.curves.series(job, "m")
    assert store.curves.series(job, "m") is first


def test_the_names_of_only_so_many_jobs_are_remembered(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "MOST_JOBS", 2)
    jobs = [store.experiment(ended(store, spec.with_settings([f"p={p}"]))).jobs[0] for p in (0.1, 0.2, 0.3)]
    for job in (*jobs[:2], jobs[0], jobs[2]):
        assert store.curves.names(job) == ()
    assert [job_id for job_id, _ in store.curves._names] == [jobs[0].id, jobs[2].id]
