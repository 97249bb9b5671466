"""The yardstick: the training loop that one would write by hand, in plain PyTorch and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn


class BareLoop:
    """A ReLU network in ``nn.Sequential`` under ``torch.optim.SGD``, minibatches drawn with replacement.

    Args:
        arrays: ``x_train``, ``y_train`` and so on, with ``validation`` and ``test``.
        sizes: Features, hidden widths, classes.
        p: Drop probability after each hidden layer; 0 builds the network without dropout.
        batch_size: Rows of a minibatch.
        learning_rate: Of SGD.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        sizes: Sequence[int],
        *,
        p: float,
        batch_size: int,
        learning_rate: float,
    ) -> None:
        self.data = {
            name: torch.from_numpy(array).flatten(1) if array.ndim > 1 else torch.from_numpy(array)
            for name, array in arrays.items()
        }
        self.x, self.y, self.batch_size = self.data["x_train"], self.data["y_train"], batch_size
        self.network = _network(sizes, p)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=learning_rate)

    def update(self) -> Tensor:
        """One step; returns the minibatch's loss."""
        rows = torch.randint(len(self.x), (self.batch_size,))
        self.optimizer.zero_grad()
        loss = self.objective(self.x[rows], self.y[rows])
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def objective(self, x: Tensor, y: Tensor) -> Tensor:
        """What a step differentiates."""
        return self.criterion(self.network(x), y)

    def train(self, steps: int, evaluated: Collection[int]) -> list[float]:
        """Train, and evaluate at the given steps what ``training.Block`` does with statistics off.

        That is loss and accuracy on the training and the validation split, the mean minibatch loss since the
        evaluation before, and at the end loss and accuracy on the test split. The numbers are only collected.
        """
        found, total = [], torch.zeros(())
        for step in range(steps + 1):
            if step in evaluated:
                found += [total.item(), *self._evaluate("train"), *self._evaluate("validation")]
                total = torch.zeros(())
            if step < steps:
                total += self.update()
        return found + self._evaluate("test")

    def _evaluate(self, split: str) -> list[float]:
        self.network.eval()
        with torch.no_grad():
            y = self.data[f"y_{split}"]
            z = self.network(self.data[f"x_{split}"])
            loss = self.criterion(z, y).item()
            accuracy = (z.argmax(1) == y).float().mean().item()
        self.network.train()
        return [loss, accuracy]


def _network(sizes: Sequence[int], p: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        layers += [nn.Dropout(p)] if p else []
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
