"""A tiny text, and language models on it whose parameters are far from their beginning."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dropviz.datasets.dataset import Dataset, Text
from dropviz.experiment import ExperimentSpec
from dropviz.masks import Record
from dropviz.models import Model
from dropviz.streams import generator
from dropviz.task import Task, language
from dropviz.text import Vocabulary


class Letters(Dataset):
    """Letters drawn uniformly."""

    name: Literal["letters"] = "letters"
    letters: int = 5
    length: int = 120

    title: ClassVar[str] = "Letters"
    origin: ClassVar[str] = "generator"
    licence: ClassVar[str] = "none"

    @property
    def task(self) -> Task:
        """The next letter."""
        return language(self.letters, "character")

    def load(self, seed: int) -> Text:
        """Three texts."""
        random = generator(seed, "data/letters")
        lengths = {"train": self.length, "validation": self.length // 3, "test": self.length // 3}
        texts = {name: random.integers(0, self.letters, length) for name, length in lengths.items()}
        vocabulary = Vocabulary(tokens=tuple("abcdefgh"[: self.letters]), tokenizer="letters", separator="")
        return Text(vocabulary=vocabulary, **texts)


TASK = Letters().task


def experiment(
    model: Model, *, data: Dataset | None = None, p: float = 0.25, steps: int = 3
) -> ExperimentSpec:
    """A few steps of a language model on segments of 3 streams and 4 letters."""
    table: dict[str, Any] = {
        "data": data or Letters(),
        "model": model,
        "p": p,
        "seeds": 2,
        "train": {"steps": steps, "batch_size": 3, "learning_rate": 0.1},
        "language": {"segment": 4},
        "observe": {"evaluations": 1, "statistics": 2, "masks": 2},
    }
    return ExperimentSpec.from_table(table)


def parameters(model: Model, seeds: int = 1, task: Task = TASK, *, scale: float = 0.6) -> dict[str, Tensor]:
    """Normal numbers, gains around 1: stacked, float64."""
    random = torch.Generator().manual_seed(0)
    found = {}
    for name, shape in model.shapes(task).items():
        values = scale * torch.randn(seeds, *shape, generator=random, dtype=torch.float64)
        found[name] = (values + ("gain" in name)).requires_grad_()
    return found


def tokens(
    seeds: int = 1, streams: int = 3, length: int = 4, *, letters: int = TASK.outputs, seed: int = 1
) -> Tensor:
    """(S, B, T)."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(letters, (seeds, streams, length), generator=random)


def sites_of(model: Model, x: Tensor) -> Record:
    """The shapes of ε, and which sites drop weights."""
    record = Record()
    with torch.no_grad():
        model.forward(parameters(model), x[:1], record)
    return record


def factors(model: Model, x: Tensor, replicas: int = 1, seeds: int = 1) -> dict[str, Tensor]:
    """Drawn 1 + ε of p = ¼ by site: (S, R, …), float64."""
    random = torch.Generator().manual_seed(2)
    found = {}
    for site, shape in sites_of(model, x).mask_shapes(x.shape[1]).items():
        uniform = torch.rand(seeds, replicas, *shape, generator=random, dtype=torch.float64)
        found[site] = (uniform > 0.25).double() / 0.75
    return found


def repeated(x: Tensor, replicas: int) -> Tensor:
    """The streams once a replica: (S, R·B, T)."""
    return x.repeat(1, replicas, 1)
