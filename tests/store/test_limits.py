"""Nobody fills the queue: what one person, and everybody together, may have waiting, and how fast it may be asked for."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest

from dropviz.choices import SpecError
from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store, submission
from dropviz.store.limits import QueueFull, check_disk
from dropviz.sweeps import Axis, Sweep


def variants(spec: ExperimentSpec, count: int) -> list[ExperimentSpec]:
    return [spec.with_settings([f"first_seed={1000 * number}"]) for number in range(count)]


def sweep(spec: ExperimentSpec, values: int) -> Sweep:
    axis = Axis(key="p", values=tuple(0.1 + 0.01 * number for number in range(values)))
    return Sweep.from_table({"base": spec.to_table(), "axes": [axis]})


def test_one_person_has_only_so_many_jobs_waiting(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "2")
    first, second, third = variants(spec, 3)
    for one in (first, second):
        store.submit(one, owner="me")
    with pytest.raises(QueueFull, match=r"1 jobs beside the 2 of yours .* may have 2 waiting"):
        store.submit(third, owner="me")
    assert len(store.experiments("me")) == len(store.live_jobs()) == 2  # nothing was left behind
    store.submit(first, owner="me")  # adds none: it is joined
    store.submit(third, owner="another")
    store.submit(variants(spec, 4)[3], owner="command line")


def test_paused_jobs_wait_too(store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "1")
    view_id = store.submit(spec, owner="me")
    store.request(view_id, "pause")
    with pytest.raises(QueueFull):
        store.submit(variants(spec, 2)[1], owner="me")
    store.request(view_id, "stop")
    store.submit(variants(spec, 2)[1], owner="me")


def test_everybody_together_too(store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED_TOGETHER", "3")
    for number, one in enumerate(variants(spec, 3)):
        store.submit(one, owner=f"visitor {number}")
    with pytest.raises(QueueFull, match="3 jobs wait on this server, which takes 3"):
        store.submit(variants(spec, 4)[3], owner="one more")


def test_a_sweep_is_refused_whole_or_taken_whole(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "30")
    with pytest.raises(QueueFull, match="31 jobs"):
        store.sweeps.submit(sweep(spec, 31), owner="me")
    assert store.sweeps.of("me") == []
    assert not store.live_jobs()
    taken = store.sweeps.submit(
        sweep(spec, 30), owner="me"
    )  # in two transactions, each of which adds to the first
    assert len(store.sweeps.states(taken)) == 30
    store.sweeps.stop(taken)
    store.submit(spec, owner="me")
    with pytest.raises(QueueFull):
        store.sweeps.resume(taken)


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ['arms=["none", "dropout"]', "seeds=130"],  # in blocks
        ['arms=["none", "dropout"]', "train.patience=2"],  # seed by seed
    ],
)
def test_a_sweep_counts_as_many_jobs_as_it_queues(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch, changes: list[str]
) -> None:
    asked = sweep(spec.with_settings(changes), 4)
    unlimited = store.sweeps.submit(asked, owner="command line")
    count = len(store.live_jobs())
    store.sweeps.stop(unlimited)
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", str(count - 1))
    with pytest.raises(QueueFull, match=rf"at least {count} jobs, .* may have {count - 1} waiting"):
        store.sweeps.submit(asked, owner="me")
    assert not store.live_jobs()
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", str(count))
    store.sweeps.submit(asked, owner="me")
    assert len(store.live_jobs()) == count


def test_what_is_there_or_under_way_already_does_not_count(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = sweep(spec, 5)
    for cell in asked.cells()[:2]:
        store.submit(cell, owner="somebody else")
    claim = store.claim("worker")
    assert claim is not None
    store.finish(claim.job_id, claim.attempt, "done")
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "3")
    store.sweeps.submit(asked, owner="me")
    assert len(store.live_jobs()) == 1 + 3


def test_what_cells_have_in_common_counts_once(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = Axis(key="surrogate.samples", values=(1, 2, 3))  # which the arm none does not read
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "1")
    store.sweeps.submit(Sweep.from_table({"base": spec.to_table(), "axes": [samples]}), owner="me")
    assert len(store.live_jobs()) == 1


def test_a_huge_sweep_is_refused_before_all_of_it_is_counted(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[ExperimentSpec] = []
    prepare = submission.prepare

    def prepared(asked: ExperimentSpec, *others: Any) -> submission.Request:
        counted.append(asked)
        return prepare(asked, *others)

    monkeypatch.setattr(submission, "prepare", prepared)
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "5")
    with pytest.raises(QueueFull, match="at least 6 jobs"):
        store.sweeps.submit(sweep(spec, 40), owner="me")
    assert len(counted) == 6


def meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen in another tab, after a sweep was let in and before its first cell is queued."""
    fill = store.sweeps._fill

    def late(*what: Any) -> None:
        happens()
        fill(*what)

    monkeypatch.setattr(store.sweeps, "_fill", late)


