"""When an experiment is looked at: a function of the spec alone."""

from __future__ import annotations

import pytest

from dropviz.experiment import SpecError, evaluation_steps, live_cost, live_steps, preset, refresh_steps
from dropviz.experiment.schedule import FEWEST, MOST, SHARE
from dropviz.models.model import layer_of
from tests.computing.tiny import experiment


def test_so_many_statistics_as_asked_evenly_from_the_first_point_to_the_last() -> None:
    spec = experiment("train.steps=100", "observe.evaluations=20")
    assert live_steps(spec.with_settings(["observe.statistics=0"])) == []
    assert live_steps(spec.with_settings(["observe.statistics=1"])) == [100]
    assert live_steps(spec.with_settings(["observe.statistics=5"])) == [0, 25, 50, 75, 100]


@pytest.mark.parametrize("steps", [2_000, 10_000, 50_000])
def test_auto_takes_as_many_as_its_share_of_the_steps_affords(steps: int) -> None:
    spec = preset("noisy-digits").with_settings([f"train.steps={steps}", "observe.statistics=auto"])
    count = len(live_steps(spec))
    assert FEWEST <= count <= MOST
    affordable = SHARE * steps / live_cost(spec)
    assert count == max(FEWEST, min(MOST, int(affordable)))


def test_auto_looks_at_least_at_the_end_however_short_the_run() -> None:
    spec = experiment("train.steps=10", "observe.evaluations=5", "observe.statistics=auto")
    assert live_steps(spec) == [10]


def test_a_moment_costs_more_steps_the_larger_the_probe() -> None:
    small, large = (experiment(f"observe.probe={rows}") for rows in (8, 800))
    assert live_cost(small) < live_cost(large)


@pytest.mark.parametrize("wrong", ["-1", "1001", "2.5", "true", "often"])
def test_a_number_of_statistics_that_is_not_possible_is_refused(wrong: str) -> None:
    with pytest.raises(SpecError, match=r"statistics = .* give a whole number from 0 to 1000, or auto"):
        experiment(f"observe.statistics={wrong}")


def test_refreshes_lie_a_constant_factor_apart() -> None:
    spec = experiment("train.steps=1600", "observe.evaluations=160")

    def steps(count: int) -> list[int]:
        return refresh_steps(spec.with_settings([f"observe.refreshes={count}"]))

    assert steps(0) == []
    assert steps(1) == [1600]
    assert steps(2) == [0, 1600]
    assert steps(3) == [0, 10, 1600]
    assert steps(6) == [0, 10, 40, 130, 450, 1600]
    assert set(steps(30)) <= set(evaluation_steps(spec))


def test_more_refreshes_than_evaluations_are_at_each_of_them() -> None:
    spec = experiment("train.steps=4", "observe.evaluations=2", "observe.refreshes=9")
    assert refresh_steps(spec) == [0, 2, 4]


def test_a_parameter_belongs_to_the_layer_of_its_number_or_name() -> None:
    names = ["weight1", "bias1", "recurrent_weight2", "kernel2", "head_weight", "output_bias", "norm_gain"]
    assert [layer_of(name) for name in names] == ["layer1"] * 2 + ["layer2"] * 2 + ["head", "output", "norm"]
    assert [layer_of(name) for name in ("weight", "bias", "embedding")] == ["output", "output", "embedding"]
