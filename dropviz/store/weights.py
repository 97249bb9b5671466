"""The weights that jobs had at some of their steps, to look at a run again: a folder a job, a file a step. No torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dropviz.store.files import write_whole

MOST_STEPS = 17


class Weights:
    """The files below one folder, which belongs to one store.

    A file holds the stacked parameters (S, …) by name, and the identity of the job that had them (see ``records.identity``):
    a store that is gone may have left files of a job of the same number.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self, job_id: int) -> list[int]:
        """The steps whose weights are there, in order."""
        return sorted(int(path.stem) for path in (self.folder / str(job_id)).glob("*.safetensors"))

    def keep(
        self, job_id: int, step: int, parameters: Mapping[str, np.ndarray], of: str, attempt: int
    ) -> None:
        """Write the weights of a step; equal weights make equal files."""
        content = save(dict(parameters), metadata={"of": of})
        write_whole(self._path(job_id, step), content, attempt, durable=False)

    def has(self, job_id: int, step: int, of: str) -> bool:
        """Whether this job's own weights of this step are there."""
        try:
            with safe_open(self._path(job_id, step), framework="numpy") as file:
                return bool((file.metadata() or {}).get("of") == of)
        except (OSError, SafetensorError):
            return False

    def read(self, job_id: int, step: int, of: str) -> dict[str, np.ndarray]:
        """The parameters by name.

        Raises:
            ValueError: They are not there, or of another job or version of the program.
        """
        if not self.has(job_id, step, of):
            raise ValueError(unusable(step))
        with safe_open(self._path(job_id, step), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict

    def remove(self, job_id: int) -> None:
        """Delete the weights of a job, if there are any."""
        shutil.rmtree(self.folder / str(job_id), ignore_errors=True)

    def jobs(self) -> Iterator[int]:
        """The jobs that have weights, one after the other: there may be very many."""
        with suppress(FileNotFoundError), os.scandir(self.folder) as found:
            yield from (int(entry.name) for entry in found if entry.name.isdecimal())

    def _path(self, job_id: int, step: int) -> Path:
        return self.folder / str(job_id) / f"{step}.safetensors"


def unusable(step: int) -> str:
    """Why nothing can be measured at a step."""
    return (
        f"The weights of step {step:,} are not there, or another version of this program kept them: choose another step, or"
        " run the experiment again."
    )
