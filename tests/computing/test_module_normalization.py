"""Every term about a module with normalization, to rounding, against normalization written by hand.

What is expected comes from full Jacobians and Hessians in ε (``twin``). Estimators are averaged over all that they may
draw: their terms are of degree two in signs, so the rows of a Hadamard matrix have the mean that all patterns have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import pytest
import torch
from scipy.linalg import hadamard
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from dropviz import dropout_sites
from dropviz.curvature import gradient_noise_alignment, hessian_vector_product
from dropviz.modules.network import ModuleNetwork
from dropviz.regularizers import Choices, LossTerms, linearized_loss
from dropviz.regularizers import surrogate_loss as stacked_surrogate
from tests import reference
from tests.computing.foreign import Net
from tests.computing.test_modules_calls import CALLS, numbers
from tests.computing.twin import Chosen, Twin, flat, seeded

P = 0.25


@contextmanager
def by_hand() -> Iterator[None]:
    """Normalization in plain sums, roots and products: nothing of it is known to torch or to the library by its name."""

    def standard(h: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        count = torch.Size([h.shape[axis] for axis in axes]).numel()
        mean = h.sum(axes, keepdim=True) / count
        variance = ((h - mean) ** 2).sum(axes, keepdim=True) / count
        return (h - mean) / (variance + eps).sqrt()

    def layer_norm(h: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
        found = standard(h, tuple(range(h.ndim - len(shape), h.ndim)), eps)
        return found * (1 if weight is None else weight) + (0 if bias is None else bias)

    def instance_norm(h: Tensor, mean: Any, variance: Any, weight: Tensor, bias: Tensor, *_: Any) -> Tensor:
        channels = (-1, *[1] * (h.ndim - 2))
        return standard(h, tuple(range(2, h.ndim)), 1e-5) * weight.view(channels) + bias.view(channels)

    def normed(v: Tensor, g: Tensor, dim: int) -> Tensor:
        axes = tuple(axis for axis in range(v.ndim) if axis != dim)
        return g * v / (v**2).sum(axes, keepdim=True).sqrt()

    with (
        mock.patch.multiple(functional, layer_norm=layer_norm, instance_norm=instance_norm),
        mock.patch.object(torch, "_weight_norm", normed),
    ):
        yield


class ByHand(Twin):
    """A twin whose normalization is written by hand."""

    def logits(self, epsilon: Tensor) -> Tensor:
        with by_hand():
            return super().logits(epsilon)


def perceptron(norm: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(P), nn.Linear(2, 4), norm, nn.Tanh(), nn.Dropout(P), nn.Linear(4, 4), nn.GELU(), norm, nn.Linear(4, 3)
    )  # fmt: skip


def by_function(net: Any, x: Tensor) -> Tensor:
    """Over two axes, after the dropout, with what is learned given by name."""
    h = functional.dropout(net.first(x), P, net.training).unflatten(-1, (2, 2))
    h = functional.layer_norm(h, [2, 2], bias=net.shift.weight, eps=0.01).tanh()
    return net.last(torch.layer_norm(h.flatten(1), [4], net.shift.weight.flatten(), None).sin())


def transformer() -> nn.Module:
    """Attention's probabilities and inner units drop: 8 coordinates of ε in each layer."""
    layers = [
        nn.TransformerEncoderLayer(3, 1, 2, P, "gelu", batch_first=True, norm_first=norm_first)
        for norm_first in (True, False)
    ]
    for layer in layers:
        layer.dropout1.p = layer.dropout2.p = 0.0
    return nn.Sequential(*layers, nn.LayerNorm(3), nn.Linear(3, 3))


def images(net: Any, x: Tensor) -> Tensor:
    h = net.norm(net.first(net.drop(x))).tanh()
    return net.last(net.norm(functional.dropout2d(h, P, net.training)).square().mean((2, 3)))


def convolutional() -> nn.Module:
    return Net(
        images,
        first=nn.Conv2d(1, 2, 2),
        norm=nn.InstanceNorm2d(2, affine=True),
        drop=nn.Dropout(P),
        last=nn.Linear(2, 3),
    )


