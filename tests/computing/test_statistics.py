"""Statistics: they yield what they declare, measure what they say, and change nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dropviz.experiment import SurrogateChoices
from dropviz.masks import keep_all
from dropviz.statistics import Moment, Statistic, statistics
from dropviz.strategies import strategy
from dropviz.training import Block, Record
from tests import reference
from tests.computing.tiny import Tiny, assert_mean, experiment, tiny

COPIES = 1500
every_statistic = pytest.mark.parametrize("statistic", statistics(), ids=lambda statistic: statistic.name)


def moment(
    net: Tiny, copies: int, *, arm: str = "dropout", memory: dict[str, Tensor] | None = None
) -> Moment:
    """The tiny net as a statistic sees it, many times over."""
    network, leaves = net.network(copies, dtype=torch.float32)
    return Moment(
        step=0,
        strategy=strategy(arm),
        outputs=net.net.sizes[-1],
        parameters=leaves,
        probe=network,
        batches=[network, network],
        draws=lambda name, network: net.draws(copies, purpose=name),
        surrogate=SurrogateChoices(),
        masks=4,
        rows=network.rows,
        memory={} if memory is None else memory,
    )


def measured(net: Tiny, copies: int = COPIES, *, arm: str = "dropout") -> dict[str, Tensor]:
    """All metrics of all statistics: name → (S,)."""
    seen = moment(net, copies, arm=arm)
    return {name: value.double() for one in statistics() for name, value in one.measure(seen).items()}


def finished(*settings: str, arm: str = "dropout") -> Block:
    block = Block(experiment(*settings), arm, (0, 1))
    while not block.finished:
        block.advance()
    return block


# Contract.


@every_statistic
def test_a_statistic_yields_the_metrics_that_it_declares(statistic: Statistic) -> None:
    assert tuple(statistic.measure(moment(tiny(), 3))) == statistic.metrics


@every_statistic
def test_a_metric_is_a_finite_number_a_seed(statistic: Statistic) -> None:
    for value in statistic.measure(moment(tiny(), 3)).values():
        assert value.shape == (3,)
        assert bool(value.isfinite().all())
        assert not value.requires_grad


@every_statistic
def test_metrics_are_named_by_group(statistic: Statistic) -> None:
    assert all(re.fullmatch(r"[a-z]+/[a-z_]+", name) for name in statistic.metrics)


def test_no_two_statistics_yield_the_same_metric() -> None:
    names = [name for statistic in statistics() for name in statistic.metrics]
    assert len(set(names)) == len(names)


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
    assert len(set(points["term/explicit"])) == 1  # the weights stand still
    for name in ("regularizer/monte_carlo", "noise/mask", "noise/analytic"):
        assert len(set(points[name])) == 5


def test_the_probe_is_the_first_training_examples_cut_into_minibatches() -> None:
    block = Block(experiment("observe.probe=11"), "dropout", (0, 1))
    assert torch.equal(block.probe.y, block.feed.splits["y_train"][:, :11])
    assert [batch.y.tolist() for batch in block.probes] == [
        block.feed.splits["y_train"][:, first : first + 4].tolist() for first in (0, 4)
    ]
    torch.testing.assert_close(block.probes[1].forward(keep_all), block.probe.forward(keep_all)[:, 4:8])


# What they measure.


def test_the_formula_for_the_regularizer_is_exact() -> None:
    net = tiny()
    expected = reference.approximate_regularizer(net.net, net.w, net.x, net.p)
    torch.testing.assert_close(
        measured(net, 2)["term/explicit"].double(), expected.expand(2), rtol=1e-5, atol=0
    )


def test_the_regularizer_by_definition_converges_to_the_enumerated_one() -> None:
    net = tiny()
    expected = reference.explicit_regularizer(net.net, net.w, net.x, net.y, net.p)
    assert_mean(measured(net)["regularizer/monte_carlo"], expected)


@pytest.mark.parametrize(
    ("arm", "kept"),
    [("dropout", 1.0), ("dropout-4", 0.25), ("dropout-4+mask-noise", 1.0), ("none", 1.0), ("explicit", 1.0)],
)
def test_mask_noise_converges_to_what_the_arm_keeps_of_the_enumerated_trace(arm: str, kept: float) -> None:
    net = tiny()
    exact = reference.noise_covariance(net.net, net.w, net.x, net.y, net.p).trace()
    assert_mean(measured(net, arm=arm)["noise/mask"], kept * exact)


def test_noise_on_a_probe_smaller_than_the_minibatch_is_that_of_the_minibatch() -> None:
    """Masks are independent per example, so the trace goes with one over the rows."""
    one = moment(tiny(), 8)
    twice = replace(one, rows=2 * one.rows)
    (noise,) = [found for found in statistics() if found.name == "noise"]
    for name, values in noise.measure(one).items():
        torch.testing.assert_close(noise.measure(twice)[name], values / 2)


def test_analytic_noise_converges_to_the_trace_of_its_formula() -> None:
    net = tiny()
    exact = reference.approximate_noise_covariance(net.net, net.w, net.x, net.y, net.p).trace()
    assert_mean(measured(net)["noise/analytic"], exact)


def test_the_hessian_trace_converges_to_that_of_the_full_hessian() -> None:
    net = tiny()
    exact = reference.hessian(lambda w: reference.plain_loss(net.net, w, net.x, net.y), net.w)
    assert_mean(measured(net)["curvature/hessian_trace"], exact.trace())


def test_the_top_eigenvalue_settles_on_that_of_the_full_hessian_over_moments() -> None:
    net = tiny()
    exact = reference.hessian(lambda w: reference.plain_loss(net.net, w, net.x, net.y), net.w)
    (curvature,) = (one for one in statistics() if one.name == "curvature")
    memory: dict[str, Tensor] = {}
    residuals = []
    for _ in range(6):
        found = curvature.measure(moment(net, 2, memory=memory))
        residuals.append(found["curvature/top_eigenvalue_residual"].max().item())
    top = torch.linalg.eigvalsh(exact)[-1]
    torch.testing.assert_close(found["curvature/top_eigenvalue"].double(), top.expand(2), rtol=1e-4, atol=0)
    assert residuals[-1] < 0.01 * residuals[0]
