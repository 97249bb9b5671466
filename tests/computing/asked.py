"""What a model asks of torch, seen from torch's side: its dropout replaced, without dropviz."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

Asked = Callable[[Tensor, float, tuple[int, ...]], Tensor]


def step(name: str, x: Tensor, state: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    """One time step of a recurrent layer, by the equations of torch's documentation."""
    h = state[0]
    biases = len(weights) >= 4
    given = functional.linear(x, weights[0], weights[2] if biases else None)
    former = functional.linear(h, weights[1], weights[3] if biases else None)
    if name == "lstm":
        i, f, g, o = (given + former).chunk(4, -1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return [h @ weights[-1].T if len(weights) in (3, 5) else h, c]
    if name == "gru":
        reset, update = (
            (a + b).sigmoid() for a, b in zip(given.chunk(3, -1)[:2], former.chunk(3, -1), strict=False)
        )
        new = (given.chunk(3, -1)[2] + reset * former.chunk(3, -1)[2]).tanh()
        return [(1 - update) * new + update * h]
    return [(given + former).tanh() if name == "rnn_tanh" else (given + former).relu()]


def unrolled(name: str, asked: Asked) -> Callable[..., Any]:
    """``torch.lstm`` and its relatives in plain steps, with dropout between the layers by ``asked``."""

    def call(
        x: Tensor,
        hx: Any,
        params: Any,
        bias: Any,
        layers: int,
        p: float,
        train: bool,
        both: bool,
        first: bool,
    ) -> Any:
        h = x.transpose(0, 1) if first else x
        ways = 2 if both else 1
        start = [hx] if torch.is_tensor(hx) else list(hx)
        each, last = len(params) // (layers * ways), []
        for layer in range(layers):
            if layer and train and p:
                h = asked(h.transpose(0, 1) if first else h, p, ())
                h = h.transpose(0, 1) if first else h
            ends = []
            for way in range(ways):
                row = layer * ways + way
                state, weights = [part[row] for part in start], list(params[row * each : (row + 1) * each])
                outputs = []
                for now in h.unbind(0) if way == 0 else h.flip(0).unbind(0):
                    state = step(name, now, state, weights)
                    outputs.append(state[0])
                ends.append(torch.stack(outputs if way == 0 else outputs[::-1]))
                last.append(state)
            h = torch.cat(ends, -1)
        return h.transpose(0, 1) if first else h, *(torch.stack(parts) for parts in zip(*last, strict=True))

    return call


@contextmanager
def instead(asked: Asked) -> Iterator[None]:
    """Every dropout of torch that is active goes to ``asked(h, p, shape of the mask)``."""

    def dropping(mask_shape: Callable[[Tensor], tuple[int, ...]], always_in_place: bool = False) -> Any:
        def call(
            x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, train: bool = True
        ) -> Tensor:
            if not (training and train and p):
                return x
            if inplace or always_in_place:
                return x.copy_(asked(x.clone(), p, mask_shape(x)))
            return asked(x, p, mask_shape(x)).clone()

        return call

    genuine = functional.scaled_dot_product_attention

    def attending(query: Tensor, key: Tensor, value: Tensor, *args: Any, **options: Any) -> Tensor:
        others = dict(zip(("attn_mask", "dropout_p", "is_causal"), args, strict=False)) | options
        p = others.pop("dropout_p", 0.0)
        seen = torch.eye(key.shape[-2], dtype=key.dtype).expand(*value.shape[:-1], -1)
        with sdpa_kernel(SDPBackend.MATH):
            weights = genuine(query, key, seen, **others)
        if p:
            weights = asked(weights, p, weights.shape)
        return weights @ value.repeat_interleave(weights.shape[-3] // value.shape[-3], -3)

    def first(count: int) -> Callable[[Tensor], tuple[int, ...]]:
        return lambda x: (*x.shape[:count], *[1] * (x.ndim - count))

    loops: dict[str, Any] = {name: unrolled(name, asked) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")}
    with (
        mock.patch.multiple(
            functional,
            dropout=dropping(lambda x: x.shape),
            dropout1d=dropping(lambda x: (*x.shape[:-1], 1)),
            dropout2d=dropping(first(2)),
            dropout3d=dropping(lambda x: (*x.shape[:-3], 1, 1, 1)),
            scaled_dot_product_attention=attending,
        ),
        mock.patch.multiple(
            torch,
            dropout=dropping(lambda x: x.shape),
            dropout_=dropping(lambda x: x.shape, True),
            feature_dropout=dropping(first(2)),
            feature_dropout_=dropping(first(2), True),
        ),
        mock.patch.multiple(torch._VF, None, True, **loops),
    ):
        yield
