"""R_approx = ½ Σ_sites v tr(JᵀH_outJ), mean over rows, by each estimator; and R by its definition.

Every estimator returns its share of each site, a number a seed: site → (S,), differentiable. All are unbiased in value.
With ``hessian="constant"`` the gradient is that of R_approx with H_out held fixed, as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.losses import Loss
from dropviz.masks import Multiply, RandomNumbers, Watch, keep_all
from dropviz.regularizers.network import Jacobians, Network, slopes, tangent

Estimator = Literal["auto", "exact", "root_hessian", "forward", "sampled_label"]
Hessian = Literal["differentiated", "constant"]
Shares = dict[str, Tensor]
HELD = 2**23  # numbers of logits and masks that one forward pass over several masks may have


def explicit_shares(
    network: Network,
    z: Tensor,
    watch: Watch,
    draws: RandomNumbers,
    *,
    estimator: str = "auto",
    hessian: str = "differentiated",
    samples: int = 1,
    loss: Loss | None = None,
) -> Shares:
    """R_approx by site, from logits z that were computed under ``watch``.

    Args:
        network, z, watch, draws: A minibatch, its differentiable logits, the views of its sites, random numbers.
        estimator: ``exact``: every column of F. ``root_hessian``: one random ±1 an output. ``forward``: one random
            direction in mask space. ``sampled_label``: one label drawn from the model, the authors'. ``auto``: the last
            site in closed form where it goes into a linear output, the others by root_hessian.
        hessian: Whether the gradient goes through H_out.
        samples: Independent draws that are averaged.
        loss: Whose Hessian, if not the network's.

    Raises:
        ValueError: A choice that does not exist.
    """
    known_hessian(hessian)
    if estimator not in get_args(Estimator):
        raise ValueError(f"{estimator!r} is not an estimator: choose {', '.join(get_args(Estimator))}.")
    constant, loss = hessian == "constant", loss or network.loss
    found: list[Shares] = [
        getattr(_FromWatch(network, z, watch, draws.sample(index), constant, loss), estimator)()
        for index in range(1 if estimator == "exact" else samples)
    ]
    if len(found) == 1:
        return found[0]
    return {site: torch.stack([draw[site] for draw in found]).mean(0) for site in network.variances}


@dataclass(frozen=True)
class _FromWatch:
    """The estimators, each a method: site → (S,)."""

    network: Network
    z: Tensor
    watch: Watch
    draws: RandomNumbers
    constant: bool
    loss: Loss

    @property
    def at(self) -> Tensor:
        """Where H_out is taken."""
        return self.z.detach() if self.constant else self.z

    def auto(self) -> Shares:
        """½ v Σ_j h_j² (A H_out Aᵀ)_jj at the last site, where z = hA + b; root_hessian at the others."""
        closed = closed_share(self.network, self.at, self.watch, self.loss)
        found = self.root_hessian(site for site in self.network.variances if site not in closed) | closed
        return {name: found[name] for name in self.network.variances}

    def exact(self) -> Shares:
        """Σ_k ½ v ‖∂(F_kᵀz)/∂ε‖² over the columns of F, and over passes where rows share coordinates of ε."""
        passes = self.network.passes
        place, count = (
            (self.z.new_zeros(self.z.shape[1]), 1) if passes is None else passes(self.z, self.watch)
        )
        parts: list[Shares] = []
        for step in range(count):
            there = (place == step).to(self.z)[:, None]
            parts += [self._squares(column * there) for column in self.loss.columns(self.at)]
        return {site: torch.stack([part[site] for part in parts]).sum(0) for site in self.network.variances}

    def root_hessian(self, sites: Iterable[str] | None = None) -> Shares:
        """½ v ‖∂(wᵀz)/∂ε‖² with E wwᵀ = H_out; w is a function of W in the outer derivative only."""
        return self._squares(self.loss.root(self.at, self.draws), sites)

    def sampled_label(self) -> Shares:
        """½ v ‖∂ℓ(ŷ)/∂ε‖² with ŷ from the model; differentiated, the score function makes up for ŷ's dependence on W."""
        network, label = self.network, self.loss.sample(self.z, self.draws)
        found = self._row_squares(self.loss.gradient(self.z, label))
        if self.constant:
            return {site: network.row_mean(rows) for site, rows in found.items()}
        log_p = -self.loss.value(self.z, label)
        score = log_p - log_p.detach()
        score = score if network.by_row else score.sum(-1, keepdim=True)
        return {site: network.row_mean(rows + rows.detach() * score) for site, rows in found.items()}

    def forward(self) -> Shares:
        """½ żᵀH_outż with ż = Jη, η = ±√v, a direction of its own for each site."""
        signs, found = self.draws.signs(), {}
        for site, v in self.network.variances.items():
            moved = tangent(self.z, self.watch, {site: sqrt(v) * signs[site]})
            found[site] = self.network.mean(self.loss.quadratic(self.at, moved)) / 2
        return found

    def true_label(self) -> Shares:
        """½ v ‖∂ℓ(y)/∂ε‖²: the loss's Jacobian in place of H_out, an ablation."""
        return self._squares(self.loss.gradient(self.z, self.network.y))

    def likeliest_label(self) -> Shares:
        """½ v ‖∂ℓ(ŷ)/∂ε‖² with the most likely label, an ablation."""
        return self._squares(self.loss.gradient(self.z, self.z.argmax(-1)))

    def _squares(self, outputs: Tensor, sites: Iterable[str] | None = None) -> Shares:
        found = self._row_squares(outputs, sites)
        return {site: self.network.row_mean(rows) for site, rows in found.items()}

    def _row_squares(self, outputs: Tensor, sites: Iterable[str] | None = None) -> Shares:
        """½ v ‖∂(outputsᵀz)/∂ε‖² of each row, or of all that share ε."""
        found = slopes(self.z, self.watch, self.network.weighted(outputs, root=True), sites)
        return {
            site: self.network.variances[site] / 2 * self.network.share(slope.square())
            for site, slope in found.items()
        }


