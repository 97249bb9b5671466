"""The process that runs one job: forked from the fork server, tied to the engine, gone when the job pauses or ends.

The module imports no torch; the functions do.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import time
import traceback as tracebacks
from multiprocessing import forkserver
from typing import TYPE_CHECKING

from dropviz import logs, settings
from dropviz.engine import estimating, refreshing
from dropviz.engine.checkpoints import Checkpoint, Checkpoints
from dropviz.engine.insisting import insist
from dropviz.engine.lifeline import die_with_parent, exit_when_closed
from dropviz.engine.recorder import EXIT_SUPERSEDED, Ending, Recorder
from dropviz.engine.series import Series
from dropviz.experiment import ExperimentSpec, evaluation_steps, result_key, spread
from dropviz.store import Claim, Store
from dropviz.store.failures import reason
from dropviz.store.records import Orders
from dropviz.store.weights import MOST_STEPS

if TYPE_CHECKING:
    from dropviz.training import Block

CHECKPOINT_SECONDS = 2.0
LONGEST_STRETCH_SECONDS = 0.5  # between two looks at what is wanted, however far the next evaluation is
NICENESS = 5  # the page and the store come first
SMOOTHING = 0.7  # weight of the past in the steps per second that are shown

logger = logging.getLogger(__name__)


def run_job(claim: Claim, url: str, device: str, threads: int) -> None:
    """Run a claimed job from its last checkpoint to its end, or until it is paused or stopped.

    Args:
        claim: What to run; every write carries its attempt.
        url: The store.
        device: The device that the job's key was made for.
        threads: Threads that torch may use.
    """
    _tie_to_engine()
    logs.configure("child", job=claim.job_id, attempt=claim.attempt)
    logs.capture_stderr()
    store, checkpoint, wants = insist(lambda: _begin(claim, url, device), _tell)
    if wants == "superseded":
        os._exit(EXIT_SUPERSEDED)
    recorder = Recorder(store, claim, wants)
    try:
        ending = _run(claim, recorder, checkpoint, device, threads)
    except Exception as error:  # whatever it was belongs on the page, next to the job
        ending = Ending(outcome="failed", error=sentence(error), traceback=tracebacks.format_exc())
    recorder.end(ending)
    logger.log(
        logging.WARNING if ending.outcome == "failed" else logging.INFO,
        "job ends",
        extra=logs.of(outcome=ending.outcome, reason=ending.error and reason(ending.error)),
    )
    store.close()


def _begin(claim: Claim, url: str, device: str) -> tuple[Store, Checkpoint | None, Orders]:
    """Open the store and start the attempt, at the last checkpoint where there is one."""
    store = Store.open(url, verify=False)
    checkpoint = Checkpoints(store).read(claim) if claim.kind == "train" else None
    if checkpoint and checkpoint.seq > store.last_seq(claim.job_id):
        checkpoint = None  # of points that this store never had
    seq, step = (checkpoint.seq, checkpoint.step) if checkpoint else (-1, 0)
    wants = store.begin(claim.job_id, claim.attempt, seq=seq, step=step, pid=os.getpid(), device=device)
    if checkpoint is None and wants != "superseded":
        store.weights.remove(claim.job_id)  # of a job of the same number, in a store that is gone
    return store, checkpoint, wants


def _tell(error: Exception) -> None:
    logger.warning("a job waits to begin: %s", error)


def _tie_to_engine() -> None:
    die_with_parent()
    engine = multiprocessing.parent_process()
    assert engine is not None
    exit_when_closed(engine.sentinel)
    # The fork server stays as long as anybody holds this descriptor: only the engine shall.
    alive = forkserver._forkserver._forkserver_alive_fd  # type: ignore[attr-defined]
    if alive is not None:
        os.close(alive)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which ends its children
    os.nice(NICENESS)


def _run(
    claim: Claim, recorder: Recorder, checkpoint: Checkpoint | None, device: str, threads: int
) -> Ending:
    import torch

    from dropviz.kernels import full_precision

    torch.set_num_threads(threads)
    full_precision()
    _check_device(device)
    spec = ExperimentSpec.from_table(json.loads(claim.spec))
    series = Series(recorder)
    if claim.kind == "estimate":
        return estimating.run(spec, series, device)
    if claim.kind == "refresh":
        return refreshing.run(spec, claim, series, device)
    return _train(spec, claim, series, checkpoint, device)


def _train(
    spec: ExperimentSpec, claim: Claim, series: Series, checkpoint: Checkpoint | None, device: str
) -> Ending:
    from dropviz.training import Block, Diverged

    _check_code(spec, claim, series.recorder.store, device)
    block = Block(spec, claim.arm, claim.seeds, device)
    if checkpoint:
        block.load_state(checkpoint.state)
        series.seq = checkpoint.seq
    try:
        return advance(block, claim, series)
    except Diverged as error:
        series.put(error.records, error.step, block=block)
        return Ending(outcome="failed", error=str(error), traceback=tracebacks.format_exc())


def advance(block: Block, claim: Claim, series: Series) -> Ending:
    """Train a block to its end, or until it is to pause, handing all records, weights and checkpoints to the series."""
    first, saved_at, rate = block.step, time.monotonic(), None
    wanted, kept_at = kept_steps(block), block.evaluated_at
    while not block.finished:
        before, started = block.step, time.monotonic()
        records = block.advance(seconds=LONGEST_STRETCH_SECONDS)
        now = time.monotonic()
        rate = _smoothed(rate, block.step - before, now - started)
        series.put(records, block.step, rate, block)
        if block.evaluated_at > kept_at and (block.step in wanted or (wanted and block.finished)):
            series.keep(block)
        kept_at = max(kept_at, block.evaluated_at)
        stepped = claim.advance_once and block.step > first and block.step == block.evaluated_at
        pausing = stepped or (series.recorder.wants == "pause" and not claim.advance_once)
        if block.finished:
            break
        if block.step and (pausing or now - saved_at >= CHECKPOINT_SECONDS):
            series.save(block)
            saved_at = now
        if pausing:
            return Ending(outcome="paused")
    return Ending(outcome="done")


def kept_steps(block: Block) -> set[int]:
    """The evaluation steps whose weights are kept, evenly spaced: as many as fit into what a job's may take."""
    size = sum(value.numel() * value.element_size() for value in block.parameters.values())
    return spread(evaluation_steps(block.spec), min(MOST_STEPS, settings.weights_bytes() // size))


def _smoothed(rate: float | None, steps: int, seconds: float) -> float | None:
    if steps == 0:
        return rate
    latest = steps / max(seconds, 1e-9)
    return latest if rate is None else SMOOTHING * rate + (1 - SMOOTHING) * latest


def _check_code(spec: ExperimentSpec, claim: Claim, store: Store, device: str) -> None:
    """Refuse to put numbers of other code under a key: the program, or an extension, may have changed since the engine began."""
    key = insist(lambda: store.result_key(claim.job_id), _tell)
    wanted, kind = key.partition("/")[0], device.partition(":")[0]
    keys = {result_key(spec, claim.arm, claim.seeds[0], one): one for one in ("cpu", "cuda", "mps")}
    if wanted not in keys:
        raise ValueError(
            "The engine has other code, or other extensions, than this run was asked for with: restart what serves it"
            " (dropviz serve), then press Run again."
        )
    if keys[wanted] != kind:
        raise ValueError(
            f"This run was asked for on {keys[wanted]}, and an engine that trains on {kind} took it: set"
            f" DROPVIZ_DEVICE={kind} where the page runs, too, then press Run again."
        )


def _check_device(device: str) -> None:
    import torch

    kind = device.partition(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[kind]:
        raise ValueError(
            f"This torch cannot use {device}, which this machine seems to have: set DROPVIZ_DEVICE=cpu."
        )


def sentence(error: Exception) -> str:
    """What the page and the command line say of an error; the traceback is kept beside it."""
    import torch

    text = str(error).strip().partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text:
        return "The device ran out of memory: fewer seeds, a smaller model or smaller minibatches need less."
    if isinstance(error, ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
