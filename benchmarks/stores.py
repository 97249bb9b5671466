"""One store under many: children that append, engines that claim, pages that read, on SQLite and on PostgreSQL in one run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert, select

from benchmarks.measure import Rates, Row, Summary, in_turns, ratio, say, temporary_data
from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Claim, Point, Store
from dropviz.store.database.sqlite import SQLite
from dropviz.store.schema import jobs
from tests.postgres import MISSING, Server, installed

WRITERS, READERS = (4, 16), 8
BATCH = 10  # points of an append, which are of 8 seeds
LOOK_SECONDS, CLAIM_SECONDS = 0.05, 0.05
QUEUED = 200
QUEUES = (100, 1000, 10_000)
KINDS = ("SQLite", "PostgreSQL")

# Forked: what runs in them is a store of their own and nothing of ours.
processes = multiprocessing.get_context("fork")


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run found; times in milliseconds."""

    appends: float
    append_p95: float
    claim_p95: float
    read_p95: float
    point_bytes: float
    lost: int


def measure(*, quick: bool) -> list[Row]:
    """Writers append to a job each as fast as they can, readers ask for what is new every 50 ms, one engine claims and ends jobs.

    At the end all writers are killed by SIGKILL in the midst of it, and what they had been told is written is looked for.
    """
    if not installed():
        raise RuntimeError(MISSING)
    seconds, rounds = (2.0, 1) if quick else (6.0, 3)
    rows: list[Row] = []
    with temporary_data() as folder, _postgresql() as server:
        for writers in WRITERS:
            contenders = {kind: partial(_load, kind, folder, server, writers, seconds) for kind in KINDS}
            rows += _rows(writers, in_turns(contenders, rounds))
        for waiting in QUEUES:
            contenders = {kind: partial(_claims, kind, folder, server, waiting) for kind in KINDS}
            rows += _claim_rows(waiting, in_turns(contenders, rounds))
    return rows


@contextmanager
def _postgresql() -> Iterator[Server]:
    server = Server(durable=True)
    try:
        yield server
    finally:
        server.stop()


def _opened(kind: str, folder: Path, server: Server) -> tuple[str, Store]:
    """The URL of an empty store, and the store."""
    url = server.create() if kind == "PostgreSQL" else f"sqlite:///{folder}/{time.monotonic_ns()}.db"
    return url, Store.open(url)


def _load(kind: str, folder: Path, server: Server, writers: int, seconds: float) -> Load:
    say(f"  {kind}, {writers} writers")
    url, store = _opened(kind, folder, server)
    try:
        claims, views = _filled(store, writers)
        written = processes.Array("q", [-1] * writers, lock=False)
        with _crowd(url, claims, views, written) as crowd:
            times = crowd.measured(seconds)
            time.sleep(0.5)
            crowd.kill()
        lost = sum(_missing(store, claim, last) for claim, last in zip(claims, written, strict=True))
        size = _size(store) / sum(store.last_seq(claim.job_id) + 1 for claim in claims)
    finally:
        store.close()
    appends = times["append"]
    return Load(
        appends=len(appends) / seconds,
        append_p95=_p95(appends),
        claim_p95=_p95(times["claim"]),
        read_p95=_p95(times["read"]),
        point_bytes=size,
        lost=lost,
    )


def _filled(store: Store, writers: int) -> tuple[list[Claim], list[str]]:
    """Jobs that have begun, one a writer, with the ids of their experiments; and a queue."""
    spec = preset("noisy-digits").with_settings(['arms=["none"]', "seeds=8", "model.widths=[8]"])
    views = [_submitted(store, spec, place) for place in range(writers)]
    claims = []
    for _ in range(writers):
        claim = store.claim("benchmark")
        assert claim is not None
        store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
        claims.append(claim)
    for place in range(writers, writers + QUEUED):
        _submitted(store, spec, place)
    return claims, views


def _submitted(store: Store, spec: ExperimentSpec, place: int) -> str:
    return store.submit(spec.with_settings([f"first_seed={8 * place}"]), owner=f"owner {place % 20}")


def _missing(store: Store, claim: Claim, last: int) -> int:
    """How many points of a series are not there up to the last one that its writer was told is written."""
    there = [point.seq for point in store.points(claim.job_id)]
    assert there == list(range(len(there))), "a hole in a series"
    return max(0, last + 1 - len(there))


def _size(store: Store) -> int:
    """Bytes on the disk: of the file, or of the points with their index."""
    if isinstance(store.database, SQLite):
        return store.database.path.stat().st_size
    with store.database.read() as connection:
        return connection.exec_driver_sql("SELECT pg_total_relation_size('points')").scalar_one()


def _claims(kind: str, folder: Path, server: Server, waiting: int) -> float:
    """Median milliseconds of a claim with so many jobs in the queue, of 100 owners."""
    say(f"  {kind}, {waiting} jobs wait")
    _, store = _opened(kind, folder, server)
    try:
        _submitted(store, preset("noisy-digits").with_settings(['arms=["none"]', "seeds=8"]), 0)
        with store.database.write() as connection:
            row = dict(connection.execute(select(jobs)).one()._mapping)
            del row["id"]
            copies = [row | {"owner": f"owner {place % 100}"} for place in range(waiting - 1)]
            connection.execute(insert(jobs), copies)
        taken = []
        for _ in range(20):
            before = time.perf_counter()
            assert store.claim("benchmark") is not None
            taken.append(1000 * (time.perf_counter() - before))
        return float(np.median(taken))
    finally:
        store.close()


