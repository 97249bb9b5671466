"""What the store hands out: frozen records, and the errors it raises. No SQL here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dropviz.duration import Costs
from dropviz.experiment import ExperimentSpec, code_version, extension_digests
from dropviz.extensions import modules

State = Literal["queued", "running", "paused", "stopped", "failed", "done"]
ExperimentState = Literal["queued", "running", "stalled", "paused", "stopped", "failed", "done"]
Action = Literal["run", "pause", "stop", "step"]
Orders = Literal["run", "pause", "stop", "superseded"]
Kind = Literal["train", "estimate", "refresh"]
Origin = Literal["lab", "command", "sweep", "lesson", "class", "replication", "import"]
Outcome = Literal["done", "failed", "stopped", "paused", "crashed", "released"]

LIVE: tuple[State, ...] = ("queued", "running", "paused")
FINAL: tuple[State, ...] = ("stopped", "failed", "done")
LEASE_SECONDS = 10.0


class LostPoints(RuntimeError):
    """Points that had been recorded are gone: a database that crashed may lose what had not reached its disk.

    No ``StoreError``: to write again does not help, only to begin again at the last checkpoint, whose points are always there.
    """


class StoreError(ValueError):
    """The store cannot be used; the message says what is wrong with it and what to do.

    Args:
        message: For whoever runs the server.
        told: For visitors, who can do nothing about it and need not know where files are.
    """

    def __init__(self, message: str, told: str = "") -> None:
        super().__init__(message)
        self.told = told or (
            "The server cannot use its store at the moment; its log has the reason. What is stored stays as it is."
        )


class UnknownExperiment(ValueError):
    """There is no experiment with this id."""

    def __init__(self, view_id: str) -> None:
        super().__init__(f"There is no experiment {view_id[:40]!r}: check the link, or start it again.")


class DeletedExperiment(UnknownExperiment):
    """Its owner threw it away: for everybody else it is gone, and the owner can take it back."""

    def __init__(self) -> None:
        ValueError.__init__(
            self, "This run was deleted. Whoever started it can take it back: Compare, Show deleted runs."
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a child process runs: one arm and a block of seeds, which it trains or, of another kind, measures.

    ``cached`` says that it was done already when the experiment asked for it. ``wants`` is what the attached
    experiments want together. ``revision`` grows whenever something here, or in the job's series, changes. An ``estimate``
    is of all arms, and counts these as steps; a ``refresh`` measures the weights that the job ``weights_of`` had after
    ``weights_step`` steps. The seconds are those that all attempts together spent on each.
    """

    id: int
    arm: str
    seeds: tuple[int, ...]
    state: State
    wants: Literal["run", "pause", "stop"]
    step: int
    total: int
    steps_per_second: float | None
    heartbeat_at: float | None
    queued_at: float
    finished_at: float | None
    device: str | None
    error: str | None
    traceback: str | None
    attempt: int
    epoch: int
    revision: int
    pid: int | None
    owner: str
    kind: Kind
    weights_of: int | None
    weights_step: int | None
    training_seconds: float
    evaluation_seconds: float
    statistics_seconds: float
    cached: bool = False


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How far the measuring of what a spec costs here is; ``costs`` by arm once it is ``done``."""

    job_id: int
    state: State
    error: str | None
    costs: Mapping[str, Costs] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Result:
    """One arm at one seed: a column (``position``) of its job's points."""

    arm: str
    seed: int
    job_id: int
    position: int


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What one click asked for, and how far it is. ``revision`` grows whenever something here changes.

    ``origin`` says where it was asked for: on which page, or on the command line; an ``import`` was computed elsewhere.
    """

    id: str
    spec: ExperimentSpec
    owner: str
    created_at: float
    origin: Origin
    wants: Literal["run", "pause", "stop"]
    state: ExperimentState
    jobs: tuple[Job, ...]
    results: tuple[Result, ...]
    revision: int


@dataclass(frozen=True, kw_only=True)
class ExperimentSummary:
    """One line of a list of experiments."""

    id: str
    title: str
    owner: str
    created_at: float
    state: ExperimentState
    step: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Point:
    """One metric at one step, a value for each of the job's seeds."""

    seq: int
    step: int
    name: str
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SnapshotName:
    """That there is an array at a step, without its numbers."""

    seq: int
    step: int
    name: str


@dataclass(frozen=True, kw_only=True)
class SnapshotRow:
    """One array at one step, such as a decision surface."""

    seq: int
    step: int
    name: str
    array: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to run a job once: every write of its child carries ``attempt``."""

    job_id: int
    attempt: int
    spec: str
    arm: str
    seeds: tuple[int, ...]
    advance_once: bool
    kind: Kind = "train"
    weights_of: int | None = None
    weights_step: int | None = None

    @property
    def identity(self) -> str:
        """What the numbers of a job depend on: the same for each of its attempts, for the refreshes of its weights, and for
        no other one."""
        return identity(self.spec, self.arm, self.seeds)


def identity(spec: str, arm: str, seeds: tuple[int, ...]) -> str:
    """A hash of what a job computes, and of the code that does, that of extensions included."""
    outside = extension_digests(ExperimentSpec.from_table(json.loads(spec)), arm) if modules() else []
    parts = (spec, arm, str(seeds), code_version(), *outside)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A running job as an engine sees it; ``begun`` says that its child has reported, ``worker_id`` which engine placed it."""

    job_id: int
    attempt: int
    wants: Literal["run", "pause", "stop"]
    heartbeat_at: float
    begun: bool
    worker_id: str


@dataclass(frozen=True, kw_only=True)
class Worker:
    """An engine that takes jobs from this store; times by the clock that the store's users share."""

    id: str
    host: str
    pid: int
    slots: int
    device: str
    started_at: float
    heartbeat_at: float

    def silent(self, now: float) -> bool:
        """Whether nothing was heard of it for longer than a lease, by the same clock, which may have jumped."""
        return abs(now - self.heartbeat_at) > LEASE_SECONDS
