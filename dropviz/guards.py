"""What a look at somebody's module leaves as it was: its buffers, its mode, torch's global random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def same_random_numbers(name: str) -> Iterator[None]:
    """Notice it when torch's global generators were used, and set them back.

    Raises:
        ValueError: They were, by the model of that name.
    """
    before = _random_states()
    drew = False
    try:
        yield
    finally:
        if drew := any(not torch.equal(*pair) for pair in zip(before, _random_states(), strict=True)):
            torch.set_rng_state(before[0])
            if len(before) > 1:
                torch.cuda.set_rng_state_all(before[1:])
    if drew:
        raise ValueError(
            f"{name} draws random numbers out of sight: take out what does, or write it as nn.Dropout."
        )


def _random_states() -> list[Tensor]:
    """Of torch's global generators: the CPU's, then those of the GPUs in use."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else ())]


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Lend the model copies of its buffers, and take back what a forward pass did to these and to the mode.

    Parameters and their ``.grad`` are not touched. What the pass returns may be differentiated afterwards.
    """
    modules = [(module, module.training, dict(module._buffers.items())) for module in model.modules()]
    copies = {
        id(buffer): buffer.detach().clone()
        for _, _, buffers in modules
        for buffer in buffers.values()
        if buffer is not None
    }
    for module, _, buffers in modules:
        for name, buffer in buffers.items():
            module._buffers[name] = None if buffer is None else copies[id(buffer)]
    try:
        yield
    finally:
        for module, training, buffers in modules:
            module.training = training
            for name in set(module._buffers.keys()) - set(buffers):
                del module._buffers[name]
            for name, buffer in buffers.items():
                module._buffers[name] = buffer
