"""What a class costs the page's process: the pooled band of 10 and of 100 students, with three seeds and six arms each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.measure import Row, Summary, ratio, temporary_data
from dropviz.classes import ClassDefinition
from dropviz.experiment import preset
from dropviz.store import Classroom, Point, Store
from dropviz.web.classroom import pooled
from dropviz.web.classroom.pooled import PooledReader, view_of
from dropviz.web.feed import Cursor

FEW, MANY = 10, 100
SEEDS = 3
MOST_MILLISECONDS = 50.0  # of a curve that comes in, at most one a look
Curves = Mapping[str, Sequence[Point]]


def measure(*, quick: bool) -> list[Row]:
    """Processor time of one thread, and bytes as they travel; curves are those of one trained student, with noise on them."""
    rounds = 3 if quick else 15
    pooled.LOOK_SECONDS = 0.0
    curves = _trained()
    with temporary_data():
        store = Store.open()
        try:
            found = {
                f"{count} students": _Class(store, curves, count).measured(rounds) for count in (FEW, MANY)
            }
        finally:
            store.close()
    return [row for quantity in _QUANTITIES for row in _rows(quantity, found)]


_QUANTITIES = {"the first look": None, "a poll without news": 5.0, "a curve that comes in": MOST_MILLISECONDS}


def _rows(quantity: str, found: Mapping[str, Mapping[str, list[tuple[float, int]]]]) -> list[Row]:
    times = {name: [1000 * seconds for seconds, _ in measured[quantity]] for name, measured in found.items()}
    rows, most = [], _QUANTITIES[quantity]
    for name, measured in found.items():
        value = Summary.of(times[name])
        more = name == f"{MANY} students"
        target = {"target": f"≤ {most:g} ms", "met": value.median <= most} if more and most else {}
        rows.append(
            Row(
                name=f"{name}: {quantity}",
                value=value,
                unit="ms",
                ratios={f"{FEW} students": ratio(times, name, f"{FEW} students")} if more else {},
                **target,
            )
        )
        size = Summary.of([float(length) for _, length in measured[quantity]])
        rows.append(Row(name=f"{name}: {quantity}, size", value=size, unit="bytes"))
    return rows


@dataclass
class _Class:
    """A class all of whose members but one are done."""

    store: Store
    curves: Curves
    count: int

    def measured(self, rounds: int) -> dict[str, list[tuple[float, int]]]:
        spec = preset("classroom")
        room = self.store.classes.create(ClassDefinition.of(spec, "Class", seeds=SEEDS), "teacher")
        for number in range(self.count):
            self._run(room, f"student {number}")
        view = view_of(self.store.classes.code(room))
        first = [_timed(lambda: PooledReader(self.store, view).read(None, "lab")) for _ in range(rounds)]
        reader = PooledReader(self.store, view)
        cursor = self._cursor(reader)
        quiet = [_timed(lambda: reader.read(cursor, "lab")) for _ in range(rounds)]
        coming = []
        for number in range(-(-rounds // len(self.curves))):
            self._run(room, f"late {number}", lambda: coming.append(self._news(reader)))
        return {"the first look": first, "a poll without news": quiet, "a curve that comes in": coming}

    def _news(self, reader: PooledReader) -> tuple[float, int]:
        with reader._lock:
            before = Cursor(reader._epoch, reader._count())
        return _timed(lambda: reader.read(before, "lab"))

    def _cursor(self, reader: PooledReader) -> Cursor:
        reader.read(None, "lab")
        return Cursor(reader._epoch, reader._count())

    def _run(self, room: Classroom, name: str, after: Callable[[], object] = lambda: None) -> None:
        self.store.classes.submit(room.id, name, room.definition.start())
        random = np.random.default_rng(len(name))
        while claim := self.store.claim("worker"):
            self.store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
            points = [
                Point(seq=p.seq, step=p.step, name=p.name, values=p.values * random.uniform(0.9, 1.1, SEEDS))
                for p in self.curves[claim.arm]
            ]
            self.store.append(claim.job_id, claim.attempt, points)
            self.store.finish(claim.job_id, claim.attempt, "done")
            after()


def _timed(read: Callable[[], bytes]) -> tuple[float, int]:
    started = time.thread_time()
    body = read()
    return time.thread_time() - started, len(body)


def _trained() -> dict[str, list[Point]]:
    from dropviz.training import Block, Record

    spec = preset("classroom").with_settings([f"seeds={SEEDS}"])
    found: dict[str, list[Point]] = {}
    for arm in spec.arms:
        block, points = Block(spec, arm, seeds=spec.seed_list()), list[Point]()
        while not block.finished:
            for one in block.advance():
                if isinstance(one, Record):
                    points.append(
                        Point(seq=len(points), step=one.step, name=one.name, values=np.array(one.values))
                    )
        found[arm] = points
    return found
