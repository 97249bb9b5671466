"""What each estimator and loss of the library costs on anybody's module, in steps without dropout and in dropout steps.

A step is a loss, its gradient and an update by ``torch.optim.SGD``, on four networks written in plain PyTorch. Beside the
library's calls stand a plain re-implementation of the paper's route (a label drawn from the model, its gradient at each site
by double backward, a second gradient for the noise) and for the perceptron the dashboard's own arms on a network of the same
size, one seed. Memory is what one step's tensors take at most.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import Row, Summary, in_turns, ratio, steps_per_second
from benchmarks.nets import digits
from dropviz.modules import dropout_loss, surrogate_loss
from dropviz.training import Block

P = 0.5
PLAIN, DROPOUT, PAPER = "plain", "dropout", "paper's route, both terms"
ROOT, SHARED = "root-Hessian", "both terms, shared tangent"
ARM = "arm, "
TARGETS = {ARM + ROOT: 2.5, ARM + SHARED: 2.9}  # steps without dropout, on the perceptron
FASTER_THAN_PAPER = 1.5


class Perceptron(nn.Module):
    """64-256-256-10, dropout after both hidden layers; minibatches of 128."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(64, 256), nn.Linear(256, 256), nn.Linear(256, 10)
        self.drops = nn.ModuleList([nn.Dropout(P), nn.Dropout(P)])

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 10)."""
        h = self.drops[0](functional.relu(self.first(x)))
        return self.last(self.drops[1](functional.relu(self.second(h))))


class Convolutional(nn.Module):
    """Two convolutions with channel dropout, a hidden layer with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.hidden, self.last = nn.Linear(32 * 16, 64), nn.Linear(64, 10)
        self.drops = nn.ModuleList([nn.Dropout2d(0.2), nn.Dropout2d(0.2), nn.Dropout(P)])

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 16, 16)."""
        h = functional.max_pool2d(self.drops[0](functional.relu(self.first(x))), 2)
        h = functional.max_pool2d(self.drops[1](functional.relu(self.second(h))), 2)
        return self.last(self.drops[2](functional.relu(self.hidden(h.flatten(1)))))


class Recurrent(nn.Module):
    """A language model: embedding, two LSTM layers with dropout around and between them, a linear output."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.last = nn.Embedding(200, 64), nn.Linear(64, 200)
        self.layers = nn.LSTM(64, 64, num_layers=2, dropout=0.3, batch_first=True)
        self.drops = nn.ModuleList([nn.Dropout(0.3), nn.Dropout(0.3)])

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, T, 200) of words (N, T)."""
        return self.last(self.drops[1](self.layers(self.drops[0](self.embedding(x)))[0]))


class Attending(nn.Module):
    """A language model: two transformer layers with a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.last = nn.Embedding(200, 64), nn.Linear(64, 200)
        self.place = nn.Parameter(0.02 * torch.randn(32, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 32, 200) of words (N, 32)."""
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.last(self.layers(self.embedding(x) + self.place, mask=mask, is_causal=True))


@dataclass(frozen=True)
class Case:
    """A network with a minibatch, and the same network without dropout, whose parameters it shares."""

    model: nn.Module
    still: nn.Module
    x: Tensor
    y: Tensor

    @classmethod
    def of(cls, model: nn.Module, x: Tensor, y: Tensor) -> Case:
        """A case whose two networks are one but for their mode."""
        same = {id(parameter): parameter for parameter in model.parameters()}
        return cls(model, deepcopy(model, same).eval(), x, y)

    def updates(self) -> dict[str, Callable[[], None]]:
        """One step of each contender, by name."""
        ask = (self.model, self.x, self.y)
        both = partial(surrogate_loss, *ask)
        found: dict[str, Callable[[], Any]] = {
            PLAIN: partial(self._plain, training=False),
            DROPOUT: partial(self._plain, training=True),
            "dropout-8": lambda: dropout_loss(*ask, k=8).total,
            "dropout-8 + mask noise": lambda: dropout_loss(*ask, k=8, mask_noise=True).total,
            "dropout-8 + analytic noise": lambda: dropout_loss(*ask, k=8, analytic_noise=True).total,
            "implicit": lambda: both(explicit=0.0).total,
            ROOT: lambda: both(implicit=0.0, estimator="root_hessian").total,
            "last site exact + root-Hessian": lambda: both(implicit=0.0).total,
            "sampled label": lambda: both(implicit=0.0, estimator="sampled_label").total,
            "sampled label, H constant": lambda: (
                both(implicit=0.0, estimator="sampled_label", hessian="constant").total
            ),
            "forward": lambda: both(implicit=0.0, estimator="forward").total,
            "both terms, root-Hessian": lambda: both(estimator="root_hessian").total,
            SHARED: lambda: both(shared_tangent=True).total,
        }
        if self.y.ndim == 1:
            found["exact"] = lambda: both(implicit=0.0, estimator="exact").total
        found[PAPER] = PaperRoute(self.still, self.x, self.y)
        parameters = list(self.model.parameters())
        optimizer = torch.optim.SGD(parameters, lr=1e-6)
        return {name: partial(_update, optimizer, loss) for name, loss in found.items()}

    def _plain(self, *, training: bool) -> Tensor:
        model = self.model if training else self.still
        return functional.cross_entropy(model(self.x).flatten(0, -2), self.y.flatten())


class PaperRoute:
    """ℓ + ½ v ‖h ⊙ ∂ log p(ŷ)/∂h‖² and the noise ∇ℓᵀJη, by two differentiable backward passes from the sites.

    The sites are the activations at the modules ``nn.Dropout``, as the authors' models hand them out: so the dropout inside
    ``nn.LSTM`` and inside attention costs this route nothing. A GPU's fused attention would have no second derivative.
    """

    def __init__(self, still: nn.Module, x: Tensor, y: Tensor) -> None:
        self.model, self.x, self.y = deepcopy(still, {id(p): p for p in still.parameters()}), x, y.flatten()
        self.sites: list[tuple[Tensor, float]] = []
        for module in self.model.modules():
            if isinstance(module, nn.Dropout | nn.Dropout2d):
                module.register_forward_hook(self._note)

    def _note(self, module: Any, inputs: Any, output: Tensor) -> None:
        self.sites.append((output, module.p / (1 - module.p)))

    def __call__(self) -> Tensor:
        """The scalar to differentiate."""
        self.sites.clear()
        with sdpa_kernel(SDPBackend.MATH):
            z = self.model(self.x).flatten(0, -2)
        loss = functional.cross_entropy(z, self.y)
        drawn = torch.multinomial(z.detach().softmax(-1), 1)[:, 0]
        score = functional.cross_entropy(z, drawn, reduction="sum")
        tensors = [site for site, _ in self.sites]
        total = loss
        for slope, (site, v) in zip(
            torch.autograd.grad(score, tensors, create_graph=True), self.sites, strict=True
        ):
            total = total + v / 2 * (slope * site).square().sum() / len(z)
        for slope, (site, v) in zip(
            torch.autograd.grad(loss, tensors, create_graph=True), self.sites, strict=True
        ):
            signs = torch.empty_like(site).bernoulli_(0.5).mul_(2).sub_(1)
            total = total + sqrt(v) * (slope * site * signs).sum()
        return total


def _update(optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> None:
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()


def cases() -> dict[str, Case]:
    """The networks, each with a random minibatch."""
    torch.manual_seed(0)
    words = torch.randint(200, (16, 33))
    images, classes = torch.randn(64, 1, 16, 16), torch.randint(10, (64,))
    return {
        "MLP": Case.of(Perceptron(), torch.randn(128, 64), torch.randint(10, (128,))),
        "CNN": Case.of(Convolutional(), images, classes),
        "LSTM": Case.of(Recurrent(), words[:, :-1], words[:, 1:]),
        "transformer": Case.of(Attending(), words[:, :-1], words[:, 1:]),
    }


def memory(update: Callable[[], object]) -> float:
    """The most that is allocated at once during a call, in MB, beyond what was before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, record_shapes=False) as recorded:
        update()
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in recorded.profiler.kineto_results.events()
        if event.name() == "[memory]"
    )
    held = most = 0
    for _, change in changes:
        held += change
        most = max(most, held)
    return most / 1e6


