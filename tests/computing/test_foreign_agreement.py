"""Models that others wrote, unmodified, in float32: the formulas agree with dropout as torch itself performs it.

Dropout has little influence in them: rates of 1 to 3 % on units that are many. That is where a second-order term can agree.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle
from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropviz.modules import explicit_regularizer, measure_explicit_regularizer, second_order_term
from dropviz.sites import dropout_sites
from tests.computing.asked import instead
from tests.computing.foreign import Net, P, bert_net, gpt2_net, locked, residual, times_p, weight_drop
from tests.computing.test_modules_calls import CALLS, talkative
from tests.computing.tiny import assert_mean
from tests.computing.twin import Twin, seeded

CLASSES, WIDTH, ROWS = 3, 32, 128


@dataclass(frozen=True)
class Model:
    """What is compared: a model with logits, its weights multiplied so that R is not tiny, and a number of masks."""

    build: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    rates: list[float]
    scale: float = 1.0
    masks: int = 150


@dataclass(frozen=True)
class Asked:
    """A model with a minibatch, and its predictions without dropout, by itself."""

    model: nn.Module
    x: Any
    options: dict[str, Any] = field(default_factory=dict)

    def logits(self, model: nn.Module) -> Tensor:
        return model(*self.x) if isinstance(self.x, tuple) else model(self.x)

    def log_probabilities(self, model: nn.Module | None = None) -> Tensor:
        with torch.no_grad():
            return self.logits(model or times_p(copy.deepcopy(self.model), 0)).double().log_softmax(-1)

    def labels(self) -> Tensor:
        """The likeliest of each row, as those of data that a model fits mostly are."""
        return self.log_probabilities().argmax(-1)

    def divergence(self, masks: int) -> tuple[float, float]:
        """KL(p₀ ‖ p_ε) over so many calls, which is R with labels from the model: mean and standard error."""
        still = self.log_probabilities()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found = [
                (still.exp() * (still - self.log_probabilities(self.model))).sum(-1).mean()
                for _ in range(masks)
            ]
        return float(torch.stack(found).mean()), float(torch.stack(found).std() / sqrt(masks))


def numbers(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(ROWS, *shape)


def words() -> Tensor:
    return torch.randint(11, (ROWS, 5))


def padded() -> tuple[Tensor, Tensor]:
    """Words, and which of them are there."""
    return words(), (torch.arange(5)[None] < 2 + torch.arange(ROWS)[:, None] % 4).long()


def read_out(inner: nn.Module) -> nn.Module:
    """Logits of each time step."""

    def call(net: Any, x: Tensor) -> Tensor:
        h = net.inner(x)
        return net.last(h[0] if isinstance(h, tuple) else h)

    return Net(call, inner=inner, last=nn.Linear(WIDTH, CLASSES))


def encoder(norm_first: bool) -> Model:
    def build() -> nn.Module:
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, P, norm_first=norm_first, batch_first=True)
        return read_out(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))

    return Model(build, numbers(4, WIDTH), [0.03] * 8, 1.5)


def gpt2(implementation: str) -> Model:
    return Model(
        lambda: gpt2_net(implementation, n_embd=WIDTH, n_head=4, initializer_range=0.15),
        words,
        [0.03, *[0.01, 0.02, 0.02] * 2],
    )


def bert() -> nn.Module:
    sizes = {"hidden_size": WIDTH, "num_attention_heads": 4, "intermediate_size": 64}
    return bert_net("sdpa", num_labels=CLASSES, initializer_range=0.15, **sizes)


def cnn() -> nn.Module:
    return Net(
        residual,
        conv=nn.Conv2d(2, 48, 3, padding=1),
        norm=nn.GroupNorm(2, 48),
        conv2=nn.Conv2d(48, 48, 3, padding=1),
        relu=nn.ReLU(inplace=True),
        drop=nn.Dropout2d(P),
        last=nn.Linear(48, CLASSES),
    )


def one_dropout_twice() -> nn.Module:
    return Net(
        lambda net, x: net.last(net.drop(net.first(net.drop(x)).tanh())),
        drop=nn.Dropout(P),
        first=nn.Linear(WIDTH, WIDTH),
        last=nn.Linear(WIDTH, CLASSES),
    )


def written(forward: Callable[..., Tensor]) -> Callable[[], nn.Module]:
    return lambda: Net(forward, first=nn.Linear(WIDTH, WIDTH), last=nn.Linear(WIDTH, CLASSES))


MODELS = {
    "gpt2 eager": gpt2("eager"),
    "gpt2 sdpa": gpt2("sdpa"),
    "bert": Model(bert, padded, [0.02, *[0.01, 0.02, 0.02] * 2, 0.02]),
    "encoder": encoder(False),
    "encoder norm first": encoder(True),
    "lstm": Model(
        lambda: read_out(nn.LSTM(6, WIDTH, 2, dropout=P, batch_first=True)), numbers(3, 6), [0.03], 4.0, 400
    ),
    "residual cnn": Model(cnn, numbers(2, 4, 4), [0.03] * 2, 2.0, 600),
    "one dropout twice": Model(one_dropout_twice, numbers(WIDTH), [0.03] * 2, 2.5, 600),
    "locked mask": Model(written(locked), numbers(3, WIDTH), [0.03], 2.5, 600),
    "weight drop": Model(written(weight_drop), numbers(WIDTH), [0.03], 1.7, 3000),
}

every_model = pytest.mark.parametrize("name", MODELS)


@cache
def asked(name: str) -> Asked:
    torch.manual_seed(1)
    model = times_p(MODELS[name].build(), 0.1).train()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(MODELS[name].scale)
    x = MODELS[name].inputs()
    return Asked(model, x, {"forward": lambda model, x: model(*x)} if isinstance(x, tuple) else {})


def assert_near(found: float, expected: float, error: float, part: float = 0.1) -> None:
    """Within a part or four standard errors, where the error is small enough for that to mean something."""
    assert error < part * abs(expected), (found, expected, error)
    assert abs(found - expected) < max(part * abs(expected), 4 * error), (found, expected, error)


@every_model
def test_every_dropout_of_the_model_is_on(name: str) -> None:
    it = asked(name)
    sites = dropout_sites(it.model, it.x, **it.options)
    assert [site.p for site in sites] == pytest.approx(MODELS[name].rates)


@every_model
def test_the_second_order_term_agrees_with_the_definition_for_labels_of_the_data(name: str) -> None:
    it, masks = asked(name), MODELS[name].masks
    y = it.labels()
    expansion = second_order_term(it.model, it.x, y, samples=masks // 5, generator=seeded(), **it.options)
    definition = measure_explicit_regularizer(
        it.model, it.x, y, masks=masks, generator=seeded(1), **it.options
    )
    error = sqrt(expansion.standard_error**2 + definition.standard_error**2)
    assert_near(expansion.mean, definition.mean, error)


@every_model
def test_the_formula_agrees_with_the_divergence_that_masks_of_torch_cause(name: str) -> None:
    it, masks = asked(name), MODELS[name].masks
    divergence, error = it.divergence(masks)
    with torch.no_grad():
        exact = explicit_regularizer(it.model, it.x, estimator="exact", **it.options)
        drawn = explicit_regularizer(
            it.model, it.x, estimator="root_hessian", samples=masks // 5, generator=seeded(), **it.options
        )
    assert_near(float(exact), divergence, error)
    assert_near(float(drawn), divergence, error)


@pytest.mark.parametrize("place", ["transformer.drop", "attn.attention", "attn.resid_dropout", "mlp.dropout"])
def test_each_dropout_of_gpt2_has_the_share_that_normal_noise_in_its_place_alone_causes(place: str) -> None:
    # Normal noise of the same variance: a mask on one of at most five attention weights has so much influence that
    # 12 % of its divergence are of higher order.
    it = asked("gpt2 sdpa")
    with torch.no_grad():
        shares = explicit_regularizer(it.model, it.x, estimator="exact", per_site=True)
    chosen = [name.endswith(place) for name in shares]
    calls = cycle(chosen)

    def noisy(h: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
        return h * (1 + sqrt(p / (1 - p)) * torch.randn(shape)) if next(calls) else h

    with instead(noisy):
        divergence, error = it.divergence(60)
    share = sum(float(share) for share, ours in zip(shares.values(), chosen, strict=True) if ours)
    assert_near(share, divergence, error, part=0.05)


def test_both_implementations_of_attention_have_the_same_shares() -> None:
    found = []
    for name in ("gpt2 eager", "gpt2 sdpa"):
        shares = explicit_regularizer(asked(name).model, asked(name).x, estimator="exact", per_site=True)
        found.append(torch.stack(list(shares.values())))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-7)  # float32 through two layers


@every_model
@pytest.mark.parametrize("estimator", ["exact", "auto"])
def test_the_shares_of_the_sites_sum_to_the_whole(name: str, estimator: Any) -> None:
    it = asked(name)
    whole, shares = (
        explicit_regularizer(
            it.model, it.x, estimator=estimator, generator=seeded(), per_site=parts, **it.options
        )
        for parts in (False, True)
    )
    assert list(shares) == [site.name for site in dropout_sites(it.model, it.x, **it.options)]
    assert all(share > 0 for share in shares.values())
    torch.testing.assert_close(sum(shares.values()), whole)


# What is written into in place, and what has no answer.


def tempered(net: Any, x: Tensor) -> Tensor:
    """Logits that are divided in place, as by a temperature."""
    return net.last(net.drop(net.first(x).tanh())).div_(3)


IN_PLACE = {
    "logits divided": Net(tempered, first=nn.Linear(3, 8), drop=nn.Dropout(P), last=nn.Linear(8, 3)),
    "logits rectified": nn.Sequential(nn.Linear(3, 8), nn.Dropout(P), nn.Linear(8, 3), nn.ReLU(inplace=True)),
    "dropped units rectified": nn.Sequential(
        nn.Linear(3, 8), nn.Dropout(P), nn.ReLU(inplace=True), nn.Linear(8, 3)
    ),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_the_closed_form_is_left_where_something_is_written_into_in_place(name: str) -> None:
    model, x = IN_PLACE[name].double(), torch.randn(6, 3, generator=seeded(), dtype=torch.float64)
    expected = Twin(model, x, torch.zeros(6, dtype=torch.long)).shares().sum()
    with torch.no_grad():
        found = [explicit_regularizer(model, x, samples=1, generator=seeded(seed)) for seed in range(300)]
    assert_mean(torch.stack(found), expected.detach())


@pytest.mark.parametrize("name", CALLS)
def test_dropping_everything_is_refused_by_every_call_with_the_name_of_the_site(name: str) -> None:
    model, x, y = talkative()
    model.drop.p = 1.0
    with pytest.raises(ValueError, match=r"drop drops with p = 1\.0"):
        CALLS[name](model, x, y)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_activations_that_are_not_finite_are_refused_by_every_call_with_the_name_of_the_site(
    name: str, value: float
) -> None:
    def call(net: Any, x: Tensor) -> Tensor:
        h = net.inner.norm(net.inner.first(x)).index_fill(1, torch.tensor([2]), value)
        return net.inner.last(net.inner.drop(h).nan_to_num().tanh())

    inner, x, y = talkative()
    model = Net(call, inner=inner)
    assert bool(model(x).isfinite().all())
    with pytest.raises(ValueError, match=r"Activations at inner\.drop are not finite: look for"):
        CALLS[name](model, x, y)
