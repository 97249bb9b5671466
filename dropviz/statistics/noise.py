"""Implicit gradient noise on the probe: the trace of its covariance, from masks and by formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropviz.statistics.statistic import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor

    from dropviz.regularizers import Network

BATCHES = 4  # minibatches of the probe over which the trace is averaged


def measure(moment: Moment) -> dict[str, Tensor]:
    """tr Cov of a step's noise, averaged over minibatches of the probe.

    Masks are independent per example, so the trace goes with 1 / rows: a probe that is smaller than the training step's
    minibatch is put right by that factor.

    ``noise/mask``: half the mean squared difference of the gradients under two masks, times what the arm
    keeps of it (1/k for k masks; all of it with mask noise or for one mask; none for arms without masks,
    whose value is that of one mask, for comparison). ``noise/analytic``: the mean squared ξ_approx.
    """
    import torch

    batches = moment.batches[:BATCHES]
    rows = batches[0].rows / moment.rows
    kept = moment.strategy.noise_factor() or 1.0
    masks = [_mask_noise(moment, network, index) for index, network in enumerate(batches)]
    formula = [_analytic_noise(moment, network, index) for index, network in enumerate(batches)]
    return {
        "noise/mask": rows * kept * torch.stack(masks).mean(0),
        "noise/analytic": rows * torch.stack(formula).mean(0),
    }


def _mask_noise(moment: Moment, network: Network, index: int) -> Tensor:
    from dropviz.regularizers import masked_losses

    draws = moment.draws(f"noise/mask/{index}", network)
    losses = masked_losses(network, draws.masks(2), 2)
    return _squared_gradient(losses[:, 0] - losses[:, 1], moment) / 2


def _analytic_noise(moment: Moment, network: Network, index: int) -> Tensor:
    from dropviz.regularizers import implicit_term

    draws = moment.draws(f"noise/analytic/{index}", network)
    watch = network.watch()
    z = network.forward(watch)
    return _squared_gradient(implicit_term(network, z, watch, draws), moment)


def _squared_gradient(value: Tensor, moment: Moment) -> Tensor:
    from torch.autograd import grad

    from dropviz.curvature.products import flat

    return flat(grad(value.sum(), moment.parameters)).square().sum(-1)


statistic = Statistic(name="noise", metrics=("noise/mask", "noise/analytic"), measure=measure)
