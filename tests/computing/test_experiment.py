"""Specs: they round trip, have one canonical text, and say in one sentence what is wrong with them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropviz.budget import Budget, check_budget
from dropviz.choices import SpecError
from dropviz.experiment import (
    DEFAULT_ARMS,
    ExperimentSpec,
    evaluation_interval,
    evaluation_steps,
    load_spec,
    preset,
    preset_names,
    result_key,
)
from dropviz.strategies import examples
from tests.computing.tiny import experiment

TABLE: dict[str, Any] = {"data": {"name": "digits"}, "model": {"name": "mlp"}}
ARMS = [*examples(), "dropout-2", "dropout-256+mask-noise"]

finite = {"allow_nan": False, "allow_infinity": False}
data_tables = st.one_of(
    st.fixed_dictionaries(
        {"name": st.just("digits")},
        optional={"train_size": st.integers(16, 1500), "label_noise": st.floats(0, 1)},
    ),
    st.fixed_dictionaries({"name": st.just("two-moons")}, optional={"noise": st.floats(0, 2)}),
    st.just("breast-cancer"),
)
model_tables = st.fixed_dictionaries(
    {"name": st.just("mlp")},
    optional={
        "widths": st.lists(st.integers(1, 4096), min_size=1, max_size=8),
        "activation": st.sampled_from(["relu", "tanh", "gelu"]),
        "dropout_at": st.lists(st.sampled_from(["input", "hidden", "hidden1"]), min_size=1),
    },
)
spec_tables = st.fixed_dictionaries(
    {"data": data_tables, "model": model_tables},
    optional={
        "p": st.floats(0, 1, exclude_max=True, **finite),
        "arms": st.lists(st.sampled_from(ARMS), min_size=1, max_size=12),
        "seeds": st.integers(1, 1024),
        "first_seed": st.integers(0, 2**31),
        "surrogate": st.fixed_dictionaries(
            {}, optional={"estimator": st.just("root-hessian"), "explicit": st.floats(0, 100)}
        ),
        "train": st.fixed_dictionaries(
            {"learning_rate": st.floats(0, 1e12, exclude_min=True)}, optional={"momentum": st.floats(0, 0.99)}
        ),
        "observe": st.fixed_dictionaries({}, optional={"evaluations": st.integers(1, 1000)}),
    },
)


def spec(**changes: Any) -> ExperimentSpec:
    return ExperimentSpec.from_table(TABLE | changes)


def refused(table: dict[str, Any]) -> str:
    """The one sentence that a table is refused with."""
    with pytest.raises(SpecError) as caught:
        ExperimentSpec.from_table(table)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Round trips.


@settings(deadline=None, max_examples=60)
@given(spec_tables)
def test_a_spec_is_read_back_unchanged_from_its_table_and_its_canonical_text(table: dict[str, Any]) -> None:
    one = ExperimentSpec.from_table(table)
    again = ExperimentSpec.from_table(json.loads(one.canonical()))
    assert again == one
    assert ExperimentSpec.from_table(one.to_table()) == one
    assert (again.canonical(), again.digest()) == (one.canonical(), one.digest())


@settings(deadline=None, max_examples=40)
@given(
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 1024),
    st.lists(st.sampled_from(ARMS), min_size=1, max_size=6),
)
def test_settings_are_read_as_toml_and_change_what_they_name(p: float, seeds: int, arms: list[str]) -> None:
    changed = spec().with_settings([f"p={p!r}", f"seeds = {seeds}", f"arms={json.dumps(arms)}"])
    assert (changed.p, changed.seeds, changed.arms) == (p, seeds, tuple(dict.fromkeys(arms)))
    assert changed.with_settings([]) == changed


def test_the_canonical_text_has_sorted_keys_and_no_spaces() -> None:
    text = spec().canonical()
    assert " " not in text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_the_order_of_keys_and_the_defaults_do_not_change_the_digest() -> None:
    turned = dict(reversed(TABLE.items())) | {"p": 0.5, "arms": list(DEFAULT_ARMS)}
    assert ExperimentSpec.from_table(turned).digest() == spec().digest()


@pytest.mark.parametrize(
    "changes", [{"p": 0.25}, {"seeds": 3}, {"arms": ["none"]}, {"train": {"steps": 7}}, {"data": "two-moons"}]
)
def test_a_change_changes_the_digest(changes: dict[str, Any]) -> None:
    assert spec(**changes).digest() != spec().digest()


def test_arms_are_kept_once_under_their_canonical_names() -> None:
    assert spec(arms=["dropout-1", "dropout", "dropout-08"]).arms == ("dropout", "dropout-8")


def test_seeds_count_up_from_the_first() -> None:
    assert list(spec(seeds=3, first_seed=40).seed_list()) == [40, 41, 42]


def test_a_whole_number_and_its_decimal_are_the_same_spec() -> None:
    assert spec(p=0).digest() == spec(p=0.0).digest()


# Settings.


def test_a_plain_word_needs_no_quotes() -> None:
    assert spec().with_settings(["train.optimizer=adam"]).train.optimizer == "adam"


@pytest.mark.parametrize("setting", ["data=two-moons", "data.name=two-moons", 'data={name="two-moons"}'])
def test_another_data_set_comes_with_its_own_knobs(setting: str) -> None:
    changed = spec(data={"name": "digits", "train_size": 500}).with_settings([setting])
    assert changed.data.to_table() == {
        "name": "two-moons",
        "train_size": 100,
        "noise": 0.25,
        "label_noise": 0.1,
    }


def test_naming_the_same_data_set_again_keeps_its_knobs() -> None:
    kept = spec(data={"name": "digits", "train_size": 500}).with_settings(["data.name=digits"])
    assert kept.data.to_table()["train_size"] == 500


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(SpecError, match="'p' is not a setting: write key=value"):
        spec().with_settings(["p"])


@pytest.mark.parametrize(
    ("setting", "fix"),
    [
        ("seedz=3", "did you mean 'seeds'"),
        ("train.stepz=3", "did you mean 'steps'"),
        ("trian.steps=3", "did you mean 'train'"),
        ("data.train_sise=3", "did you mean 'train_size'"),
        ("model.width=[3]", "did you mean 'widths'"),
        ("train.zzz=1", "known here: batch_size, clip, clip_noise, keep_best, learning_rate"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_one(setting: str, fix: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec().with_settings([setting])
    assert fix in str(caught.value)


# What is refused.


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"p": 1.0}, "p = 1.0 is not possible: it must be below 1.0."),
        ({"p": float("nan")}, "p = nan is not possible: it must be a finite number."),
        ({"p": "much"}, "p = 'much' is not possible: it must be a number."),
        ({"seeds": 0}, "seeds = 0 is not possible: it must be at least 1."),
        ({"seeds": 2.5}, "seeds = 2.5 is not possible: it must be a whole number."),
        ({"train": {"steps": 0}}, "train.steps = 0 is not possible: it must be at least 1."),
        ({"train": {"learning_rate": 0}}, "train.learning_rate = 0 is not possible: it must be above 0.0."),
        (
            {"train": {"optimizer": "lion"}},
            "train.optimizer = 'lion' is not possible: choose 'sgd', 'adam' or 'adamw'.",
        ),
        ({"train": 5}, "train = 5 is not possible: it must be a table of settings."),
        ({"arms": []}, "arms = () is not possible: give at least 1."),
        ({"arms": "none"}, 'arms = \'none\' is not possible: give a list such as ["none", "dropout"].'),
    ],
)
def test_a_wrong_value_is_refused_with_the_value_and_the_rule(changes: dict[str, Any], sentence: str) -> None:
    assert refused(TABLE | changes) == sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "digit"}, ["'digit'", "data set", "'digits'"]),
        ({"data": {"name": "digits", "train_size": 1}}, ["train_size = 1", "at least 16"]),
        ({"model": "mlpp"}, ["'mlpp'", "model", "'mlp'"]),
        ({"arms": ["none", "drop"]}, ["'drop'", "is not an arm", "dropout"]),
        ({"arms": ["dropout-999"]}, ["'dropout-999'", "1 to 256"]),
        ({"train": {"optimizer": "adam", "momentum": 0.9}}, ["momentum = 0.9", "adam:", "set it to 0"]),
        ({"train": {"optimizer": "adamw", "momentum": 0.9}}, ["momentum = 0.9", "adamw:", "choose sgd"]),
        ({"train": {"steps": 9, "warmup": 9}}, ["warmup = 9", "must be below steps = 9"]),
        ({"train": {"schedule": "step"}}, ["schedule = 'step'", "'constant', 'linear' or 'cosine'"]),
        ({"train": {"clip": -1}}, ["train.clip = -1", "at least 0"]),
        ({"train": {"clip_noise": False}}, ["clip_noise = False", "set it to true", "raise clip above 0"]),
        ({"sede": 3}, ["sede is not a setting", "'seeds'"]),
    ],
)
def test_a_wrong_choice_is_refused_with_the_way_out(changes: dict[str, Any], words: list[str]) -> None:
    message = refused(TABLE | changes)
    assert [word for word in words if word not in message] == []


def test_an_arm_that_makes_no_sense_for_the_data_is_refused() -> None:
    table = {"data": "diabetes", "model": "linear", "arms": ["none", "explicit-argmax"]}
    with pytest.raises(
        SpecError, match=r"^explicit-argmax cannot train on diabetes: .* leave this arm out\.$"
    ):
        ExperimentSpec.from_table(table)
    assert ExperimentSpec.from_table(table | {"data": "iris"}).arms == ("none", "explicit-argmax")


@pytest.mark.parametrize("missing", ["data", "model"])
def test_a_spec_without_data_or_model_says_what_is_missing(missing: str) -> None:
    table = {key: value for key, value in TABLE.items() if key != missing}
    assert refused(table) == f"{missing} is missing: add it."


# Files and presets.


def test_a_runs_own_spec_can_be_run_again(tmp_path: Path) -> None:
    path, mine = tmp_path / "spec.json", spec(p=0.25, seeds=3)
    path.write_text(mine.canonical())
    assert load_spec(path) == mine
    path.write_text("[1, 2]")
    with pytest.raises(SpecError, match="a spec is a table of settings"):
        load_spec(path)
    path.write_text("{")
    with pytest.raises(SpecError, match="is not valid JSON"):
        load_spec(path)


def test_a_spec_is_read_from_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text('p = 0.25\n[data]\nname = "digits"\n[model]\nname = "mlp"\nwidths = [8]\n', "utf-8")
    assert load_spec(path) == spec(p=0.25, model={"name": "mlp", "widths": [8]})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"p = ", "is not valid TOML: .* mend that line"),
        (b"\xff", "cannot be read .* give the path of a TOML file"),
        (b"p = 0.5", "data is missing: add it"),
        (b'data = "digits"\nmodel = "mlp"\np = 2', "p = 2 is not possible: it must be below 1"),
    ],
)
def test_a_file_that_holds_no_spec_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=sentence):
        load_spec(path)


def test_a_file_that_is_not_there_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"missing\.toml' cannot be read"):
        load_spec(tmp_path / "missing.toml")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_can_be_run_within_the_budget(name: str) -> None:
    check_budget(preset(name), Budget())
    assert preset(name).with_settings([]) == preset(name)


def test_the_noisy_digits_come_first() -> None:
    assert preset_names()[0] == "noisy-digits"


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match=r"did you mean 'noisy-digits'"):
        preset("noisy-digit")


# Budgets.


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"steps": 11}, "12 steps, over this server's budget of 11: lower train.steps"),
        ({"seeds": 1}, "2 seeds, over this server's budget of 1: lower seeds"),
        ({"parameters": 41}, "42 parameters, over this server's budget of 41: lower model"),
        (
            {"activations": 383},
            "384 activations in a step of dropout-6.mask-noise.*lower train.batch_size, model or k",
        ),
        ({"seed_steps": 215}, "216 steps × seeds × masks over all arms.*lower train.steps, seeds or arms"),
    ],
)
def test_what_is_over_the_budget_is_refused_with_what_to_lower(limit: dict[str, int], message: str) -> None:
    asked = experiment('arms=["none", "dropout-6+mask-noise"]')  # 42 numbers; 12 steps × 2 seeds × (1 + 8)
    (name,) = limit
    check_budget(asked, Budget(**{name: limit[name] + 1}))
    with pytest.raises(SpecError, match=message):
        check_budget(asked, Budget(**limit))


def test_the_environment_sets_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_STEPS", "11")
    assert Budget.from_environment() == Budget(steps=11)
    with pytest.raises(SpecError, match="budget of 11"):
        check_budget(experiment())
    monkeypatch.setenv("DROPVIZ_MAX_STEPS", "")
    assert Budget.from_environment() == Budget()


@pytest.mark.parametrize("text", ["0", "-3", "many", "1.5"])
def test_a_limit_that_is_no_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_MAX_SEEDS", text)
    with pytest.raises(SpecError, match=r"DROPVIZ_MAX_SEEDS = .* give a whole number above 0"):
        Budget.from_environment()


# Evaluation.


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 5000), st.integers(1, 1000))
def test_evaluation_steps_run_evenly_from_zero_to_the_last(steps: int, evaluations: int) -> None:
    asked = spec(train={"steps": steps}, observe={"evaluations": evaluations})
    found = evaluation_steps(asked)
    gaps = [after - before for before, after in pairwise(found)]
    assert (found[0], found[-1]) == (0, steps)
    assert len(gaps) <= evaluations
    assert set(gaps[:-1]) <= {evaluation_interval(asked)}
    assert 0 < gaps[-1] <= evaluation_interval(asked)


# Result keys.


@pytest.mark.parametrize(
    "setting",
    [
        "data.label_noise=0.3",
        "data=digits",
        "model.widths=[9]",
        "p=0.25",
        "train.steps=13",
        "train.momentum=0.5",
        "train.schedule=linear",
        "train.warmup=3",
        "train.clip=1.0",
        "observe.evaluations=3",
        "observe.masks=3",
    ],
)
def test_a_result_has_another_key_where_its_numbers_may_differ(setting: str) -> None:
    changed = experiment().with_settings([setting])
    for arm in ("none", "explicit"):
        assert result_key(changed, arm, 0, "cpu") != result_key(experiment(), arm, 0, "cpu")


@pytest.mark.parametrize("setting", ['arms=["none"]', "seeds=5", "first_seed=3"])
def test_a_result_does_not_depend_on_the_arms_and_seeds_beside_it(setting: str) -> None:
    changed = experiment().with_settings([setting])
    assert result_key(changed, "none", 4, "cpu") == result_key(experiment(), "none", 4, "cpu")


def test_arm_seed_and_device_have_keys_of_their_own() -> None:
    keys = {
        result_key(experiment(), arm, seed, device)
        for arm in examples()
        for seed in (0, 1)
        for device in ("cpu", "cuda")
    }
    assert len(keys) == 4 * len(examples())


def test_spellings_of_an_arm_share_their_key() -> None:
    assert result_key(experiment(), "dropout-1", 0, "cpu") == result_key(experiment(), "dropout", 0, "cpu")
