"""Every formula in both precisions, to rounding: nothing is drawn, all masks, signs and labels are gone through."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad

from dropviz import regularizers
from dropviz.masks import keep_all
from dropviz.modules import dropout_loss, explicit_regularizer, second_order_term
from dropviz.modules.draws import ModuleDraws
from dropviz.modules.network import ModuleNetwork
from dropviz.regularizers import Network, exact_regularizer, explicit_shares, implicit_term, masked_losses
from tests import reference
from tests.computing.tiny import Tiny, gradients, tiny
from tests.computing.twin import (
    Chosen,
    Twin,
    as_vector,
    every_labelling,
    every_sign,
    flat,
    module_of,
    shared,
)

P = 0.25
V = reference.variance(P)
ESTIMATORS = ["auto", "root_hessian", "forward", "sampled_label"]

every_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
every_hessian = pytest.mark.parametrize("hessian", ["differentiated", "constant"])


def assert_exact(found: Tensor, expected: Tensor, dtype: torch.dtype, *, scale: float = 1.0) -> None:
    """To rounding: sums of some hundred float32 numbers of the size ``scale`` are right to 1e-5 of it; float64 to 1e-9, where
    one constant in single precision would show.
    """
    assert found.dtype == dtype
    atol = scale * (1e-9 if dtype == torch.float64 else 1e-5)
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=atol)


def by_site(net: Tiny, numbers: Tensor) -> dict[str, Tensor]:
    """Numbers (…, n) cut into the sites of a net: (…, W) each."""
    sites = net.model.sites()
    sizes = {"input": net.net.sizes[0]} | {f"hidden{i}": size for i, size in enumerate(net.net.sizes) if i}
    return dict(zip(sites, numbers.split([sizes[site] for site in sites], -1), strict=True))


def stacked_losses(net: Tiny, epsilon: Tensor, network: Network) -> Tensor:
    """ℓ(z(ε)) of a stacked net for each ε (R, n), the same for all its rows: (R,)."""
    parts = by_site(net, 1 + epsilon)
    factors = {site: part[None, :, None].expand(1, -1, len(net.y), -1) for site, part in parts.items()}
    return masked_losses(network, factors, len(epsilon))[0]


def module_losses(
    model: nn.Module, x: Any, y: Tensor, epsilon: Tensor, **options: Any
) -> tuple[Tensor, Tensor]:
    """ℓ(z(ε)) of a module for each ε (R, n), and ℓ(z(0))."""
    asked = ModuleNetwork(model, x, y, **options)
    losses = masked_losses(asked, Chosen(epsilon=epsilon), len(epsilon))[0]
    return losses, asked.plain()[0]


def enumerated(model: nn.Module, x: Tensor, y: Tensor, units: int, **options: Any) -> Tensor:
    """R over all masks of a module whose rows have masks of their own, so one row at a time."""
    probabilities, masks = reference.every_mask(units, P)
    found = []
    with torch.no_grad():
        for row in range(len(x)):
            losses, plain = module_losses(model, x[row : row + 1], y[row : row + 1], masks, **options)
            found.append(probabilities.to(losses) @ (losses - plain))
    return torch.stack(found).mean()


def covariance(probabilities: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (P,) and covariance (P, P) of directions (R, P)."""
    directions, probabilities = directions.double(), probabilities.double()
    mean = probabilities @ directions
    return mean, (directions - mean).T @ (probabilities[:, None] * (directions - mean))


def rows_of_gradients(model: nn.Module, values: Tensor) -> Tensor:
    """∂ value / ∂ W of each of them: (R, P)."""
    parameters = list(model.parameters())
    found = [grad(value, parameters, retain_graph=True, materialize_grads=True) for value in values]
    return torch.stack([flat(parts) for parts in found])


# All masks, all signs, all labels.


