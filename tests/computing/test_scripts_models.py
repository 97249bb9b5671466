"""Every model as a script: perceptrons in all their forms, images, tokens, texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropviz import models
from tests.computing.scripted import ROUNDED, differences, experiment

TEXT = (
    "data.symbols=12",
    "data.train_tokens=1000",
    "data.held_out_tokens=127",
    "language.segment=5",
    "train.batch_size=4",
    "train.learning_rate=0.5",
    "train.clip=1",
)
EVERYWHERE = {
    "linear": [()],
    "deep-linear": [("model.widths=[12,9]", "model.dropout_at=['input','hidden=0.3']")],
    "mlp": [
        ("model.norm='layer'", "model.residual=true", "model.widths=[16,16]"),
        ("model.activation='gelu'", "model.dropout_at=['input=0.1','hidden2']"),
        ("model.activation='tanh'", "data=two-moons", "model.widths=[9,9]", "surrogate.estimator=auto"),
    ],
    "cnn": [
        ("model.channels=[3,4]", "model.head=8", "model.dropout_at=['input','hidden','channel','head']"),
        ("model.channels=[4,4]", "model.head=0", "model.residual=true", "model.norm='group'"),
        ("model.channels=[3]", "model.head=6", "model.norm='batch'"),
        ("data=mnist-1d", "data.train_size=60", "model.pooling='average'", "surrogate.estimator=auto"),
    ],
    "encoder": [
        ("model.width=8", "model.patch=3", "model.dropout_at=['attention','feedforward','residual']"),
        ("data=iris", "model.width=8", "model.dropout_at=['embedding','output']"),
    ],
    "lstm": [
        ("model.width=9", "model.embedding=6"),
        ("model.width=9", "model.embedding=6", "model.locked=false"),
    ],
    "gru": [("model.width=9", "model.embedding=6", "model.dropout_at=['embedding','recurrent','hidden']")],
    "qrnn": [
        ("model.width=9", "model.embedding=6", "model.tied=false", "model.dropout_at=['weights','output']")
    ],
    "transformer": [
        ("model.width=8", "model.feedforward=12"),
        (
            "model.width=8",
            "model.relative=true",
            "model.memory=7",
            "model.dropout_at=['embedding','input','attention','feedforward','residual','output']",
        ),
    ],
}
CASES = [(name, knobs) for name, cases in EVERYWHERE.items() for knobs in cases]


def test_every_model_is_tried() -> None:
    assert set(EVERYWHERE) == set(models.registry.members)


@pytest.mark.parametrize("arm", ["dropout-3+analytic-noise", "explicit+implicit"])
@pytest.mark.parametrize(("model", "knobs"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_every_model_has_the_numbers_of_the_run(
    model: str, knobs: tuple[str, ...], arm: str, tmp_path: Path
) -> None:
    text = model in ("lstm", "gru", "qrnn", "transformer")
    first = ("data=markov", f"model={model}", *TEXT) if text else (f"model={model}",)
    found = differences(experiment(*first, *knobs, "train.steps=8"), arm, tmp_path)
    assert max(found.values()) < ROUNDED, found


@pytest.mark.parametrize("sites", ["['input','output']", "['recurrent','output']"])
def test_of_a_text_the_exact_regularizer_goes_token_by_token(sites: str, tmp_path: Path) -> None:
    small = ("model.width=5", "model.embedding=4", "model.layers=1", f"model.dropout_at={sites}")
    few = ("data.symbols=10", "language.segment=3", "train.batch_size=2", "train.steps=2")
    spec = experiment("data=markov", "model=lstm", *TEXT, *few, *small, "surrogate.estimator=exact")
    for arm in ("explicit+implicit", "explicit-identity"):
        assert max(differences(spec, arm, tmp_path).values()) < ROUNDED
