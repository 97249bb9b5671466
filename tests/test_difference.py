"""Settings that differ, by dotted key, and the names that follow from what is unusual."""

from __future__ import annotations

import pytest

from dropviz.experiment import preset
from dropviz.experiment.difference import differing, flat, shared, short_name, written

SPEC = preset("noisy-digits")


def test_what_differs_is_listed_with_every_value_and_the_rest_is_shared() -> None:
    tables = [SPEC.with_settings(change).to_table() for change in ([], ["p=0.2"], ["train.steps=500"])]
    assert differing(tables) == {"p": [0.5, 0.2, 0.5], "train.steps": [1500, 1500, 500]}
    assert shared(tables).keys() == flat(tables[0]).keys() - {"p", "train.steps"}


def test_equal_specs_differ_in_nothing() -> None:
    assert differing([SPEC.to_table(), SPEC.to_table()]) == {}
    assert differing([SPEC.to_table()]) == {}


def test_a_setting_that_a_spec_does_not_have_is_none_and_groups_stay_together() -> None:
    found = differing([SPEC.to_table(), SPEC.with_settings(["model.name=linear"]).to_table()])
    assert found["model.name"] == ["mlp", "linear"]
    assert found["model.widths"] == [[128, 128], None]
    groups = [key.partition(".")[0] for key in found]
    assert groups == sorted(groups, key=groups.index)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ([], "digits · mlp128×2 · p=.5"),
        (["model.widths=[64]", "p=0.2"], "digits · mlp64 · p=.2"),
        (["model.widths=[64,32]"], "digits · mlp64-32 · p=.5"),
        (["train.learning_rate=0.05", "data.train_size=200"], "digits · mlp128×2 · p=.5 · n=200 · lr=.05"),
        (["observe.probe=32", "seeds=3", 'arms=["none"]'], "digits · mlp128×2 · p=.5"),
        (["train.keep_best=true"], "digits · mlp128×2 · p=.5 · keep_best=on"),
    ],
)
def test_a_name_says_what_is_unusual(changes: list[str], name: str) -> None:
    assert short_name(SPEC.with_settings(changes).to_table()) == name


def test_many_unusual_settings_are_counted() -> None:
    changes = [
        "data.train_size=200",
        "data.label_noise=0.1",
        "train.steps=9",
        "train.momentum=0.5",
        "train.clip=2.0",
    ]
    name = short_name(SPEC.with_settings(changes).to_table())
    assert name == "digits · mlp128×2 · p=.5 · n=200 · noise=.1 · steps=9 · +2"


def test_a_table_of_another_version_has_a_name_too() -> None:
    table = {"data": {"name": "gone", "knob": 1}, "model": {"name": "new"}, "p": 0.25}
    assert short_name(table) == "gone · new · p=.25 · knob=1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1500, "1,500"),
        (0.05, ".05"),
        (True, "on"),
        ([128, 64], "128, 64"),
        ([], "–"),
        (None, "–"),
        (1e-05, "1e-05"),
    ],
)
def test_values_are_written_shortly(value: object, text: str) -> None:
    assert written(value) == text


def test_a_long_value_is_cut() -> None:
    assert written("a" * 100) == "a" * 31 + "…"
