"""A sweep is an experiment over the values of one or two knobs; every refusal is one sentence."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as any_

from dropviz.budget import Budget
from dropviz.experiment import ExperimentSpec, SpecError, preset
from dropviz.sweeps import (
    Axis,
    Sweep,
    check_sweep,
    grid,
    knobs,
    question,
    question_names,
    read_values,
    read_vary,
)
from dropviz.sweeps.knobs import read, with_value

BASE = preset("classroom").with_settings(
    ["train.steps=40", "seeds=3", 'arms=["none", "dropout", "dropout-8"]']
)


def sweep(**values: list[object]) -> Sweep:
    axes = [{"key": key.replace("__", "."), "values": found} for key, found in values.items()]
    made: Sweep = Sweep.from_table({"base": BASE.to_table(), "axes": axes})
    return made


def test_cells_are_every_combination_the_last_knob_fastest() -> None:
    found = sweep(p=[0.1, 0.2], data__label_noise=[0.0, 0.3, 0.5])
    places = list(itertools.product([0.1, 0.2], [0.0, 0.3, 0.5]))
    assert found.places() == places
    assert [(cell.p, cell.data.label_noise) for cell in found.cells()] == places  # type: ignore[attr-defined]
    assert [cell.with_settings(["p=0.5", "data.label_noise=0.4"]) for cell in found.cells()] == [BASE] * 6
    assert found.titles() == ["Drop probability p", "Label noise"]
    assert found.place_title(places[1]) == "p = 0.1, data.label_noise = 0.3"


def test_a_sweep_is_its_json() -> None:
    found = sweep(width=[8, 16], depth=[1, 2])
    assert Sweep.from_text(found.canonical()) == found


def test_values_are_taken_as_specs_have_them_each_once() -> None:
    assert sweep(p=["0.50", 0.5, 0.1]).axes[0].values == (0.5, 0.1)
    assert sweep(model__widths=[8, [16, 16]]).axes[0].values == ([8], [16, 16])
    assert sweep(model__activation=["relu", "tanh"]).axes[0].values == ("relu", "tanh")


def test_width_depth_and_masks_are_knobs_although_no_setting_is_called_so() -> None:
    widths = [cell.model.widths for cell in sweep(width=[8, 16], depth=[1, 3]).cells()]  # type: ignore[attr-defined]
    assert widths == [(8,), (8, 8, 8), (16,), (16, 16, 16)]
    assert [cell.arms for cell in sweep(k=[1, 2]).cells()] == [
        ("none", "dropout"),
        ("none", "dropout", "dropout-2"),
    ]
    noisy = with_value(BASE.with_settings(['arms=["dropout-4+mask-noise"]']), "k", 8)
    assert noisy.arms == ("dropout-8+mask-noise",)
    assert with_value(BASE.with_settings(['arms=["none"]']), "k", 8).arms == ("none", "dropout-8")


def test_another_data_set_comes_before_its_knobs() -> None:
    cells = sweep(data__label_noise=[0.1, 0.2], data__name=["digits", "mnist-1d"]).cells()
    assert [(cell.data.name, cell.data.label_noise) for cell in cells] == [  # type: ignore[attr-defined]
        (name, noise) for noise in (0.1, 0.2) for name in ("digits", "mnist-1d")
    ]


@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ([], "give at least 1"),
        ([("p", [])], "give at least 1"),
        ([("p", [0.1]), ("width", [8]), ("depth", [1])], "give at most 2"),
        ([("q", [0.1])], "'q' is not a knob of this experiment: choose one of"),
        ([("train", [0.1])], "train is a group of settings: vary one of them, such as train.steps."),
        ([("seeds", [1, 2])], "seeds cannot be varied: every cell of a sweep has the same"),
        ([("p", [0.1, 1.5])], "p = 1.5 is not possible: it must be below 1"),
        ([("k", [0.5])], "k = 0.5 is not possible: it must be a whole number."),
        ([("depth", [9])], "depth = 9 is not possible: choose 1 to 8."),
        ([("p", [0.1]), ("p", [0.2])], "p is varied twice"),
        ([("width", [8, 16]), ("model.widths", [[8], [16]])], "width and model.widths set the same thing"),
        (
            [("train.momentum", [0.0, 0.9]), ("train.optimizer", ["sgd", "adam"])],
            "The cell at train.momentum = 0.9, train.optimizer = adam cannot be run. momentum = 0.9 has no effect",
        ),
    ],
)
def test_what_cannot_be_swept_is_refused_in_a_sentence(
    axes: list[tuple[str, list[object]]], says: str
) -> None:
    table = {"base": BASE.to_table(), "axes": [{"key": key, "values": values} for key, values in axes]}
    with pytest.raises(SpecError) as refusal:
        Sweep.from_table(table)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_model_without_widths_says_what_to_vary_instead() -> None:
    with pytest.raises(
        SpecError, match=r"cnn has no width in common: vary a knob of its own, such as model\."
    ):
        read(BASE.with_settings(["model.name=cnn"]), "width")


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (Budget(cells=3), "This sweep has 4 cells, over this server's budget of 3: take fewer values."),
        (Budget(sweep_seed_steps=10), "This sweep asks for 4,800 steps × seeds × masks over all cells"),
        (Budget(steps=10), "The cell at p = 0.1 cannot be run. This asks for 40 steps"),
    ],
)
def test_a_sweep_has_a_budget(budget: Budget, says: str) -> None:
    found = sweep(p=[0.1, 0.2, 0.3, 0.4])
    check_sweep(found)
    with pytest.raises(SpecError) as refusal:
        check_sweep(found, budget)
    assert str(refusal.value).startswith(says)


@pytest.mark.parametrize("name", ["classroom", "markov-lstm"])
def test_every_knob_of_a_form_reads_its_own_value(name: str) -> None:
    spec = preset(name)
    for knob in knobs(spec).values():
        assert read(spec, knob.key) == knob.value
        if knob.key != "k":
            assert with_value(spec, knob.key, knob.value) == spec
    assert list(knobs(preset("classroom")))[:4] == ["p", "k", "width", "depth"]
    assert ("language.segment" in knobs(spec)) == (name == "markov-lstm")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.1, 0.3", [0.1, 0.3]),
        ("relu, tanh", ["relu", "tanh"]),
        ("[32], [128, 128]", [[32], [128, 128]]),
        ("true, false", [True, False]),
        ("auto, 5", ["auto", 5]),
        ("0.1:0.9:5", [0.1, 0.3, 0.5, 0.7, 0.9]),
        ("0.001:1:4:log", [0.001, 0.01, 0.1, 1.0]),
        ("1:5:3", [1, 3, 5]),
        ("8:128:5:log", [8, 16, 32, 64, 128]),
        ("0:1:3", [0.0, 0.5, 1.0]),
    ],
)
def test_values_are_read_as_typed(text: str, values: list[object]) -> None:
    assert read_values(text) == values
    assert read_vary(f"model.widths = {text}") == ("model.widths", values)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "No values are given"),
        ("0:1:3:log", "has no constant factor: start above 0"),
        ("a:b:3", "'a:b:3' is not a range: write FROM:TO:COUNT"),
        ("0:1:1", "A range of 1 values is not possible"),
        ("0:1:5000", "take at most 1,000"),
        ("1:1:3", "give two different ends"),
        ("inf:1:3", "give two different ends"),
        ("{a = 1}", "is not a value of a knob"),
    ],
)
def test_what_is_no_list_of_values_is_refused(text: str, says: str) -> None:
    with pytest.raises(SpecError) as refusal:
        read_values(text)
    assert says in str(refusal.value)


def test_a_knob_needs_values() -> None:
    with pytest.raises(SpecError, match="'p' varies nothing: write KNOB=VALUES"):
        read_vary("p")


@given(
    low=any_.floats(1e-6, 1e6),
    factor=any_.floats(1.01, 1e6),
    count=any_.integers(2, 50),
    log=any_.booleans(),
)
def test_a_grid_has_both_ends_and_grows_evenly(low: float, factor: float, count: int, log: bool) -> None:
    found = grid(low, low * factor, count, "log" if log else "linear")
    assert (found[0], found[-1]) == (low, low * factor)
    shares = [place / (count - 1) for place in range(count)]
    exact = [low * factor**share if log else low * (1 + (factor - 1) * share) for share in shares]
    if len(found) == count:  # else three digits do not tell some of them apart
        assert found == pytest.approx(exact, rel=0.006)
    assert all(any(abs(one - other) <= 0.006 * other for other in exact) for one in found)


@pytest.mark.parametrize("name", question_names())
def test_every_question_is_a_sweep_within_the_budget(name: str) -> None:
    found = question(name)
    check_sweep(found.sweep())
    assert found.title.endswith("?")
    assert found.sweep().title() == found.title


def test_an_unknown_question_names_the_known_ones() -> None:
    with pytest.raises(SpecError, match="'why' is not a question: choose one of 1-where"):
        question("why")


def test_axes_compare_by_their_values() -> None:
    assert Axis(key="p", values=(0.1,)) == Axis.from_table({"key": "p", "values": [0.1]})
    assert isinstance(BASE, ExperimentSpec)
