"""The LSTM language model (Hochreiter & Schmidhuber 1997), dropped as AWD-LSTM does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from dropviz.models.gated import Gated

if TYPE_CHECKING:
    from torch import Tensor


class Lstm(Gated):
    """Gates in the order input, forget, output, candidate."""

    name: Literal["lstm"] = "lstm"

    title: ClassVar[str] = "LSTM language model"
    gates: ClassVar[int] = 4
    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def step(self, given: Tensor, state: list[Tensor], weight: Tensor, units: int) -> list[Tensor]:
        """c ← σ(f) c + σ(i) tanh(g); h ← σ(o) tanh(c)."""
        h, c = state
        a = given.baddbmm(h, weight)
        i, f, o = a[..., : 3 * units].sigmoid().chunk(3, -1)
        c = f * c + i * a[..., 3 * units :].tanh()
        return [o * c.tanh(), c]
