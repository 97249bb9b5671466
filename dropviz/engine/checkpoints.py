"""Checkpoint files: the tensors of an unfinished job and where it was, in one file that is there whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dropviz import settings
from dropviz.store import Claim, Store
from dropviz.store.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a job after ``step`` steps, when ``seq`` was the number of its last point."""

    state: dict[str, Tensor]
    step: int
    seq: int


def path_of(job_id: int) -> Path:
    """The checkpoint file of a job."""
    return settings.checkpoint_dir() / f"{job_id}.safetensors"


def write(claim: Claim, checkpoint: Checkpoint) -> None:
    """Replace a job's checkpoint; a crash at any moment leaves the former one or the new one."""
    from safetensors.torch import save

    place = {"step": str(checkpoint.step), "seq": str(checkpoint.seq), "of": claim.identity}
    content = save(checkpoint.state, metadata=place)
    write_whole(path_of(claim.job_id), content, claim.attempt)


def read(claim: Claim) -> Checkpoint | None:
    """A job's checkpoint, or None where there is none that can be used: then the job starts over.

    One that another job of this number left, in a store that is gone, or that other code wrote, is not used.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path_of(claim.job_id), framework="pt") as file:
            place = file.metadata()
            if place["of"] != claim.identity:
                return None
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return Checkpoint(state=state, step=int(place["step"]), seq=int(place["seq"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def remove(job_id: int) -> None:
    """Delete a job's checkpoint, if there is one."""
    path_of(job_id).unlink(missing_ok=True)


def sweep(store: Store) -> None:
    """Delete the checkpoints of jobs that have ended, what interrupted writes left, and the weights of jobs that failed."""
    folder = settings.checkpoint_dir()
    files = {path: path.name.partition(".")[0] for path in folder.glob("*.*")} if folder.is_dir() else {}
    jobs = {int(name) for name in files.values() if name.isdecimal()}
    finished = store.finished_among(jobs) if jobs else set()
    for path, name in files.items():
        if name.isdecimal() and int(name) in finished:
            path.unlink(missing_ok=True)
    for job in store.failed_among(store.weights.jobs()):
        store.weights.remove(job)
