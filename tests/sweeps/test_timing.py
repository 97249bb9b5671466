"""The time of a sweep: counts times costs of what is missing, between what was measured."""

from __future__ import annotations

import pytest

from dropviz.duration import HANDOVER_SECONDS, Costs, duration
from dropviz.experiment import ExperimentSpec, preset
from dropviz.sweeps import Axis, Sweep, Value, representatives, sweep_duration

BASE = preset("classroom").with_settings(
    ['arms=["none", "dropout"]', "train.steps=100", "observe.statistics=0"]
)


def sweep(*axes: tuple[str, list[Value]], base: ExperimentSpec = BASE) -> Sweep:
    return Sweep(base=base, axes=[Axis(key=key, values=values) for key, values in axes])


def costs(step: float, arms: tuple[str, ...] = ("none", "dropout")) -> dict[str, Costs]:
    one = Costs(once=0.1, step=step, evaluation=0.0, picture=0.0, live=0.0, refresh=0.0)
    return dict.fromkeys(arms, one)


def all_missing(found: Sweep) -> list[dict[str, list[int]]]:
    return [{arm: list(cell.seed_list()) for arm in cell.arms} for cell in found.cells()]


def test_what_costs_the_same_is_measured_once() -> None:
    assert representatives(sweep(("p", [0.1, 0.2, 0.3]), ("data.label_noise", [0.0, 0.5]))) == [0]


def test_of_many_sizes_the_ends_and_a_middle_are_measured() -> None:
    found = sweep(("p", [0.1, 0.2]), ("width", [8, 16, 32, 64, 128]))
    assert representatives(found) == [0, 3, 4]
    assert representatives(sweep(("depth", [1, 2]))) == [0, 1]


def test_of_words_one_of_each_kind_is_measured() -> None:
    found = sweep(("model.activation", ["relu", "tanh"]), ("width", [8, 16, 32]))
    assert [found.places()[place] for place in representatives(found)] == [("relu", 16), ("tanh", 16)]


def test_equal_cells_take_as_long_as_so_many_experiments() -> None:
    found = sweep(("p", [0.1, 0.2, 0.3]))
    takes = sweep_duration(found, {0: costs(0.01)}, all_missing(found), 1)
    assert takes.seconds == pytest.approx(3 * duration(BASE, costs(0.01), 1).seconds)
    assert (takes.jobs, takes.computed, takes.asked) == (6, 0, 36)
    assert sweep_duration(found, {0: costs(0.01)}, all_missing(found), 2).seconds == pytest.approx(
        takes.seconds / 2
    )


def test_a_cell_between_two_that_were_measured_costs_what_lies_between() -> None:
    found = sweep(("train.batch_size", [16, 24, 32, 64]))
    measured = {0: costs(0.01), 2: costs(0.03)}
    missing = [{"none": [0], "dropout": []} for _ in found.cells()]
    steps = [0.01, 0.02, 0.03, 0.03]  # beyond what was measured, as the nearest
    expected = sum(HANDOVER_SECONDS + 0.1 + 100 * step for step in steps)
    assert sweep_duration(found, measured, missing, 1).seconds == pytest.approx(expected)


def test_what_is_computed_takes_no_time() -> None:
    found = sweep(("p", [0.1, 0.2]))
    missing = [{"none": [], "dropout": []}, {"none": [], "dropout": [3, 4]}]
    takes = sweep_duration(found, {0: costs(0.01)}, missing, 1)
    assert takes.seconds == pytest.approx(HANDOVER_SECONDS + 0.1 + 1.0)
    assert (takes.jobs, takes.computed, takes.asked) == (1, 22, 24)
    nothing = sweep_duration(found, {0: costs(0.01)}, [{"none": [], "dropout": []}] * 2, 1)
    assert (nothing.seconds, nothing.jobs) == (0.0, 0)


def test_costs_of_another_k_are_found_by_the_place_of_the_arm() -> None:
    found = sweep(("k", [2, 8]), base=BASE.with_settings(['arms=["dropout-2"]']))
    measured = {0: costs(0.01, ("dropout-2",)), 1: costs(0.03, ("dropout-8",))}
    takes = sweep_duration(found, measured, all_missing(found), 1)
    assert takes.seconds == pytest.approx(2 * (HANDOVER_SECONDS + 0.1) + 1.0 + 3.0)
