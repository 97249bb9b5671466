"""Experiments, jobs, results and their points: the queue and the only source of truth. No torch, no streamlit."""

from dropviz.store.classes import ClassRefusal, Classroom, UnknownClass
from dropviz.store.records import (
    Claim,
    DeletedExperiment,
    Estimate,
    Experiment,
    ExperimentSummary,
    Job,
    Point,
    Result,
    SnapshotName,
    SnapshotRow,
    StoreError,
    UnknownExperiment,
    Worker,
)
from dropviz.store.runs import Listed, NotYours, Runs
from dropviz.store.store import Store
from dropviz.store.sweeps import CellState, SweepRow, UnknownSweep

__all__ = [
    "CellState",
    "Claim",
    "ClassRefusal",
    "Classroom",
    "DeletedExperiment",
    "Estimate",
    "Experiment",
    "ExperimentSummary",
    "Job",
    "Listed",
    "NotYours",
    "Point",
    "Result",
    "Runs",
    "SnapshotName",
    "SnapshotRow",
    "Store",
    "StoreError",
    "SweepRow",
    "UnknownClass",
    "UnknownExperiment",
    "UnknownSweep",
    "Worker",
]
