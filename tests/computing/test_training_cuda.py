"""Training on a GPU: no step waits for it, and its losses are those of the CPU. Skipped where no GPU is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from dropviz.kernels import full_precision
from dropviz.training import Block
from tests.computing.programs import PROGRAMS, program, variants

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

STEPS = 4


@contextmanager
def no_waiting() -> Iterator[None]:
    """Within it, torch refuses what waits for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", PROGRAMS)
def test_no_step_of_any_arm_waits_for_the_gpu(kind: str) -> None:
    for arm, settings in variants(kind):
        block = Block(program(kind, *settings), arm, (0, 1), device="cuda")
        block.update()  # kernels are loaded, and what stays on the device is sent there
        with no_waiting():
            for _ in range(STEPS):
                block.update()


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_gpu_computes_the_losses_of_the_cpu(kind: str) -> None:
    full_precision()
    for arm, settings in variants(kind):
        here, there = (Block(program(kind, *settings), arm, (0, 1), device=name) for name in ("cpu", "cuda"))
        for _ in range(STEPS):
            one, other = here.update(), there.update()
            for term in ("data", "explicit", "implicit"):
                assert_close(getattr(other, term), getattr(one, term), f"{arm} {settings}: {term}")


def assert_close(there: Tensor | None, here: Tensor | None, what: str) -> None:
    """Up to the order of sums."""
    assert (there is None) == (here is None), what
    if there is not None and here is not None:
        torch.testing.assert_close(
            there.cpu(), here, rtol=1e-3, atol=1e-4, msg=lambda text: f"{what}: {text}"
        )
