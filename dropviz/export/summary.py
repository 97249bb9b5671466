"""What an experiment found, as a table: means over seeds, the decomposition, and what computed them."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from dropviz import __version__, analysis, settings
from dropviz.experiment import ExperimentSpec, code_version
from dropviz.store import Experiment

PACKAGES = ("torch", "numpy", "scikit-learn", "pydantic", "SQLAlchemy")


def decomposition(
    spec: ExperimentSpec, finished: dict[str, dict[str, dict[int, float]]]
) -> analysis.Decomposition:
    """The gain of dropout on the test split, by the task's score, taken apart."""
    metric = f"test/{spec.data.task.score}"
    values = {arm: metrics[metric] for arm, metrics in finished.items() if metric in metrics}
    return analysis.decompose(values, metric)


def summary(
    experiment: Experiment,
    finished: dict[str, dict[str, dict[int, float]]],
    provenance: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What summary.json holds; failed arms are named with their reason.

    Args:
        experiment: Whose it is.
        finished: Arm → metric → seed → last value, of what is done.
        provenance: What computed it, where that was not this program.
    """
    table: dict[str, Any] = {
        "arms": {
            arm: {metric: describe(values) for metric, values in metrics.items()}
            for arm, metrics in finished.items()
        },
        "decomposition": decomposition(experiment.spec, finished).to_table(),
        "spec": experiment.spec.to_table(),
        "versions": {
            name: text for name, text in (provenance or versions()).items() if name != "computed_at"
        },
        "device": ", ".join(sorted({job.device for job in experiment.jobs if job.device})),
    }
    failed: dict[str, str] = {}
    for job in experiment.jobs:
        if job.state == "failed":
            failed[job.arm] = " ".join(filter(None, (failed.get(job.arm), job.error)))
    return table | ({"failed": failed} if failed else {})


def describe(values: dict[int, float]) -> dict[str, Any]:
    """Mean, standard error of the mean and count over seeds, with the values in the order of the seeds."""
    ordered = np.array([values[seed] for seed in sorted(values)])
    n = len(ordered)
    se = float(ordered.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    return {"mean": float(ordered.mean()), "se": se, "n": n, "values": ordered.tolist()}


def versions() -> dict[str, str]:
    """What computed the result: this program, its code, Python and the packages that matter."""
    found = {"dropviz": __version__, "code": code_version(), "python": platform.python_version()}
    return found | {name: settings.version_of(name) for name in PACKAGES}
