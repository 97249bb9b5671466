"""Random numbers for a module's mask space: new ones with each call, from the caller's generator or one of our own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt

import torch
from torch import Tensor

from dropviz.sites import DropoutSite


class ModuleDraws:
    """What ``masks.Draws`` is to the stacked models; N rows of logits.

    Numbers are made of raw bits, which are cheap: 1 to 2 ns a sign or a mask on a CPU. They are float32, to be multiplied
    with tensors of any precision.
    """

    def __init__(
        self,
        sites: Mapping[str, DropoutSite],
        device: torch.device,
        generator: torch.Generator | None,
    ) -> None:
        self.sites, self.device = sites, device
        self.rows = 0  # known after the first forward pass
        if generator is None:
            generator = torch.Generator("cpu" if device.type == "mps" else device)
            generator.seed()
        self.generator = generator

    def masks(self, replicas: int) -> Mapping[str, Tensor]:
        """1 + ε by site: (1, R, *mask shape), each drawn when it is asked for."""
        return Masks(self, replicas, gaussian=False)

    def gaussian_masks(self, replicas: int) -> Mapping[str, Tensor]:
        """1 + ε by site with normal ε of the same variance: (1, R, *mask shape)."""
        return Masks(self, replicas, gaussian=True)

    def signs(self) -> dict[str, Tensor]:
        """±1 by site: (1, *mask shape)."""
        return {name: self.rademacher(*site.mask_shape) for name, site in self.sites.items()}

    def sample(self, index: int) -> ModuleDraws:
        """The same: every call draws anew."""
        return self

    def output_signs(self, count: int) -> Tensor:
        """±1: (1, N, count)."""
        return self.rademacher(self.rows, count)

    def uniforms(self, count: int) -> Tensor:
        """In (0, 1), float64: (1, N, count)."""
        words = self._bits(self.rows * count).view(torch.int64) >> 11
        return self._placed(((words.double() + 0.5) / 2**53 + 0.5).view(1, self.rows, count))

    def rademacher(self, *shape: int) -> Tensor:
        """±1, each with probability ½: (1, *shape)."""
        count = torch.Size(shape).numel()
        bytes = self._bits(-(-count // 8)).view(torch.int8)[:count]
        signs = bytes.bitwise_right_shift_(7).bitwise_or_(1)  # of −128 … −1: −1; of 0 … 127: 1
        return self._placed(signs.view(1, *shape)).float()

    def mask(self, site: DropoutSite) -> Tensor:
        """1 + ε: 0 with probability p, else 1 / (1 − p), in the shape of the mask."""
        count = torch.Size(site.mask_shape).numel()
        words = self._bits(-(-count // 2)).view(torch.int32)[:count]
        kept = words >= min(round((site.p - 0.5) * 2**32), 2**31 - 1)
        return self._placed(kept.view(site.mask_shape)).float().mul_(1 / (1 - site.p))

    def gaussian_mask(self, site: DropoutSite) -> Tensor:
        """1 + ε with ε normal, of mean 0 and variance p / (1 − p), in the shape of the mask."""
        return self.normals(*site.mask_shape)[0].mul(sqrt(site.p / (1 - site.p))).add_(1)

    def normals(self, *shape: int) -> Tensor:
        """Standard normal: (1, *shape)."""
        random = self.generator
        return self._placed(torch.randn(1, *shape, generator=random, device=random.device))

    def _bits(self, words: int) -> Tensor:
        empty = torch.empty(words, dtype=torch.int64, device=self.generator.device)
        return empty.random_(-(2**63), None, generator=self.generator)

    def _placed(self, numbers: Tensor) -> Tensor:
        return numbers.to(self.device)


class Masks(Mapping[str, Tensor]):
    """Masks that are drawn site by site: a first pass need not know the sites before it meets them."""

    def __init__(self, draws: ModuleDraws, replicas: int, *, gaussian: bool) -> None:
        self.draws, self.replicas = draws, replicas
        self.draw = draws.gaussian_mask if gaussian else draws.mask

    def __getitem__(self, name: str) -> Tensor:
        site = self.draws.sites[name]
        return torch.stack([self.draw(site) for _ in range(self.replicas)])[None]

    def __iter__(self) -> Iterator[str]:
        return iter(self.draws.sites)

    def __len__(self) -> int:
        return len(self.draws.sites)
