"""A run as it can be opened elsewhere: ``run.json`` says what there is, ``run.safetensors`` holds the numbers, bit by bit.

Jobs are kept whole, with the blocks of seeds that trained together; what was measured on request is among their series.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load, save

from dropviz.choices import Choices, SpecError, shown
from dropviz.experiment import ExperimentSpec
from dropviz.export.amounts import MOST_METRICS, check_job, check_list, check_run, moments
from dropviz.export.series import points_of
from dropviz.export.summary import versions
from dropviz.store import Experiment, Job, SnapshotRow, Store
from dropviz.store.imports import PROVENANCE, Columns, ImportedExperiment, ImportedJob
from dropviz.store.records import FINAL

FORMAT = 1
MOST_ARRAYS = 50_000
NAME = re.compile(
    r"[\w ./:+@()*=%,~^-]{1,200}"
)  # of a metric, an array, a package, a device: nothing that marks text up
SPENT_ON = ("training", "evaluation", "statistics")
DTYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")


class ArrayEntry(Choices):
    """One array: its number is that of its tensor."""

    name: str = Field(min_length=1, max_length=120)
    step: int = Field(ge=0, le=10**6)


class JobEntry(Choices):
    """One job: an arm at a block of seeds."""

    arm: str = Field(min_length=1, max_length=120)
    seeds: tuple[int, ...] = Field(min_length=1, max_length=1024)
    state: Literal["done", "failed", "stopped"]
    step: int = Field(ge=0, le=10**6)
    device: str = Field(max_length=40)
    error: str | None = Field(None, max_length=20_000)
    seconds: dict[str, float] = Field(max_length=len(SPENT_ON))
    metrics: tuple[str, ...] = Field(max_length=MOST_METRICS)
    arrays: tuple[ArrayEntry, ...] = Field(max_length=MOST_ARRAYS)


class RunFile(Choices):
    """What ``run.json`` holds. ``places`` are arm, seed, number of the job, and position among its seeds."""

    format: Literal[1]
    spec: dict[str, Any]
    created_at: float = Field(ge=0, le=1e11)
    versions: dict[str, str] = Field(max_length=40)
    jobs: tuple[JobEntry, ...] = Field(min_length=1, max_length=16 * 1024)
    places: tuple[tuple[str, int, int, int], ...] = Field(min_length=1, max_length=16 * 1024)

    @model_validator(mode="after")
    def _named(self) -> Self:
        texts = [*self.versions, *self.versions.values(), *(m for job in self.jobs for m in job.metrics)]
        texts += [
            text for job in self.jobs for text in (job.device, *(one.name for one in job.arrays)) if text
        ]
        if odd := next((text for text in texts if NAME.fullmatch(text) is None), None):
            raise SpecError(
                f"{shown(odd)} is no name of a metric, a package or a device: export the run again."
            )
        return self


def written(store: Store, experiment: Experiment) -> tuple[bytes, bytes]:
    """The content of the two files."""
    points, entries = points_of(store, experiment), []
    tensors: dict[str, np.ndarray] = {}
    for number, job in enumerate(experiment.jobs):
        series, arrays = points[job.id], _arrays(store, job.id)
        metrics = list(dict.fromkeys(point.name for point in series))
        place = {metric: index for index, metric in enumerate(metrics)}
        values = np.array([point.values for point in series], np.float64)
        tensors[f"{number}/values"] = values.reshape(len(series), len(job.seeds))
        tensors[f"{number}/steps"] = np.array([point.step for point in series], np.int64)
        tensors[f"{number}/metrics"] = np.array([place[point.name] for point in series], np.int64)
        tensors |= {f"{number}/array/{i}": np.ascontiguousarray(a.array) for i, a in enumerate(arrays)}
        entries.append(_entry(job, metrics, arrays))
    numbers = {job.id: number for number, job in enumerate(experiment.jobs)}
    known = store.provenance(experiment)
    created_at = float(known.pop("computed_at", experiment.created_at))
    file = RunFile(
        format=FORMAT,
        spec=experiment.spec.to_table(),
        created_at=created_at,
        versions=known or versions(),
        jobs=tuple(entries),
        places=tuple((r.arm, r.seed, numbers[r.job_id], r.position) for r in experiment.results),
    )
    return json.dumps(file.to_table(), ensure_ascii=False).encode(), save(tensors)


def _entry(job: Job, metrics: Sequence[str], arrays: Sequence[SnapshotRow]) -> JobEntry:
    spent = (job.training_seconds, job.evaluation_seconds, job.statistics_seconds)
    return JobEntry(
        arm=job.arm,
        seeds=job.seeds,
        state=job.state if job.state in FINAL else "stopped",
        step=job.step,
        device=job.device or "",
        error=job.error,
        seconds=dict(zip(SPENT_ON, spent, strict=True)),
        metrics=tuple(metrics),
        arrays=tuple(ArrayEntry(name=found.name, step=found.step) for found in arrays),
    )


def _arrays(store: Store, job_id: int) -> list[SnapshotRow]:
    """The arrays of a job, and those that were measured of its weights on request."""
    refreshes = [job.id for job in store.refresh_jobs([job_id]) if job.state == "done"]
    found: dict[tuple[str, int], SnapshotRow] = {}
    for source in (job_id, *refreshes):
        for one in store.snapshot_names(source):
            if one.name != PROVENANCE and (one.name, one.step) not in found:
                array = store.snapshot_at(source, one.name, one.step)
                assert array is not None
                found[one.name, one.step] = array
    return list(found.values())


def read(run: bytes, numbers: bytes) -> ImportedExperiment:
    """The run that the two files hold, every part of it checked.

    Raises:
        SpecError: One sentence about what is wrong with them.
    """
    file = _run_file(run)
    spec = ExperimentSpec.from_table(file.spec)
    if "file" in type(spec.data).model_fields and (
        reason := spec.data.missing()
    ):  # without it nobody knows what its task is
        raise SpecError(f"This run is about a file of its owner's, which must be here first. {reason}")
    check_list(numbers, sum(3 + len(job.arrays) for job in file.jobs))
    tensors = _tensors(numbers)
    _check_places(file, spec)
    _check_amounts(file, spec, tensors)
    return ImportedExperiment(
        spec=spec,
        created_at=file.created_at,
        provenance=file.versions,
        jobs=[_job(number, job, tensors, spec) for number, job in enumerate(file.jobs)],
        places=file.places,
    )


def _run_file(content: bytes) -> RunFile:
    try:
        table = json.loads(content)
        json.dumps(table, ensure_ascii=False).encode()  # half a surrogate pair can be written, and is no text
    except (ValueError, RecursionError) as error:
        raise SpecError(f"run.json is not valid JSON ({str(error)[:200]}): export the run again.") from None
    if not isinstance(table, dict):
        raise SpecError("run.json holds no table: export the run again.")
    if table.get("format") != FORMAT:
        raise SpecError(
            f"run.json is of format {shown(table.get('format'))}, and this DropViz reads {FORMAT}: update DropViz, or export"
            " the run again."
        )
    try:
        return RunFile.from_table(table)
    except SpecError as error:
        raise SpecError(f"run.json: {error}") from None


def _tensors(content: bytes) -> dict[str, np.ndarray]:
    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise SpecError(f"run.safetensors cannot be read ({error}): export the run again.") from None


def _check_places(file: RunFile, spec: ExperimentSpec) -> None:
    """Each arm at each seed is exactly one column of a job of that arm."""
    wanted = sorted((arm, seed) for arm in spec.arms for seed in spec.seed_list())
    if sorted((arm, seed) for arm, seed, _, _ in file.places) != wanted:
        raise SpecError(
            "run.json does not place each arm at each seed of its spec once: export the run again."
        )
    for arm, seed, number, position in file.places:
        job = file.jobs[number] if 0 <= number < len(file.jobs) else None
        there = job and job.arm == arm and 0 <= position < len(job.seeds) and job.seeds[position] == seed
        if not there:
            raise SpecError(
                f"run.json places {arm[:40]} at seed {seed} where it is not: export the run again."
            )
    placed = {number for _, _, number, _ in file.places}
    if unused := next((job for number, job in enumerate(file.jobs) if number not in placed), None):
        raise SpecError(
            f"run.json has a job of {unused.arm[:40]} in which no seed of its spec has a place: export the run again."
        )


def _check_amounts(file: RunFile, spec: ExperimentSpec, tensors: dict[str, np.ndarray]) -> None:
    """No job holds more than it can have recorded, and all together not more than can be kept."""
    rows, times = [], moments(spec)
    for number, job in enumerate(file.jobs):
        points = len(_tensor(tensors, f"{number}/values", "float64", (None, len(job.seeds))))
        names = [array.name for array in job.arrays]
        check_job(job.arm, metrics=job.metrics, points=points, arrays=names, moments=times)
        rows.append(points + len(names))
    check_run(rows)


def _job(number: int, job: JobEntry, tensors: dict[str, np.ndarray], spec: ExperimentSpec) -> ImportedJob:
    values = _tensor(tensors, f"{number}/values", "float64", (None, len(job.seeds)))
    steps = _tensor(tensors, f"{number}/steps", "int64", (len(values),))
    metrics = _tensor(tensors, f"{number}/metrics", "int64", (len(values),))
    last = spec.train.steps
    ends = [int(steps.min()), int(steps.max())] if len(steps) else []
    outside = [step for step in (*ends, job.step, *(a.step for a in job.arrays)) if not 0 <= step <= last]
    if outside:
        raise SpecError(
            f"Step {outside[0]} of {job.arm[:40]} is not among the run's {last:,}: export the run again."
        )
    if len(metrics) and not (metrics.min() >= 0 and metrics.max() < len(job.metrics)):
        raise SpecError(f"A number of {job.arm[:40]} belongs to no metric: export the run again.")
    points = Columns(names=job.metrics, metrics=metrics, steps=steps, values=values)
    arrays = [
        SnapshotRow(
            seq=len(points) + i, step=a.step, name=a.name, array=_tensor(tensors, f"{number}/array/{i}")
        )
        for i, a in enumerate(job.arrays)
    ]
    return ImportedJob(
        arm=job.arm,
        seeds=job.seeds,
        state=job.state,
        step=job.step,
        device=job.device,
        error=job.error,
        seconds={name: job.seconds.get(name, 0.0) for name in SPENT_ON},
        points=points,
        arrays=arrays,
    )


def _tensor(
    tensors: dict[str, np.ndarray], name: str, dtype: str = "", shape: tuple[int | None, ...] | None = None
) -> np.ndarray:
    """A tensor, of this kind and shape where they are given; None stands for any length."""
    found = tensors.get(name)
    if found is None:
        raise SpecError(f"run.safetensors lacks {name}, which run.json names: export the run again.")
    fits = shape is None or (
        found.ndim == len(shape) and all(w in (None, n) for w, n in zip(shape, found.shape, strict=True))
    )
    if not fits or found.dtype.name not in ((dtype,) if dtype else DTYPES):
        raise SpecError(f"{name} of run.safetensors is not what run.json says of it: export the run again.")
    return found
