"""The convolutional network: blocks of convolution, normalization, activation, dropout and pooling, then dense layers.

Shapes: S seeds, B examples (or R·B′ of R replicas), C channels of images of some height and width.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.models.examples import HE_GAIN, Activation, activated, initial_values, only_examples, skipped
from dropviz.models.model import Carried, Model, dropout_field
from dropviz.models.normalization import followed, group_normalized, groups_of, running_normalized
from dropviz.streams import generator
from dropviz.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.masks import SiteBehaviour

Channels = Annotated[int, Field(ge=1, le=512)]
POOL = 2


class Cnn(Model):
    """Blocks that keep the size of the image and then halve it, and a perceptron on what is left; He-normal weights.

    Kernels and pooling windows are no larger than an axis allows, so that a signal of one row is an image too.

    Batch normalization divides by **running** averages, which are constants of a step, because ε at one example must not
    act on another. A step follows the channels' mean and variance in its first forward pass. With a dropout arm that
    pass is masked, and masks add to the variance of whatever comes after them; evaluation, which has none, then divides by
    slightly too much (Li et al. 2019). Group normalization has no such memory.
    """

    name: Literal["cnn"] = "cnn"
    channels: tuple[Channels, ...] = Field(
        (8, 16),
        min_length=1,
        max_length=8,
        title="Channels",
        description="Of each block; after every block the image is pooled to half its size, as far as it goes.",
    )
    kernel: Literal[3, 5, 7] = Field(3, title="Kernel", description="Pixels each way.")
    pooling: Literal["max", "average"] = Field(
        "max", title="Pooling", description="What stands for a window of 2 × 2 pixels."
    )
    activation: Activation = Field(
        "relu", title="Activation", description="After each convolution and the head."
    )
    norm: Literal["none", "group", "batch"] = Field(
        "none",
        title="Normalization",
        description="Before the activation: over groups of channels of an image, or by running averages over images.",
    )
    residual: bool = Field(
        False,
        title="Skip connections",
        description="A block with as many channels as the one before adds to it; dropout acts on what is added.",
    )
    head: int = Field(
        64, ge=0, le=4096, title="Head", description="Units of a dense layer before the output; 0 for none."
    )
    dropout_at: tuple[str, ...] = dropout_field(
        ("hidden", "head"),
        {
            "input": "pixels",
            "hidden": "units of all blocks, before pooling",
            "channel": "whole channels of all blocks",
            "hidden1": "one block",
            "head": "units of the head",
        },
    )

    title: ClassVar[str] = "Convolutional network"

    def places(self) -> dict[str, str]:
        """input, then hidden1, channel1, hidden2, …, and head where there is one."""
        found = {"input": "input"}
        for block in range(1, len(self.channels) + 1):
            found |= {f"hidden{block}": "hidden", f"channel{block}": "channel"}
        return found | ({"head": "head"} if self.head else {})

    def unfit(self, task: Task) -> str:
        """Images only."""
        if len(task.shape) == 3 or task.kind == "language":
            return only_examples(task)
        return "its features are no picture, so choose a set of images, or another model such as mlp."

    def sizes(self, task: Task) -> list[tuple[int, int]]:
        """Height and width of the image before each block, and after the last one."""
        found = [(task.shape[1], task.shape[2])]
        for _ in self.channels:
            height, width = found[-1]
            found.append((max(1, height // POOL), max(1, width // POOL)))
        return found

    def kernels(self, task: Task) -> list[tuple[int, int]]:
        """Of each block: of an axis of n pixels at most 2n − 1, as what lies beyond would only ever meet padding."""
        return [
            (min(self.kernel, 2 * height - 1), min(self.kernel, 2 * width - 1))
            for height, width in self.sizes(task)[:-1]
        ]

    def shapes(self, task: Task) -> dict[str, tuple[int, ...]]:
        """``kernel1`` (out, in, height, width) and ``bias1`` (out,), …; in place of a bias a norm's own numbers.

        Then ``head_weight`` (inputs, outputs) and ``head_bias`` (1, outputs), ``output_weight`` and ``output_bias``.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for block, (inputs, outputs) in enumerate(pairwise([task.shape[0], *self.channels]), start=1):
            shapes[f"kernel{block}"] = (outputs, inputs, *self.kernels(task)[block - 1])
            shapes |= {f"{name}{block}": (outputs,) for name in self._of_channels()}
        dense = {"head": self.head, "output": task.outputs} if self.head else {"output": task.outputs}
        inputs = self.channels[-1] * prod(self.sizes(task)[-1])
        for layer, outputs in dense.items():
            shapes |= {f"{layer}_weight": (inputs, outputs), f"{layer}_bias": (1, outputs)}
            inputs = outputs
        return shapes

    def _of_channels(self) -> tuple[str, ...]:
        """Names of the parameters that have one number a channel."""
        averages = ("mean", "variance") if self.norm == "batch" else ()
        return ("bias",) if self.norm == "none" else ("gain", "shift", *averages)

    def buffers(self) -> frozenset[str]:
        """The running averages of batch normalization."""
        blocks = range(1, len(self.channels) + 1) if self.norm == "batch" else ()
        return frozenset(f"{name}{block}" for block in blocks for name in ("mean", "variance"))

    def initial(self, seed: int, task: Task) -> dict[str, np.ndarray]:
        """He-normal weights, zero biases (He et al. 2015); gains and variances 1."""

        def scale(name: str, shape: tuple[int, ...]) -> float:
            fan_in = prod(shape[1:]) if name.startswith("kernel") else shape[0]
            return float(np.sqrt(HE_GAIN / fan_in))

        return initial_values(self.shapes(task), generator(seed, "initial/cnn"), scale)

    def units(self, task: Task) -> int:
        """Of all blocks, before and after they are normalized and after they are pooled, and of the dense layers."""
        sizes, found = self.sizes(task), task.inputs + self.head + task.outputs
        for channels, before, after in zip(self.channels, sizes[:-1], sizes[1:], strict=True):
            found += channels * (prod(before) * (1 if self.norm == "none" else 2) + prod(after))
        return found

    def multiplications(self, task: Task) -> int:
        """A kernel's numbers are used at every pixel."""
        pixels = {f"kernel{block}": prod(size) for block, size in enumerate(self.sizes(task)[:-1], start=1)}
        return sum(
            prod(shape) * pixels.get(name, 1)
            for name, shape in self.shapes(task).items()
            if name.startswith("kernel") or name.endswith("_weight")
        )

    def compute(
        self, parameters: Mapping[str, Tensor], x: Tensor, dropout: SiteBehaviour, carried: Carried
    ) -> Tensor:
        """Block by block. Carried: with batch normalization, ``mean1`` and ``variance1``, … after these images."""
        h = dropout(x, "input")
        for block in range(1, len(self.channels) + 1):
            a = convolved(h, parameters[f"kernel{block}"], parameters.get(f"bias{block}"))
            a = self._normalized(parameters, block, a, carried)
            branch = dropout(activated(a, self.activation), f"hidden{block}")
            branch = dropout(branch, f"channel{block}", shared=(3, 4))
            h = skipped(h, branch) if self.residual and h.shape[2] == branch.shape[2] else branch
            h = pooled(h, self.pooling)
        h = h.flatten(2)
        if self.head:
            a = parameters["head_bias"].baddbmm(h, parameters["head_weight"])
            h = dropout(activated(a, self.activation), "head")
        return parameters["output_bias"].baddbmm(h, parameters["output_weight"])

    def _normalized(
        self, parameters: Mapping[str, Tensor], block: int, h: Tensor, carried: Carried
    ) -> Tensor:
        if self.norm == "none":
            return h
        gain, shift = parameters[f"gain{block}"], parameters[f"shift{block}"]
        if self.norm == "group":
            return group_normalized(h, gain, shift, groups_of(h.shape[2]))
        mean, variance = parameters[f"mean{block}"], parameters[f"variance{block}"]
        carried[f"mean{block}"], carried[f"variance{block}"] = followed(mean, variance, h)
        return running_normalized(h, gain, shift, mean, variance)

    def output_layer(self, parameters: Mapping[str, Tensor]) -> tuple[str, Tensor] | None:
        """The head, if it has dropout."""
        return ("head", parameters["output_weight"]) if "head" in self.sites() else None


