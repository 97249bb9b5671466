"""What a refresh of the curvature measures, against full matrices and enumerated masks."""

from __future__ import annotations

import pytest
import torch
from torch.func import grad as full_gradient

from dropviz.statistics import statistics
from tests import reference
from tests.computing.observed import COPIES, hessian_of, moment, of_tiny
from tests.computing.tiny import assert_mean, tiny


def test_the_spectrum_of_a_tiny_net_is_that_of_the_full_hessian() -> None:
    net = tiny()
    exact = torch.linalg.eigvalsh(hessian_of(net))
    found = of_tiny(copies=3, tier="refresh")
    for place in range(3):
        close = {"rtol": 2e-3, "atol": 1e-5}
        torch.testing.assert_close(found[f"spectrum/top{place + 1}"], exact[-1 - place].expand(3), **close)
        assert float(found[f"spectrum/top{place + 1}_residual"].max()) < 1e-2
    torch.testing.assert_close(found["spectrum/lowest"], exact[0].expand(3), rtol=1e-2, atol=1e-4)


def test_the_density_has_the_moments_of_the_full_hessian() -> None:
    net = tiny()
    exact = hessian_of(net)
    nodes, weights = of_tiny(tier="refresh")["spectrum/density"].unbind(-1)
    torch.testing.assert_close(weights.sum(-1), torch.ones(COPIES, dtype=torch.float64), rtol=0, atol=1e-5)
    for power in (1, 2, 3):
        moments = (weights * nodes**power).sum(-1)
        assert_mean(moments, torch.linalg.matrix_power(exact, power).trace() / len(exact))


def test_the_refreshed_trace_converges_to_that_of_the_full_hessian() -> None:
    net = tiny((2, 8, 8, 3))
    found = of_tiny(2, 8, 8, 3, copies=400, tier="refresh")
    assert_mean(found["spectrum/trace"], hessian_of(net).trace())
    ratio = found["spectrum/trace_se"].square().mean().sqrt() / found["spectrum/trace"].std()
    assert 0.8 < float(ratio) < 1.25


def test_alignment_and_null_are_those_of_the_enumerated_covariance() -> None:
    net = tiny()
    h, sigma = hessian_of(net), reference.noise_covariance(net.net, net.w, net.x, net.y, net.p)
    found = of_tiny(tier="refresh")
    assert_mean(found["alignment/value"], (h * sigma).sum())
    assert_mean(found["alignment/null"], h.trace() * sigma.trace() / len(h))


def test_the_law_of_masks_holds_between_its_parts() -> None:
    """E‖g_k‖² = ‖∇ℓ_drop‖² + tr Cov / k, both enumerated."""
    net = tiny()
    drop = full_gradient(lambda w: reference.dropout_loss(net.net, w, net.x, net.y, net.p))(net.w)
    noise = reference.noise_covariance(net.net, net.w, net.x, net.y, net.p).trace()
    found = of_tiny(tier="refresh")
    for k in (1, 2, 4, 8):
        for name in (f"law/k{k}", f"law/predicted{k}"):
            assert_mean(found[name], drop.square().sum() + noise / k)


def test_the_slice_is_the_loss_along_the_two_sharpest_directions() -> None:
    net = tiny()
    (slices,) = [one for one in statistics() if one.name == "slices"]
    found = slices.measure(moment(net, 2))
    values, vectors = torch.linalg.eigh(hessian_of(net))
    across, up = found["slice/axes"][0].double()
    losses, side = found["slice/loss"][0].double(), len(across)
    assert losses[side // 2, side // 2] == pytest.approx(
        float(reference.plain_loss(net.net, net.w, net.x, net.y)), rel=1e-5
    )
    torch.testing.assert_close(across[-1], (2 / values[-1]).sqrt(), rtol=1e-3, atol=0)
    ways = [  # an eigenvector's sign is not determined
        [
            float(reference.plain_loss(net.net, net.w + sign * a * vectors[:, -1], net.x, net.y))
            for a in across
        ]
        for sign in (1, -1)
    ]
    middle = losses[side // 2].tolist()
    assert any(middle == pytest.approx(way, rel=1e-2) for way in ways)
    ways = [
        [float(reference.plain_loss(net.net, net.w + sign * a * vectors[:, -2], net.x, net.y)) for a in up]
        for sign in (1, -1)
    ]
    middle = losses[:, side // 2].tolist()
    assert any(middle == pytest.approx(way, rel=1e-2) for way in ways)
