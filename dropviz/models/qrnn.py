"""The quasi-recurrent language model (Bradbury et al. 2017), dropped as AWD-QRNN is (Merity et al. 2018b).

The gates see the tokens but not the state, so along the text there is only a running mean to take.

Shapes: S seeds, B streams (or R·B′ of R replicas), T tokens, I inputs and H units of a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from dropviz.models.language import affine
from dropviz.models.model import Carried, dropout_field
from dropviz.models.recurrent import DEFAULT_PLACES, KINDS, Recurrent

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour


class Qrnn(Recurrent):
    """Gates in the order forget, output, candidate, by a causal convolution; fo-pooling (equation 4). There is no zoneout."""

    name: Literal["qrnn"] = "qrnn"
    window: int = Field(
        2,
        ge=1,
        le=2,
        title="Window",
        description="Tokens that the first layer's gates see: 2 is a token and the one before. Other layers see one.",
    )
    dropout_at: tuple[str, ...] = dropout_field(
        DEFAULT_PLACES, KINDS | {"weights": "the weights of the layers (weight drop)"}
    )

    title: ClassVar[str] = "QRNN language model"
    gates: ClassVar[int] = 3
    dropped_weights: ClassVar[str] = "weights"
    dropped_parameter: ClassVar[str] = "input_weight"

    def weight_shapes(self, layer: int, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """``input_weight1`` (window·I, 3·H), the rows of the token itself first."""
        return {f"input_weight{layer}": (self._window(layer) * inputs, self.gates * units)}

    def layer(
        self,
        parameters: Mapping[str, Tensor],
        layer: int,
        h: Tensor,
        dropout: SiteBehaviour,
        carried: Carried,
    ) -> Tensor:
        """c ← σ(f) c + (1 − σ(f)) tanh(z); h = σ(o) c.

        Carried: c, and where the window is 2 the last of what entered the layer, after dropout.
        """
        import torch

        weight = dropout(parameters[f"input_weight{layer}"], f"weights{layer}", weight=True)
        if self._window(layer) == 2:
            name = f"entered{layer}"
            first = carried[name].unsqueeze(2) if name in carried else torch.zeros_like(h[:, :, :1])
            carried[name] = h[:, :, -1]
            h = torch.cat([h, torch.cat([first, h[:, :, :-1]], dim=2)], dim=-1)
        a = affine(h, weight, parameters[f"bias{layer}"])
        units = a.shape[-1] // self.gates
        forget, output = a[..., : 2 * units].sigmoid().chunk(2, -1)
        candidate = a[..., 2 * units :].tanh()
        name = f"c{layer}"
        before = carried[name] if name in carried else candidate.new_zeros(*a.shape[:2], units)
        c = pooled(forget, candidate - forget * candidate, before)
        carried[name] = c[:, :, -1]
        return output * c

    def _window(self, layer: int) -> int:
        return self.window if layer == 1 else 1


def pooled(factor: Tensor, added: Tensor, before: Tensor) -> Tensor:
    """c_t = factor_t c_{t−1} + added_t along axis 2, c_0 = ``before``: (S, B, T, H).

    Token by token: a scan in log₂ T rounds takes more passes over memory, and on a CPU more time.
    """
    import torch

    found = []
    for now, more in zip(factor.unbind(2), added.unbind(2), strict=True):
        before = now * before + more
        found.append(before)
    return torch.stack(found, dim=2)