def convolved(h: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Images (S, B, C, height, width) and kernels (S, O, C, …) of odd sizes → (S, B, O, height, width), zeros around them.

    The seeds' channels lie side by side, as groups of one convolution. On a CPU this takes about as long as unfolded matrix
    products or one convolution a seed for images of 8 × 8, and less for 28 × 28, second derivatives included.
    """
    from torch.nn import functional

    padding = [size // 2 for size in kernel.shape[3:]]
    kernels, biases = kernel.flatten(0, 1), None if bias is None else bias.flatten()
    z = functional.conv2d(_side_by_side(h), kernels, biases, padding=padding, groups=len(kernel))
    return _stacked(z, len(kernel))


def pooled(h: Tensor, pooling: Literal["max", "average"]) -> Tensor:
    """Windows of 2 × 2 pixels, or of all there are along an axis; what is left over at the edge is left out."""
    from torch.nn import functional

    window = [min(POOL, size) for size in h.shape[3:]]
    pool = functional.max_pool2d if pooling == "max" else functional.avg_pool2d
    return _stacked(pool(_side_by_side(h), window), len(h))


def _side_by_side(h: Tensor) -> Tensor:
    """(S, B, C, height, width) → (B, S·C, height, width)."""
    return h.transpose(0, 1).flatten(1, 2)


def _stacked(h: Tensor, seeds: int) -> Tensor:
    """And back."""
    return h.unflatten(1, (seeds, -1)).transpose(0, 1)
