"""The GRU language model (Cho et al. 2014), dropped as AWD-LSTM does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from dropviz.models.gated import Gated

if TYPE_CHECKING:
    from torch import Tensor


class Gru(Gated):
    """Gates in the order reset, update, candidate; the reset gate acts after the recurrent weights, as in cuDNN."""

    name: Literal["gru"] = "gru"

    title: ClassVar[str] = "GRU language model"
    gates: ClassVar[int] = 3
    states: ClassVar[tuple[str, ...]] = ("h",)

    def step(self, given: Tensor, state: list[Tensor], weight: Tensor, units: int) -> list[Tensor]:
        """n = tanh(a + σ(r) ⊙ b) with a from below and b from h; h ← (1 − σ(z)) n + σ(z) h."""
        (h,) = state
        b = h @ weight
        r, z = (given[..., : 2 * units] + b[..., : 2 * units]).sigmoid().chunk(2, -1)
        n = (given[..., 2 * units :] + r * b[..., 2 * units :]).tanh()
        return [n + z * (h - n)]
