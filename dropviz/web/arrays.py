"""Arrays at a step: which of them an experiment has, and how they travel."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dropviz import density
from dropviz.store import Experiment, SnapshotName, SnapshotRow, Store
from dropviz.web.aggregate import Place, tidy

KINDS = {"density": "spectrum/density", "slice": "slice/loss", "surface": "surface"}
OF_ALL_SEEDS = ("density",)  # the others are of the first seed's job alone
DIGITS = 4

Entry = tuple[int, str, int]  # arm, kind, step
Seeds = Mapping[int, Sequence[int]]  # job → its seeds


class Index:
    """Which arm has which kind of array at which step, in the order in which they became complete."""

    def __init__(self, places: Mapping[str, Sequence[Place]]) -> None:
        self.entries: list[Entry] = []
        self._arms = list(places)
        self._needed = {
            (arm, kind): {job for job, _ in (found if kind in OF_ALL_SEEDS else found[:1])}
            for arm, found in places.items()
            for kind in KINDS
        }
        self._there: dict[Entry, set[int]] = {}

    def add(self, job_id: int, names: Iterable[SnapshotName]) -> None:
        """Take what a job has that is new."""
        kinds = {name: kind for kind, name in KINDS.items()}
        for found in names:
            kind = kinds.get(found.name)
            for number, arm in enumerate(self._arms if kind else ()):
                needed, entry = self._needed[arm, str(kind)], (number, str(kind), found.step)
                there = self._there.setdefault(entry, set())
                if job_id in needed - there:
                    there.add(job_id)
                    if there == needed:
                        self.entries.append(entry)


def arrays_at(
    store: Store,
    experiment: Experiment,
    places: Mapping[str, Sequence[Place]],
    arms: Iterable[str],
    kind: str,
    step: int,
) -> dict[str, Any]:
    """Arm → its array of this kind at this step, as it travels; only arms that have it may be asked for."""
    read = {"density": _density, "slice": _slice, "surface": _surface}[kind]
    seeds = {job.id: job.seeds for job in experiment.jobs}
    return {arm: read(store, places[arm], seeds, step) for arm in arms}


def _density(store: Store, places: Sequence[Place], seeds: Seeds, step: int) -> dict[str, Any]:
    """The mean over seeds on the grid of ``dropviz.density``, from its first number that is not 0 on."""
    rows = {job: _stored(store, job, "spectrum/density", step).array for job in {job for job, _ in places}}
    mean = density.averaged(np.stack([rows[job][position] for job, position in places]))
    if mean is None:
        return {"first": 0, "values": []}
    there = np.flatnonzero(mean > 1e-12)
    values = mean[there[0] : there[-1] + 1]
    return {"first": int(there[0]), "values": [tidy(value, DIGITS - 1) for value in values]}


def _slice(store: Store, places: Sequence[Place], seeds: Seeds, step: int) -> dict[str, Any]:
    """Losses, rows along the second direction, and how far from the middle each axis reaches."""
    job = places[0][0]
    losses, axes = (_stored(store, job, name, step).array[0] for name in ("slice/loss", "slice/axes"))
    reach = [tidy(end, DIGITS) for end in axes[:, -1]]
    return {
        "seed": seeds[job][0],
        "reach": reach,
        "loss": [[tidy(value, DIGITS) for value in row] for row in losses],
    }


def _surface(store: Store, places: Sequence[Place], seeds: Seeds, step: int) -> dict[str, Any]:
    return surface(_stored(store, places[0][0], "surface", step))


def _stored(store: Store, job_id: int, name: str, step: int) -> SnapshotRow:
    found = store.snapshot_at(job_id, name, step)
    if found is None:
        raise LookupError(f"{name} of job {job_id} at step {step} is gone")
    return found


def surface(snapshot: SnapshotRow) -> dict[str, Any]:
    """A picture of bytes, rows from bottom to top."""
    height, width = snapshot.array.shape
    data = base64.b64encode(snapshot.array.tobytes()).decode()
    return {"step": snapshot.step, "width": width, "height": height, "data": data}
