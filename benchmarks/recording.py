"""What it costs to record a run, one seed: the run from its first to its last point, written and not written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.measure import Rates, Row, Summary, in_turns, ratio, temporary_data
from benchmarks.nets import bare_loop, digits
from dropviz.engine import child
from dropviz.engine.recorder import Ending, Recorder
from dropviz.engine.series import Series
from dropviz.experiment import ExperimentSpec, evaluation_steps
from dropviz.store import Store
from dropviz.training import Block

ARMS = ("none", "dropout")
BARE = "bare loop"
TRAINED, RECORDED, OBSERVED = "trained, not recorded", "recorded", "recorded with statistics"
TARGET = 0.95
DENSE = ("train.steps=2000", "observe.evaluations=1000")  # 1,001 points a series


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Steps per second of one run: on the wall, and of the processor time of all threads of the process."""

    wall: float
    cpu: float


def measure(*, quick: bool) -> list[Row]:
    """Runs of the default preset (51 points a series), and with a point every other step (1,001 points).

    Against the bare loop that evaluates the same losses and accuracies at the same steps and writes nothing:
    ``Block.advance`` to the end; the same through the recorder into a SQLite store, as the engine's child does
    it, up to the last byte; and that with the number of statistics that ``auto`` takes. Loading data and building networks are not
    part of it. The target is about the time on the wall, since the recorder works beside the training thread;
    the ratio of processor times, which counts its work in full, stays readable on a busy machine.
    """
    with temporary_data():
        store = Store.open()
        try:
            _contenders(store, "none", ("train.steps=50",))[OBSERVED]()  # what only the first run costs
            rows = [row for arm in ARMS for row in _compare(store, arm, (), 3 if quick else 6)]
            for arm in ARMS[:1] if quick else ARMS:
                rows += _compare(store, arm, DENSE, 2 if quick else 3, leave_out=[OBSERVED] if quick else [])
        finally:
            store.close()
    return rows


def _contenders(store: Store, arm: str, settings: tuple[str, ...]) -> dict[str, Callable[[], Speed]]:
    spec = _spec(arm, settings)
    observed = spec.with_settings(["observe.statistics=auto"])
    return {
        BARE: lambda: _bare(spec, dropout=arm == "dropout"),
        TRAINED: lambda: _trained(spec, arm),
        RECORDED: lambda: _recorded(store, spec),
        OBSERVED: lambda: _recorded(store, observed),
    }


def _spec(arm: str, settings: tuple[str, ...]) -> ExperimentSpec:
    return digits(*settings, f'arms=["{arm}"]', "seeds=1")


def _compare(
    store: Store, arm: str, settings: tuple[str, ...], rounds: int, leave_out: Sequence[str] = ()
) -> list[Row]:
    spec = _spec(arm, settings)
    contenders = {
        name: run for name, run in _contenders(store, arm, settings).items() if name not in leave_out
    }
    speeds = in_turns(contenders, rounds)
    points = len(evaluation_steps(spec))
    return [_row(f"{arm}, {points:,} points: {name}", name, speeds) for name in contenders]


def _row(title: str, name: str, speeds: dict[str, list[Speed]]) -> Row:
    wall: Rates = {key: [speed.wall for speed in found] for key, found in speeds.items()}
    work: Rates = {key: [speed.cpu for speed in found] for key, found in speeds.items()}
    measured_by = {RECORDED: BARE, OBSERVED: RECORDED}.get(name)
    against = {BARE: ratio(wall, name, BARE), f"{BARE}, in CPU-s": ratio(work, name, BARE)}
    if measured_by:
        against[measured_by] = ratio(wall, name, measured_by)
    return Row(
        name=title,
        value=Summary.of(wall[name]),
        unit="steps/s",
        ratios=against if name != BARE else {},
        target=f"≥ {TARGET} × {measured_by}" if measured_by else "",
        met=against[measured_by].median >= TARGET if measured_by else None,
    )


def _bare(spec: ExperimentSpec, *, dropout: bool) -> Speed:
    loop = bare_loop(spec, 0, dropout=dropout)
    evaluated = set(evaluation_steps(spec))
    started = _now()
    loop.train(spec.train.steps, evaluated)
    return _speed(spec, started)


def _trained(spec: ExperimentSpec, arm: str) -> Speed:
    block = Block(spec, arm, [0])
    started = _now()
    while not block.finished:
        block.advance()
    return _speed(spec, started)


def _recorded(store: Store, spec: ExperimentSpec) -> Speed:
    """The child's own loop, in this process: numbering, the recorder's thread, checkpoints, the end."""
    store.submit(spec, fresh=True)
    claim = store.claim("benchmark")
    assert claim is not None
    wants = store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=os.getpid(), device="cpu")
    block = Block(spec, claim.arm, claim.seeds)
    started = _now()
    recorder = Recorder(store, claim, wants)
    ending: Ending = child.advance(block, claim, Series(recorder))
    recorder.end(ending)
    return _speed(spec, started)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _speed(spec: ExperimentSpec, started: tuple[float, float]) -> Speed:
    wall, cpu = (now - then for now, then in zip(_now(), started, strict=True))
    return Speed(wall=spec.train.steps / wall, cpu=spec.train.steps / cpu)