@every_dtype
@pytest.mark.parametrize("dropout_at", [("hidden",), ("input", "hidden")], ids="+".join)
def test_over_all_masks_a_net_has_the_exact_regularizer_and_gradient(
    dropout_at: tuple[str, ...], dtype: torch.dtype
) -> None:
    net = tiny((2, 3, 3), dropout_at=dropout_at, p=P, rows=2)
    probabilities, masks = reference.every_mask(net.net.units, P)
    expected = reference.explicit_regularizer(net.net, net.w, net.x, net.y, P)
    slope = reference.gradient(lambda w: reference.dropout_loss(net.net, w, net.x, net.y, P), net.w)
    network, leaves = net.network(dtype=dtype)
    value = probabilities.to(dtype) @ stacked_losses(net, masks.to(dtype), network)
    assert_exact(value - network.plain()[0], expected, dtype)
    assert_exact(gradients(value[None], leaves)[0], slope, dtype)
    model = module_of(net, dtype)
    assert_exact(enumerated(model, net.x.to(dtype), net.y, net.net.units), expected, dtype)


@every_dtype
def test_over_all_masks_the_gradient_has_the_exact_covariance(dtype: torch.dtype) -> None:
    net = tiny((2, 3, 3), dropout_at=("input", "hidden"), p=P, rows=1)
    probabilities, masks = reference.every_mask(net.net.units, P)
    expected = reference.noise_covariance(net.net, net.w, net.x, net.y, P)
    network, leaves = net.network(len(masks), dtype)
    factors = {site: (1 + part).to(dtype)[:, None, None] for site, part in by_site(net, masks).items()}
    directions = gradients(masked_losses(network, factors, 1).squeeze(1), leaves)
    assert_exact(covariance(probabilities, directions)[1].to(dtype), expected, dtype)
    twin = shared("weight drop")
    probabilities, masks = twin.every_mask()
    wanted = twin.mask_covariance()[1]
    model = twin.model.to(dtype)
    losses, _ = module_losses(model, twin.x.to(dtype), twin.y, masks)
    found = covariance(probabilities, rows_of_gradients(model, losses))[1]
    assert_exact(found.to(dtype), wanted, dtype, scale=float(wanted.trace()))


def choices(estimator: str, sites: dict[str, tuple[int, ...]], likely: Tensor) -> tuple[Tensor, list[Chosen]]:
    """Probabilities, and all that an estimator may draw, for one net with N rows: signs of ε, of outputs, or labels."""
    if estimator == "forward":
        sizes = [torch.Size(shape).numel() for shape in sites.values()]
        patterns = every_sign(sum(sizes)).to(likely)
        found = [
            Chosen(
                signs={
                    s: p.view(1, *shape)
                    for (s, shape), p in zip(sites.items(), row.split(sizes), strict=True)
                }
            )
            for row in patterns
        ]
    elif estimator == "sampled_label":
        probabilities, uniforms = every_labelling(likely)
        return probabilities, [Chosen(uniform=row[None, :, None]) for row in uniforms]
    else:
        found = [Chosen(outputs=row.view(1, *likely.shape)) for row in every_sign(likely.numel()).to(likely)]
    return torch.full((len(found),), 1 / len(found)), found


@every_dtype
@every_hessian
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("kind", ["stacked", "module", "rows that share masks"])
def test_over_all_that_it_may_draw_an_estimator_has_the_exact_value_and_gradient(
    kind: str, estimator: str, hessian: str, dtype: torch.dtype
) -> None:
    # With the sampled label and a constant Hessian this is the authors' estimator: its mean gradient is ∇R, H_out held.
    net = tiny((2, 2, 3), dropout_at=("input", "hidden"), p=P, rows=2)
    twin = shared("coupled rows") if kind == "rows that share masks" else Twin(module_of(net), net.x, net.y)
    share = twin.shares(constant=hessian == "constant").sum()
    expected, slope = share.detach(), twin.gradient(share)
    model = twin.model.to(dtype)
    asked: Network = ModuleNetwork(model, twin.x.to(dtype))
    leaves: Sequence[Tensor] = list(model.parameters())
    if kind == "stacked":
        asked, leaves = net.network(dtype=dtype)
        slope = reference.gradient(
            lambda w: reference.approximate_regularizer(net.net, w, net.x, P, constant=hessian == "constant"),
            net.w,
        )
    watch = asked.watch()
    z = asked.forward(watch)
    shapes = {
        name: tuple(h.shape[1:]) if kind == "stacked" else asked.sites[name].mask_shape  # type: ignore[attr-defined]
        for name, h in watch.before.items()
    }
    probabilities, drawn = choices(estimator, shapes, z[0].detach().softmax(-1))
    value = torch.zeros((), dtype=dtype)
    for probability, draws in zip(probabilities.to(dtype), drawn, strict=True):
        shares = explicit_shares(asked, z, watch, draws, estimator=estimator, hessian=hessian)
        value = value + probability * torch.stack([part.squeeze() for part in shares.values()]).sum()
    assert_exact(value, expected, dtype)
    assert_exact(flat(grad(value, list(leaves), materialize_grads=True)), slope, dtype)