def closed_share(network: Network, z: Tensor, watch: Watch, loss: Loss | None = None) -> Shares:
    """½ v Σ_j h_j² (A H_out Aᵀ)_jj at the last site, where the logits are z = hA + b; nothing where no site is like that."""
    last = network.output(watch)
    if last is None:
        return {}
    site, h, weight = last
    slopes = weight.transpose(-1, -2).unsqueeze(1)
    penalty = (h.square() * (loss or network.loss).curvature(z, slopes)).sum(-1)
    return {site: network.variances[site] / 2 * network.mean(penalty)}


def ablated_shares(
    network: Network,
    z: Tensor,
    watch: Watch,
    draws: RandomNumbers,
    ablation: Literal["true_label", "likeliest_label"],
) -> Shares:
    """The paper's ablations of the sampled label, in place of R_approx (Wei et al. 2020, section 5)."""
    shares: Shares = getattr(_FromWatch(network, z, watch, draws, False, network.loss), ablation)()
    return shares


def known_hessian(hessian: str) -> None:
    """Refuse a way to treat the Hessian that does not exist.

    Raises:
        ValueError: It is neither of the two.
    """
    if hessian not in get_args(Hessian):
        raise ValueError(f"hessian = {hessian!r} is not possible: choose {' or '.join(get_args(Hessian))}.")


def site_jacobians(
    network: Network, loss: Loss | None = None, *, shortcut: bool = True
) -> tuple[Tensor, Jacobians]:
    """Logits (S, B, C), and the Jacobian in ε of the loss's ``directions`` of them at every site.

    J_kj = h_j s_kj comes as its factors: h (S, B, W) and the slopes s_kj = ∂z_k/∂h_j (S, B, K, W). All of J is seldom
    needed: its passes over memory are most of the cost. Either factor may be of size 1 where it is the same for all: h
    where the slopes are J itself, the slopes for all rows before a linear output.

    Exact and differentiable, for networks whose ε is by row. Cost: K backward passes, batched; less where the model has
    a way of its own.
    """
    directions = (loss or network.loss).directions
    found = network.jacobians(directions) if shortcut else None
    if found is not None:
        return found
    watch = network.watch()
    z = network.forward(watch)
    outputs = directions(z)[:, None, None].expand(-1, *z.shape)
    gradients = grad(z, list(watch.views.values()), outputs, create_graph=True, is_grads_batched=True)
    slopes = {
        site: watch.slope(site, gradient).permute(1, 2, 0, *range(3, gradient.ndim)).flatten(3)
        for site, gradient in zip(watch.views, gradients, strict=True)
    }
    return z, {site: (z.new_ones(1, 1, 1), slope) for site, slope in slopes.items()}


def exact_shares(
    network: Network,
    z: Tensor,
    jacobians: Jacobians,
    *,
    hessian: str = "differentiated",
    loss: Loss | None = None,
) -> Shares:
    """R_approx by site out of Jacobians that are at hand: site → (S,). Exact (section 4, eq. 5)."""
    known_hessian(hessian)
    at, loss = z.detach() if hessian == "constant" else z, loss or network.loss
    found = {}
    for site, v in network.variances.items():
        h, slopes = jacobians[site]
        found[site] = v / 2 * network.mean((h.square() * loss.curvature(at, slopes)).sum(-1))
    return found


def exact_regularizer(network: Network, *, hessian: str = "differentiated") -> Tensor:
    """R_approx, exact, of a network whose ε is by row: (S,). Cost: see ``site_jacobians``."""
    shares = exact_shares(network, *site_jacobians(network), hessian=hessian)
    return torch.stack(list(shares.values())).sum(0)


def monte_carlo(network: Network, draws: RandomNumbers, *, masks: int) -> Tensor:
    """ℓ(z(ε)) − ℓ(z(0)) for so many masks: (S, masks), whose mean estimates R. By definition, no expansion, no gradient."""
    with torch.no_grad():
        z, drawn = network.forward(keep_all), draws.masks(masks)
        plain = network.mean(network.loss.value(z, network.y)).unsqueeze(-1)
        each = z.numel() + sum(mask[:, 0].numel() for mask in drawn.values())
        together = max(1, HELD // each)
        parts = [slice(first, min(first + together, masks)) for first in range(0, masks, together)]
        losses = [
            masked_losses(
                network, {site: mask[:, part] for site, mask in drawn.items()}, part.stop - part.start
            )
            for part in parts
        ]
        return torch.cat(losses, dim=1) - plain


def masked_loss(network: Network, factors: object) -> Tensor:
    """ℓ(z(ε)) of one mask, mean over rows: (S,). Cost: a forward pass."""
    z = network.forward(Multiply(factors))  # type: ignore[arg-type]
    return network.mean(network.loss.value(z, network.y))


def masked_losses(network: Network, factors: object, replicas: int) -> Tensor:
    """ℓ(z(ε_r)), mean over rows: (S, R). Cost: a forward pass over R replicas."""
    z = network.forward(Multiply(factors, replicas))  # type: ignore[arg-type]
    y = network.y.unsqueeze(1).expand(-1, replicas, *network.y.shape[1:])
    return network.mean(network.loss.value(z, y.flatten(1, 2)).unflatten(1, (replicas, -1)))
