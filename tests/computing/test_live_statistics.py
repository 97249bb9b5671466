"""What the live statistics measure, against enumerated masks and full matrices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.func import grad as full_gradient

from dropviz.statistics import statistics
from dropviz.statistics.calibration import calibration_error
from dropviz.statistics.noise import _minibatches
from dropviz.statistics.norms import directions
from tests import reference
from tests.computing.observed import COPIES, hessian_of, moment, of_tiny, seeded
from tests.computing.tiny import assert_mean, tiny


def test_the_formula_for_the_regularizer_converges_to_the_full_jacobians() -> None:
    net = tiny()
    expected = reference.approximate_regularizer(net.net, net.w, net.x, net.p)
    found = of_tiny()
    assert_mean(found["term/explicit"], expected)
    shares = found["sites/hidden1/share"] + found["sites/hidden2/share"]
    torch.testing.assert_close(shares, found["term/explicit"])
    assert float(found["sites/hidden2/share_se"].max()) == 0  # the last site is in closed form


def test_the_formula_for_two_classes_is_exact() -> None:
    net = tiny((2, 3, 3, 2))
    expected = reference.approximate_regularizer(net.net, net.w, net.x, net.p).detach()
    found = of_tiny(2, 3, 3, 2, copies=2)
    torch.testing.assert_close(found["term/explicit"], expected.expand(2), rtol=1e-5, atol=0)
    assert float(found["term/explicit_se"].max()) < 1e-6 * float(expected)


def test_the_regularizer_by_definition_converges_to_the_enumerated_one() -> None:
    net = tiny()
    expected = reference.explicit_regularizer(net.net, net.w, net.x, net.y, net.p)
    assert_mean(of_tiny()["regularizer/monte_carlo"], expected)


@pytest.mark.parametrize(
    ("arm", "kept"),
    [("dropout", 1.0), ("dropout-4", 0.25), ("dropout-4+mask-noise", 1.0), ("none", 1.0), ("explicit", 1.0)],
)
def test_mask_noise_converges_to_what_the_arm_keeps_of_the_enumerated_trace(arm: str, kept: float) -> None:
    net = tiny()
    exact = reference.noise_covariance(net.net, net.w, net.x, net.y, net.p).trace()
    assert_mean(of_tiny(arm=arm)["noise/mask"], kept * exact)


def test_noise_on_a_probe_smaller_than_the_minibatch_is_that_of_the_minibatch() -> None:
    """Masks are independent per example, so the trace goes with one over the rows."""
    one = moment(tiny(), 8)
    twice = replace(one, rows=2 * one.rows)
    (noise,) = [found for found in statistics() if found.name == "noise"]
    signal = {"noise/signal", "noise/signal_se"}
    for name, values in noise.measure(one).items():
        torch.testing.assert_close(noise.measure(twice)[name], values if name in signal else values / 2)


def test_analytic_noise_converges_to_the_trace_of_its_formula() -> None:
    net = tiny()
    exact = reference.approximate_noise_covariance(net.net, net.w, net.x, net.y, net.p).trace()
    assert_mean(of_tiny()["noise/analytic"], exact)


def test_the_hessian_trace_converges_to_that_of_the_full_hessian() -> None:
    net = tiny()
    exact, found = hessian_of(net), of_tiny()
    assert_mean(found["curvature/hessian_trace"], exact.trace())
    sizes = [2 * 3 + 3, 3 * 3 + 3, 3 * 3 + 3]
    for layer, block in enumerate(exact.diagonal().split(sizes), start=1):
        assert_mean(found[f"layers/layer{layer}/hessian_trace"], block.sum())


def test_the_gauss_newton_trace_converges_to_that_of_the_full_matrix() -> None:
    net = tiny()
    exact, found = reference.gauss_newton(net.net, net.w, net.x), of_tiny()
    assert_mean(found["curvature/ggn_trace"], exact.trace())
    for layer, block in enumerate(exact.diagonal().split([9, 12, 12]), start=1):
        assert_mean(found[f"layers/layer{layer}/ggn_trace"], block.sum())


def test_in_a_relu_perceptron_both_traces_are_one_number() -> None:
    """Its logits are linear in each layer's weights, so H − G has no diagonal blocks."""
    net = tiny(activation="relu")
    hessian = hessian_of(net).detach()
    gauss_newton = reference.gauss_newton(net.net, net.w, net.x).detach()
    assert float((hessian - gauss_newton).norm()) > 0.1 * float(hessian.norm())
    torch.testing.assert_close(hessian.diagonal(), gauss_newton.diagonal(), rtol=1e-10, atol=1e-12)


