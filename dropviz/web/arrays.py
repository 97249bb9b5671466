"""Arrays at a step: which of them an experiment has, and how they travel."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dropviz.analysis import density
from dropviz.store import SnapshotName, SnapshotRow
from dropviz.web.aggregate import Place, tidy

KINDS = {"density": "spectrum/density", "slice": "slice/loss", "surface": "surface"}
OF_ALL_SEEDS = ("density",)  # the others are of the first seed's job alone
DIGITS = 4

Entry = tuple[int, str, int]  # arm, kind, step
Seeds = Mapping[int, Sequence[int]]  # job → its seeds
Find = Callable[[int, str], SnapshotRow]


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


def travelling(kind: str, places: Sequence[Place], seeds: Seeds, find: Find) -> dict[str, Any]:
    """One arm's array of a kind as it travels, from its parts, which must be there.

    Args:
        kind: Of ``KINDS``.
        places: Where the arm's seeds are found.
        seeds: Those of each job.
        find: ``find(job, name)``: the stored array of a job.
    """
    read = {"density": _density, "slice": _slice, "surface": _surface}[kind]
    return read(places, seeds, find)


def _density(places: Sequence[Place], seeds: Seeds, find: Find) -> dict[str, Any]:
    """The mean over seeds on the grid of ``dropviz.analysis.density``, from its first number that is not 0 on."""
    rows = {job: find(job, "spectrum/density").array for job in {job for job, _ in places}}
    mean = density.averaged(np.stack([rows[job][position] for job, position in places]))
    if mean is None:
        return {"first": 0, "values": []}
    there = np.flatnonzero(mean > 1e-12)
    values = mean[there[0] : there[-1] + 1]
    return {"first": int(there[0]), "values": [tidy(value, DIGITS - 1) for value in values]}


def _slice(places: Sequence[Place], seeds: Seeds, find: Find) -> dict[str, Any]:
    """Losses, rows along the second direction, and how far from the middle each axis reaches."""
    job = places[0][0]
    losses, axes = (find(job, name).array[0] for name in ("slice/loss", "slice/axes"))
    reach = [tidy(end, DIGITS) for end in axes[:, -1]]
    return {
        "seed": seeds[job][0],
        "reach": reach,
        "loss": [[tidy(value, DIGITS) for value in row] for row in losses],
    }


def _surface(places: Sequence[Place], seeds: Seeds, find: Find) -> dict[str, Any]:
    return surface(find(places[0][0], "surface"))


def surface(snapshot: SnapshotRow) -> dict[str, Any]:
    """A picture of bytes, rows from bottom to top."""
    height, width = snapshot.array.shape
    data = base64.b64encode(snapshot.array.tobytes()).decode()
    return {"step": snapshot.step, "width": width, "height": height, "data": data}
