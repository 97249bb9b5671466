"""A small task of every kind, small models of the registry, and inputs and parameters for them, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dropviz.masks import Record
from dropviz.models import Model, registry
from dropviz.task import Task, classification, language, regression

TASKS = {
    "table": classification((6,), 4),
    "numbers": regression((6,), 2),
    "images": classification((2, 6, 5), 3),
    "signals": classification((1, 1, 9), 2),
    "text": language(5, "character"),
}
SMALL: dict[str, Any] = {
    "widths": (7, 5),
    "width": 6,
    "embedding": 4,
    "layers": 2,
    "heads": 2,
    "feedforward": 5,
    "channels": (3, 4),
    "head": 5,
    "patch": 4,
}
ROWS, TOKENS = 4, 3


def small(name: str, **knobs: Any) -> Model:
    """A model of few units, whatever it calls the knobs that say so."""
    member = registry.members[name]
    return member.from_table(
        {knob: value for knob, value in SMALL.items() if knob in member.model_fields} | knobs
    )


def everywhere(name: str, **knobs: Any) -> Model:
    """The same with dropout at each of its places."""
    return small(name, **knobs, dropout_at=tuple(small(name, **knobs).places()))


def fits(model: Model) -> list[Task]:
    """The small tasks that the model can do."""
    return [task for task in TASKS.values() if not model.unfit(task)]


def parameters(model: Model, task: Task, *seeds: int) -> dict[str, Tensor]:
    """The initial parameters of these seeds, each moved a little, stacked."""
    found: dict[str, list[Tensor]] = {}
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        for name, value in model.initial(seed, task).items():
            moved = 0.2 * torch.randn(value.shape, generator=random, dtype=torch.float64)
            found.setdefault(name, []).append(torch.from_numpy(value).double() + moved)
    buffers = model.buffers()
    return {name: torch.stack(one).requires_grad_(name not in buffers) for name, one in found.items()}


def inputs(task: Task, seeds: int = 1, rows: int = ROWS) -> Tensor:
    """Normal numbers (S, B, *shape), or tokens (S, B, T)."""
    random = torch.Generator().manual_seed(0)
    if task.kind == "language":
        return torch.randint(task.outputs, (seeds, rows, TOKENS), generator=random)
    return torch.randn(seeds, rows, *task.shape, generator=random, dtype=torch.float64)


def repeated(x: Tensor, task: Task, replicas: int) -> Tensor:
    """What a model wants beside masks for so many replicas: of a text each stream once a replica."""
    return x.repeat(1, replicas, 1) if task.kind == "language" else x


def mask_shapes(model: Model, task: Task) -> dict[str, tuple[int, ...]]:
    """Site → the shape of ε of one seed."""
    record = Record()
    with torch.no_grad():
        model.forward(parameters(model, task, 0), inputs(task), record)
    return record.mask_shapes(ROWS)


def factors(model: Model, task: Task, replicas: int = 1, seeds: int = 1) -> dict[str, Tensor]:
    """Drawn 1 + ε of p = ¼ by site: (S, R, …)."""
    random = torch.Generator().manual_seed(2)
    found = {}
    for site, shape in mask_shapes(model, task).items():
        uniform = torch.rand(seeds, replicas, *shape, generator=random, dtype=torch.float64)
        found[site] = (uniform > 0.25).double() / 0.75
    return found


def multiplied(jacobians: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Every site's Jacobian in full, (S, B, K, W), from its units and slopes."""
    return {site: h.unsqueeze(2) * slopes for site, (h, slopes) in jacobians.items()}