def arms() -> dict[str, Callable[[], object]]:
    """Steps of the dashboard's arms on a perceptron of the same size and minibatch."""
    chosen = {
        PLAIN: ("none", ()),
        DROPOUT: ("dropout", ()),
        ROOT: ("explicit", ("surrogate.estimator=root-hessian",)),
        "last site exact + root-Hessian": ("explicit", ()),
        "forward": ("explicit", ("surrogate.estimator=forward",)),
        "exact": ("explicit", ("surrogate.estimator=exact",)),
        "implicit": ("implicit", ()),
        "both terms, root-Hessian": ("explicit+implicit", ("surrogate.estimator=root-hessian",)),
        SHARED: ("explicit+implicit", ("surrogate.shared_tangent=true",)),
        "identity Hessian": ("explicit-identity", ("surrogate.estimator=root-hessian",)),
        "loss Jacobian": ("explicit-loss-jacobian", ()),
        "most likely label": ("explicit-argmax", ()),
        "l2": ("l2", ()),
        "linearized": ("linearized", ()),
        "gaussian": ("gaussian", ()),
    }
    size = ("model.widths=[256,256]", "train.batch_size=128")
    return {
        ARM + name: Block(digits(*size, *settings), arm, [0]).update
        for name, (arm, settings) in chosen.items()
    }


def measure(*, quick: bool) -> list[Row]:
    """Every contender on every network: time of a step against both denominators, and memory."""
    rows: list[Row] = []
    for name, case in cases().items():
        updates = case.updates() | (arms() if name == "MLP" else {})
        for update in updates.values():
            update()
        steps = 16 if name == "MLP" else 4
        contenders = {one: partial(steps_per_second, update, steps) for one, update in updates.items()}
        rates = in_turns(contenders, 3 if quick else 11)
        rows += [_row(name, one, rates, memory(updates[one])) for one in updates]
    return rows


def _row(case: str, name: str, rates: dict[str, list[float]], megabytes: float) -> Row:
    times = {one: [1 / rate for rate in found] for one, found in rates.items()}
    ratios = {
        "plain step": ratio(times, name, PLAIN),
        "dropout step": ratio(times, name, DROPOUT),
    }
    target, met = "", None
    if name in TARGETS:
        target = f"≤ {TARGETS[name]} plain"
        met = ratios["plain step"].median <= TARGETS[name]
    if name.endswith(SHARED) and PAPER in rates:
        speed = ratios["paper's speed"] = ratio(rates, name, PAPER)
        if name in TARGETS:
            target += f", ≥ {FASTER_THAN_PAPER} paper's speed"
            met = bool(met) and speed.median >= FASTER_THAN_PAPER
    return Row(
        name=f"{case}: {name}",
        value=Summary.of(rates[name]),
        unit=f"/CPU-s, {megabytes:.1f} MB",
        ratios=ratios,
        target=target,
        met=met,
    )
