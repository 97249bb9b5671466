"""A training step never waits for its device: it reads no number back, and copies nothing there but what may be on its way.

Shown on the CPU with torch's ``meta`` device, whose tensors have shapes and no numbers: whatever would have to know a number
(``item``, ``bool``, a boolean index, ``nonzero``, ``equal``) raises. Copies from the host are seen by two modes. With a GPU
``test_training_cuda`` asks torch itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dropviz.training import Block
from tests.computing.programs import every_kind, program, variants

DEVICE = "meta"
REFUSALS = (AssertionError, RuntimeError, NotImplementedError, TypeError)


class _NoMixing(TorchDispatchMode):
    """Refuses operations with tensors of host and device, but for copies that are made in passing (``non_blocking``)."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = operation(*args, **(kwargs or {}))
        kinds = {leaf.device.type for leaf in tree_leaves((args, kwargs, found)) if isinstance(leaf, Tensor)}
        assert len(kinds) < 2 or (kwargs or {}).get("non_blocking"), f"{operation} waits for a copy"
        return found


class _NoLiterals(TorchFunctionMode):
    """Refuses tensors of Python's numbers made on the device, which are copied there in silence."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        literal = function in (torch.tensor, torch.as_tensor, Tensor.new_tensor)
        assert not (literal and found.device.type == DEVICE), f"{function.__name__} waits for a copy"
        return found


@contextmanager
def no_waiting() -> Iterator[None]:
    """Within it, whatever waits for the device raises one of ``REFUSALS``."""
    with _NoLiterals(), _NoMixing():
        yield


def train(kind: str, arm: str, settings: tuple[str, ...]) -> None:
    """Two steps; the first may copy what then stays on the device."""
    block = Block(program(kind, *settings), arm, (0, 1), device=DEVICE)
    block.update()
    with no_waiting():
        block.update()


@every_kind
def test_no_step_of_any_arm_waits(kind: str) -> None:
    for arm, settings in variants(kind):
        try:
            train(kind, arm, settings)
        except REFUSALS as error:
            raise AssertionError(f"{arm} {' '.join(settings)}: {error}") from error


WAYS: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool((x > 0).any()),
    "float": lambda x: float(x.sum()),
    "tolist": lambda x: x.tolist(),
    "to the host": lambda x: x.cpu(),
    "boolean index": lambda x: x[x > 0],
    "nonzero": lambda x: x.nonzero(),
    "unique": lambda x: x.unique(),
    "equal": lambda x: torch.equal(x, x + 1),
    "allclose": lambda x: torch.allclose(x, x + 1),
    "from the host": lambda x: torch.zeros(2).to(x.device),
    "by type": lambda x: torch.arange(2).to(x),
    "literal": lambda x: torch.tensor([1.0], device=x.device),
    "number": lambda x: torch.as_tensor(1.0, device=x.device),
    "new": lambda x: x.new_tensor([1.0]),
    "mixed": lambda x: x * torch.tensor(2.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_waits_is_seen(way: str) -> None:
    x = torch.zeros(3, 2, device=DEVICE)
    with pytest.raises(REFUSALS), no_waiting():
        WAYS[way](x)


@pytest.mark.parametrize("way", ["item", "from the host", "literal"])
def test_a_step_that_waits_is_seen(way: str) -> None:
    block = Block(program("mlp"), "none", (0, 1), device=DEVICE)
    block.update()
    update = block.optimizer.step

    def waiting(gradients: Any, *rest: Any) -> None:
        WAYS[way](gradients[0])
        update(gradients, *rest)

    with no_waiting():
        block.update()
    block.optimizer.step = waiting  # type: ignore[method-assign]
    with pytest.raises(REFUSALS), no_waiting():
        block.update()
