"""Models as people write them, with the names of their sites."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

P = 0.3


class Net(nn.Module):
    """A model whose forward pass is written beside its layers."""

    def __init__(self, forward: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.written = forward
        self.p = P
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs: Any) -> Any:
        return self.written(self, *inputs)


def times_p(model: nn.Module, factor: float) -> nn.Module:
    """The model, with every drop probability multiplied."""
    for module in model.modules():
        for name in ("p", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, factor * getattr(module, name))
    return model


@dataclass(frozen=True)
class Case:
    """A model, what it is called with, and the names of its sites."""

    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    names: tuple[str, ...]

    def model(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        torch.manual_seed(1)
        return self.build().to(dtype).train()

    def x(self, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        torch.manual_seed(2)
        return tuple(
            x.to(dtype) if torch.is_tensor(x) and x.is_floating_point() else x for x in self.inputs()
        )


def rows(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.randn(*shape),)


def in_place(net: Any, x: Tensor) -> Tensor:
    h = net.first(x)
    functional.dropout(h, net.p, inplace=True)  # what it returns is not looked at
    return net.last(functional.dropout(h + x, net.p).relu_() + h)


def in_place_under_zero(net: Any, x: Tensor) -> Tensor:
    h = net.first(x)
    functional.dropout(h, 0.0).mul_(2)  # torch hands h itself back
    functional.dropout(h, net.p, training=False).add_(x)
    return net.last(functional.dropout(h, net.p))


def residual(net: Any, x: Tensor) -> Tensor:
    h = net.relu(net.norm(net.conv(x)))
    h = net.relu(net.drop(net.conv2(h)) + h)
    return net.last(net.drop(h).mean((2, 3)))


def spelled(net: Any, x: Tensor) -> Tensor:
    h = torch.dropout(net.first(x), p=net.p, train=True)
    h = h * 2
    torch.dropout_(h, net.p / 2, True)
    h = torch.feature_dropout(h[..., None] * torch.ones(3, dtype=h.dtype), net.p / 3, True).sum(-1)
    return net.last(torch.feature_dropout_(h * 3, net.p * 2, True))


def locked(net: Any, x: Tensor) -> Tensor:
    """One mask a sequence, shared over time, as recurrent models have it (Gal & Ghahramani 2016)."""
    mask = functional.dropout(torch.ones(len(x), 1, net.last.in_features, dtype=x.dtype), net.p)
    return net.last(net.first(x).tanh() * mask)


def weight_drop(net: Any, x: Tensor) -> Tensor:
    """DropConnect: one mask for the weights, whatever the rows (Wan et al. 2013)."""
    h = functional.linear(x, functional.dropout(net.first.weight, net.p), net.first.bias).tanh()
    return net.last(h)


def channels(layer: Callable[..., nn.Module], *shape: int) -> Case:
    return Case(
        lambda: Net(
            lambda net, x: net.drop(x * net.scale.weight.sum()), drop=layer(P), scale=nn.Linear(2, 2)
        ),
        rows(*shape),
        ("drop",),
    )


def attention(weights: bool, batch_first: bool, mask: str = "", **options: Any) -> Case:
    def call(net: Any, x: Tensor) -> Any:
        length = x.shape[1 if batch_first else 0]
        masks: dict[str, Any] = {}
        if mask == "causal":
            masks = {"attn_mask": torch.ones(length, length, dtype=torch.bool).triu(1)}
        if mask == "hint":
            masks = {"attn_mask": torch.ones(length, length, dtype=torch.bool).triu(1), "is_causal": True}
        if mask == "padding":
            batch = x.shape[0 if batch_first else 1]
            masks = {"key_padding_mask": torch.arange(length)[None] >= 2 + torch.arange(batch)[:, None]}
        if mask == "additive":
            masks = {"attn_mask": torch.linspace(-2, 1, length**2, dtype=x.dtype).reshape(length, length)}
        return net.attend(x, x.flip(1), x * 2, need_weights=weights, **masks)

    return Case(
        lambda: Net(call, attend=nn.MultiheadAttention(8, 2, dropout=P, batch_first=batch_first, **options)),
        rows(3, 4, 8),
        ("attend.attention",),
    )


def layer(kind: Any, norm_first: bool, batch_first: bool = True) -> Any:
    return kind(8, 2, 12, P, norm_first=norm_first, batch_first=batch_first)


def encoder(norm_first: bool, batch_first: bool) -> Case:
    sites = ("self_attn.attention", "dropout1", "dropout", "dropout2")
    return Case(
        lambda: nn.TransformerEncoder(
            layer(nn.TransformerEncoderLayer, norm_first, batch_first), 2, enable_nested_tensor=False
        ),
        rows(3, 4, 8),
        tuple(f"layers.{index}.{site}" for index in range(2) for site in sites),
    )


def decoder(norm_first: bool) -> Case:
    sites = ("self_attn.attention", "dropout1", "multihead_attn.attention", "dropout2", "dropout", "dropout3")
    return Case(
        lambda: layer(nn.TransformerDecoderLayer, norm_first),
        lambda: (torch.randn(3, 4, 8), torch.randn(3, 5, 8)),
        sites,
    )


def recurrent(kind: Any, layers: int, state: bool = False, **options: Any) -> Case:
    def inputs() -> tuple[Any, ...]:
        rows = layers * (2 if options.get("bidirectional") else 1)
        width = options.get("proj_size") or 5
        x = torch.randn(3, 4, 6)
        first = torch.randn(rows, 4, width)
        if not state:
            return (x,)
        return x, (first, torch.randn(rows, 4, 5)) if kind is nn.LSTM else first

    def call(net: Any, x: Tensor, *first: Any) -> Any:
        if first and isinstance(first[0], tuple):
            first = (tuple(part.to(x.dtype) for part in first[0]),)
        return net.rnn(x, *first)

    def build() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a single layer has nothing for its dropout to stand before
            return Net(call, rnn=kind(6, 5, layers, dropout=P, **options))

    return Case(build, inputs, tuple(f"rnn.layer{index}" for index in range(1, layers)))


def gpt2_net(implementation: str, **changes: Any) -> nn.Module:
    config: dict[str, Any] = {
        "vocab_size": 11,
        "n_positions": 6,
        "n_embd": 8,
        "n_layer": 2,
        "n_head": 2,
        "attn_pdrop": 0.1,
        "resid_pdrop": 0.2,
        "embd_pdrop": 0.3,
        "use_cache": False,
        "attn_implementation": implementation,
    }
    model = GPT2LMHeadModel(GPT2Config(**config | changes))
    return Net(lambda net, x: net.gpt(x).logits, gpt=model)


def gpt2(implementation: str) -> Case:
    block = ("attn.attention" if implementation == "sdpa" else "attn", "attn.resid_dropout", "mlp.dropout")
    return Case(
        lambda: gpt2_net(implementation),
        lambda: (torch.randint(11, (2, 5)),),
        (
            "gpt.transformer.drop",
            *(f"gpt.transformer.h.{index}.{site}" for index in range(2) for site in block),
        ),
    )


def bert_net(implementation: str, **changes: Any) -> nn.Module:
    config: dict[str, Any] = {
        "vocab_size": 11,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "max_position_embeddings": 6,
        "hidden_dropout_prob": 0.2,
        "attention_probs_dropout_prob": 0.1,
        "attn_implementation": implementation,
    }
    model = BertForSequenceClassification(BertConfig(**config | changes))
    return Net(lambda net, x, mask: net.bert(x, attention_mask=mask).logits, bert=model)


def bert(implementation: str) -> Case:
    attend = "attention.self.attention" if implementation == "sdpa" else "attention.self"
    block = (attend, "attention.output.dropout", "output.dropout")
    return Case(
        lambda: bert_net(implementation),
        lambda: (torch.randint(11, (2, 5)), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])),
        (
            "bert.bert.embeddings.dropout",
            *(f"bert.bert.encoder.layer.{index}.{site}" for index in range(2) for site in block),
            "bert.dropout",
        ),
    )


def grouped(causal: bool, **options: Any) -> Case:
    def call(net: Any, x: Tensor) -> Tensor:
        q, k, v = (net.first(x)[:, :heads] for heads in (4, 2, 2))
        mask = (
            None if causal else torch.full((3, 3), -torch.inf, dtype=x.dtype).triu()
        )  # the first looks nowhere
        return functional.scaled_dot_product_attention(
            q, k, value=v, attn_mask=mask, dropout_p=net.p, is_causal=causal, enable_gqa=True, **options
        )

    return Case(lambda: Net(call, first=nn.Linear(5, 5)), rows(2, 4, 3, 5), ("Net.attention",))


CASES = {
    "mlp": Case(
        lambda: nn.Sequential(
            nn.Dropout(0.2), nn.Linear(5, 7), nn.Tanh(), nn.Dropout(0.5), nn.Dropout(0.0), nn.Linear(7, 3)
        ),
        rows(4, 5),
        ("0", "3"),
    ),
    "functional": Case(
        lambda: Net(
            lambda net, x: net.last(functional.dropout(net.first(functional.dropout(x, net.p)), p=net.p)),
            first=nn.Linear(5, 5),
            last=nn.Linear(5, 3),
        ),
        rows(4, 5),
        ("Net", "Net#2"),
    ),
    "spelled otherwise": Case(
        lambda: Net(spelled, first=nn.Linear(5, 5), last=nn.Linear(5, 3)),
        rows(4, 5),
        ("Net", "Net#2", "Net#3", "Net#4"),
    ),
    "called twice": Case(
        lambda: Net(
            lambda net, x: net.drop(net.first(net.drop(x))), drop=nn.Dropout(P), first=nn.Linear(5, 3)
        ),
        rows(4, 5),
        ("drop", "drop#2"),
    ),
    "locked mask": Case(
        lambda: Net(locked, first=nn.Linear(5, 6), last=nn.Linear(6, 3)), rows(4, 3, 5), ("Net",)
    ),
    "weight drop": Case(
        lambda: Net(weight_drop, first=nn.Linear(5, 6), last=nn.Linear(6, 3)), rows(4, 5), ("Net",)
    ),
    "in place": Case(
        lambda: Net(in_place, first=nn.Linear(5, 5), last=nn.Linear(5, 3)), rows(4, 5), ("Net", "Net#2")
    ),
    "in place module": Case(
        lambda: nn.Sequential(nn.Linear(5, 7), nn.Dropout(P, inplace=True), nn.ReLU(inplace=True)),
        rows(4, 5),
        ("1",),
    ),
    "in place after none": Case(
        lambda: Net(in_place_under_zero, first=nn.Linear(5, 5), last=nn.Linear(5, 3)), rows(4, 5), ("Net",)
    ),
    "cnn": Case(
        lambda: Net(
            residual,
            conv=nn.Conv2d(2, 4, 3, padding=1),
            norm=nn.GroupNorm(2, 4),
            conv2=nn.Conv2d(4, 4, 3, padding=1),
            relu=nn.ReLU(inplace=True),
            drop=nn.Dropout2d(P),
            last=nn.Linear(4, 3),
        ),
        rows(3, 2, 4, 4),
        ("drop", "drop#2"),
    ),
    "channels 1d": channels(nn.Dropout1d, 2, 3, 4),
    "channels 1d alone": channels(nn.Dropout1d, 3, 4),
    "channels 2d": channels(nn.Dropout2d, 2, 3, 4, 4),
    "channels 2d of three axes": channels(nn.Dropout2d, 2, 3, 4),
    "channels 2d of two axes": channels(nn.Dropout2d, 2, 3),
    "channels 3d": channels(nn.Dropout3d, 2, 3, 2, 2, 2),
    "channels 3d alone": channels(nn.Dropout3d, 3, 2, 2, 2),
    "attention": attention(True, True),
    "attention time first": attention(True, False, "causal"),
    "attention padded": attention(True, True, "padding"),
    "attention unseen": attention(False, True),
    "attention unseen time first": attention(False, False, "causal"),
    "attention unseen hinted": attention(False, True, "hint"),
    "attention unseen padded": attention(False, True, "padding"),
    "attention unseen additive": attention(False, True, "additive"),
    "attention of other sizes": attention(False, True, kdim=8, vdim=8, add_bias_kv=True, add_zero_attn=True),
    "grouped queries": grouped(True, scale=0.3),
    "a query that sees nothing": grouped(False),
    "encoder": encoder(False, True),
    "encoder norm first": encoder(True, False),
    "decoder layer": decoder(False),
    "decoder layer norm first": decoder(True),
    "lstm 1": recurrent(nn.LSTM, 1),
    "lstm 2": recurrent(nn.LSTM, 2),
    "lstm 3 both ways": recurrent(nn.LSTM, 3, True, bidirectional=True, batch_first=False),
    "lstm 2 projected": recurrent(nn.LSTM, 2, True, proj_size=3, bidirectional=True),
    "lstm 2 without bias": recurrent(nn.LSTM, 2, bias=False),
    "gru 2": recurrent(nn.GRU, 2, True),
    "gru 3 both ways": recurrent(nn.GRU, 3, bidirectional=True, bias=False),
    "rnn 2": recurrent(nn.RNN, 2),
    "rnn 3 relu": recurrent(nn.RNN, 3, True, nonlinearity="relu", bidirectional=True),
    "gpt2 eager": gpt2("eager"),
    "gpt2 sdpa": gpt2("sdpa"),
    "bert eager": bert("eager"),
    "bert sdpa": bert("sdpa"),
}
CASES["lstm 2 batch first"] = Case(
    lambda: Net(lambda net, x: net.rnn(x), rnn=nn.LSTM(6, 5, 2, dropout=P, batch_first=True)),
    rows(4, 3, 6),
    ("rnn.layer1",),
)