class _Crowd:
    def __init__(self, started: Sequence[Any], go: Any, enough: Any, found: Any) -> None:
        self.started, self.go, self.enough, self.found = started, go, enough, found

    def measured(self, seconds: float) -> Mapping[str, list[float]]:
        """Let all go on for so long; kind of request → seconds that each took."""
        self.go.wait()
        time.sleep(seconds)
        self.enough.set()
        times: dict[str, list[float]] = {}
        for _ in self.started:
            kind, taken = self.found.get(timeout=120)
            times.setdefault(kind, []).extend(taken)
        return times

    def kill(self) -> None:
        for process in self.started:
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
        for process in self.started:
            process.join()


@contextmanager
def _crowd(url: str, claims: Sequence[Claim], views: Sequence[str], written: Any) -> Iterator[_Crowd]:
    go = processes.Barrier(len(claims) + READERS + 2)  # all others, the one that claims, and us
    enough, found = processes.Event(), processes.Queue()
    common = (url, go, enough, found)
    wanted = [(_write, (*common, claim, written, place)) for place, claim in enumerate(claims)]
    wanted += [(_read, (*common, views[place % len(views)])) for place in range(READERS)]
    wanted += [(_claim, common)]
    started = [processes.Process(target=target, args=args, daemon=True) for target, args in wanted]
    for process in started:
        process.start()
    crowd = _Crowd(started, go, enough, found)
    try:
        yield crowd
    finally:
        crowd.kill()


def _write(url: str, go: Any, enough: Any, found: Any, claim: Claim, written: Any, place: int) -> None:
    """Append until killed; what took how long is told when it is enough."""
    store, values, seq = Store.open(url, verify=False), np.arange(8.0), 0
    go.wait()
    taken: list[float] = []
    told = False
    while True:
        points = [Point(seq=seq + one, step=seq, name="train/loss", values=values) for one in range(BATCH)]
        before = time.perf_counter()
        assert store.append(claim.job_id, claim.attempt, points, step=seq) == "run"
        taken.append(time.perf_counter() - before)
        seq += BATCH
        written[place] = seq - 1
        if enough.is_set() and not told:
            # From a thread: the queue must not be what this process is killed in.
            threading.Thread(target=found.put, args=(("append", taken[:]),)).start()
            told = True


def _read(url: str, go: Any, enough: Any, found: Any, view_id: str) -> None:
    store, cursor, taken = Store.open(url, verify=False), -1, []
    job = store.experiment(view_id).jobs[0].id
    go.wait()
    while not enough.is_set():
        before = time.perf_counter()
        store.revision(view_id)
        points = store.points(job, cursor)
        taken.append(time.perf_counter() - before)
        cursor = points[-1].seq if points else cursor
        time.sleep(LOOK_SECONDS)
    found.put(("read", taken))


def _claim(url: str, go: Any, enough: Any, found: Any) -> None:
    store, taken = Store.open(url, verify=False), []
    go.wait()
    while not enough.is_set():
        before = time.perf_counter()
        claim = store.claim("benchmark")
        taken.append(time.perf_counter() - before)
        if claim is not None:
            store.finish(claim.job_id, claim.attempt, "done")
        time.sleep(CLAIM_SECONDS)
    found.put(("claim", taken))


def _p95(seconds: Sequence[float]) -> float:
    return 1000 * float(np.percentile(seconds, 95))


def _claim_rows(waiting: int, found: Rates) -> list[Row]:
    return _compared(found, f"{waiting:,} jobs wait: a claim", "ms")


def _compared(rates: Rates, what: str, unit: str) -> list[Row]:
    return [
        Row(
            name=f"{kind}, {what}",
            value=Summary.of(rates[kind]),
            unit=unit,
            ratios={} if kind == KINDS[0] else {KINDS[0]: ratio(rates, kind, KINDS[0])},
        )
        for kind in rates
    ]


def _rows(writers: int, found: Mapping[str, list[Load]]) -> list[Row]:
    units = {"appends": "appends/s", "append_p95": "ms", "claim_p95": "ms", "read_p95": "ms"}
    units["point_bytes"] = "bytes"
    names = {"appends": "appends", "append_p95": "append, p95", "claim_p95": "claim, p95"}
    names |= {"read_p95": "read what is new, p95", "point_bytes": "a point"}
    rows = []
    for what, unit in units.items():
        rates = {kind: [getattr(load, what) for load in loads] for kind, loads in found.items()}
        rows += _compared(rates, f"{writers} writers: {names[what]}", unit)
    for kind, loads in found.items():
        lost = float(sum(load.lost for load in loads))
        rows.append(
            Row(
                name=f"{kind}, {writers} writers killed: points lost",
                value=Summary.of([lost]),
                unit="points",
                target="none",
                met=lost == 0,
            )
        )
    return rows
