"""The series of a job: points and arrays under one running number, appended by one writer, read from a cursor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from sys import intern

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update

from dropviz.store.leases import orders
from dropviz.store.records import LostPoints, Orders, Point, SnapshotName, SnapshotRow
from dropviz.store.schema import arrays, jobs, points


def append(
    connection: Connection,
    job_id: int,
    attempt: int,
    records: Sequence[Point | SnapshotRow],
    now: float,
    *,
    step: int | None = None,
    steps_per_second: float | None = None,
    seconds: Mapping[str, float],
) -> Orders:
    """Write records that are not there yet, with the heartbeat; returns what the child is to do next.

    A superseded attempt writes nothing. It need not be alone: it holds its job's row, which whoever ends the attempt has to
    change, so it comes before that as a whole, or after it and writes nothing.

    Raises:
        LostPoints: Points before these are missing.
    """
    wants = orders(connection, job_id, attempt, hold=True)
    if wants == "superseded":
        return wants
    last = last_seq(connection, job_id)
    new = [record for record in records if record.seq > last]
    if new and new[0].seq != last + 1:
        raise LostPoints(f"The store has lost points of job {job_id}, all after number {last}")
    scalars = [point_row(job_id, record) for record in new if isinstance(record, Point)]
    if scalars:
        connection.execute(insert(points), scalars)
    pictures = [array_row(job_id, record) for record in new if isinstance(record, SnapshotRow)]
    if pictures:
        connection.execute(insert(arrays), pictures)
    values: dict[str, object] = {"heartbeat_at": now, "revision": jobs.c.revision + 1}
    values |= {"seq": max(record.seq for record in new)} if new else {}
    values |= {"step": step} if step is not None else {}
    values |= {"steps_per_second": steps_per_second} if steps_per_second is not None else {}
    values |= {f"{name}_seconds": jobs.c[f"{name}_seconds"] + spent for name, spent in seconds.items()}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
    return wants


def last_seq(connection: Connection, job_id: int) -> int:
    """The number of a job's last point; −1 where there is none."""
    return connection.execute(select(jobs.c.seq).where(jobs.c.id == job_id)).scalar_one()


def begin(
    connection: Connection,
    job_id: int,
    attempt: int,
    now: float,
    *,
    seq: int,
    step: int,
    pid: int,
    device: str,
) -> Orders:
    """Start an attempt at a checkpoint: points past it go, and if there were any the epoch grows.

    Readers whose cursor is of the former epoch start over. A checkpoint later than the one that the attempt before
    began at is progress: the count of retries starts anew.
    """
    wants = orders(connection, job_id, attempt)
    if wants == "superseded":
        return wants
    job = connection.execute(select(jobs.c.seq, jobs.c.begun_seq).where(jobs.c.id == job_id)).one()
    if seq > job.seq:
        raise ValueError(
            f"seq = {seq} is past the last point of job {job_id}, {job.seq}: begin at a point that is there."
        )
    gone = 0
    for table in (points, arrays):
        gone += connection.execute(delete(table).where(table.c.job_id == job_id, table.c.seq > seq)).rowcount
    values = {"seq": seq, "step": step, "pid": pid, "device": device, "heartbeat_at": now}
    values |= {"revision": jobs.c.revision + 1, "epoch": jobs.c.epoch + (1 if gone else 0), "begun_seq": seq}
    values |= {"retries": 0} if seq > job.begun_seq else {}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
    return wants


def after(connection: Connection, job_id: int, cursor: int) -> list[Point]:
    """The points past a cursor, in the order in which they were made."""
    query = select(points).where(points.c.job_id == job_id, points.c.seq > cursor).order_by(points.c.seq)
    return [
        Point(
            seq=row.seq,
            step=row.step,
            name=intern(row.name),  # a few names, each of thousands of points
            values=np.frombuffer(row._mapping["values"], dtype="<f8"),
        )
        for row in connection.execute(query)
    ]


def array_names(connection: Connection, job_id: int, cursor: int) -> list[SnapshotName]:
    """Which arrays there are past a cursor, in the order in which they were made."""
    query = select(arrays.c.seq, arrays.c.step, arrays.c.name)
    query = query.where(arrays.c.job_id == job_id, arrays.c.seq > cursor).order_by(arrays.c.seq)
    return [SnapshotName(seq=row.seq, step=row.step, name=row.name) for row in connection.execute(query)]


def newest_array(
    connection: Connection, job_id: int, name: str, step: int | None = None
) -> SnapshotRow | None:
    """The newest array of this name, of this step where one is given, if there is one."""
    query = select(arrays).where(arrays.c.job_id == job_id, arrays.c.name == name)
    if step is not None:
        query = query.where(arrays.c.step == step)
    row = connection.execute(query.order_by(arrays.c.seq.desc()).limit(1)).first()
    if row is None:
        return None
    array = np.frombuffer(row.data, dtype=row.dtype).reshape(json.loads(row.shape))
    return SnapshotRow(seq=row.seq, step=row.step, name=row.name, array=array)


def point_row(job_id: int, point: Point) -> dict[str, object]:
    """A point as the table has it."""
    values = np.ascontiguousarray(point.values, dtype="<f8").tobytes()
    return {"job_id": job_id, "seq": point.seq, "step": point.step, "name": point.name, "values": values}


def array_row(job_id: int, snapshot: SnapshotRow) -> dict[str, object]:
    """An array as the table has it."""
    array = np.ascontiguousarray(snapshot.array)
    row = {"job_id": job_id, "seq": snapshot.seq, "step": snapshot.step, "name": snapshot.name}
    return row | {"dtype": array.dtype.str, "shape": json.dumps(array.shape), "data": array.tobytes()}
