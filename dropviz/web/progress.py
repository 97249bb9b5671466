"""How far an experiment is, in numbers and in one line for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from dropviz.experiment import ExperimentSpec, surrogate_choices
from dropviz.store import Experiment, Job
from dropviz.store.records import FINAL
from dropviz.strategies import Strategy, label, strategy

ETA_FRACTION, ETA_SECONDS = 0.05, 3.0
TOLD_SECONDS = 1.0  # of work, before which shares of it are not told
LEAVES_FIRST = {"running": 0, "paused": 1, "queued": 2}


@lru_cache(maxsize=256)
def arm_cost(spec: ExperimentSpec, arm: str) -> float:
    """A step of this arm in steps without dropout, roughly (measured on small MLPs on one CPU thread), a mean over the run.

    Every mask is a replica of the minibatch; exact surrogates take a pass a class, sampled ones two or three.
    """
    steps = spec.train.steps
    return sum(count * _step_cost(spec, part) for part, count in strategy(arm).stretches(steps)) / steps


def _step_cost(spec: ExperimentSpec, chosen: Strategy) -> float:
    shared = "shared_tangent" in chosen.choices and spec.surrogate.shared_tangent
    if "estimator" in chosen.choices and surrogate_choices(spec).estimator == "exact" and not shared:
        return 1.3 * spec.data.task.outputs
    return (3.0 if chosen.second_order else 1.0) + 0.8 * chosen.replicas


def progress(experiment: Experiment, position: int, now: float, trouble: str = "") -> dict[str, Any]:
    """The progress part of the live payload; ``message`` is what a person reads under the bar: the server's trouble, if any.

    ``idle`` says that what is heard of makes no step.
    """
    spec, jobs = experiment.spec, experiment.jobs
    work = {job.id: arm_cost(spec, job.arm) * len(job.seeds) ** 0.7 for job in jobs}
    # What has ended needs no more work, wherever it ended.
    done = sum(work[job.id] * (job.total if job.state in FINAL else job.step) for job in jobs)
    all_of_it = sum(work[job.id] * job.total for job in jobs) or 1.0
    running = [job for job in jobs if job.state == "running"]
    rate = sum(work[job.id] * (job.steps_per_second or 0) for job in running)
    fraction = done / all_of_it
    beats = [job.heartbeat_at for job in running if job.heartbeat_at]
    eta = (all_of_it - done) / rate if rate > 0 and _worth_telling(fraction, experiment, now) else None
    return {
        "fraction": round(fraction, 4),
        "step": sum(job.step for job in jobs),
        "total": sum(job.total for job in jobs),
        "steps_per_second": round(sum(job.steps_per_second or 0 for job in running), 1) or None,
        "eta_seconds": round(eta, 1) if eta is not None and experiment.state == "running" else None,
        "queue_position": position,
        "device": next((job.device for job in running if job.device), None),
        "heartbeat_age": round(max(0.0, now - min(beats)), 1) if beats else None,
        "idle": any(job.steps_per_second == 0 for job in running),
        "message": trouble or message(experiment),
    }


def _worth_telling(fraction: float, experiment: Experiment, now: float) -> bool:
    return fraction >= ETA_FRACTION or now - experiment.created_at >= ETA_SECONDS


def message(experiment: Experiment) -> str:
    """Which arm trains, or why nothing does and what to do."""
    jobs = experiment.jobs
    if experiment.state == "failed":
        job = next(job for job in jobs if job.state == "failed")
        return f"{label(job.arm)} failed. {last_line(job.error)} The points up to there are kept."
    if experiment.state == "stopped":
        return "Stopped. What was computed is kept. Run takes over the arms that are done and starts the others again."
    share = statistics_share(jobs)
    if experiment.origin == "import":
        return "Imported: computed elsewhere, shown as it was. Run computes it anew here."
    if experiment.state == "done":
        took = f" Statistics took {share} of the time." if share else ""
        return "Done: taken from cache." if all(job.cached for job in jobs) else f"Done.{took}"
    current = sorted(
        (job for job in jobs if job.state in LEAVES_FIRST), key=lambda job: (LEAVES_FIRST[job.state], job.id)
    )
    arms_done = _arms_done(jobs)
    part = f"{arms_done} of {len(experiment.spec.arms)} arms done"
    failed = [job for job in jobs if job.state == "failed"]
    part += "".join(f" · {label(job.arm)} failed: {last_line(job.error)}" for job in failed)
    part += f" · statistics {share} of the time" if share else ""
    if not current:
        return part
    job = current[0]
    return f"{label(job.arm)}: step {job.step:,} of {job.total:,} · {part}"


def statistics_share(jobs: Iterable[Job]) -> str:
    """The share of the time of these jobs that their statistics took, such as ``5 %``; empty while there is little to tell."""
    watching = training = 0.0
    for job in jobs:
        watching += job.statistics_seconds
        training += job.training_seconds + job.evaluation_seconds
    if not watching or watching + training < TOLD_SECONDS:
        return ""
    return f"{round(100 * watching / (watching + training)) or 'under 1'} %"


def last_line(error: str | None) -> str:
    """The last line of an error, as a sentence."""
    lines = [line.strip() for line in (error or "").splitlines() if line.strip()]
    text = (
        re.sub(r"^(\w+\.)*\w*(Error|Exception|Diverged): ", "", lines[-1])
        if lines
        else "No reason was recorded."
    )
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _arms_done(jobs: Iterable[Job]) -> int:
    by_arm: dict[str, bool] = {}
    for job in jobs:
        by_arm[job.arm] = by_arm.get(job.arm, True) and job.state == "done"
    return sum(by_arm.values())