# Width.


@every_dtype
def test_formula_and_definition_draw_together_as_the_layer_widens(dtype: torch.dtype) -> None:
    def gap(width: int) -> float:
        ratios = []
        for seed in range(8):
            net = tiny((3, width, 3), p=0.125, rows=4, seed=seed)
            network, _ = net.network(dtype=dtype)
            probabilities, masks = reference.every_mask(width, net.p)
            likely = network.forward(keep_all)[0].softmax(-1)
            true = torch.zeros((), dtype=dtype)
            for label in range(3):
                network.y = torch.full((1, 4), label)
                network.weights = likely[None, :, label] / 4
                true = (
                    true
                    + probabilities.to(dtype) @ stacked_losses(net, masks.to(dtype), network)
                    - network.plain()[0]
                )
            network.weights = None
            ratios.append(exact_regularizer(network)[0] / true)
        return abs(torch.stack(ratios).mean().item() - 1)

    gaps = [gap(width) for width in (2, 4, 9)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.05


# Labels from the model.


@every_dtype
def test_labels_from_the_model_make_the_second_order_term_the_formula(dtype: torch.dtype) -> None:
    net = tiny((2, 2, 3), dropout_at=("input", "hidden"), p=P, rows=1)
    model, x = module_of(net, dtype), net.x.to(dtype)
    patterns = every_sign(4).to(dtype)
    likely = reference.Net.logits(net.net, net.w, net.x[0], net.net.still()).softmax(-1)
    terms = []
    for label in range(3):
        signs = iter([{"0": row[None, None, :2], "3": row[None, None, 2:]} for row in patterns])
        with mock.patch.object(ModuleDraws, "signs", lambda self, signs=signs: next(signs)):
            found = second_order_term(model, x, torch.tensor([label]), samples=len(patterns))
        expected = reference.second_order_term(net.net, net.w, net.x[0], torch.tensor(label), P)
        assert_exact(torch.tensor(found.mean, dtype=dtype), expected, dtype)
        terms.append(found.mean)
    mean = likely @ torch.tensor(terms, dtype=torch.float64)
    assert_exact(explicit_regularizer(model, x, estimator="exact").detach(), mean, dtype)
    assert torch.tensor(terms).std() > 0.2 * mean.abs()  # no label has it alone


# Noise.


def steps(net: Tiny, k: int, noise: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The direction of a step with k masks and one kind of noise, over all masks and signs: probabilities, (S, P)."""
    probabilities, masks = reference.every_mask(2, P)
    count = k + 2 * (noise == "mask")
    every = torch.tensor(list(product(range(4), repeat=count + (noise == "analytic"))))
    likely = probabilities[every[:, :count]].prod(-1) / (4 if noise == "analytic" else 1)
    factors = (1 + masks[every[:, :count]])[:, :, None].to(dtype)  # (S, R, 1, 2)
    draws = Chosen(signs={"hidden1": every_sign(2).to(dtype)[every[:, -1]][:, None]})
    draws.masks = lambda replicas: {"hidden1": factors[:, :replicas]}  # type: ignore[attr-defined]
    network, leaves = net.network(len(every), dtype)
    terms = regularizers.dropout_loss(
        network, draws, k=k, mask_noise=noise == "mask", analytic_noise=noise == "analytic"
    )
    return likely, gradients(terms.data + (0 if terms.implicit is None else terms.implicit), leaves)


@every_dtype
@pytest.mark.parametrize("k", [2, 3, 4])
def test_with_mask_noise_k_masks_have_exactly_the_mean_and_covariance_of_one(
    k: int, dtype: torch.dtype
) -> None:
    net = tiny((2, 2, 2), p=P, rows=1)
    mean, found = covariance(*steps(net, k, "mask", dtype))
    wanted = reference.gradient(lambda w: reference.dropout_loss(net.net, w, net.x, net.y, P), net.w)
    assert_exact(mean.to(dtype), wanted, dtype)
    assert_exact(found.to(dtype), reference.noise_covariance(net.net, net.w, net.x, net.y, P), dtype)
    _, bare = covariance(*steps(net, k, "none", dtype))
    assert bare.trace() < 0.6 * found.trace()


@every_dtype
@pytest.mark.parametrize("k", [2, 3, 4])
def test_with_analytic_noise_k_masks_nearly_have_the_covariance_of_one_at_small_influence(
    k: int, dtype: torch.dtype
) -> None:
    net = tiny((2, 2, 2), p=P, rows=1, output_scale=0.1)
    mean, found = covariance(*steps(net, k, "analytic", dtype))
    wanted = reference.gradient(lambda w: reference.dropout_loss(net.net, w, net.x, net.y, P), net.w)
    assert_exact(mean.to(dtype), wanted, dtype)
    exact = reference.noise_covariance(net.net, net.w, net.x, net.y, P)
    formula = reference.approximate_noise_covariance(net.net, net.w, net.x, net.y, P)
    assert_exact(found.to(dtype), exact / k + (1 - 1 / k) * formula, dtype)
    assert abs(found.trace() / exact.trace() - 1) < 0.05


@every_dtype
def test_analytic_noise_of_a_module_has_mean_zero_its_covariance_and_nearly_the_trace(
    dtype: torch.dtype,
) -> None:
    net = tiny((2, 3, 3), p=P, rows=1, output_scale=0.1)
    model = module_of(net, dtype)
    asked = ModuleNetwork(model, net.x.to(dtype), net.y)
    watch = asked.watch()
    z = asked.forward(watch)
    patterns = every_sign(3).to(dtype)
    values = [implicit_term(asked, z, watch, Chosen(signs={"2": row[None, None]})) for row in patterns]
    noise = torch.stack([as_vector_of(model, value) for value in values])
    mean, found = covariance(torch.full((8,), 1 / 8), noise)
    assert_exact(mean.to(dtype), torch.zeros_like(mean), dtype)
    formula = reference.approximate_noise_covariance(net.net, net.w, net.x, net.y, P)
    assert_exact(found.to(dtype), formula, dtype)
    exact = reference.noise_covariance(net.net, net.w, net.x, net.y, P)
    assert abs(found.trace() / exact.trace() - 1) < 0.05


def as_vector_of(model: nn.Module, value: Tensor) -> Tensor:
    names = [name for name, _ in model.named_parameters()]
    parts = grad(value.sum(), list(model.parameters()), retain_graph=True, materialize_grads=True)
    return as_vector(model, dict(zip(names, parts, strict=True)))  # type: ignore[arg-type]


@every_dtype
def test_a_module_with_mask_noise_has_exactly_the_covariance_of_one_mask(dtype: torch.dtype) -> None:
    net = tiny((2, 2, 2), p=P, rows=1)
    model, x = module_of(net, dtype), net.x.to(dtype)
    probabilities, masks = reference.every_mask(2, P)
    every = torch.tensor(list(product(range(4), repeat=4)))
    directions = []
    for pattern in every:
        chosen = Chosen(epsilon=masks[pattern])
        with mock.patch.object(ModuleDraws, "masks", lambda self, replicas, chosen=chosen: chosen):
            terms = dropout_loss(model, x, net.y, k=2, mask_noise=True)
        directions.append(as_vector_of(model, terms.total))
    _, found = covariance(probabilities[every].prod(-1), torch.stack(directions))
    assert_exact(found.to(dtype), reference.noise_covariance(net.net, net.w, net.x, net.y, P), dtype)