def test_two_tabs_do_not_pass_together(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "30")
    with monkeypatch.context() as tabs:
        meanwhile(store, tabs, lambda: store.submit(spec, owner="me"))
        with pytest.raises(QueueFull, match="1 jobs beside the 30 of yours"):
            store.sweeps.submit(sweep(spec, 30), owner="me")
    assert store.sweeps.of("me") == []
    assert len(store.live_jobs()) == 1
    taken = store.sweeps.submit(sweep(spec, 29), owner="me")
    store.sweeps.stop(taken)
    with monkeypatch.context() as tabs:
        meanwhile(store, tabs, lambda: store.submit(variants(spec, 2)[1], owner="me"))
        with pytest.raises(QueueFull, match="1 jobs beside the 30 of yours"):
            store.sweeps.resume(taken)
    assert {cell.state for cell in store.sweeps.states(taken)} == {"stopped"}
    assert len(store.live_jobs()) == 2


def test_nobody_starts_faster_than_a_person_can(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_STARTS", "3")
    store.submit(spec, owner="me")
    store.sweeps.submit(sweep(spec, 5), owner="me")  # one, however many cells
    store.classes.create(ClassDefinition.of(spec, title="Ours", seeds=1), "me")
    for start in (
        lambda: store.submit(spec, owner="me"),
        lambda: store.sweeps.submit(sweep(spec, 6), owner="me"),
        lambda: store.classes.create(ClassDefinition.of(spec, title="Ours", seeds=1), "me"),
    ):
        with pytest.raises(QueueFull, match="3 things were started from this browser within a minute"):
            start()
    store.submit(spec, owner="somebody else")


def test_a_sweep_is_resumed_no_faster_than_a_person_can(
    store: Store, spec: ExperimentSpec, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_STARTS", "3")
    taken = store.sweeps.submit(sweep(spec, 26), owner="me")  # in two transactions
    for _ in range(2):
        store.sweeps.stop(taken)
        store.sweeps.resume(taken)
    store.sweeps.stop(taken)
    with pytest.raises(QueueFull, match="3 things were started from this browser within a minute"):
        store.sweeps.resume(taken)
    assert not store.live_jobs()
    later(60)
    store.sweeps.resume(taken)
    assert len(store.live_jobs()) == 26


def test_measurements_count_like_other_jobs(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_STARTS", "2")
    sizes = [spec.with_settings([f"model.widths=[{width}]"]) for width in (8, 9, 10)]
    for one in sizes[:2]:
        store.request_estimate(one, "me")
    with pytest.raises(QueueFull, match="3 measurements within a minute"):
        store.request_estimate(sizes[2], "me")
    store.request_estimate(sizes[0], "me")  # under way already
    monkeypatch.setenv("DROPVIZ_MAX_STARTS", "60")
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "2")
    with pytest.raises(QueueFull, match="beside the 2 of yours"):
        store.request_estimate(sizes[2], "me")


def test_a_limit_that_is_no_number_is_named(
    store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_QUEUED", "many")
    with pytest.raises(SpecError, match="DROPVIZ_MAX_QUEUED = 'many'"):
        store.submit(spec, owner="me")


def test_nobody_brings_a_file_to_a_full_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    check_disk(store.weights.folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9, 10**6))
    with pytest.raises(QueueFull, match="1 MB left"):
        check_disk(store.weights.folder.parent)
