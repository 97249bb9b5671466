"""Every estimator on a small convolutional network against brute force: the Jacobian in ε, and all signs."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from dropviz.masks import Multiply, Record
from dropviz.models.cnn import Cnn
from dropviz.regularizers import Network, exact_regularizer, explicit_shares
from dropviz.task import classification

TASK, ROWS, V = classification((1, 2, 3), classes=3), 2, 0.25 / 0.75
PLACES = [("channel",), ("hidden",), ("head",), ("channel", "head")]


class Small:
    """A network with random weights and a minibatch, float64."""

    def __init__(self, places: tuple[str, ...]) -> None:
        self.model = Cnn(channels=(2,), head=3, dropout_at=places, activation="tanh")
        random = np.random.default_rng(0)
        self.parameters = {
            name: torch.from_numpy(0.7 * random.standard_normal((1, *shape))).requires_grad_()
            for name, shape in self.model.shapes(TASK).items()
        }
        self.x = torch.from_numpy(random.standard_normal((1, ROWS, *TASK.shape)))
        record = Record()
        self.model.forward(self.parameters, self.x, record)
        self.shapes = record.mask_shapes(ROWS)
        self.network = Network(
            forward=lambda behaviour: self.model.forward(self.parameters, self.x, behaviour),
            y=torch.tensor([[0, 2]]),
            variances=dict.fromkeys(self.shapes, V),
            shapes=self.shapes,
        )

    def logits(self, *epsilon: Tensor) -> Tensor:
        """z(ε) of all rows: (B, C)."""
        factors = {site: (1 + one)[None, None] for site, one in zip(self.shapes, epsilon, strict=True)}
        return self.network.forward(Multiply(factors))[0]

    def by_brute_force(self) -> Tensor:
        """½ v tr(Jᵀ H_out J), mean over rows, out of the full Jacobian."""
        still = tuple(torch.zeros(shape, dtype=torch.float64) for shape in self.shapes.values())
        p = self.logits(*still).softmax(-1)
        total = torch.zeros((), dtype=torch.float64)
        for part in jacobian(self.logits, still):
            for row in range(ROWS):
                j = part[row].flatten(1)
                h = p[row].diag() - torch.outer(p[row], p[row])
                total = total + V / 2 * torch.trace(j.T @ h @ j) / ROWS
        return total.detach()

    def estimates(self, estimator: str) -> list[Tensor]:
        """The estimator at every choice of its signs; rows share them, as none has a say in another's share."""
        found = []
        sizes = [torch.Size(shape[1:]).numel() for shape in self.shapes.values()]
        free = 3 if estimator != "forward" else sum(sizes)
        for choice in product((-1.0, 1.0), repeat=free):
            signs = torch.tensor(choice, dtype=torch.float64)
            draws = SimpleNamespace(
                output_signs=lambda count, s=signs: s.expand(1, ROWS, -1),
                signs=lambda s=signs: {
                    site: part.view(shape[1:]).expand(1, *shape)
                    for (site, shape), part in zip(self.shapes.items(), s.split(sizes), strict=True)
                },
            )
            draws.sample = lambda index, d=draws: d
            watch = self.network.watch()
            shares = explicit_shares(
                self.network, self.network.forward(watch), watch, draws, estimator=estimator
            )
            found.append(torch.stack(list(shares.values())).sum().detach())
        return found


@pytest.mark.parametrize("places", PLACES, ids="+".join)
def test_the_exact_regularizer_is_the_trace(places: tuple[str, ...]) -> None:
    small = Small(places)
    torch.testing.assert_close(exact_regularizer(small.network)[0].detach(), small.by_brute_force())


@pytest.mark.parametrize("estimator", ["root_hessian", "auto", "forward"])
@pytest.mark.parametrize("places", [("channel",), ("head",)], ids="+".join)
def test_the_mean_over_all_signs_is_the_trace(places: tuple[str, ...], estimator: str) -> None:
    small = Small(places)
    torch.testing.assert_close(torch.stack(small.estimates(estimator)).mean(), small.by_brute_force())