def weights() -> nn.Module:
    layers = {"first": weight_norm(nn.Linear(2, 3)), "last": weight_norm(nn.Linear(3, 3), dim=1)}
    return Net(lambda net, x: net.last(functional.dropout(net.first(x).tanh(), P, net.training)), **layers)


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "perceptron": (lambda: perceptron(nn.LayerNorm(4)), (2, 2), (2,)),
    "without weights": (lambda: perceptron(nn.LayerNorm(4, elementwise_affine=False)), (2, 2), (2,)),
    "by function": (
        lambda: Net(by_function, first=nn.Linear(2, 4), shift=nn.Linear(2, 2, False), last=nn.Linear(4, 3)),
        (3, 2),
        (3,),
    ),
    "transformer": (transformer, (1, 2, 3), (1, 2)),
    "instance normalization": (convolutional, (2, 1, 3, 3), (2,)),
    "weight normalization": (weights, (3, 2), (3,)),
}
every_net = pytest.mark.parametrize("name", NETS)


def net(name: str) -> ByHand:
    """A net far from its first weights, with a minibatch, float64."""
    build, inputs, labels = NETS[name]
    random = seeded(4)
    torch.manual_seed(4)
    model = build().double().train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.7 * torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    x = torch.randn(inputs, generator=random, dtype=torch.float64)
    return ByHand(model, x, torch.randint(3, labels, generator=random))


def network(twin: Twin) -> ModuleNetwork:
    """As the library sees it, after the pass that finds the sites."""
    asked = ModuleNetwork(twin.model, twin.x, twin.y)
    with torch.no_grad():
        asked.plain()
    return asked


def balanced_signs(count: int) -> Tensor:
    """Patterns (K, count) of ±1 in which each pair of places is uncorrelated, and every place has mean 0."""
    size = 1 << count.bit_length()
    return torch.tensor(hadamard(size)[:, 1 : count + 1], dtype=torch.float64)


def by_site(twin: Twin, asked: ModuleNetwork, numbers: Tensor) -> dict[str, Tensor]:
    """Numbers (n,) as the sites have them: (1, *mask shape)."""
    parts = zip(asked.sites, numbers.split(twin.sizes), twin.shapes, strict=True)
    return {site: part.view(1, *shape) for site, part, shape in parts}


def draws(twin: Twin, asked: ModuleNetwork, estimator: str) -> list[Chosen]:
    """All that matters of what an estimator may draw."""
    signs = [by_site(twin, asked, row) for row in balanced_signs(twin.units)]
    if estimator in ("forward", "shared tangent", "exact"):
        return [Chosen(signs=one) for one in signs]
    shape = (1, len(twin.y.flatten()), 3)
    outputs = [row.view(shape) for row in balanced_signs(shape[1] * 3)]
    count = max(len(signs), len(outputs))
    return [Chosen(signs=signs[k % len(signs)], outputs=outputs[k % len(outputs)]) for k in range(count)]


def terms(asked: ModuleNetwork, drawn: Chosen, estimator: str) -> LossTerms:
    shared = estimator == "shared tangent"
    choices = Choices(shared_tangent=shared) if shared else Choices(estimator=estimator)
    return stacked_surrogate(asked, drawn, choices)


def assert_exact(found: Tensor, expected: Tensor) -> None:
    """To rounding."""
    torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-9)


@every_net
def test_nets_have_few_coordinates_and_depend_on_their_normalization(name: str) -> None:
    twin = net(name)
    assert 1 < twin.units <= 36
    assert_exact(twin.logits(twin.still()), Twin(twin.model, twin.x, twin.y).logits(twin.still()))
    site_shapes = [site.mask_shape for site in dropout_sites(twin.model, twin.x)]
    assert site_shapes == twin.shapes


