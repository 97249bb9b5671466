"""The dropout sites of any ``nn.Module``: found in an ordinary forward pass, and handed to a behaviour in others.

A ``TorchFunctionMode`` sees every function of torch that an unmodified model calls, and so ``F.dropout``, the attention
dropout inside ``F.scaled_dot_product_attention`` and the dropout between the layers of ``nn.LSTM`` and ``nn.GRU``, which
modules alone do not show. Inside the mode attention is computed explicitly: the fused kernels have no second derivative.
Where a pass is differentiated more than once, so is what ``kernels`` lists, whose further derivatives torch gets wrong.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dropviz.guards import same_random_numbers, unchanged
from dropviz.kernels import WRITTEN_OUT, plain_recurrent_kernels

Forward = Callable[[nn.Module, Any], Any]


@dataclass(frozen=True, kw_only=True)
class DropoutSite:
    """One dropout call of one forward pass.

    Attributes:
        name: The module that made it, by its path; ``…#2`` for the second call of the same one.
        p: Drop probability.
        kind: ``element``, ``channel``, ``attention`` or ``between-layers``.
        shape: Of the activations h.
        mask_shape: Of ε, which is broadcast over h: smaller where units share a mask.
    """

    name: str
    p: float
    kind: str
    shape: tuple[int, ...]
    mask_shape: tuple[int, ...]


ModuleBehaviour = Callable[[Tensor, DropoutSite], Tensor]


def dropout_sites(
    model: nn.Module, *args: Any, forward: Forward | None = None, **kwargs: Any
) -> list[DropoutSite]:
    """Every dropout that the model performs in its present mode, in call order.

    Args:
        model: Any module, unmodified. Sites are those that are active: none in eval mode, none with p = 0.
        args: What the model is called with; with ``forward`` its second argument.
        forward: ``forward(model, x)`` instead of ``model(*args, **kwargs)``.
        kwargs: Further arguments of the model.

    Returns:
        A list, which may be empty. One forward pass without gradient; nothing of the model changes.

    Raises:
        ValueError: The model draws random numbers that are no dropout (it is named), couples examples (BatchNorm in
            train mode), drops with p = 1, or drops inside gradient checkpointing or a packed sequence.
    """
    found: list[DropoutSite] = []

    def record(h: Tensor, site: DropoutSite) -> Tensor:
        found.append(site)
        return h

    with torch.no_grad(), discovering(model, record):
        forward(model, *args, **kwargs) if forward else model(*args, **kwargs)
    return found


@contextmanager
def discovering(model: nn.Module, behaviour: ModuleBehaviour, *, twice: bool = False) -> Iterator[SiteMode]:
    """A first forward pass: sites are named by the modules at work, and random numbers drawn out of sight are noticed.

    Raises:
        ValueError: See ``dropout_sites``.
    """
    named, path = type(model).__name__, _Paths(model).current
    if named == "OptimizedModule":
        raise ValueError(
            "The model is compiled, so that its calls cannot be seen: give the module that torch.compile was given."
        )
    with same_random_numbers(named), unchanged(model), SiteMode(behaviour, path, twice=twice) as mode:
        yield mode


@contextmanager
def repeating(model: nn.Module, behaviour: ModuleBehaviour, *, twice: bool = False) -> Iterator[SiteMode]:
    """A later forward pass, in which sites come in the order of the first one and need no names."""
    with unchanged(model), SiteMode(behaviour, lambda: type(model).__name__, twice=twice) as mode:
        yield mode


class SiteMode(TorchFunctionMode):
    """Sends each dropout call to ``behaviour(h, site)`` and refuses other randomness; for one forward pass.

    Args:
        behaviour: Returns what the model goes on with.
        path: Name of the module that is at work.
        twice: Whether the pass is to be differentiated more than once.
    """

    def __init__(self, behaviour: ModuleBehaviour, path: Callable[[], str], *, twice: bool = False) -> None:
        super().__init__()
        self.behaviour, self.path, self.twice = behaviour, path, twice
        self.calls: Counter[str] = Counter()
        self.linear: list[
            Tensor
        ] = []  # of the latest linear map: its input, weight, bias if it has one, and output

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Handle dropout and what contains it; pass everything else on."""
        kwargs = kwargs or {}
        if func in _HARMLESS:
            return func(*args, **kwargs)
        if func in _BATCH_NORMS:
            _refuse_batch_statistics(self.path(), *args, **kwargs)
        if func in WRITTEN_OUT:
            return (WRITTEN_OUT[func] if self.twice else func)(*args, **kwargs)
        if func in _DROPOUTS:
            return self._dropout(*_DROPOUTS[func], *args, **kwargs)
        if func is functional.linear:
            return self._linear(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        if func is functional.multi_head_attention_forward:
            return self._multi_head_attention(*args, **kwargs)
        if func in _RECURRENT:
            with plain_recurrent_kernels() if self.twice else nullcontext():
                return self._recurrent(func, *args, **kwargs)
        name = getattr(func, "__name__", str(func)).removesuffix(".default")
        if name not in _RANDOM:
            _HARMLESS.add(func)
        elif _is_active(name, args, kwargs):
            raise ValueError(
                f"{self.path()} calls {name}, which draws random numbers that are no dropout: take it out, or replace it"
                " by nn.Dropout."
            )
        return func(*args, **kwargs)

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        output = functional.linear(input, weight, bias)
        self.linear = [input, weight, *([] if bias is None else [bias]), output]
        return output

    def at_site(self, h: Tensor, p: float, kind: str, mask_shape: Sequence[int], suffix: str = "") -> Tensor:
        """One dropout call, named and checked; p = 0 is no site."""
        path = self.path() + suffix
        if not 0 <= p < 1:
            raise ValueError(f"{path} drops with p = {p}: a probability has to be at least 0 and below 1.")
        if p == 0:
            return h
        if _in_checkpoint():
            raise ValueError(
                f"{path} is repeated by torch.utils.checkpoint in the backward pass, with masks of its own: turn gradient"
                " checkpointing off."
            )
        self.calls[path] += 1
        name = path if self.calls[path] == 1 else f"{path}#{self.calls[path]}"
        site = DropoutSite(
            name=name, p=float(p), kind=kind, shape=tuple(h.shape), mask_shape=tuple(mask_shape)
        )
        return self.behaviour(h, site)

    def _dropout(
        self,
        channels: Callable[[Tensor], int] | None,
        in_place: bool,
        input: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
        *,
        train: bool = True,
    ) -> Tensor:
        """``training`` of torch.nn.functional is ``train`` in torch."""
        if not (training and train) or p == 0:
            return input
        inplace = inplace or in_place
        # Copies: what is overwritten in place, here or by the caller, may be needed for a derivative.
        h = input.clone() if inplace else input
        own = h.ndim if channels is None else channels(h)
        mask_shape = (*h.shape[:own], *([1] * (h.ndim - own)))
        dropped = self.at_site(h, p, "element" if channels is None else "channel", mask_shape)
        return input.copy_(dropped) if inplace else dropped.clone() if dropped is input else dropped

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """softmax(QKᵀ · scale + mask) V with dropout on the weights, as its documentation defines it."""
        if enable_gqa:
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
            value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
        scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if is_causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(future, -math.inf)
        if attn_mask is not None:
            kept = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -math.inf) if kept else scores + attn_mask
        hidden = scores.isneginf().all(-1, keepdim=True)  # a query that may look nowhere gets zeros
        weights = scores.masked_fill(hidden, 0).softmax(-1).masked_fill(hidden, 0)
        return self._attention_dropout(weights, dropout_p) @ value

    def _multi_head_attention(self, *args: Any, **kwargs: Any) -> Any:
        """torch's own function, with its attention and its dropout replaced and its own look for modes left out."""
        replaced = {
            "scaled_dot_product_attention": self._attention,
            "dropout": self._attention_dropout,
            "has_torch_function": lambda _: False,
        }
        original = functional.multi_head_attention_forward
        return FunctionType(
            original.__code__, original.__globals__ | replaced, original.__name__, original.__defaults__
        )(*args, **(original.__kwdefaults__ or {}) | kwargs)

    def _attention_dropout(self, weights: Tensor, p: float) -> Tensor:
        return self.at_site(weights, p, "attention", weights.shape, ".attention")

    def _recurrent(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """One layer at a time, with a site between two of them."""
        packed = "batch_sizes" in kwargs or (len(args) > 3 and not isinstance(args[3], bool))
        call = dict(zip(_PACKED_ARGUMENTS if packed else _PADDED_ARGUMENTS, args, strict=False)) | kwargs
        layers, p = int(call["num_layers"]), call["dropout"]
        if not (call["train"] and p and layers > 1):
            return func(*args, **kwargs)
        if packed:
            raise ValueError(
                f"{self.path()} applies dropout between the layers of a PackedSequence, whose rows mix the examples:"
                " pad the sequences instead."
            )
        h, hx, params = call["input"], call["hx"], call["params"]
        parts = (hx,) if isinstance(hx, Tensor) else hx
        states, directions, each = [], 1 + call["bidirectional"], len(params) // layers
        for layer in range(layers):
            if layer:
                h = self.at_site(h, p, "between-layers", h.shape, f".layer{layer}")
            state = [part[layer * directions : (layer + 1) * directions] for part in parts]
            call |= {
                "input": h,
                "hx": state[0] if isinstance(hx, Tensor) else state,
                "params": params[layer * each : (layer + 1) * each],
                "num_layers": 1,
                "dropout": 0.0,
            }
            h, *state = func(*(call[name] for name in _PADDED_ARGUMENTS))
            states.append(state)
        return h, *(torch.cat(parts) for parts in zip(*states, strict=True))


def _per_example(dims: int) -> Callable[[Tensor], int]:
    """How many leading axes ε has: (N, C), or (C,) for an input without a batch."""
    return lambda h: 2 if h.ndim == dims + 2 else 1


def _always_two(h: Tensor) -> int:
    """(N, C), also of three axes: ``dropout2d`` takes those for (N, C, L)."""
    return min(2, h.ndim)


_DROPOUTS: dict[Any, tuple[Callable[[Tensor], int] | None, bool]] = {
    functional.dropout: (None, False),
    functional.dropout1d: (_per_example(1), False),
    functional.dropout2d: (_always_two, False),
    functional.dropout3d: (_per_example(3), False),
    torch.dropout: (None, False),
    torch.dropout_: (None, True),
    torch.feature_dropout: (_always_two, False),
    torch.feature_dropout_: (_always_two, True),
}
_RECURRENT = {torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu}
_SETTINGS = ("params", "has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED_ARGUMENTS = ("input", "hx", *_SETTINGS, "batch_first")
_PACKED_ARGUMENTS = ("data", "batch_sizes", "hx", *_SETTINGS)
_BATCH_NORMS = {functional.batch_norm, torch.batch_norm}
_HARMLESS: set[Any] = set()  # functions that were seen to be none of these and none of _RANDOM
# Where functions that are random only in training have the argument that says so.
_SWITCHES = {
    **dict.fromkeys(("alpha_dropout", "alpha_dropout_", "dropout", "native_dropout"), 2),
    **dict.fromkeys(("feature_alpha_dropout", "feature_alpha_dropout_"), 2),
    **dict.fromkeys(("rrelu", "rrelu_"), 3),
    "rrelu_with_noise": 4,
}
_RANDOM = {
    *_SWITCHES,
    *("gumbel_softmax", "fractional_max_pool2d", "fractional_max_pool3d"),
    *("fractional_max_pool2d_with_indices", "fractional_max_pool3d_with_indices"),
    *("bernoulli", "bernoulli_", "multinomial", "normal", "normal_", "poisson", "binomial", "uniform_"),
    *("rand", "randn", "randint", "rand_like", "randn_like", "randint_like", "randperm", "random_"),
    *("exponential_", "geometric_", "cauchy_", "log_normal_", "_standard_gamma", "_sample_dirichlet"),
}


def _is_active(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a function of ``_RANDOM`` draws anything, called like this."""
    if name not in _SWITCHES:
        return True
    at = _SWITCHES[name]
    switch = args[at] if len(args) > at else kwargs.get("training", kwargs.get("train", False))
    p = (args[1] if len(args) > 1 else kwargs.get("p", 0.5)) if "dropout" in name else 1
    return bool(switch) and p != 0


def _in_checkpoint() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame and frame.f_globals.get("__name__") != "torch.utils.checkpoint":
        frame = frame.f_back
    return frame is not None


def _refuse_batch_statistics(path: str, *args: Any, **kwargs: Any) -> None:
    names = ("input", "running_mean", "running_var", "weight", "bias", "training")
    if (dict(zip(names, args, strict=False)) | kwargs).get("training", False):
        raise ValueError(
            f"{path} normalizes by the statistics of the batch, which couples its examples: call .eval() on it, or use"
            " GroupNorm or LayerNorm."
        )


class _Paths:
    """Knows which module is at work, by the calls of modules that are under way on this thread's stack."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.names: dict[int, str] = {}

    def current(self) -> str:
        """The innermost module of the model that is at work; the model's class for the model itself."""
        if not self.names:
            self.names = {id(module): name for name, module in self.model.named_modules()}
        frame: FrameType | None = sys._getframe()
        while frame:
            if frame.f_code is _CALL and (name := self.names.get(id(frame.f_locals.get("self")))):
                return name
            frame = frame.f_back
        return type(self.model).__name__


_CALL = nn.Module._call_impl.__code__
