"""Every model takes a few steps with every arm, on data of every kind that both can learn."""

from __future__ import annotations

from typing import Any

import pytest

from dropviz.datasets import Dataset
from dropviz.datasets.diabetes import Diabetes
from dropviz.datasets.digits import Digits
from dropviz.datasets.two_moons import TwoMoons
from dropviz.experiment import ExperimentSpec
from dropviz.models import Model, registry
from dropviz.strategies import examples, strategy
from dropviz.training import Block
from tests.computing.letters import Letters
from tests.computing.tasks import everywhere

DATA: dict[str, Dataset] = {
    "classes": TwoMoons(train_size=16),
    "numbers": Diabetes(),
    "images": Digits(train_size=16),
    "text": Letters(),
}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "mlp": {"normalized, with skips": {"widths": (5, 5), "norm": "layer", "residual": True}},
    "cnn": {
        "groups, with skips": {"channels": (4, 4), "norm": "group", "residual": True},
        "running averages": {"norm": "batch"},
    },
}
MODELS = {
    f"{name}{', ' if variant else ''}{variant}": everywhere(name, **knobs)
    for name in registry.members
    for variant, knobs in ({"": {}} | VARIANTS.get(name, {})).items()
}
CASES = {
    f"{name}, {kind}": (model, data)
    for name, model in MODELS.items()
    for kind, data in DATA.items()
    if not model.unfit(data.task)
}


def experiment(model: Model, data: Dataset) -> ExperimentSpec:
    table: dict[str, Any] = {
        "data": data,
        "model": model,
        "p": 0.25,
        "train": {"steps": 3, "batch_size": 3, "learning_rate": 0.01},
        "language": {"segment": 4},
    }
    return ExperimentSpec.from_table(table)


@pytest.mark.parametrize(("model", "data"), CASES.values(), ids=CASES)
def test_every_arm_trains_every_model(model: Model, data: Dataset) -> None:
    for arm in [name for name in examples() if not strategy(name).unfit(data.task)]:
        block = Block(experiment(model, data), arm, [0, 1])
        before = {name: value.detach().clone() for name, value in block.parameters.items()}
        for _ in range(3):
            terms = block.update()
            for term in (terms.data, terms.explicit, terms.implicit):
                assert term is None or (term.shape == (2,) and bool(term.isfinite().all())), arm
        network = block.stacked.network(block.feed.batch(3))
        assert tuple(network.shapes) == tuple(network.variances) == model.sites()
        for name, value in block.parameters.items():
            assert value.isfinite().all(), (arm, name)
            assert (value != before[name]).any(), (arm, name)
