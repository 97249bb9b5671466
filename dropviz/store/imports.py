"""Experiments that were computed elsewhere: kept here like any other, but nobody's new experiment takes their results over."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from sqlalchemy import Connection, Table, insert, select

from dropviz.experiment import ExperimentSpec
from dropviz.store import limits, points
from dropviz.store.batches import batches
from dropviz.store.jobs import touch_queue
from dropviz.store.records import SnapshotRow
from dropviz.store.schema import arrays, experiment_jobs, experiment_results, experiments, results
from dropviz.store.schema import jobs as job_table
from dropviz.store.schema import points as point_table

PROVENANCE = "import/provenance"  # the array, of JSON text, that says what computed an imported experiment
TOGETHER = 5_000  # rows of a table that are in memory at once
RETURNING = {"insertmanyvalues_page_size": 16}  # each number of rows is a statement that a connection keeps


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """The points of a job, in the order in which they were made. As objects they would take many times the memory.

    Attributes:
        names: Of the metrics.
        metrics: Which of these each point is of (points,).
        steps: Of each point (points,).
        values: A number a seed (points, seeds), float64.
    """

    names: Sequence[str] = ()
    metrics: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    steps: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    def __len__(self) -> int:
        return len(self.steps)

    def rows(self, job_id: int) -> Iterator[dict[str, object]]:
        """As the table has them, made a few at a time."""
        size = self.values.shape[1] * np.dtype("<f8").itemsize
        for first in range(0, len(self), TOGETHER):
            part = slice(first, first + TOGETHER)
            content = self.values[part].astype("<f8").tobytes()
            pairs = zip(self.steps[part].tolist(), self.metrics[part].tolist(), strict=True)
            for place, (step, metric) in enumerate(pairs):
                values = content[place * size : (place + 1) * size]
                yield {
                    "job_id": job_id,
                    "seq": first + place,
                    "step": step,
                    "name": self.names[metric],
                    "values": values,
                }


@dataclass(frozen=True, kw_only=True)
class ImportedJob:
    """A job that has ended elsewhere, with its series in the order in which they were made."""

    arm: str
    seeds: tuple[int, ...]
    state: Literal["done", "failed", "stopped"]
    step: int
    device: str
    error: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)  # training, evaluation, statistics
    points: Columns = field(default_factory=Columns)
    arrays: Sequence[SnapshotRow] = ()


@dataclass(frozen=True, kw_only=True)
class ImportedExperiment:
    """An experiment computed elsewhere; ``provenance`` says by which versions."""

    spec: ExperimentSpec
    created_at: float
    provenance: dict[str, str]
    jobs: Sequence[ImportedJob]
    places: Sequence[tuple[str, int, int, int]]  # arm, seed, number of the job, position among its seeds


def keep(connection: Connection, imported: ImportedExperiment, owner: str, now: float) -> str:
    """Write it all and return the view id.

    Raises:
        QueueFull: Somebody brings files too fast.
    """
    limits.check_pace(connection, owner, now)
    view_id = secrets.token_hex(16)
    spec = imported.spec
    row: dict[str, object] = {"id": view_id, "spec": spec.canonical(), "title": spec.title(), "owner": owner}
    row |= {"created_at": now, "wants": "run", "origin": "import"}
    connection.execute(insert(experiments).values(row))
    job_ids = _keep_jobs(connection, imported, owner, now)
    numbered = list(zip(job_ids, imported.jobs, strict=True))
    _write_points(connection, (row for job_id, job in numbered for row in job.points.rows(job_id)))
    _write(
        connection, arrays, (points.array_row(job_id, one) for job_id, job in numbered for one in job.arrays)
    )
    _keep_provenance(connection, job_ids[0], imported)
    attached = ({"experiment_id": view_id, "job_id": job_id, "cached": False} for job_id in job_ids)
    _write(connection, experiment_jobs, attached)
    _keep_places(connection, view_id, imported, job_ids)
    touch_queue(connection)
    return view_id


def _keep_jobs(connection: Connection, imported: ImportedExperiment, owner: str, now: float) -> Sequence[int]:
    """A row a job; returns their numbers in order."""
    spec = imported.spec
    common: dict[str, object] = {"spec": spec.canonical(), "total": spec.train.steps, "owner": owner}
    common |= {"wants": "run", "queued_at": now, "finished_at": now, "revision": 1}
    rows = [
        common
        | {"arm": job.arm, "seeds": json.dumps(job.seeds), "state": job.state, "step": job.step}
        | {"device": job.device, "error": job.error, "seq": len(job.points) + len(job.arrays)}
        | {f"{name}_seconds": job.seconds.get(name, 0.0) for name in ("training", "evaluation", "statistics")}
        for job in imported.jobs
    ]
    query = insert(job_table).returning(job_table.c.id, sort_by_parameter_order=True)
    return connection.execute(query, rows, execution_options=RETURNING).scalars().all()


def _keep_places(
    connection: Connection, view_id: str, imported: ImportedExperiment, job_ids: Sequence[int]
) -> None:
    """A result of its own for each arm and seed: a column of its job."""
    rows = (
        {"key": f"import/{secrets.token_hex(16)}", "reusable": False, "seed": seed}
        | {"job_id": job_ids[number], "position": position}
        for _, seed, number, position in imported.places
    )
    _write(connection, results, rows)
    found: dict[tuple[int, int], int] = {}
    for some in batches(job_ids):
        query = select(results.c.id, results.c.job_id, results.c.position).where(results.c.job_id.in_(some))
        found |= {(row.job_id, row.position): row.id for row in connection.execute(query)}
    links = (
        {
            "experiment_id": view_id,
            "arm": arm,
            "seed": seed,
            "result_id": found[job_ids[number], position],
        }
        for arm, seed, number, position in imported.places
    )
    _write(connection, experiment_results, links)


def _keep_provenance(connection: Connection, job_id: int, imported: ImportedExperiment) -> None:
    text = json.dumps(imported.provenance | {"computed_at": str(imported.created_at)})
    number = len(imported.jobs[0].points) + len(imported.jobs[0].arrays)
    array = np.frombuffer(text.encode(), dtype=np.uint8)
    written = SnapshotRow(seq=number, step=0, name=PROVENANCE, array=array)
    connection.execute(insert(arrays).values(points.array_row(job_id, written)))


def _write_points(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Insert them by the driver alone where it takes values by place (SQLite's does): in half the time, and others wait meanwhile."""
    statement = insert(point_table).compile(dialect=connection.dialect)
    names = statement.positiontup
    if names is None:
        return _write(connection, point_table, rows)
    values = itemgetter(*names)
    for some in _groups(rows):
        connection.exec_driver_sql(str(statement), [values(row) for row in some])
    return None


def _write(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows as they come."""
    for some in _groups(rows):
        connection.execute(insert(table), some)


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """All of them, a few at a time."""
    coming = iter(rows)
    while some := list(islice(coming, TOGETHER)):
        yield some
