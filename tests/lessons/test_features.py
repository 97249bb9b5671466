"""The price of a feature's weight: against loops, and against the library's regularizer of the same network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dropviz import explicit_regularizer
from dropviz.lessons.features import prices

RANDOM = np.random.default_rng(3)
X, BETA, OFFSET, P = RANDOM.normal(size=(40, 6)), RANDOM.normal(size=6), 0.3, 0.4


def test_the_penalty_is_the_explicit_regularizer_of_the_logistic_regression() -> None:
    linear = torch.nn.Linear(6, 2).double()
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(np.stack([0 * BETA, BETA])))
        linear.bias.copy_(torch.tensor([0.0, OFFSET]))
    model = torch.nn.Sequential(torch.nn.Dropout(P), linear)
    expected = explicit_regularizer(model, torch.tensor(X), estimator="exact").item()
    assert prices(X, BETA, OFFSET, P / (1 - P))["penalty"] == pytest.approx(expected, rel=1e-9)


def test_prices_are_means_over_thirds_of_the_features() -> None:
    pi = 1 / (1 + np.exp(-(X @ BETA + OFFSET)))
    price = [
        np.mean([q * (1 - q) * row[j] ** 2 for q, row in zip(pi, X, strict=True)])
        / (np.mean(pi * (1 - pi)) * np.mean(X[:, j] ** 2))
        for j in range(6)
    ]
    order = sorted(range(6), key=lambda j: abs(BETA[j]))
    found = prices(X, BETA, OFFSET, 1.0)
    for name, pair in zip(("weak", "middle", "decisive"), (order[:2], order[2:4], order[4:]), strict=True):
        assert found[name] == pytest.approx(np.mean([price[j] for j in pair]))
