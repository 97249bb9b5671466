"""Turning a spec into an experiment: results that exist or are being computed are joined, the rest become jobs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence, Set
from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select

from dropviz import settings
from dropviz.budget import seed_blocks, seeds_together
from dropviz.experiment import ExperimentSpec, result_keys
from dropviz.store import jobs, limits
from dropviz.store.batches import batches
from dropviz.store.records import Origin
from dropviz.store.schema import experiment_jobs, experiment_results, experiments, results
from dropviz.store.schema import jobs as job_table

# Each number of rows is a statement of its own, and a connection keeps a hundred of them (see ``batches``).
A_STATEMENT = {"insertmanyvalues_page_size": 16}


@dataclass(frozen=True, kw_only=True)
class Request:
    """A spec with the key of each of its results, worked out before the write lock is taken."""

    spec: ExperimentSpec
    owner: str
    origin: Origin
    class_id: str | None
    keys: dict[str, dict[int, str]]
    fresh: bool

    def all_keys(self) -> list[str]:
        """Of all arms."""
        return [key for keys in self.keys.values() for key in keys.values()]


def prepare(
    spec: ExperimentSpec,
    owner: str,
    origin: Origin = "lab",
    class_id: str | None = None,
    *,
    fresh: bool = False,
) -> Request:
    """Work out the results that a spec needs, with its data pinned; a fresh one's keys meet nobody else's."""
    spec = pinned(spec)
    device = settings.device_class()
    salt = f"/{secrets.token_hex(8)}" if fresh else ""
    keys = {
        arm: {seed: key + salt for seed, key in result_keys(spec, arm, spec.seed_list(), device).items()}
        for arm in spec.arms
    }
    return Request(spec=spec, owner=owner, origin=origin, class_id=class_id, keys=keys, fresh=fresh)


def pinned(spec: ExperimentSpec) -> ExperimentSpec:
    """The same experiment with its data under a name that always means the same bytes."""
    return spec.model_copy(update={"data": spec.data.pinned()})


def submit(connection: Connection, request: Request, now: float) -> str:
    """Record the experiment, join what can be joined, queue the rest; returns the view id.

    Raises:
        QueueFull: It is more than may wait here, or comes too fast.
    """
    blocks = new_blocks(connection, request)
    if request.origin != "sweep":  # which counts as one, however many cells it has
        limits.check_pace(connection, request.owner, now)
    limits.check_queue(connection, request.owner, sum(map(len, blocks.values())))
    view_id = secrets.token_hex(16)
    row: dict[str, object] = {"id": view_id, "spec": request.spec.canonical(), "title": request.spec.title()}
    row |= {"owner": request.owner, "created_at": now, "wants": "run"}
    row |= {"origin": request.origin, "class_id": request.class_id}
    connection.execute(insert(experiments).values(row))
    for arm, missing in blocks.items():
        _compute(connection, request, arm, missing, now)
    found = _reusable(connection, request.all_keys())
    links = [
        {"experiment_id": view_id, "arm": arm, "seed": seed, "result_id": found[key].id}
        for arm, keys in request.keys.items()
        for seed, key in keys.items()
    ]
    connection.execute(insert(experiment_results), links)
    attached = {found[key].job_id: found[key].state == "done" for key in request.all_keys()}
    rows = [{"experiment_id": view_id, "job_id": job, "cached": cached} for job, cached in attached.items()]
    connection.execute(insert(experiment_jobs), rows)
    jobs.settle_wants(connection, list(attached), now)
    jobs.touch_queue(connection)
    return view_id


def new_blocks(
    connection: Connection, request: Request, taken: Set[str] = frozenset()
) -> dict[str, list[list[int]]]:
    """Arm → the seeds that nobody computed or computes, in blocks that train together; each becomes a job.

    Args:
        connection: Of a transaction.
        request: What is asked for.
        taken: Keys of results that are to be queued before.
    """
    blocks, there = {}, _reusable(connection, request.all_keys())
    for arm, keys in request.keys.items():
        missing = [seed for seed, key in keys.items() if key not in there and key not in taken]
        blocks[arm] = seed_blocks(missing, seeds_together(request.spec, arm))
    return blocks


def _compute(
    connection: Connection, request: Request, arm: str, blocks: Sequence[Sequence[int]], now: float
) -> None:
    """Queue a job a block."""
    if not blocks:
        return
    keys = request.keys[arm]
    row: dict[str, object] = {"spec": request.spec.canonical(), "arm": arm, "owner": request.owner}
    row |= {"state": "queued", "wants": "run"}
    row |= {"total": request.spec.train.steps, "queued_at": jobs.ticket(connection, now)}
    query = insert(job_table).returning(job_table.c.id, sort_by_parameter_order=True)
    queued = [row | {"seeds": json.dumps(seeds)} for seeds in blocks]
    job_ids = connection.execute(query, queued, execution_options=A_STATEMENT).scalars().all()
    rows = [
        {"key": keys[seed], "seed": seed, "job_id": job_id, "position": position}
        for job_id, seeds in zip(job_ids, blocks, strict=True)
        for position, seed in enumerate(seeds)
    ]
    connection.execute(insert(results), rows)


def _reusable(connection: Connection, keys: Sequence[str]) -> dict[str, Row]:
    query = (
        select(results.c.key, results.c.id, results.c.job_id, job_table.c.state)
        .join(job_table, job_table.c.id == results.c.job_id)
        .where(results.c.reusable)
    )
    found: dict[str, Row] = {}
    for some in batches(keys):
        found |= {row.key: row for row in connection.execute(query.where(results.c.key.in_(some)))}
    return found
