"""Every estimator on language models, to rounding: all masks, signs and labels are gone through.

What is expected comes from full Jacobians and Hessians of the mean loss in ε (``twin``), where ε is one behaviour of the
model that is written out here. Shapes: n coordinates of ε, N = B·T rows, K draws of an estimator, stacked as seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn import functional

from dropviz.masks import keep_all
from dropviz.models import Model
from dropviz.models.gru import Gru
from dropviz.models.lstm import Lstm
from dropviz.models.model import Carried
from dropviz.models.qrnn import Qrnn
from dropviz.models.transformer import Transformer
from dropviz.regularizers import (
    Choices,
    Network,
    explicit_shares,
    implicit_term,
    masked_losses,
    monte_carlo,
    slopes,
    surrogate_loss,
)
from dropviz.training.feed import Batch
from dropviz.training.stacked import PLAIN, StackedModel
from tests import reference
from tests.computing.letters import Letters, experiment, parameters, tokens
from tests.computing.tiny import gradients
from tests.computing.twin import Chosen, Twin, every_labelling, every_sign

LETTERS = 3


class Dropping(nn.Module):
    """A model with one seed's parameters, dropping by torch's own dropout of ones, which the twin replaces by 1 + ε."""

    def __init__(
        self, model: Model, chosen: dict[str, Tensor], rates: dict[str, float], past: Carried
    ) -> None:
        super().__init__()
        self.model, self.rates, self.past = model, rates, past
        self.chosen = nn.ParameterDict()
        for name, value in chosen.items():  # one by one they keep their order
            self.chosen[name] = nn.Parameter(value.detach())

    def forward(self, x: Tensor) -> Tensor:
        def drop(h: Tensor, site: str, *, shared: tuple[int, ...] = (), weight: bool = False) -> Tensor:
            ones = [1 if axis in shared else size for axis, size in enumerate(h.shape)]
            return h * functional.dropout(torch.ones(ones, dtype=h.dtype), self.rates[site])

        return self.model.forward(dict(self.chosen), x, drop, dict(self.past))


@dataclass
class Case:
    """A tiny language model at one minibatch; with ``past`` at the second segment of its text."""

    model: Model
    streams: int = 2
    length: int = 2
    past: int = 0
    p: float = 0.25
    scale: float = 0.8
    twins: list[Twin] = field(default_factory=list)

    @property
    def task(self) -> Any:
        return Letters(letters=LETTERS).task

    @cached_property
    def chosen(self) -> dict[str, Tensor]:
        """One seed's parameters."""
        return parameters(self.model, task=self.task, scale=self.scale)

    @cached_property
    def batch(self) -> Batch:
        """Of one seed."""
        text = tokens(1, self.streams, self.length + 1, letters=LETTERS, seed=7)
        return Batch(x=text[..., :-1], y=text[..., 1:].flatten(1))

    @cached_property
    def carried(self) -> Carried:
        """What a first segment leaves."""
        carried: Carried = {}
        if self.past:
            x = tokens(1, self.streams, self.past, letters=LETTERS, seed=8)
            with torch.no_grad():
                self.model.forward(self.chosen, x, keep_all, carried)
        return carried

    @cached_property
    def twin(self) -> Twin:
        """As the reference sees it."""
        model = Dropping(self.model, self.chosen, self.model.rates(self.p), self.carried)
        return Twin(model, self.batch.x, self.batch.y)

    @cached_property
    def every_mask(self) -> tuple[Tensor, Tensor]:
        """All masks of sites that may have each its p: probabilities (2ⁿ,) and ε (2ⁿ, n)."""
        dropped = (every_sign(self.twin.units) + 1) / 2
        parts = [
            torch.full((size,), p, dtype=torch.float64)
            for size, p in zip(self.twin.sizes, self.twin.ps, strict=True)
        ]
        p = torch.cat(parts)
        likely = (dropped * p + (1 - dropped) * (1 - p)).prod(-1)
        return likely, (1 - dropped) * (p / (1 - p)) - dropped

    @cached_property
    def under_masks(self) -> tuple[Tensor, Tensor]:
        """The loss under each of them (2ⁿ,), and its gradient (2ⁿ, P)."""
        losses = [self.twin.loss(mask) for mask in self.every_mask[1]]
        slopes = [self.twin.gradient(loss) for loss in losses]
        return torch.stack(losses).detach(), torch.stack(slopes)

    def network(self, copies: int = 1, replicas: int = PLAIN) -> tuple[Network, list[Tensor]]:
        """As the library sees it, the same seed so many times; and what to differentiate by."""
        stacked = StackedModel(experiment(self.model, data=Letters(letters=LETTERS), p=self.p), [0], "cpu")
        stacked.parameters = {
            name: value.detach().repeat(copies, *[1] * (value.ndim - 1)).requires_grad_()
            for name, value in self.chosen.items()
        }
        x, y = (part.expand(copies, *part.shape[1:]) for part in (self.batch.x, self.batch.y))
        stacked.carried = {
            count: {
                name: value.repeat(copies, max(1, count), *[1] * (value.ndim - 2))
                for name, value in self.carried.items()
            }
            for count in (PLAIN, replicas)
        }
        network = stacked.network(Batch(x=x, y=y), carry=True)
        return network, list(stacked.parameters.values())


