"""The training loop: seeds that do not touch each other, runs that resume to the bit, a test split read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch

from dropviz.experiment import ExperimentSpec, evaluation_steps
from dropviz.experiment.schedule import MOST_SURFACES
from dropviz.masks import Draws
from dropviz.strategies import examples
from dropviz.training import Block, Diverged, Minibatches, Record, Snapshot
from dropviz.training.evaluation import SURFACE_SIZE
from tests.computing.tiny import experiment

Curves = dict[str, dict[int, np.ndarray]]
OPTIMIZERS = ["train.momentum=0.0", "train.momentum=0.9", "train.optimizer=adam", "train.optimizer=adamw"]


def block(*settings: str, arm: str = "dropout", seeds: Sequence[int] = (0, 1)) -> Block:
    return Block(experiment(*settings), arm, seeds)


def curves(points: list[Record | Snapshot]) -> Curves:
    """Metric → step → values."""
    found: Curves = {}
    for point in points:
        if isinstance(point, Record):
            found.setdefault(point.name, {})[point.step] = point.values
    return found


def run(training: Block) -> Curves:
    """Train to the end."""
    points = []
    while not training.finished:
        points += training.advance()
    return curves(points)


def assert_same(one: Curves, other: Curves) -> None:
    """Bit for bit."""
    assert {name: list(curve) for name, curve in one.items()} == {n: list(c) for n, c in other.items()}
    for name, curve in one.items():
        for step, values in curve.items():
            assert values.tobytes() == other[name][step].tobytes(), (name, step)


# Seeds.


@pytest.mark.parametrize("arm", examples())
def test_a_seeds_curves_do_not_depend_on_its_neighbours(arm: str) -> None:
    alone = run(block(arm=arm, seeds=(7,)))
    beside = run(block(arm=arm, seeds=(3, 0, 7, 12)))
    assert alone.keys() == beside.keys()
    for name, curve in alone.items():
        for step, values in curve.items():
            close = (
                {"rtol": 2e-3, "atol": 1e-4} if name.startswith("curvature") else {"rtol": 1e-4, "atol": 1e-6}
            )
            np.testing.assert_allclose(beside[name][step][2:3], values, err_msg=name, **close)


@pytest.mark.parametrize("estimator", ["root-hessian", "sampled-label"])
def test_the_estimators_draw_for_each_seed_alone(estimator: str) -> None:
    setting = f"surrogate.estimator={estimator}"
    alone = run(block(setting, arm="explicit", seeds=(7,)))["train/objective"]
    beside = run(block(setting, arm="explicit", seeds=(3, 7)))["train/objective"]
    for step, values in alone.items():
        np.testing.assert_allclose(beside[step][1:], values, rtol=1e-4)


def test_two_seeds_differ() -> None:
    objective = run(block())["train/objective"]
    assert all(values[0] != values[1] for values in objective.values())


def test_all_arms_of_a_seed_share_their_noisy_labels_splits_and_first_weights() -> None:
    first, *others = [block("data.label_noise=0.5", arm=arm) for arm in ("none", "dropout", "explicit")]
    for other in others:
        for name in ("x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test"):
            assert torch.equal(first.feed.splits[name], other.feed.splits[name])
        assert all(torch.equal(value, other.parameters[name]) for name, value in first.parameters.items())
        assert torch.equal(first.feed.minibatches.at(5), other.feed.minibatches.at(5))


def test_the_labels_that_are_trained_on_are_the_noisy_ones() -> None:
    clean, noisy = block("data.label_noise=0.0"), block("data.label_noise=1.0")
    assert not torch.equal(clean.feed.y_rows, noisy.feed.y_rows)
    assert torch.equal(clean.feed.splits["y_validation"], noisy.feed.splits["y_validation"])


# Minibatches.


def test_minibatches_hold_each_example_equally_often() -> None:
    minibatches = Minibatches([5], 10, 20, "cpu")
    drawn = torch.cat([minibatches.at(step) for step in range(1000)])
    counts = drawn.bincount(minlength=10).double()
    assert len(counts) == 10
    squares = ((counts - 2000).square() / 2000).sum().item()  # chi-squared with 9 degrees of freedom
    assert 1 < squares < 34


def test_minibatches_are_drawn_with_replacement() -> None:
    minibatches = Minibatches([5], 10, 2, "cpu")
    pairs = torch.stack([minibatches.at(step) for step in range(4000)])
    repeated = (pairs[:, 0] == pairs[:, 1]).double().mean().item()
    assert abs(repeated - 0.1) < 5 * (0.1 * 0.9 / 4000) ** 0.5


def test_each_seed_draws_from_its_own_rows_whatever_runs_beside_it() -> None:
    together, alone = Minibatches([4, 9], 10, 6, "cpu"), Minibatches([9], 10, 6, "cpu")
    for step in (0, 3, 300):
        rows = together.at(step).view(2, 6)
        assert bool((rows[0] < 10).all())
        assert torch.equal(rows[1], alone.at(step) + 10)


def test_a_minibatch_is_the_same_wherever_gathering_begins() -> None:
    whole, jumping = block().feed, block().feed
    for step in (70, 3, 4, 200, 0, 70):
        for batch in (whole.batch(step), jumping.batch(step)):
            rows = whole.minibatches.at(step)
            assert torch.equal(batch.x.flatten(0, 1), whole.x_rows[rows])
            assert torch.equal(batch.y.flatten(), whole.y_rows[rows])
        jumping.batch(step + 30)


# Steps.


@pytest.mark.parametrize("arm", examples())
def test_the_gradients_of_a_step_are_those_of_the_sum_of_its_terms(arm: str) -> None:
    training = block(arm=arm)
    network = training.stacked.network(training.feed.batch(0))
    draws, leaves = training.stacked.draws(network, "train"), training.stacked.leaves
    terms = training.strategy.objective(network, draws, training.surrogate)
    found = terms.gradients(leaves)
    again = training.strategy.objective(network, draws, training.surrogate)
    for one, other in zip(found, torch.autograd.grad(again.total, leaves), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("setting", "twin"),
    [
        ("train.momentum=0.0", partial(torch.optim.SGD, lr=0.5, weight_decay=0.1)),
        ("train.momentum=0.9", partial(torch.optim.SGD, lr=0.5, weight_decay=0.1, momentum=0.9)),
        ("train.optimizer=adam", partial(torch.optim.Adam, lr=0.5, weight_decay=0.1)),
        ("train.optimizer=adamw", partial(torch.optim.AdamW, lr=0.5, weight_decay=0.1)),
    ],
)
def test_steps_without_dropout_are_those_of_a_plain_loop(
    setting: str, twin: Callable[..., torch.optim.Optimizer]
) -> None:
    training = block("train.learning_rate=0.5", "train.weight_decay=0.1", setting, arm="none", seeds=(3,))
    own = {name: value[0].detach().clone().requires_grad_() for name, value in training.parameters.items()}
    optimizer = twin(list(own.values()))
    for step in range(3):
        rows = training.feed.minibatches.at(step)
        hidden = torch.relu(training.feed.splits["x_train"][0, rows] @ own["weight1"] + own["bias1"])
        z = hidden @ own["weight2"] + own["bias2"]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(z, training.feed.splits["y_train"][0, rows]).backward()
        optimizer.step()
        training.update()
    for name, value in own.items():
        torch.testing.assert_close(training.parameters[name][0], value, rtol=1e-4, atol=1e-5)


def test_a_schedule_scales_the_update_of_each_step() -> None:
    scheduled, constant = block("train.schedule=linear", "train.warmup=2"), block()
    for factor in (0.5, 1, 1, 0.9, 0.8, 0.7):
        constant.load_state(scheduled.state())
        before = scheduled.parameters["weight1"].detach().clone()
        for training in (scheduled, constant):
            training.update()
        moved, expected = (training.parameters["weight1"] - before for training in (scheduled, constant))
        torch.testing.assert_close(moved, factor * expected, rtol=1e-3, atol=1e-7)


def test_every_step_of_dropout_has_the_masks_of_its_own_address() -> None:
    training = block("train.learning_rate=1e-12", seeds=(3,))
    weights = {name: value[0].detach().clone() for name, value in training.parameters.items()}
    for step in range(3):
        draws = Draws((3,), {"hidden1": (4, 8)}, training.spec.p, ahead=1)
        draws.step = step
        rows = training.feed.minibatches.at(step)
        hidden = torch.relu(training.feed.splits["x_train"][0, rows] @ weights["weight1"] + weights["bias1"])
        z = hidden * draws.masks(1)["hidden1"][0, 0] @ weights["weight2"] + weights["bias2"]
        expected = torch.nn.functional.cross_entropy(z, training.feed.splits["y_train"][0, rows])
        torch.testing.assert_close(training.update().data, expected[None])


def test_the_objective_is_the_mean_over_the_steps_since_the_last_point() -> None:
    by_hand, training = block(arm="explicit"), block(arm="explicit")
    training.advance()
    found = curves(training.advance())
    terms = [by_hand.update() for _ in range(3)]
    penalty = torch.stack([one.explicit for one in terms if one.explicit is not None]).mean(0)
    data = torch.stack([one.data for one in terms]).mean(0)
    np.testing.assert_allclose(found["train/objective"][3], (data + penalty).detach(), rtol=1e-6)
    np.testing.assert_allclose(found["train/penalty"][3], penalty.detach(), rtol=1e-6)


def test_training_lowers_the_loss() -> None:
    losses = run(block("train.steps=300", "data.label_noise=0.0", "data.noise=0.1", arm="none"))["train/loss"]
    assert (losses[300] < 0.5 * losses[0]).all()


# Points.


@pytest.mark.parametrize(("steps", "evaluations"), [(12, 4), (10, 4), (3, 50), (1, 1)])
def test_curves_have_their_points_at_the_evaluation_steps(steps: int, evaluations: int) -> None:
    training = block(f"train.steps={steps}", f"observe.evaluations={evaluations}")
    found = run(training)
    expected = evaluation_steps(training.spec)
    for name in ("train/loss", "validation/loss", "validation/accuracy"):
        assert list(found[name]) == expected
    assert list(found["train/objective"]) == expected[1:]


def test_a_value_is_a_double_a_seed() -> None:
    for curve in run(block(seeds=(0, 1, 2))).values():
        assert all(values.shape == (3,) and values.dtype == np.float64 for values in curve.values())


def test_the_arms_that_add_a_penalty_have_a_curve_of_it() -> None:
    having = {arm for arm in examples() if "train/penalty" in run(block(arm=arm))}
    ablations = {"explicit-identity", "explicit-loss-jacobian", "explicit-argmax"}
    assert having == {"explicit", "explicit+implicit", "l2", *ablations}


def test_the_losses_are_those_of_the_plain_network() -> None:
    training = block(seeds=(3,))
    found = curves(training.advance())
    weights = training.parameters
    for split in ("train", "validation"):
        x, y = (training.feed.splits[f"{name}_{split}"][0] for name in "xy")
        hidden = torch.relu(x @ weights["weight1"][0] + weights["bias1"][0])
        z = hidden @ weights["weight2"][0] + weights["bias2"][0]
        loss = torch.nn.functional.cross_entropy(z, y).item()
        assert found[f"{split}/loss"][0] == pytest.approx(loss, rel=1e-5)
    right = (z.argmax(-1) == y).double().mean().item()
    assert found["validation/accuracy"][0] == pytest.approx(right)


# The test split.


def test_the_test_split_is_read_once_at_the_end() -> None:
    found = run(block())
    read = {name: list(curve) for name, curve in found.items() if name.startswith("test/")}
    assert read == {"test/loss": [12], "test/accuracy": [12]}


def test_nothing_but_the_last_point_depends_on_the_test_split() -> None:
    whole, spoilt = block(), block()
    spoilt.feed.splits["x_test"].fill_(torch.nan)
    found, expected = run(spoilt), run(whole)
    assert np.isnan(found.pop("test/loss")[12]).all()
    found.pop("test/accuracy")
    assert_same(found, {name: expected[name] for name in found})


# Divergence.


@pytest.mark.parametrize("arm", ["none", "dropout", "explicit"])
def test_a_loss_that_is_not_finite_stops_the_run_with_the_step_and_a_way_out(arm: str) -> None:
    hot = ("train.learning_rate=1e12", "observe.evaluations=1", "train.steps=40")
    by_hand = block(*hot, arm=arm)
    while True:
        terms = by_hand.update()
        total = terms.data if terms.explicit is None else terms.data + terms.explicit
        if not bool(total.isfinite().all()):
            break
    training = block(*hot, arm=arm)
    training.advance()
    with pytest.raises(Diverged, match=r"not finite at step .* lower the learning rate") as caught:
        training.advance()
    assert caught.value.step == by_hand.step - 1
    assert f"step {caught.value.step}:" in str(caught.value)
    assert "1e+12" in str(caught.value)


def test_divergence_keeps_what_was_recorded_before_it() -> None:
    training = block("observe.statistics=5")
    training.advance()
    training.parameters["weight1"].detach().fill_(torch.nan)
    with pytest.raises(Diverged) as caught:
        training.advance()
    assert {record.step for record in caught.value.records} == {0}
    assert {"term/explicit", "noise/mask"} <= {record.name for record in caught.value.records}


def test_divergence_names_the_seeds_that_diverged() -> None:
    training = block(seeds=(3, 8, 9))
    training.parameters["weight1"].detach()[1].fill_(torch.nan)
    with pytest.raises(Diverged, match="The loss of seed 8 was not finite at step 0"):
        training.advance()


# Decision surfaces.


def test_a_planar_data_set_has_a_surface_at_its_points() -> None:
    training = block("train.steps=100", "observe.evaluations=100", "observe.statistics=0")
    points = []
    while not training.finished:
        points += training.advance()
    surfaces = [point for point in points if isinstance(point, Snapshot)]
    assert len(surfaces) == MOST_SURFACES
    assert (surfaces[0].step, surfaces[-1].step) == (0, 100)
    assert all(s.array.shape == (SURFACE_SIZE, SURFACE_SIZE) for s in surfaces)
    assert all(s.array.dtype == np.uint8 for s in surfaces)


def test_the_rows_of_a_surface_run_from_bottom_to_top() -> None:
    training = block(arm="none")
    up = torch.zeros(2, 8)
    up[1, 0] = 1.0
    with torch.no_grad():
        training.parameters["weight1"][0] = up
        training.parameters["bias1"][0, 0, 0] = 5.0  # the unit is on everywhere
        training.parameters["weight2"][0] = torch.tensor([0.0, 1.0]).expand(8, 2)
    (surface,) = (point for point in training.advance() if isinstance(point, Snapshot))
    columns = surface.array.astype(int)
    assert (columns == columns[:, :1]).all()
    assert (np.diff(columns[:, 0]) >= 0).all()
    assert columns[-1, 0] > columns[0, 0]


def test_a_data_set_of_more_features_has_no_surface() -> None:
    spec = ExperimentSpec.from_table(
        {
            "data": {"name": "breast-cancer"},
            "model": {"name": "mlp", "widths": [4]},
            "train": {"steps": 2},
            "observe": {"evaluations": 2, "statistics": 1, "probe": 8, "masks": 2},
        }
    )
    training = Block(spec, "dropout", (0,))
    assert not any(isinstance(point, Snapshot) for point in training.advance())


# Devices.


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("arm", examples())
def test_a_gpu_trains_the_same_curves(arm: str) -> None:
    there = run(Block(experiment(), arm, (0, 1), device="cuda"))
    here = run(Block(experiment(), arm, (0, 1)))
    for name, curve in here.items():
        for step, values in curve.items():
            np.testing.assert_allclose(there[name][step], values, rtol=1e-2, atol=1e-3, err_msg=name)
