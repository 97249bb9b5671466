"""Experiments, jobs, results and their points: the queue and the only source of truth. No torch, no streamlit."""

from dropviz.store.classes import ClassRefusal, Classroom, UnknownClass
from dropviz.store.library import Library, Listed, NotYours
from dropviz.store.records import (
    Claim,
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
from dropviz.store.store import Store
from dropviz.store.sweeps import CellState, SweepRow, UnknownSweep

__all__ = [
    "CellState",
    "Claim",
    "ClassRefusal",
    "Classroom",
    "Estimate",
    "Experiment",
    "ExperimentSummary",
    "Job",
    "Library",
    "Listed",
    "NotYours",
    "Point",
    "Result",
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
