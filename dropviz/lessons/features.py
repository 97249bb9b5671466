"""Which features the explicit regularizer penalizes: its closed form for logistic regression, from the weights that a run kept.

With two classes, dropout on the features and β the difference of their weights, R_approx = (v/2) Σ_j β_j² mean π(1 − π) x_j²
(Wager et al. 2013, section 3). The mean is the price of a squared weight.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from dropviz.datasets import Splits
from dropviz.experiment import ExperimentSpec
from dropviz.store import Experiment, Store

GROUPS = ("weak", "middle", "decisive")  # thirds of the features, by how large their weight is


def feature_values(
    store: Store, experiment: Experiment, done: Collection[int]
) -> dict[tuple[str, str], dict[int, dict[int, float]]]:
    """(arm, ``features/…``) → last step → seed → value; nothing of arms whose last weights were not kept.

    ``features/penalty`` is R_approx over the training split. ``features/weak``, ``features/middle`` and ``features/decisive``
    are the mean price of a squared weight in each third of the features, over mean π(1 − π) times mean x_j², which it would be
    if the features had nothing to do with how sure the model is.
    """
    found: dict[tuple[str, str], dict[int, dict[int, float]]] = {}
    last = experiment.spec.train.steps
    for job in experiment.jobs:
        if job.id not in done or last not in store.kept_steps(job.id):
            continue
        weights = store.kept_weights(job.id, last)
        for position, seed in enumerate(job.seeds):
            mine = {name: value[position] for name, value in weights.items()}
            for name, value in prices_of(experiment.spec, seed, mine).items():
                found.setdefault((job.arm, f"features/{name}"), {}).setdefault(last, {})[seed] = value
    return found


def prices_of(spec: ExperimentSpec, seed: int, weights: Mapping[str, np.ndarray]) -> dict[str, float]:
    """``prices`` of a linear model of two classes on its training split; ``weight`` (features, 2) and ``bias`` (1, 2)."""
    splits = spec.data.load(seed)
    assert isinstance(splits, Splits)
    x = np.asarray(splits.x_train, dtype=np.float64).reshape(len(splits.x_train), -1)
    offset = float(weights["bias"][0] @ [-1, 1])
    return prices(x, weights["weight"] @ [-1, 1], offset, spec.p / (1 - spec.p))


def prices(x: np.ndarray, beta: np.ndarray, offset: float, v: float) -> dict[str, float]:
    """The penalty, and the price of a squared weight by thirds of the features.

    Args:
        x: Examples, (N, features).
        beta: Weights of the log odds, (features,).
        offset: Their constant.
        v: Variance of the dropout noise, p/(1 − p).
    """
    odds = x @ beta + offset
    unsure = 1 / (2 + np.exp(odds) + np.exp(-odds))  # π(1 − π)
    price = unsure @ x**2 / len(x)
    relative = price / (unsure.mean() * (x**2).mean(axis=0))
    thirds = np.array_split(np.argsort(np.abs(beta)), len(GROUPS))
    found = {name: float(relative[third].mean()) for name, third in zip(GROUPS, thirds, strict=True)}
    return {"penalty": float(v / 2 * price @ beta**2), **found}
