"""What a run may hold that is opened: all that its spec can have recorded, and not the millions that a small zip can."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from dropviz import export
from dropviz.choices import SpecError, bounds_of
from dropviz.experiment import ExperimentSpec, evaluation_steps, preset
from dropviz.export import amounts, archive, record
from dropviz.models import registry
from dropviz.store import Store, imports
from tests.export.played import finished
from tests.export.test_archive import repacked, setting, zip_of, zipped

EVERYTHING = ["train.steps=2", "observe.evaluations=2", "observe.statistics=2", "observe.refreshes=2"]
TEXT = ["data.symbols=10", "data.train_tokens=1000", "data.held_out_tokens=100", "language.segment=3"]
TINY = ["model=transformer", "model.width=2", "model.heads=1", "model.feedforward=2", *TEXT]
DEEPEST = 16  # layers of a transformer


def recorded(start: str, *settings: str) -> Counter[str]:
    """How often a job records each metric that there is, of dropout everywhere; it may have as many by ``check_job``."""
    from dropviz.training import Block, Record

    spec = preset(start).with_settings([*settings, *EVERYTHING, "observe.probe=4", "train.batch_size=2"])
    places = "', '".join(dict.fromkeys(spec.model.places()))
    spec = spec.with_settings([f"model.dropout_at=['{places}']", "arms=dropout"])
    block, records = Block(spec, "dropout", [0]), []
    while not block.finished:
        records += block.advance()
    times = Counter(one.name for one in records if isinstance(one, Record))
    arrays = [one.name for one in records if not isinstance(one, Record)]
    moments = amounts.moments(spec)
    assert max(times.values()) == len(evaluation_steps(spec)) < moments
    amounts.check_job("a", metrics=list(times), points=times.total(), arrays=arrays, moments=moments)
    return times


def test_the_deepest_networks_record_no_more_metrics_than_may_be_opened() -> None:
    two, three = (len(recorded("markov-lstm", *TINY, f"model.layers={layers}")) for layers in (2, 3))
    assert two < three
    deepest = two + (DEEPEST - 2) * (three - two)
    assert bounds_of(registry.members["transformer"].model_fields["layers"])[1] == DEEPEST
    assert 200 < deepest <= amounts.MOST_METRICS / 2


def zeros(count: int) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """So many points in the first job, all of its first metric at step 0."""

    def change(run: dict[str, Any], tensors: dict[str, Any]) -> None:
        seeds = len(run["jobs"][0]["seeds"])
        tensors["0/values"] = np.zeros((count, seeds))
        tensors["0/steps"] = tensors["0/metrics"] = np.zeros(count, np.int64)

    return change


def test_a_small_zip_of_many_zeros_is_refused_before_anything_is_made_of_them(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    content = zipped(store, finished(store, spec), tmp_path)
    bomb = repacked(content, zeros(1_000_000))
    run, numbers = archive.unpacked(bomb)
    assert len(bomb) < len(run) + len(numbers) / 100
    tracemalloc.start()
    try:
        with pytest.raises(SpecError) as refused:
            record.read(run, numbers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(numbers)  # objects would take twenty times as much
    times = amounts.moments(spec)
    said = f"dropout-8 has 1,000,000 points in the file, and 3 of a name at the {times} moments of its spec are {3 * times} at most"
    assert str(refused.value) == f"{said}: export the run again."


def test_as_many_points_as_there_can_be_are_taken_and_one_more_is_not(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    content = zipped(store, finished(store, spec), tmp_path)
    most = 3 * amounts.moments(spec)
    assert most > 3 * len(evaluation_steps(spec)) == 3 * 41
    assert len(archive.opened(repacked(content, zeros(most))).jobs[0].points) == most
    with pytest.raises(SpecError, match="export the run again"):
        archive.opened(repacked(content, zeros(most + 1)))


def test_a_run_of_very_many_jobs_is_bounded_as_a_whole(
    store: Store, spec: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zipped(store, finished(store, spec), tmp_path)
    monkeypatch.setattr(amounts, "MOST_ROWS", 21)
    assert len(archive.opened(content).jobs) == 3
    monkeypatch.setattr(amounts, "MOST_ROWS", 20)
    with pytest.raises(
        SpecError, match=r"^This run has 21 points and arrays, and one that is opened here may have 20: "
    ):
        archive.opened(content)


def arrays(*entries: tuple[str, int]) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """These arrays in the first job."""

    def change(run: dict[str, Any], tensors: dict[str, Any]) -> None:
        run["jobs"][0]["arrays"] = [{"name": name, "step": step} for name, step in entries]
        tensors.update({f"0/array/{i}": np.zeros(1) for i in range(len(entries))})

    return change


def another_job(run: dict[str, Any], tensors: dict[str, Any]) -> None:
    run["jobs"].append(run["jobs"][0])
    for part in ("values", "steps", "metrics"):
        tensors[f"{len(run['jobs']) - 1}/{part}"] = tensors[f"0/{part}"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (arrays(*[("surface", 0)] * 200), "dropout-8 has 200 arrays in the file, and 1 of a name at the"),
        (
            arrays(*[(f"a{i}", 0) for i in range(201)]),
            "has arrays of 201 names in run.json, and a job has 200",
        ),
        (
            setting("jobs", 0, "metrics", ["a", "b", "a", "c"]),
            "names the metric 'a' of dropout-8 more than once",
        ),
        (setting("jobs", 0, "metrics", [f"m{i}" for i in range(2001)]), "give at most 2000"),
        (setting("jobs", 0, "metrics", ["x" * 201, "b", "c"]), "is no name of a metric"),
        (another_job, "has a job of dropout-8 in which no seed of its spec has a place"),
    ],
)
def test_more_than_a_job_has_is_refused_with_a_sentence(
    store: Store, spec: ExperimentSpec, tmp_path: Path, change: Any, sentence: str
) -> None:
    content = zipped(store, finished(store, spec), tmp_path)
    with pytest.raises(SpecError) as refused:
        archive.opened(repacked(content, change))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_long_list_of_empty_arrays_is_refused_before_it_is_read(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    run, numbers = archive.unpacked(zipped(store, finished(store, spec), tmp_path))
    many = save({f"{number}": np.zeros(0, np.uint8) for number in range(1000)})
    with pytest.raises(
        SpecError, match=r"^run\.safetensors has a list of .* and the 9 arrays that run\.json"
    ):
        archive.opened(zip_of({"run.json": run, "run.safetensors": many}))
    assert json.loads(run)["format"] == record.FORMAT
    archive.opened(zip_of({"run.json": run, "run.safetensors": numbers}))


def test_rows_are_written_a_few_at_a_time_and_are_all_there(
    store: Store, spec: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = finished(store, spec)
    content = zipped(store, experiment, tmp_path)
    kept = {}
    for together in (1, 2, 7, 5000):
        monkeypatch.setattr(imports, "TOGETHER", together)
        there = store.experiment(store.keep_import(archive.opened(content)))
        assert [(r.arm, r.seed, r.position) for r in there.results] == [
            (r.arm, r.seed, r.position) for r in experiment.results
        ]
        kept[together] = dict(export.files.table_files(store, there))["points.csv"]
    assert set(kept.values()) == {dict(export.files.table_files(store, experiment))["points.csv"]}


def test_keeping_many_points_takes_little_memory(
    store: Store, spec: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = spec.with_settings(["arms=none", "seeds=1", "train.steps=1000", "observe.evaluations=1000"])
    content = zipped(store, finished(store, wide), tmp_path)
    store.keep_import(archive.opened(content))  # what is made once for all imports
    count = 30_000

    def change(run: dict[str, Any], tensors: dict[str, Any]) -> None:
        zeros(count)(run, tensors)
        run["jobs"][0]["metrics"] = [f"layers/layer{number}/gradient_norm" for number in range(30)]

    imported = archive.opened(repacked(content, change))
    monkeypatch.setattr(imports, "TOGETHER", 1000)
    tracemalloc.start()
    try:
        view_id = store.keep_import(imported)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (job,) = store.experiment(view_id).jobs
    assert len(store.points(job.id)) == count
    assert peak < 100 * count  # bytes; all rows at once would take more than four hundred each
