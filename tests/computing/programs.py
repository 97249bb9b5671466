"""Small experiments of every kind of model, and every way in which an arm can compute its step."""

from __future__ import annotations

from typing import Any

import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.strategies import examples, strategy

PLANAR = {"data": {"name": "two-moons", "train_size": 24}, "train": {"batch_size": 4}}
NUMBERS = {
    "data": {"name": "diabetes"},
    "train": {"batch_size": 4, "learning_rate": 0.01, "optimizer": "adam"},
}
IMAGES = {"data": {"name": "digits", "train_size": 40}, "train": {"batch_size": 4, "momentum": 0.9}}
TEXT = {
    "data": {"name": "markov", "symbols": 10, "train_tokens": 1000, "held_out_tokens": 205},
    "train": {"batch_size": 2, "clip": 1.0},
    "language": {"segment": 2},
}
VARYING = TEXT | {"language": {"segment": 10, "random_lengths": True, "scale_rate": True}}

RECURRENT = {"width": 6, "embedding": 4, "dropout_at": ["embedding", "input", "hidden", "output"]}
PROGRAMS: dict[str, dict[str, Any]] = {
    "linear": PLANAR | {"model": {"name": "linear"}},
    "deep linear": PLANAR | {"model": {"name": "deep-linear", "widths": [8, 8]}},
    "mlp": PLANAR | {"model": {"name": "mlp", "widths": [8, 8]}},
    "mlp of numbers": NUMBERS
    | {"model": {"name": "mlp", "widths": [8, 8], "activation": "tanh", "norm": "layer", "residual": True}},
    "cnn": IMAGES
    | {"model": {"name": "cnn", "channels": [4, 4], "dropout_at": ["hidden", "channel", "head"]}},
    "cnn, batch norm": IMAGES | {"model": {"name": "cnn", "channels": [4, 4], "norm": "batch"}},
    "cnn, group norm": IMAGES | {"model": {"name": "cnn", "channels": [4, 4], "norm": "group"}},
    "encoder": IMAGES | {"model": {"name": "encoder", "width": 8, "heads": 2, "layers": 1}},
    "lstm": TEXT | {"model": {"name": "lstm"} | RECURRENT},
    "lstm, weight drop": TEXT
    | {"model": {"name": "lstm", "width": 6, "embedding": 4, "dropout_at": ["recurrent"]}},
    "lstm, varying segments": VARYING | {"model": {"name": "lstm"} | RECURRENT},
    "gru": TEXT | {"model": {"name": "gru", "locked": False} | RECURRENT},
    "qrnn": TEXT | {"model": {"name": "qrnn"} | RECURRENT},
    "transformer": TEXT | {"model": {"name": "transformer", "width": 8, "heads": 2, "layers": 1}},
    "transformer, relative": TEXT
    | {"model": {"name": "transformer", "width": 8, "heads": 2, "layers": 1, "relative": True, "memory": 4}},
}
FAST = ("mlp", "cnn, batch norm", "lstm", "lstm, varying segments", "transformer, relative")
every_kind = pytest.mark.parametrize(
    "kind", [kind if kind in FAST else pytest.param(kind, marks=pytest.mark.slow) for kind in PROGRAMS]
)


def program(kind: str, *settings: str) -> ExperimentSpec:
    """A kind by its name, a few steps long, changed by settings."""
    rest = {
        "arms": ["none"],
        "seeds": 2,
        "train": {"steps": 12},
        "observe": {"evaluations": 2, "statistics": 0, "probe": 8, "masks": 2},
    }
    chosen = PROGRAMS[kind]
    table = rest | chosen | {"train": rest["train"] | chosen["train"]}
    return ExperimentSpec.from_table(table).with_settings(settings)


def variants(kind: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every example of an arm that fits; and, with the settings that make them, the ways in which the surrogates are computed."""
    if "varying" in kind:
        return [("dropout", ()), ("explicit+implicit", ())]
    task, estimators = program(kind).data.task, ("root-hessian", "forward", "sampled-label")
    found: list[tuple[str, tuple[str, ...]]] = [
        (arm, ()) for arm in examples() if not strategy(arm).unfit(task)
    ]
    found += [
        ("explicit+implicit", (f"surrogate.{way}",)) for way in ("estimator=exact", "shared_tangent=true")
    ]
    found += [("explicit", (f"surrogate.estimator={one}", "surrogate.samples=2")) for one in estimators]
    return [*found, ("explicit", ("surrogate.estimator=sampled-label", "surrogate.hessian=constant"))]