def test_the_gradients_norm_is_that_of_all_layers() -> None:
    net = tiny()
    exact = full_gradient(lambda w: reference.plain_loss(net.net, w, net.x, net.y))(net.w)
    found = of_tiny(copies=2)
    torch.testing.assert_close(found["curvature/gradient_norm"], exact.norm().expand(2), rtol=1e-5, atol=0)
    layers = [part.norm() for part in exact.split([9, 12, 12])]
    for layer, expected in enumerate(layers, start=1):
        torch.testing.assert_close(
            found[f"layers/layer{layer}/gradient_norm"], expected.expand(2), rtol=1e-5, atol=0
        )


def test_the_top_eigenvalue_settles_on_that_of_the_full_hessian_over_moments() -> None:
    net = tiny()
    exact = hessian_of(net)
    (curvature,) = (one for one in statistics() if one.name == "curvature")
    memory: dict[str, Tensor] = {}
    residuals = []
    for _ in range(6):
        found = curvature.measure(moment(net, 2, memory=memory))
        residuals.append(found["curvature/top_eigenvalue_residual"].max().item())
    top = torch.linalg.eigvalsh(exact)[-1]
    torch.testing.assert_close(found["curvature/top_eigenvalue"].double(), top.expand(2), rtol=1e-4, atol=0)
    assert residuals[-1] < 0.01 * residuals[0]


def test_activations_and_jacobians_are_those_of_the_sites() -> None:
    """The last site's Jacobian is the output's weights: tr(A H_out Aᵀ), mean over rows."""
    net = tiny()
    found = of_tiny()
    weights = net.w[9:].split([9, 3, 9, 3])
    h1 = torch.tanh(net.x @ net.w[:6].view(2, 3) + net.w[6:9])
    h2 = torch.tanh(h1 @ weights[0].view(3, 3) + weights[1])
    for site, h in (("hidden1", h1), ("hidden2", h2)):
        expected = h.square().sum(-1).mean().sqrt()
        torch.testing.assert_close(
            found[f"norms/{site}/activation"], expected.expand(COPIES), rtol=1e-5, atol=0
        )
    last = weights[2].view(3, 3)
    z = h2 @ last + weights[3]
    exact = torch.stack([(last @ reference.output_hessian(row) @ last.T).trace() for row in z]).mean()
    assert_mean(found["norms/hidden2/jacobian"], exact)


def test_condensed_weights_have_one_direction_and_spread_ones_as_many_as_there_are_inputs() -> None:
    line = torch.outer(torch.tensor([1.0, 2.0, -1.0]), torch.tensor([1.0, -2.0, 3.0, 0.0]))
    spread = torch.cat([torch.eye(3), -2 * torch.eye(3)], dim=1)
    pair = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]).T.reshape(2, 4)
    for matrix, expected in ((line, 1.0), (spread, 3.0), (spread.T.contiguous(), 3.0)):
        assert float(directions(matrix[None])) == pytest.approx(expected, rel=1e-5)
    assert 1 <= float(directions(pair[None])) <= 2


def test_the_calibration_error_is_the_gap_in_each_bin() -> None:
    confidence = torch.tensor([[0.91, 0.93, 0.55, 0.56], [1.0, 1.0, 1.0, 1.0]])
    right = torch.tensor([[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
    found = calibration_error(confidence, right)
    assert found.tolist() == pytest.approx([(abs(1 - 1.84) + abs(2 - 1.11)) / 4, 0.25])


def test_minibatch_noise_and_signal_are_those_of_the_distribution() -> None:
    """Gradients g = mean + minibatch part + mask part, whose traces are known."""
    random, repetitions, count, size = seeded(), 4000, 4, 6
    mean = torch.arange(size) / 3
    batch = 0.7 * torch.randn(repetitions, count, 1, size, generator=random)
    g = mean + batch + 0.9 * torch.randn(repetitions, count, 2, size, generator=random)
    found = _minibatches(g[:, :, 0] @ g[:, :, 1].transpose(-1, -2), 0.5)
    assert_mean(found["noise/minibatch"], 0.5 * size * 0.7**2)
    assert_mean(found["noise/signal"], mean.square().sum())
    for name in ("noise/minibatch", "noise/signal"):  # the jackknife errs on the safe side
        ratio = found[f"{name}_se"].square().mean().sqrt() / found[name].std()
        assert 0.95 < float(ratio) < 1.5
