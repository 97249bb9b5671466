"""An experiment as files: summary.json, points.parquet and spec.json."""

from __future__ import annotations

import json
import math
import platform
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from dropviz import __version__, analysis
from dropviz.experiment import ExperimentSpec, code_version
from dropviz.store import Experiment, Point, Result, Store

FILES = ("summary.json", "points.parquet", "spec.json")
PACKAGES = ("torch", "numpy", "scikit-learn", "pydantic", "SQLAlchemy")


@dataclass(frozen=True, kw_only=True)
class Series:
    """One metric of one arm at one seed."""

    arm: str
    seed: int
    metric: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


def check_writable(folder: Path) -> None:
    """Create the folder, and refuse it before anything runs if nothing can be written there.

    Raises:
        ValueError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for name in FILES:
            if (folder / name).is_dir():
                raise IsADirectoryError(f"{name} in it is a folder")
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f"--out {str(folder)!r} cannot be written ({reason}): name another folder."
        ) from None


def series_of(store: Store, experiment: Experiment) -> list[Series]:
    """Every series of an experiment, by arm in the spec's order, seed, and first appearance."""
    points: dict[int, list[Point]] = {job.id: store.points(job.id) for job in experiment.jobs}
    order = {arm: place for place, arm in enumerate(experiment.spec.arms)}
    found = []
    for result in sorted(experiment.results, key=lambda result: (order[result.arm], result.seed)):
        found += _series_of_result(result, points[result.job_id])
    return found


def _series_of_result(result: Result, points: Iterable[Point]) -> list[Series]:
    collected: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        collected.setdefault(point.name, []).append((point.step, float(point.values[result.position])))
    return [
        Series(
            arm=result.arm,
            seed=result.seed,
            metric=metric,
            steps=tuple(step for step, _ in pairs),
            values=tuple(value for _, value in pairs),
        )
        for metric, pairs in collected.items()
    ]


def last_values(series: Iterable[Series]) -> dict[str, dict[str, dict[int, float]]]:
    """Arm → metric → seed → value of the last point."""
    last: dict[str, dict[str, dict[int, float]]] = {}
    for one in series:
        last.setdefault(one.arm, {}).setdefault(one.metric, {})[one.seed] = one.values[-1]
    return last


def finished_values(
    experiment: Experiment, series: Iterable[Series]
) -> dict[str, dict[str, dict[int, float]]]:
    """Arm → metric → seed → last value, of the seeds whose job is done."""
    done = {job.id for job in experiment.jobs if job.state == "done"}
    finished = {(result.arm, result.seed) for result in experiment.results if result.job_id in done}
    return last_values(one for one in series if (one.arm, one.seed) in finished)


def decomposition(
    spec: ExperimentSpec, finished: dict[str, dict[str, dict[int, float]]]
) -> analysis.Decomposition:
    """The gain of dropout on the test split, by the task's score, taken apart."""
    metric = f"test/{spec.data.task.score}"
    values = {arm: metrics[metric] for arm, metrics in finished.items() if metric in metrics}
    return analysis.decompose(values, metric)


def summary(experiment: Experiment, finished: dict[str, dict[str, dict[int, float]]]) -> dict[str, Any]:
    """What summary.json holds; failed arms are named with their reason."""
    table: dict[str, Any] = {
        "arms": {
            arm: {metric: describe(values) for metric, values in metrics.items()}
            for arm, metrics in finished.items()
        },
        "decomposition": decomposition(experiment.spec, finished).to_table(),
        "spec": experiment.spec.to_table(),
        "versions": versions(),
        "device": ", ".join(sorted({job.device for job in experiment.jobs if job.device})),
    }
    failed: dict[str, str] = {}
    for job in experiment.jobs:
        if job.state == "failed":
            failed[job.arm] = " ".join(filter(None, (failed.get(job.arm), job.error)))
    return table | ({"failed": failed} if failed else {})


def describe(values: dict[int, float]) -> dict[str, Any]:
    """Mean, standard error of the mean and count over seeds, with the values in the order of the seeds."""
    ordered = np.array([values[seed] for seed in sorted(values)])
    n = len(ordered)
    se = float(ordered.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    return {"mean": float(ordered.mean()), "se": se, "n": n, "values": ordered.tolist()}


def versions() -> dict[str, str]:
    """What computed the result: this program, its code, Python and the packages that matter."""
    found = {"dropviz": __version__, "code": code_version(), "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in PACKAGES}


def write(store: Store, experiment: Experiment, folder: Path) -> analysis.Decomposition:
    """Write the three files; returns the decomposition that the summary holds."""
    series = series_of(store, experiment)
    finished = finished_values(experiment, series)
    write_json(folder / "summary.json", summary(experiment, finished))
    write_json(folder / "spec.json", experiment.spec.to_table())
    _write_points(folder / "points.parquet", series)
    return decomposition(experiment.spec, finished)


def _write_points(path: Path, series: Iterable[Series]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [
        (one.arm, one.seed, s, one.metric, v)
        for one in series
        for s, v in zip(one.steps, one.values, strict=True)
    ]
    types = {
        "arm": pa.string(),
        "seed": pa.int64(),
        "step": pa.int64(),
        "metric": pa.string(),
        "value": pa.float64(),
    }
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    arrays = [pa.array(column, type=kind) for column, kind in zip(columns, types.values(), strict=True)]
    with whole(path) as temporary:
        parquet.write_table(pa.table(dict(zip(types, arrays, strict=True))), temporary)


def write_json(path: Path, table: dict[str, Any]) -> None:
    """Write a table, with null for what is not finite; a former file stays until all is written."""
    text = json.dumps(_finite(table), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place to write to that becomes ``path`` when all is written: what was there before stays until then."""
    temporary = path.with_suffix(f"{path.suffix}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: null says that there is no such number."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
