"""Statistics: they yield what they name, as often as asked, and change nothing."""

from __future__ import annotations

import re

import pytest
import torch

from dropviz.statistics import Statistic, statistics
from dropviz.training import Block, Record
from tests.computing.observed import moment
from tests.computing.tiny import experiment, tiny

every_statistic = pytest.mark.parametrize("statistic", statistics(), ids=lambda statistic: statistic.name)


def finished(*settings: str, arm: str = "dropout") -> Block:
    block = Block(experiment(*settings), arm, (0, 1))
    while not block.finished:
        block.advance()
    return block


@every_statistic
def test_a_metric_is_a_finite_number_a_seed_and_an_array_has_more_axes(statistic: Statistic) -> None:
    for value in statistic.measure(moment(tiny(), 3)).values():
        assert value.shape == (3,) or (value.ndim > 1 and len(value) in (1, 3))
        assert bool(value.isfinite().all())
        assert not value.requires_grad


@every_statistic
def test_metrics_are_named_by_the_groups_of_their_statistic(statistic: Statistic) -> None:
    names = list(statistic.measure(moment(tiny(), 2)))
    assert all(re.fullmatch(r"[a-z]+(/[a-z0-9_]+){1,2}", name) for name in names)
    assert {name.partition("/")[0] for name in names} == set(statistic.groups)


@every_statistic
def test_every_error_belongs_to_a_metric_of_the_same_statistic(statistic: Statistic) -> None:
    names = list(statistic.measure(moment(tiny(), 2)))
    errors = [name for name in names if name.endswith(("_se", "_residual"))]
    assert {re.sub("_(se|residual)$", "", name) for name in errors} <= set(names)


def test_no_two_statistics_share_a_group() -> None:
    groups = [group for statistic in statistics() for group in statistic.groups]
    assert len(set(groups)) == len(groups)


@every_statistic
def test_measuring_twice_gives_the_same_numbers(statistic: Statistic) -> None:
    one, other = (statistic.measure(moment(tiny(), 2)) for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@every_statistic
def test_measuring_leaves_parameters_and_global_randomness_alone(statistic: Statistic) -> None:
    seen = moment(tiny(), 2)
    before, state = [p.detach().clone() for p in seen.parameters], torch.get_rng_state()
    statistic.measure(seen)
    assert all(torch.equal(p, kept) for p, kept in zip(seen.parameters, before, strict=True))
    assert all(parameter.grad is None for parameter in seen.parameters)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("arm", ["none", "dropout-2+mask-noise", "explicit+implicit"])
@pytest.mark.parametrize("optimizer", ["train.momentum=0.9", "train.optimizer=adam"])
def test_observing_changes_no_bit_of_the_weights(optimizer: str, arm: str) -> None:
    blind = finished("observe.statistics=0", optimizer, arm=arm)
    schedules = [
        ("observe.statistics=1",),
        ("observe.statistics=5",),
        ("observe.evaluations=12", "observe.statistics=12", "observe.probe=5", "observe.masks=7"),
        ("observe.evaluations=1",),
        ("observe.statistics=auto", "observe.refreshes=3"),
        ("observe.statistics=0", "observe.refreshes=5"),
    ]
    for schedule in schedules:
        seen = finished(*schedule, optimizer, arm=arm)
        assert all(torch.equal(seen.parameters[name], value) for name, value in blind.parameters.items())


@pytest.mark.parametrize("arm", ["none", "dropout"])
def test_observing_does_not_end_a_run_whose_loss_saturates(arm: str) -> None:
    hot = ("train.learning_rate=30", "train.steps=60", "observe.evaluations=20", "data.label_noise=0.0")
    blind = finished(*hot, "observe.statistics=0", arm=arm)
    seen = finished(*hot, "observe.statistics=20", arm=arm)
    assert all(torch.equal(seen.parameters[name], value) for name, value in blind.parameters.items())


def test_statistics_are_measured_as_often_as_asked_from_the_first_point_to_the_last() -> None:
    block = Block(experiment("observe.evaluations=12", "observe.statistics=3"), "dropout", (0, 1))
    steps = []
    while not block.finished:
        steps += [record.step for record in block.advance() if record.name == "noise/mask"]
    assert steps == [0, 6, 12]


def test_each_moment_draws_afresh() -> None:
    block = Block(experiment("observe.statistics=5", "train.learning_rate=1e-12"), "none", (0,))
    points: dict[str, list[float]] = {}
    while not block.finished:
        for point in block.advance():
            if isinstance(point, Record):
                points.setdefault(point.name, []).append(point.values.item())
    assert len(set(points["curvature/gradient_norm"])) == 1  # the weights stand still
    for name in ("regularizer/monte_carlo", "noise/mask", "noise/analytic"):
        assert len(set(points[name])) == 5


def test_the_probe_is_the_first_training_examples() -> None:
    block = Block(experiment("observe.probe=11"), "dropout", (0, 1))
    assert torch.equal(block.observation.batch.y, block.feed.splits["y_train"][:, :11])


@pytest.mark.parametrize(("size", "expected"), [(4, [4] * 4), (9, [9] * 2), (20, [12] * 2)])
def test_noise_is_measured_on_disjoint_minibatches_that_are_at_least_two(
    size: int, expected: list[int]
) -> None:
    """There are 24 training examples."""
    block = Block(experiment(f"train.batch_size={size}"), "dropout", (0, 1))
    batches = block.observation.batches
    assert [batch.y.shape[1] for batch in batches] == expected
    whole = torch.cat([batch.x for batch in batches], dim=1)
    assert torch.equal(whole, block.feed.splits["x_train"][:, : sum(expected)])
