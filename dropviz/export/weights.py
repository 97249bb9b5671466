"""The weights of a run as safetensors: a file an arm and step, all seeds stacked. Never pickle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from safetensors.numpy import save

from dropviz.export.series import file_name
from dropviz.store import Experiment, Result, Store


def kept_steps(store: Store, experiment: Experiment, arm: str) -> list[int]:
    """The steps at which the weights of all seeds of an arm are there, in order."""
    found = [set(store.kept_steps(job)) for job in {job for job, _ in _places(experiment, arm)}]
    return sorted(set.intersection(*found)) if found else []


def weight_files(
    store: Store, experiment: Experiment, *, last_only: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, such as ``dropout/step-1500.safetensors``; one is in memory at a time.

    A tensor has a leading axis of seeds; which these are, the arm and the step are in the file's metadata.
    """
    for arm in experiment.spec.arms:
        steps = kept_steps(store, experiment, arm)
        for step in steps[-1:] if last_only else steps:
            yield f"{file_name(arm)}/step-{step}.safetensors", _stacked(store, experiment, arm, step)


def _stacked(store: Store, experiment: Experiment, arm: str, step: int) -> bytes:
    places = _places(experiment, arm)
    read = {job: store.kept_weights(job, step) for job in {job for job, _ in places}}
    names = next(iter(read.values()))
    tensors = {name: np.stack([read[job][name][position] for job, position in places]) for name in names}
    seeds = ",".join(str(result.seed) for result in _results(experiment, arm))
    return save(tensors, metadata={"arm": arm, "step": str(step), "seeds": seeds, "axes": "seed first"})


def _places(experiment: Experiment, arm: str) -> list[tuple[int, int]]:
    """Job and position of each seed, in order of the seeds."""
    return [(result.job_id, result.position) for result in _results(experiment, arm)]


def _results(experiment: Experiment, arm: str) -> list[Result]:
    return sorted((one for one in experiment.results if one.arm == arm), key=lambda one: one.seed)
