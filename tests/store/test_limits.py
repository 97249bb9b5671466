"""Nobody fills the queue: what one person, and everybody together, may have waiting, and how fast it may be asked for."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from dropviz.choices import SpecError
from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
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