RECURRENT = {"layers": 2, "width": 2, "embedding": 2}
NARROW = {"layers": 2, "width": 1, "embedding": 2}
ATTENDING = {"layers": 1, "width": 3, "heads": 1, "feedforward": 2}
CASES: dict[str, Case] = {
    "lstm, hidden, locked": Case(Lstm(**RECURRENT, dropout_at=("hidden",))),
    "lstm, hidden, per token": Case(Lstm(**RECURRENT, locked=False, dropout_at=("hidden",))),
    "lstm, rows of the tied embedding": Case(
        Lstm(**RECURRENT, dropout_at=("embedding",)), streams=1, length=3
    ),
    "lstm, weight drop": Case(Lstm(**NARROW, dropout_at=("recurrent1",)), streams=1, length=3),
    "lstm, three kinds with their own p, later": Case(
        Lstm(**NARROW, dropout_at=("embedding", "recurrent1=0.5", "hidden=0.125")), streams=1, past=2
    ),
    "lstm, output per token": Case(
        Lstm(**NARROW, locked=False, dropout_at=("hidden=0.5", "output")), streams=1
    ),
    "gru, weight drop, later": Case(Gru(**NARROW, dropout_at=("recurrent1", "hidden")), past=1),
    "qrnn, input, locked, later": Case(Qrnn(**RECURRENT, dropout_at=("input", "hidden")), past=2),
    "qrnn, weights": Case(
        Qrnn(layers=2, width=1, embedding=1, dropout_at=("weights1=0.5", "hidden")), length=2
    ),
    "transformer, attention": Case(Transformer(**ATTENDING, dropout_at=("attention",))),
    "transformer, attention's residual": Case(
        Transformer(**ATTENDING, dropout_at=("residual_attention1",)), streams=1
    ),
    "transformer, inner units and rows": Case(
        Transformer(**ATTENDING, dropout_at=("feedforward=0.5", "embedding")), streams=1
    ),
    "transformer, output": Case(Transformer(**ATTENDING, dropout_at=("output",)), streams=1),
    "transformer-xl, attention, later": Case(
        Transformer(**ATTENDING, relative=True, memory=2, dropout_at=("attention",)), streams=1, past=3
    ),
    "transformer-xl, two layers, inner units": Case(
        Transformer(
            **ATTENDING | {"layers": 2, "feedforward": 1},
            relative=True,
            memory=2,
            dropout_at=("feedforward",),
        ),
        past=1,
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_hessian = pytest.mark.parametrize("hessian", ["differentiated", "constant"])


def by_site(case: Case, numbers: Tensor) -> dict[str, Tensor]:
    """Numbers (K, n) cut into the sites: (K, *shape) each."""
    sizes = numbers.split(case.twin.sizes, -1)
    return {
        site: part.reshape(len(part), *shape[1:])
        for site, part, shape in zip(case.model.sites(), sizes, case.twin.shapes, strict=True)
    }


def assert_exact(found: Tensor, expected: Tensor) -> None:
    """To rounding."""
    torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-11)


def watched(network: Network) -> tuple[Any, Tensor]:
    """The views of the sites, and the logits under them."""
    watch = network.watch()
    return watch, network.forward(watch)


@every_case
def test_the_library_and_the_reference_drop_at_the_same_few_coordinates(case: Case) -> None:
    assert 1 < case.twin.units <= 12
    network, _ = case.network()
    shapes = {site: shape[1:] for site, shape in zip(case.model.sites(), case.twin.shapes, strict=True)}
    assert shapes == dict(network.shapes)
    assert list(network.variances.values()) == [reference.variance(p) for p in case.twin.ps]
    assert bool(case.carried) == bool(case.past)


# By definition.


@every_case
def test_over_all_masks_the_loss_has_the_exact_mean_and_gradient(case: Case) -> None:
    likely, masks = case.every_mask
    losses, slopes_by_mask = case.under_masks
    plain = case.twin.loss(case.twin.still())
    network, leaves = case.network(replicas=len(masks))
    factors = {site: 1 + part.unsqueeze(0) for site, part in by_site(case, masks).items()}
    drawn = Chosen()
    drawn.masks = lambda replicas: factors  # type: ignore[attr-defined]
    assert_exact(monte_carlo(network, drawn, masks=len(masks))[0], losses - plain)
    value = masked_losses(network, factors, len(masks)) @ likely - network.plain()
    assert_exact(value[0], likely @ losses - plain)
    assert_exact(gradients(value, leaves)[0], likely @ slopes_by_mask - case.twin.gradient(plain))


@every_case
def test_over_all_masks_the_gradient_has_the_exact_covariance(case: Case) -> None:
    likely, masks = case.every_mask
    network, leaves = case.network(len(masks), replicas=1)
    factors = {site: 1 + part.unsqueeze(1) for site, part in by_site(case, masks).items()}
    found = gradients(masked_losses(network, factors, 1), leaves)
    assert_exact(covariance(likely, found), covariance(likely, case.under_masks[1]))


def covariance(likely: Tensor, directions: Tensor) -> Tensor:
    """Of directions (K, P): (P, P)."""
    centred = directions - likely @ directions
    return centred.T @ (likely[:, None] * centred)


# By formula.


def draws(case: Case, estimator: str) -> tuple[Tensor, Chosen]:
    """All that an estimator may draw, stacked as seeds, with their probabilities."""
    z = case.twin.logits(case.twin.still()).detach()
    if estimator == "sampled_label":
        likely, uniforms = every_labelling(z.softmax(-1))
        return likely, Chosen(uniform=uniforms.unsqueeze(-1))
    if estimator == "forward":
        signs = every_sign(case.twin.units)
        found = Chosen(signs=by_site(case, signs))
    else:
        signs = every_sign(z.numel())
        found = Chosen(outputs=signs.view(-1, *z.shape))
    return torch.full((len(signs),), 1 / len(signs), dtype=torch.float64), found


@every_hessian
@pytest.mark.parametrize("estimator", ["exact", "auto", "root_hessian", "forward", "sampled_label"])
@every_case
def test_an_estimator_has_the_exact_shares_and_gradient(case: Case, estimator: str, hessian: str) -> None:
    shares = case.twin.shares(constant=hessian == "constant")
    expected = torch.stack([part.sum() for part in shares.split(case.twin.sizes)])
    slope = case.twin.gradient(shares.sum())
    likely, drawn = torch.ones(1, dtype=torch.float64), Chosen()
    if estimator != "exact":
        likely, drawn = draws(case, estimator)
    network, leaves = case.network(len(likely))
    watch, z = watched(network)
    found = explicit_shares(network, z, watch, drawn, estimator=estimator, hessian=hessian)
    assert tuple(found) == case.model.sites()
    values = torch.stack(list(found.values()), dim=-1)
    assert_exact(likely @ values, expected)
    assert_exact(likely @ gradients(values.sum(-1), leaves), slope)


@every_case
def test_over_all_signs_the_implicit_noise_has_mean_zero_and_its_covariance(case: Case) -> None:
    expected = case.twin.noise_covariance()
    likely, drawn = draws(case, "forward")
    network, leaves = case.network(len(likely))
    watch, z = watched(network)
    noise = gradients(implicit_term(network, z, watch, drawn), leaves)
    assert_exact(likely @ noise, torch.zeros_like(noise[0]))
    found = covariance(likely, noise)
    assert expected.trace() > 1e-6
    assert_exact(found.trace(), expected.trace())
    assert_exact(found, expected)


@every_case
def test_both_terms_from_one_tangent_have_the_exact_mean_and_covariance(case: Case) -> None:
    share = case.twin.shares().sum()
    likely, drawn = draws(case, "forward")
    network, leaves = case.network(len(likely))
    terms = surrogate_loss(network, drawn, Choices(shared_tangent=True))
    assert terms.explicit is not None
    assert terms.implicit is not None
    assert_exact(likely @ terms.explicit, share)
    assert_exact(likely @ gradients(terms.explicit, leaves), case.twin.gradient(share))
    noise = gradients(terms.implicit, leaves)
    assert_exact(covariance(likely, noise), case.twin.noise_covariance())


@every_case
def test_twice_along_all_signs_the_loss_has_its_second_order_term(case: Case) -> None:
    likely, drawn = draws(case, "forward")
    network, _ = case.network(len(likely))
    watch, z = watched(network)
    first = slopes(z, watch, network.weighted(network.loss.gradient(z, network.y)))
    ways = {site: v**0.5 * drawn.signs()[site] for site, v in network.variances.items()}
    along = sum((slope * ways[site]).sum() for site, slope in first.items())
    products = grad(along, list(watch.views.values()), materialize_grads=True)
    second = [
        (watch.slope(site, part) * ways[site]).flatten(1).sum(-1) / 2
        for site, part in zip(watch.views, products, strict=True)
    ]
    assert_exact(likely @ torch.stack(second).sum(0), case.twin.second_order())


def test_cases_know_the_last_site_where_its_masks_are_by_token() -> None:
    known = [name for name, case in CASES.items() if case.model.output_layer(case.chosen)]
    assert known == ["lstm, output per token", "transformer, output"]
