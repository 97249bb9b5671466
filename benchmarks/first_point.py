"""How long one waits: from the click to the first point, from stop to no process, from a killed child to training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import Rates, Row, Summary, ratio, temporary_data, wait_until
from dropviz.engine import EngineKeeper
from dropviz.engine.checkpoints import Checkpoints
from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Job, Store

SCRIPT = """
import torch
from sklearn.datasets import load_digits
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
loss = torch.nn.functional.cross_entropy(net(x[:16]), y[:16])
loss.backward()
optimizer.step()
print(loss.item())
"""
BARE = "a PyTorch script, from its start to its first loss"
CLICK, STOP = "submit → first point in the store", "stop → process gone"
BEGUN, AGAIN = "child killed → next attempt has begun", "child killed → next point in the store"
# Seconds; a prototype of the engine met them.
TARGETS = {CLICK: 0.35, STOP: 0.08, BEGUN: 0.36}


def measure(*, quick: bool) -> list[Row]:
    """Seconds with a running engine on an idle store, against a PyTorch script that starts from nothing.

    The click submits the default preset anew: 6 arms × 8 seeds, of which the first arm's job starts. A child is
    killed when it has written a checkpoint; the next attempt goes on from there.
    """
    seconds: Rates = {name: [] for name in (BARE, CLICK, STOP, BEGUN, AGAIN)}
    with temporary_data():
        keeper = EngineKeeper()
        keeper.ensure()
        store = Store.open()
        try:
            wait_until(lambda: any(worker.slots for worker in store.workers()), "the engine is ready")
            _click_and_stop(store)  # the first job's pages are cold
            for _ in range(2 if quick else 5):
                seconds[BARE].append(_script())
                for name, value in zip((CLICK, STOP), _click_and_stop(store), strict=True):
                    seconds[name].append(value)
            for _ in range(2 if quick else 4):
                for name, value in zip((BEGUN, AGAIN), _kill(store), strict=True):
                    seconds[name].append(value)
        finally:
            store.close()
            keeper.close()
    return [_row(name, seconds) for name in seconds]


def _row(name: str, seconds: Rates) -> Row:
    value, target = Summary.of(seconds[name]), TARGETS.get(name)
    return Row(
        name=name,
        value=value,
        unit="s",
        ratios={"a script's start": ratio(seconds, name, BARE)} if name == CLICK else {},
        target=f"≤ {target} s" if target else "",
        met=value.median <= target if target else None,
    )


def _script() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, stdout=subprocess.DEVNULL, timeout=120)
    return time.perf_counter() - started


def _click_and_stop(store: Store) -> tuple[float, float]:
    clicked = time.perf_counter()
    view_id = store.submit(preset("noisy-digits"), fresh=True)
    first = store.experiment(view_id).jobs[0].id
    pointed = wait_until(lambda: store.points(first), "the first point")
    pid = _job(store, first).pid
    assert pid is not None
    stopped = time.perf_counter()
    store.request(view_id, "stop")
    gone = wait_until(lambda: _is_gone(pid), "the process has ended")
    return pointed - clicked, gone - stopped


def _kill(store: Store) -> tuple[float, float]:
    view_id = store.submit(_long(), fresh=True)
    job_id = store.experiment(view_id).jobs[0].id
    wait_until(lambda: Checkpoints(store).path(job_id).exists(), "the first checkpoint")
    before = _job(store, job_id)
    assert before.pid is not None
    killed = time.perf_counter()
    os.kill(before.pid, signal.SIGKILL)
    begun = wait_until(lambda: _begun(_job(store, job_id), before), "the next attempt")
    resumed_at = _job(store, job_id).step
    again = wait_until(lambda: _job(store, job_id).step > resumed_at, "the next point")
    pid = _job(store, job_id).pid
    store.request(view_id, "stop")
    wait_until(lambda: pid is None or _is_gone(pid), "the process has ended")
    return begun - killed, again - killed


def _long() -> ExperimentSpec:
    """A run that outlives every try: one arm, many steps, points as dense as the default preset's."""
    settings = ['arms=["dropout"]', "train.steps=30000", "observe.evaluations=1000", "observe.statistics=0"]
    return preset("noisy-digits").with_settings(settings)


def _begun(job: Job, before: Job) -> bool:
    return job.attempt > before.attempt and job.pid is not None


def _job(store: Store, job_id: int) -> Job:
    job = store.job(job_id)
    assert job is not None
    return job


def _is_gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for yet counts."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"
