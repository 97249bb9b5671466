"""The rule of pairing against what a seed really draws: splits, initial weights, minibatches."""

from __future__ import annotations

import numpy as np
import pytest

from dropviz import datasets, models
from dropviz.analysis.pairing import breaks, sentence
from dropviz.experiment import ExperimentSpec, preset
from dropviz.training.feed import feed

DIGITS = preset("noisy-digits").with_settings(["data.train_size=64", "model.widths=[8]", "train.steps=20"])
TEXT = preset("markov-lstm").with_settings(
    [
        "data.train_tokens=2000",
        "data.held_out_tokens=500",
        "model.width=8",
        "model.embedding=8",
        "train.steps=20",
    ]
)
SEED = 3


def drawn(spec: ExperimentSpec) -> dict[str, list[np.ndarray]]:
    """All that a seed draws before any mask is."""
    splits = spec.data.load(SEED)
    arrays = [value for name, value in sorted(vars(splits).items()) if isinstance(value, np.ndarray)]
    weights = [value for _, value in sorted(spec.model.initial(SEED, spec.data.task).items())]
    batches = [feed(spec, [SEED], "cpu").batch(step) for step in range(4)]
    return {
        "data": arrays,
        "model": weights,
        "train": [tensor.numpy() for batch in batches for tensor in (batch.x, batch.y)],
    }


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


FREE = [
    "p=0.2",
    "arms=['explicit']",
    "seeds=5",
    "surrogate.estimator=forward",
    "train.steps=40",
    "train.optimizer=adam",
    "train.learning_rate=0.01",
    "train.schedule=cosine",
    "train.weight_decay=0.1",
    "train.clip=1.0",
    "train.keep_best=true",
    "train.patience=3",
    "observe.evaluations=3",
]


@pytest.mark.parametrize("change", [*FREE, "model.dropout_at=['input','hidden=0.2']", "language.segment=9"])
def test_digits_that_pair_draw_the_same(change: str) -> None:
    other = DIGITS.with_settings([change])
    assert breaks(DIGITS, other) == []
    mine, theirs = drawn(DIGITS), drawn(other)
    assert all(same(mine[part], theirs[part]) for part in mine)


@pytest.mark.parametrize("change", [*FREE, "model.dropout_at=['output']", "language.scale_rate=true"])
def test_texts_that_pair_draw_the_same(change: str) -> None:
    first = TEXT.with_settings(["language.random_lengths=true"]) if "scale_rate" in change else TEXT
    other = first.with_settings([change])
    assert breaks(first, other) == []
    mine, theirs = drawn(first), drawn(other)
    assert all(same(mine[part], theirs[part]) for part in mine)


@pytest.mark.parametrize(
    ("spec", "change", "key", "part"),
    [
        (DIGITS, "data.train_size=65", "data.train_size", "data"),
        (DIGITS, "data.label_noise=0.1", "data.label_noise", "data"),
        (DIGITS, "model.widths=[9]", "model.widths", "model"),
        (DIGITS, "train.batch_size=8", "train.batch_size", "train"),
        (TEXT, "language.segment=9", "language.segment", "train"),
        (TEXT, "language.random_lengths=true", "language.random_lengths", "train"),
        (TEXT, "data.symbols=70", "data.symbols", "data"),
        (TEXT, "model.embedding=9", "model.embedding", "model"),
        (TEXT, "train.batch_size=5", "train.batch_size", "train"),
    ],
)
def test_what_breaks_the_pairing_draws_something_else(
    spec: ExperimentSpec, change: str, key: str, part: str
) -> None:
    other = spec.with_settings([change])
    assert [one.key for one in breaks(spec, other)] == [key]
    assert not same(drawn(spec)[part], drawn(other)[part])


def test_another_network_breaks_the_pairing_even_where_its_numbers_agree() -> None:
    assert [one.key for one in breaks(DIGITS, DIGITS.with_settings(["model.activation=tanh"]))] == [
        "model.activation"
    ]


def test_of_another_data_set_or_model_only_the_name_is_said() -> None:
    other = DIGITS.with_settings(["data.name=wine", "model.name=linear"])
    assert sentence(breaks(DIGITS, other)) == (
        "data.name is digits and wine, so a seed draws other data;"
        " model.name is mlp and linear, so a seed starts from other weights"
    )


def alternatives() -> list[tuple[str, str]]:
    members = models.registry.members.items()
    return [(name, place) for name, one in members for place in one.model_fields["dropout_at"].examples or []]


@pytest.mark.parametrize(("name", "place"), alternatives())
def test_where_a_model_drops_has_no_say_in_its_initial_weights(name: str, place: str) -> None:
    member = models.registry.members[name]
    text = "lstm" in name or name in ("gru", "qrnn", "transformer")
    task = datasets.registry.read("markov" if text else "digits").task
    usual = member.from_table({})
    try:
        other = member.from_table({"dropout_at": [f"{place}=0.3"]})
    except ValueError:
        pytest.skip("this place is only there with other settings")
    mine, theirs = usual.initial(SEED, task), other.initial(SEED, task)
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[key], theirs[key]) for key in mine)
