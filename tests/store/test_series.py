"""Points: one writer a job, nothing twice, nothing of a superseded attempt, and cursors that notice a rewind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from dropviz import settings
from dropviz.experiment import ExperimentSpec
from dropviz.store import Claim, Point, SnapshotRow, Store
from dropviz.store.records import LostPoints


def point(seq: int, value: float = 0.0) -> Point:
    return Point(seq=seq, step=10 * seq, name="train/loss", values=np.array([value, value + 1, np.nan]))


@pytest.fixture
def claim(store: Store, spec: ExperimentSpec) -> Claim:
    store.submit(spec)
    claimed = store.claim("worker")
    assert claimed is not None
    return claimed


def begin(store: Store, claim: Claim, seq: int = -1) -> str:
    return store.begin(claim.job_id, claim.attempt, seq=seq, step=10 * seq, pid=1, device="cpu")


def test_points_come_back_bit_for_bit(store: Store, claim: Claim) -> None:
    values = np.array([0.1, 1e-320, np.inf])
    store.append(
        claim.job_id, claim.attempt, [Point(seq=0, step=7, name="train/loss", values=values)], step=7
    )
    (read,) = store.points(claim.job_id)
    assert (read.seq, read.step, read.name) == (0, 7, "train/loss")
    assert read.values.tobytes() == values.tobytes()


def test_the_points_of_a_series_share_its_name_and_not_a_copy_each(store: Store, claim: Claim) -> None:
    store.append(claim.job_id, claim.attempt, [point(0), point(1)])
    first, second = store.points(claim.job_id)
    (again, _) = store.points(claim.job_id)
    assert first.name is second.name is again.name


def test_appending_twice_changes_nothing(store: Store, claim: Claim) -> None:
    store.append(claim.job_id, claim.attempt, [point(0), point(1)])
    store.append(claim.job_id, claim.attempt, [point(1, 5.0), point(2)])
    assert [(p.seq, p.values[0]) for p in store.points(claim.job_id)] == [(0, 0.0), (1, 0.0), (2, 0.0)]
    assert [p.seq for p in store.points(claim.job_id, after=1)] == [2]


def test_a_series_gets_no_hole(store: Store, claim: Claim) -> None:
    store.append(claim.job_id, claim.attempt, [point(0)])
    with pytest.raises(LostPoints, match="all after number 0"):
        store.append(claim.job_id, claim.attempt, [point(2)])
    assert [p.seq for p in store.points(claim.job_id)] == [0]


def test_a_superseded_attempt_writes_nothing(store: Store, claim: Claim) -> None:
    store.append(claim.job_id, claim.attempt, [point(0)])
    assert store.finish(claim.job_id, claim.attempt, "crashed", error="It died")
    for _ in range(2):  # before and after its successor starts
        assert store.append(claim.job_id, claim.attempt, [point(1)]) == "superseded"
        assert begin(store, claim) == "superseded"
        assert not store.finish(claim.job_id, claim.attempt, "done")
        successor = store.claim("worker")
    assert successor is None
    assert [p.seq for p in store.points(claim.job_id)] == [0]


def test_resuming_removes_the_points_past_the_checkpoint_and_bumps_the_epoch(
    store: Store, claim: Claim
) -> None:
    picture = SnapshotRow(seq=3, step=30, name="surface", array=np.ones((2, 2), np.uint8))
    store.append(claim.job_id, claim.attempt, [point(0), point(1), point(2), picture])
    store.finish(claim.job_id, claim.attempt, "crashed", error="It died")
    again = store.claim("worker")
    assert again is not None
    assert begin(store, again, seq=1) == "run"
    assert [p.seq for p in store.points(claim.job_id)] == [0, 1]
    assert store.snapshot(claim.job_id, "surface") is None
    job = store.job(claim.job_id)
    assert job is not None
    assert (job.epoch, job.attempt) == (1, 2)
    store.append(again.job_id, again.attempt, [point(2, 9.0)])
    assert store.points(claim.job_id)[-1].values[0] == 9.0


def test_resuming_where_nothing_was_lost_keeps_the_epoch(store: Store, claim: Claim) -> None:
    store.append(claim.job_id, claim.attempt, [point(0)])
    store.finish(claim.job_id, claim.attempt, "released")
    again = store.claim("worker")
    assert again is not None
    begin(store, again, seq=0)
    job = store.job(claim.job_id)
    assert job is not None
    assert job.epoch == 0


def test_the_newest_array_of_a_name_is_read(store: Store, claim: Claim) -> None:
    arrays = [np.full((2, 3), fill, np.uint8) for fill in (1, 2)]
    rows = [SnapshotRow(seq=i, step=i, name="surface", array=array) for i, array in enumerate(arrays)]
    store.append(claim.job_id, claim.attempt, rows)
    newest = store.snapshot(claim.job_id, "surface")
    assert newest is not None
    assert newest.array.dtype == np.uint8
    np.testing.assert_array_equal(newest.array, arrays[1])
    assert store.snapshot(claim.job_id, "spectrum") is None


def test_an_array_is_found_by_its_step_and_names_come_without_numbers(store: Store, claim: Claim) -> None:
    rows = [
        SnapshotRow(seq=i, step=step, name=name, array=np.full((1, 2), i, np.float32))
        for i, (step, name) in enumerate([(0, "surface"), (0, "slice/loss"), (9, "surface")])
    ]
    store.append(claim.job_id, claim.attempt, rows)
    found = store.snapshot_at(claim.job_id, "surface", 0)
    assert found is not None
    assert (found.seq, found.step, found.array.tolist()) == (0, 0, [[0.0, 0.0]])
    assert store.snapshot_at(claim.job_id, "surface", 5) is None
    assert [(one.step, one.name) for one in store.snapshot_names(claim.job_id)] == [
        (row.step, row.name) for row in rows
    ]
    assert [one.seq for one in store.snapshot_names(claim.job_id, after=1)] == [2]


def test_a_third_death_is_a_failure_with_its_reason(store: Store, claim: Claim) -> None:
    for attempt in (1, 2, 3):
        assert store.finish(claim.job_id, attempt, "crashed", error="It died")
        store.claim("worker")
    job = store.job(claim.job_id)
    assert job is not None
    assert job.state == "failed"
    assert job.error is not None
    assert job.error.startswith("It died, 3 times")


def test_a_silent_child_is_shown_as_stalled(
    store: Store, claim: Claim, later: Callable[[float], None]
) -> None:
    view_id = store.experiments()[0].id
    begin(store, claim)
    later(11)
    assert store.experiment(view_id).state == "stalled"


def test_a_checkpoint_ahead_of_the_points_is_refused(store: Store, claim: Claim) -> None:
    store.append(claim.job_id, claim.attempt, [point(0), point(1)])
    with pytest.raises(ValueError, match="seq = 900 is past the last point of job"):
        begin(store, claim, seq=900)
    assert store.last_seq(claim.job_id) == 1


def test_progress_between_two_deaths_starts_the_count_anew(store: Store, claim: Claim) -> None:
    for attempt in range(1, 8):
        begin(store, claim, seq=attempt - 2)
        store.append(claim.job_id, attempt, [point(attempt - 1)])
        assert store.finish(claim.job_id, attempt, "crashed", error="It died")
        claimed = store.claim("worker")
        assert claimed is not None
        claim = claimed


def test_a_job_that_dies_while_it_is_being_stopped_is_stopped(store: Store, claim: Claim) -> None:
    for attempt in (1, 2):
        store.finish(claim.job_id, attempt, "crashed", error="It died")
        store.claim("worker")
    store.request(store.experiments()[0].id, "stop")
    assert store.finish(claim.job_id, 3, "crashed", error="It was killed")
    job = store.job(claim.job_id)
    assert job is not None
    assert job.state == "stopped"


def test_the_revision_grows_with_every_visible_change(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    view_id = store.submit(spec)
    seen = [store.revision(view_id)]

    def changed() -> bool:
        seen.append(store.revision(view_id))
        return seen[-1] > seen[-2]

    claim = store.claim("worker")
    assert changed()
    assert claim is not None
    begin(store, claim)
    assert changed()
    assert not changed()
    store.append(claim.job_id, claim.attempt, [point(0)])
    assert changed()
    now = store.now()
    with monkeypatch.context() as later:
        later.setattr(store.database, "now", lambda: now + 11)
        assert changed()  # it fell silent
    store.append(claim.job_id, claim.attempt, [point(1)])
    assert changed()
    store.submit(spec.with_settings(["first_seed=50"]))
    assert not changed()  # somebody else's
    store.finish(claim.job_id, claim.attempt, "done")
    assert changed()
    assert store.experiment(view_id).revision == seen[-1]


WRITER = """
import sys
import numpy as np
from dropviz.store import Point, Store
url, job, attempt, count = sys.argv[1], *map(int, sys.argv[2:])
store = Store.open(url)
for seq in range(count):
    values = np.array([job, job + 1, np.nan])
    store.append(job, attempt, [Point(seq=seq, step=10 * seq, name="train/loss", values=values)])
"""


def test_writers_in_several_processes_lose_nothing(store: Store, spec: ExperimentSpec) -> None:
    claims = []
    for seed in (0, 10, 20):
        store.submit(spec.with_settings([f"first_seed={seed}"]))
        claims.append(store.claim("worker"))
    url, count = settings.store_url(), 60
    commands = [
        [sys.executable, "-c", WRITER, url, *map(str, (c.job_id, c.attempt, count))] for c in claims if c
    ]
    writers = [subprocess.Popen(command) for command in commands]
    for _ in range(20):  # readers and submitters meanwhile
        store.submit(spec.with_settings(["first_seed=500"]))
        store.experiments()
    for writer in writers:
        assert writer.wait(60) == 0
    for claim in claims:
        assert claim is not None
        points = store.points(claim.job_id)
        assert [p.seq for p in points] == list(range(count))
        assert all(p.values[0] == claim.job_id for p in points)
