"""Experiments that were computed elsewhere: kept here like any other, but nobody's new experiment takes their results over."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from sqlalchemy import Connection, insert

from dropviz.experiment import ExperimentSpec
from dropviz.store import limits, points
from dropviz.store.jobs import touch_queue
from dropviz.store.records import Point, SnapshotRow
from dropviz.store.schema import arrays, experiment_jobs, experiment_results, experiments, results
from dropviz.store.schema import jobs as job_table
from dropviz.store.schema import points as point_table

PROVENANCE = "import/provenance"  # the array, of JSON text, that says what computed an imported experiment


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
    points: Sequence[Point] = ()
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
    jobs = [_keep_job(connection, spec, job, owner, now) for job in imported.jobs]
    _keep_provenance(connection, jobs[0], imported)
    attached = [{"experiment_id": view_id, "job_id": job, "cached": False} for job in jobs]
    connection.execute(insert(experiment_jobs), attached)
    for arm, seed, number, position in imported.places:
        result = {"key": f"import/{secrets.token_hex(16)}", "reusable": False, "seed": seed}
        result |= {"job_id": jobs[number], "position": position}
        result_id = connection.execute(insert(results).values(result).returning(results.c.id)).scalar_one()
        link = {"experiment_id": view_id, "arm": arm, "seed": seed, "result_id": result_id}
        connection.execute(insert(experiment_results).values(link))
    touch_queue(connection)
    return view_id


def _keep_job(connection: Connection, spec: ExperimentSpec, job: ImportedJob, owner: str, now: float) -> int:
    row: dict[str, object] = {"spec": spec.canonical(), "arm": job.arm, "seeds": json.dumps(job.seeds)}
    row |= {"owner": owner, "state": job.state, "wants": "run", "step": job.step, "total": spec.train.steps}
    row |= {"queued_at": now, "finished_at": now, "device": job.device, "error": job.error, "revision": 1}
    row |= {"seq": len(job.points) + len(job.arrays)}
    row |= {f"{name}_seconds": seconds for name, seconds in job.seconds.items()}
    job_id = connection.execute(insert(job_table).values(row).returning(job_table.c.id)).scalar_one()
    if job.points:
        connection.execute(insert(point_table), [points.point_row(job_id, point) for point in job.points])
    if job.arrays:
        connection.execute(insert(arrays), [points.array_row(job_id, array) for array in job.arrays])
    return job_id


def _keep_provenance(connection: Connection, job_id: int, imported: ImportedExperiment) -> None:
    text = json.dumps(imported.provenance | {"computed_at": str(imported.created_at)})
    number = len(imported.jobs[0].points) + len(imported.jobs[0].arrays)
    array = np.frombuffer(text.encode(), dtype=np.uint8)
    written = SnapshotRow(seq=number, step=0, name=PROVENANCE, array=array)
    connection.execute(insert(arrays).values(points.array_row(job_id, written)))
