"""What torch's fast kernels get wrong when their derivatives are differentiated again, computed in another way.

Of torch 2.13, in silence: the third derivative of layer and of instance normalization is wrong (their double backward takes
mean and variance for constants), and the second of these and of batch normalization where they have a bias without a weight,
and of weight normalization. Group and RMS normalization are right. ``tests/computing/test_kernels.py`` watches all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def full_precision() -> None:
    """Float32 is float32 on a GPU too, in this process: unless told, torch lets cuDNN's convolutions round to 10 bits (TF32)."""
    torch.backends.cudnn.allow_tf32 = (
        False  # the newer settings, by operation, do not go with ``set_flags`` below
    )
    torch.backends.cuda.matmul.allow_tf32 = False


@contextmanager
def plain_recurrent_kernels() -> Iterator[None]:
    """Recurrent layers by torch's own kernels: oneDNN's derive a derivative slowly, cuDNN's not at all."""
    onednn = torch.backends.mkldnn.set_flags(_enabled=False, _fp32_precision=None)[0]
    cudnn = torch.backends.cudnn.set_flags(_enabled=False, _fp32_precision=None)[0]
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=onednn, _fp32_precision=None)
        torch.backends.cudnn.set_flags(_enabled=cudnn, _fp32_precision=None)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """Layer normalization (Ba et al. 2016) over the last axes, as ``torch.layer_norm`` has it."""
    with torch.no_grad():  # so that torch refuses what does not fit
        torch.layer_norm(input, normalized_shape, weight, bias, eps)
    found = standardized(input, tuple(range(-len(normalized_shape), 0)), eps)
    return _affine(found, weight, bias).to(input.dtype)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Instance normalization (Ulyanov et al. 2016) of each channel (N, C, …), as ``functional.instance_norm`` has it."""
    averages = (running_mean, running_var)
    if not use_input_stats:
        weight = _beside(bias, weight)
        return functional.instance_norm(input, *averages, weight, bias, False, momentum, eps)
    with torch.no_grad():  # moves the averages, and torch refuses what does not fit
        functional.instance_norm(input, *averages, weight, bias, True, momentum, eps)
    found = standardized(input.reshape(*input.shape[:2], -1), (-1,), eps)
    scale, shift = (None if given is None else given[:, None] for given in (weight, bias))
    return _affine(found, scale, shift).to(input.dtype).view(input.shape)


def _torch_instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """The same by torch's other name, with its order."""
    return instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalization (Ioffe & Szegedy 2015) by running averages, by torch: only a bias must not be without a weight."""
    weight = _beside(bias, weight)
    return functional.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def _torch_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    return batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """g v/‖v‖ (Salimans & Kingma 2016), with a norm for each index of an axis; of all of v for −1."""
    norm = torch.norm_except_dim(v, 2, dim)
    return v * (g.reshape(norm.shape) / norm)


def standardized(h: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """Mean 0 and variance 1 over these axes, right in every derivative; half precision becomes float32 on the way."""
    h = h.to(torch.promote_types(h.dtype, torch.float32))
    h = h - h.mean(axes, keepdim=True)
    return h * (h.square().mean(axes, keepdim=True) + eps).rsqrt()


def _affine(h: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    h = h if weight is None else h * weight
    return h if bias is None else h + bias


def _beside(bias: Tensor | None, weight: Tensor | None) -> Tensor | None:
    """The weight, ones where there is none beside a bias."""
    return torch.ones_like(bias) if weight is None and bias is not None else weight


# What stands in the place of a function of torch in a pass that is differentiated more than once.
WRITTEN_OUT: dict[Any, Callable[..., Tensor]] = {
    functional.layer_norm: layer_norm,
    torch.layer_norm: layer_norm,
    functional.instance_norm: instance_norm,
    torch.instance_norm: _torch_instance_norm,
    functional.batch_norm: batch_norm,
    torch.batch_norm: _torch_batch_norm,
    torch._weight_norm: weight_norm,
}
