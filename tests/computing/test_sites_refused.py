"""What is no dropout, or dropout that cannot be shown, is refused in one sentence with its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from dropviz.sites import SiteMode, dropout_sites
from tests.computing.foreign import Net, P


def refusal(model: nn.Module, *x: Any) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\.\Z") as caught:
        dropout_sites(model, *x)
    return str(caught.value)


def within(function: Callable[[Tensor], Tensor]) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), Net(lambda net, x: function(x)))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 4), nn.Dropout(1.0)),
        within(lambda x: functional.dropout(x, 1.0)),
        within(lambda x: functional.dropout1d(x[None], 1.0)),
        within(lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=1.0)),
        nn.Sequential(nn.Linear(4, 4), nn.LSTM(4, 4, 2, dropout=1.0)),
        nn.Sequential(
            nn.Linear(4, 4), Net(lambda n, x: n.a(x, x, x), a=nn.MultiheadAttention(4, 2, dropout=1.0))
        ),
    ],
    ids=["module", "functional", "channel", "attention", "lstm", "multi-head"],
)
def test_dropping_everything_is_refused_by_the_name_of_the_site(model: nn.Module) -> None:
    message = refusal(model, torch.ones(3, 4))
    assert message.startswith("1")
    assert "p = 1.0" in message


RANDOM: dict[str, Callable[[Tensor], Tensor]] = {
    "alpha_dropout": lambda x: functional.alpha_dropout(x, P, training=True),
    "feature_alpha_dropout": lambda x: functional.feature_alpha_dropout(x, P, training=True),
    "rrelu": lambda x: functional.rrelu(x, training=True),
    "bernoulli": lambda x: x * torch.bernoulli(torch.full_like(x, 0.5)),
    "bernoulli_": lambda x: x * torch.empty_like(x).bernoulli_(0.5),
    "rand": lambda x: x + torch.rand(4),
    "rand_like": lambda x: x * (torch.rand_like(x) > P),
    "randn_like": lambda x: x + torch.randn_like(x),
    "normal_": lambda x: x + x.new_empty(4).normal_(),
    "normal": lambda x: torch.normal(x),
    "multinomial": lambda x: x[..., torch.softmax(x, -1).multinomial(1)[:, 0]],
    "randperm": lambda x: x[..., torch.ops.aten.randperm.default(4)],
    "gumbel_softmax": functional.gumbel_softmax,
    "native_dropout": lambda x: torch.native_dropout(x, 0.5, True)[0],
    "fractional_max_pool2d": lambda x: nn.FractionalMaxPool2d(2, output_size=1)(x[None]),
}


@pytest.mark.parametrize("name", RANDOM)
def test_other_randomness_is_refused_by_its_name_and_place(name: str) -> None:
    assert refusal(within(RANDOM[name]), torch.ones(3, 4)).startswith(f"1 calls {name}, ")


@pytest.mark.parametrize("module", [nn.AlphaDropout(P), nn.FeatureAlphaDropout(P), nn.RReLU()], ids=repr)
def test_modules_that_are_random_otherwise_are_refused_in_train_mode_only(module: nn.Module) -> None:
    model = nn.Sequential(nn.Dropout(P), module)
    assert refusal(model, torch.ones(3, 4)).startswith("1 calls ")
    module.eval()
    assert [site.name for site in dropout_sites(model, torch.ones(3, 4))] == ["0"]


def test_randomness_that_draws_nothing_is_not_refused() -> None:
    def call(net: Any, x: Tensor) -> Tensor:
        x = functional.alpha_dropout(functional.alpha_dropout(x, P, training=False), 0.0, training=True)
        x = functional.feature_alpha_dropout(torch.alpha_dropout(x, P, False), P)
        x = torch.rrelu(functional.rrelu(x, training=False), 0.1, 0.3, False)
        return functional.dropout(torch.dropout(functional.dropout(x, 1.0, False), 1.0, train=False), 0.0)

    assert dropout_sites(Net(call), torch.ones(3, 4)) == []


@pytest.mark.parametrize("reentrant", [True, False])
def test_dropout_that_the_backward_pass_would_repeat_unseen_is_refused(reentrant: bool) -> None:
    model = Net(lambda net, x: checkpoint(net.part, x, use_reentrant=reentrant), part=nn.Dropout(P))
    x = torch.ones(3, 4, requires_grad=True)
    assert refusal(model, x).startswith("part is repeated by torch.utils.checkpoint")
    with pytest.raises(ValueError, match="m is repeated"), SiteMode(lambda h, site: h, lambda: "m"):
        model(x)
    assert dropout_sites(model.eval(), x) == []


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_batch_norm_is_refused_where_it_couples_examples(training: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4).train(training), nn.Dropout(P))
    if training:
        message = refusal(model, torch.ones(3, 4))
        assert message.startswith("1 ")
        assert "statistics of the batch" in message
    else:
        assert [site.name for site in dropout_sites(model, torch.ones(3, 4))] == ["2"]
    refusal(nn.BatchNorm1d(4, track_running_stats=False).eval(), torch.ones(3, 4))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_packed_sequences_are_refused_where_dropout_stands_between_layers(kind: Any) -> None:
    packed = nn.utils.rnn.pack_padded_sequence(torch.ones(3, 2, 4), torch.tensor([3, 2]))
    model = Net(lambda net, x: net.rnn(x), rnn=kind(4, 4, 2, dropout=P))
    assert refusal(model, packed).startswith("rnn applies dropout between the layers of a PackedSequence")
    assert dropout_sites(model.eval(), packed) == []
    assert dropout_sites(Net(lambda net, x: net.rnn(x), rnn=kind(4, 4, 2)), packed) == []