@pytest.mark.parametrize("estimator", ["exact", "auto", "root_hessian", "forward", "shared tangent"])
@every_net
def test_the_surrogate_has_the_exact_mean_and_gradient(name: str, estimator: str) -> None:
    twin = net(name)
    asked, share, plain = network(twin), twin.shares().sum(), twin.loss(twin.still())
    values, slopes, noise = [], [], []
    for drawn in draws(twin, asked, estimator):
        found = terms(asked, drawn, estimator)
        assert found.explicit is not None
        assert found.implicit is not None
        assert_exact(found.data[0], plain)
        values.append(found.explicit[0].detach())
        slopes.append(twin.gradient(found.explicit[0]))
        noise.append(twin.gradient(found.implicit[0]))
    assert_exact(torch.stack(values).mean(0), share)
    assert_exact(torch.stack(slopes).mean(0), twin.gradient(share))
    covariance = torch.stack(noise).T @ torch.stack(noise) / len(noise)
    assert_exact(torch.stack(noise).mean(0), torch.zeros_like(noise[0]))
    assert_exact(covariance, twin.noise_covariance())


@every_net
def test_the_linearized_loss_has_the_exact_gradient_under_a_mask(name: str) -> None:
    twin = net(name)
    asked = network(twin)
    jacobian = torch.autograd.functional.jacobian(twin.logits, twin.still(), create_graph=True)
    z, v = twin.logits(twin.still()), reference.variance(P)
    for seed in range(2):
        kept = torch.rand(twin.units, generator=seeded(seed)) >= P
        epsilon = torch.where(kept, v, -1.0).double()
        expected = functional.cross_entropy(z + jacobian @ epsilon, twin.y.flatten())
        drawn = Chosen()
        factors = {site: 1 + part[:, None] for site, part in by_site(twin, asked, epsilon).items()}
        drawn.masks = lambda replicas, factors=factors: factors  # type: ignore[attr-defined]
        found = linearized_loss(asked, drawn).data[0]
        assert_exact(found, expected)
        assert_exact(twin.gradient(found), twin.gradient(expected))


# The public functions.


def asked_twice(name: str, call: Callable[..., Any]) -> list[list[float]]:
    """What a call with one seed gives with torch's normalization, and with that by hand; gradients too, where it has one."""
    found = []
    for normalization in (nullcontext(), by_hand()):
        twin = net(name)
        with normalization:
            answer = call(twin.model, twin.x, twin.y, generator=seeded(1))
        found.append(numbers(answer))
        value = answer.total if isinstance(answer, LossTerms) else answer
        if isinstance(value, Tensor):
            found[-1] += twin.gradient(value).tolist()
    return found


@pytest.mark.parametrize("call", CALLS)
@every_net
def test_every_call_gives_what_it_gives_with_normalization_by_hand(name: str, call: str) -> None:
    ours, expected = asked_twice(name, CALLS[call])
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", ["mask", "analytic"])
@every_net
def test_the_alignment_of_noise_and_curvature_is_that_with_normalization_by_hand(
    name: str, kind: Any
) -> None:
    found = []
    for normalization in (nullcontext(), by_hand()):
        twin = net(name)
        with normalization:
            answer = gradient_noise_alignment(
                twin.model, twin.x, twin.y, kind=kind, samples=3, generator=seeded(1)
            )
        found.append([*vars(answer.alignment).values(), *vars(answer.null).values()])
    assert found[0] == pytest.approx(found[1], rel=1e-9)


@every_net
def test_the_hessian_is_that_with_normalization_by_hand(name: str) -> None:
    twin = net(name)
    twin.model.eval()
    twin.shapes.clear()
    twin.ps.clear()
    value = twin.loss(torch.zeros(0, dtype=torch.float64))
    slope = flat(grad(value, twin.parameters(), create_graph=True))
    vector = torch.randn(len(slope), generator=seeded(2), dtype=torch.float64)
    sizes = [parameter.numel() for parameter in twin.parameters()]
    named = {
        name: part.view_as(parameter)
        for (name, parameter), part in zip(twin.model.named_parameters(), vector.split(sizes), strict=True)
    }
    found = hessian_vector_product(twin.model, twin.x, twin.y, named)
    assert_exact(flat(found), twin.gradient(slope @ vector))
