"""Checkpoint files: the tensors of an unfinished job and where it was, in one file that is there whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dropviz.store import Claim, Store
from dropviz.store.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 512  # jobs that are looked at together: what a sweep takes of memory does not grow with all that there are


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a job after ``step`` steps, when ``seq`` was the number of its last point."""

    state: dict[str, Tensor]
    step: int
    seq: int


class Checkpoints:
    """The checkpoints of one store: a file a job, in a folder that belongs to the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = store.database.beside(".checkpoints")

    def path(self, job_id: int) -> Path:
        """The checkpoint file of a job."""
        return self.folder / f"{job_id}.safetensors"

    def write(self, claim: Claim, checkpoint: Checkpoint) -> None:
        """Replace a job's checkpoint; a crash at any moment leaves the former one or the new one."""
        from safetensors.torch import save

        place = {"step": str(checkpoint.step), "seq": str(checkpoint.seq), "of": claim.identity}
        content = save(checkpoint.state, metadata=place | {"sum": _sum(checkpoint.state, place)})
        write_whole(self.path(claim.job_id), content, claim.attempt)

    def read(self, claim: Claim) -> Checkpoint | None:
        """A job's checkpoint, or None where there is none that can be used: then the job starts over.

        One that another job of this number left, in a store that is gone, or that other code wrote, is not used; nor is one of
        which a single bit has changed on the disk.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path(claim.job_id), framework="pt") as file:
                place = file.metadata()
                if place["of"] != claim.identity:
                    return None
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            if place.pop("sum") != _sum(state, place):
                return None
            return Checkpoint(state=state, step=int(place["step"]), seq=int(place["seq"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None

    def remove(self, job_id: int) -> None:
        """Delete a job's checkpoint, if there is one."""
        self.path(job_id).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete those of jobs that have ended, what interrupted writes left, and the weights of jobs that failed."""
        files = {path: path.name.partition(".")[0] for path in self.folder.glob("*.*")}
        jobs = {int(name) for name in files.values() if name.isdecimal()}
        finished = self.store.finished_among(jobs) if jobs else set()
        for path, name in files.items():
            if name.isdecimal() and int(name) in finished:
                path.unlink(missing_ok=True)
        weights = self.store.weights.jobs()
        while some := list(islice(weights, AT_ONCE)):
            for job in self.store.failed_among(some):
                self.store.weights.remove(job)


def _sum(state: Mapping[str, Tensor], place: Mapping[str, str]) -> str:
    """A digest of every bit that a checkpoint holds; some 1 ms for 1 MB."""
    import torch

    digest = hashlib.blake2b(repr(sorted(place.items())).encode(), digest_size=16)
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
